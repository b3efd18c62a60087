/* HTTPS to AWS: one wrapper over libcurl's multi socket interface that knows no event loop. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/http.h"

#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "common/aws/waits.h"
#include "common/base/text.h"

struct transfer {
	struct transfer *next;
	struct aws_http *owner;
	CURL *easy;
	struct curl_slist *headers;
	aws_http_cb cb;
	void *arg;
	char *url;
	struct sf_buf body;
	bool too_big;
	bool secret;
	char curl_text[CURL_ERROR_SIZE];
	struct aws_http_result result;
};

struct aws_http {
	struct aws_loop loop;
	CURLM *multi;
	char *ca_bundle;
	struct transfer *transfers;
	struct aws_waits waits;
};

/* The slot of the loop travels through curl_multi_assign(); a record of it stays in here while curl knows the fd. */
struct watched {
	void *slot;
};

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *userp, void *socketp)
{
	struct aws_http *h = userp;
	struct watched *w = socketp;
	int wanted = 0;

	(void)easy;
	if (!w) {
		if (what == CURL_POLL_REMOVE)
			return 0;
		w = calloc(1, sizeof(*w));
		if (!w)
			return -1;
		curl_multi_assign(h->multi, fd, w);
	}
	if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
		wanted |= AWS_WATCH_IN;
	if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
		wanted |= AWS_WATCH_OUT;
	h->loop.watch(h->loop.ctx, fd, wanted, &w->slot);
	if (what == CURL_POLL_REMOVE) {
		curl_multi_assign(h->multi, fd, NULL);
		free(w);
	}
	return 0;
}

static int on_timer(CURLM *multi, long ms, void *userp)
{
	struct aws_http *h = userp;

	(void)multi;
	aws_waits_curl(&h->waits, ms);
	return 0;
}

struct aws_http *aws_http_new(const struct aws_loop *loop, struct sf_error *err)
{
	const char *bundle = getenv("AWS_CA_BUNDLE");
	struct aws_http *h = calloc(1, sizeof(*h));

	if (!h) {
		sf_err(err, "out of memory");
		return NULL;
	}
	h->loop = *loop;
	aws_waits_init(&h->waits, &h->loop);
	if (bundle && *bundle)
		h->ca_bundle = strdup(bundle);
	if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
		h->multi = curl_multi_init();
	if (!h->multi || (bundle && *bundle && !h->ca_bundle)) {
		aws_http_free(h);
		sf_err(err, "libcurl does not start");
		return NULL;
	}
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return h;
}

static void wipe_transfer(struct transfer *t)
{
	struct curl_slist *l;

	for (l = t->headers; l; l = l->next)
		OPENSSL_cleanse(l->data, strlen(l->data));
	if (t->body.data)
		OPENSSL_cleanse(t->body.data, t->body.cap);
}

static void transfer_free(struct transfer *t)
{
	if (!t)
		return;
	if (t->easy)
		curl_easy_cleanup(t->easy);
	if (t->secret)
		wipe_transfer(t);
	curl_slist_free_all(t->headers);
	sf_buf_free(&t->body);
	free(t->url);
	free(t);
}

/* Take t out of the list and out of curl; the owner of t frees it. */
static void unlink_transfer(struct transfer *t)
{
	struct transfer **p = &t->owner->transfers;

	while (*p != t)
		p = &(*p)->next;
	*p = t->next;
	curl_multi_remove_handle(t->owner->multi, t->easy);
}

void aws_http_free(struct aws_http *h)
{
	struct transfer *t;

	if (!h)
		return;
	while ((t = h->transfers)) {
		unlink_transfer(t);
		transfer_free(t);
	}
	if (h->multi)
		curl_multi_cleanup(h->multi);
	aws_waits_free(&h->waits);
	free(h->ca_bundle);
	free(h);
}

void aws_http_cancel(struct aws_http *h, const void *arg)
{
	struct transfer *t, *next;

	for (t = h->transfers; t; t = next) {
		next = t->next;
		if (t->arg != arg)
			continue;
		unlink_transfer(t);
		transfer_free(t);
	}
}

int64_t aws_http_now_ms(const struct aws_http *h)
{
	return h->loop.now_ms(h->loop.ctx);
}

static size_t on_body(char *data, size_t size, size_t n, void *userp)
{
	struct transfer *t = userp;

	n *= size;
	if (n > AWS_HTTP_BODY_MAX - t->body.len) {
		t->too_big = true;
		return 0;
	}
	sf_buf_add(&t->body, data, n);
	return t->body.failed ? 0 : n;
}

/* Copy a header's value when the line is that header. */
static void take_header(const char *line, size_t n, const char *name, char *out, size_t size)
{
	size_t skip = strlen(name);

	if (n <= skip || line[skip] != ':' || strncasecmp(line, name, skip) != 0)
		return;
	for (skip++; skip < n && (line[skip] == ' ' || line[skip] == '\t'); skip++)
		;
	while (n > skip && strchr(" \t\r\n", line[n - 1]))
		n--;
	n -= skip;
	if (n >= size)
		n = size - 1;
	memcpy(out, line + skip, n);
	out[n] = '\0';
}

static size_t on_header(char *line, size_t size, size_t n, void *userp)
{
	struct transfer *t = userp;
	struct aws_http_result *r = &t->result;

	n *= size;
	take_header(line, n, "Date", r->date, sizeof(r->date));
	take_header(line, n, "x-amzn-ErrorType", r->error_type, sizeof(r->error_type));
	take_header(line, n, "x-amzn-RequestId", r->request_id, sizeof(r->request_id));
	return n;
}

static struct curl_slist *copy_headers(const char *const *headers)
{
	/* Without this curl asks "Expect: 100-continue" for larger bodies and waits for the answer. */
	struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *grown;

	for (; list && headers && *headers; headers++) {
		grown = curl_slist_append(list, *headers);
		if (!grown)
			curl_slist_free_all(list);
		list = grown;
	}
	return list;
}

static void set_protocols(CURL *easy, const char *url)
{
	bool plain = strncasecmp(url, "http://", 7) == 0;

#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, plain ? "http" : "https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, plain ? CURLPROTO_HTTP : CURLPROTO_HTTPS);
#endif
}

static bool set_body(CURL *easy, const struct aws_http_request *req)
{
	if (!req->body)
		return curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L) == CURLE_OK;
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)req->body_len);
	return curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, req->body) == CURLE_OK;
}

/* Everything curl is told; only what allocates can fail. */
static bool set_options(struct transfer *t, const struct aws_http_request *req)
{
	CURL *e = t->easy;
	bool ok = curl_easy_setopt(e, CURLOPT_URL, req->url) == CURLE_OK;

	ok = ok && set_body(e, req);
	ok = ok && curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, req->method) == CURLE_OK;
	ok = ok && curl_easy_setopt(e, CURLOPT_USERAGENT, "slurm-fargate/" PACKAGE_VERSION) == CURLE_OK;
	if (t->owner->ca_bundle)
		ok = ok && curl_easy_setopt(e, CURLOPT_CAINFO, t->owner->ca_bundle) == CURLE_OK;
	set_protocols(e, req->url);
	if (req->direct)
		ok = ok && curl_easy_setopt(e, CURLOPT_PROXY, "") == CURLE_OK;
	curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, req->once ? 1L : 0L);
	curl_easy_setopt(e, CURLOPT_HTTPHEADER, t->headers);
	curl_easy_setopt(e, CURLOPT_PRIVATE, t);
	curl_easy_setopt(e, CURLOPT_ERRORBUFFER, t->curl_text);
	curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(e, CURLOPT_WRITEDATA, t);
	curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(e, CURLOPT_HEADERDATA, t);
	curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(e, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)AWS_HTTP_CONNECT_TIMEOUT_MS);
	curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, req->timeout_ms ? req->timeout_ms : AWS_HTTP_TIMEOUT_MS);
	return ok;
}

int aws_http_send(struct aws_http *h, const struct aws_http_request *req, aws_http_cb cb, void *arg,
		  struct sf_error *err)
{
	struct transfer *t = calloc(1, sizeof(*t));

	if (!t)
		return sf_err(err, "out of memory");
	t->owner = h;
	t->cb = cb;
	t->arg = arg;
	t->secret = req->secret;
	t->url = strdup(req->url);
	t->headers = copy_headers(req->headers);
	t->easy = curl_easy_init();
	if (!t->url || !t->headers || !t->easy || !set_options(t, req)) {
		transfer_free(t);
		return sf_err(err, "%s: libcurl refuses the request (out of memory?)", req->url);
	}
	if (curl_multi_add_handle(h->multi, t->easy) != CURLM_OK) {
		transfer_free(t);
		return sf_err(err, "%s: libcurl does not take the request", req->url);
	}
	t->next = h->transfers;
	h->transfers = t;
	return 0;
}

static void describe_failure(struct transfer *t, CURLcode code)
{
	struct aws_http_result *r = &t->result;
	const char *text = *t->curl_text ? t->curl_text : curl_easy_strerror(code);

	if (t->too_big)
		snprintf(r->error, sizeof(r->error), "%s: the answer is longer than %u MiB", t->url,
			 AWS_HTTP_BODY_MAX >> 20);
	else if (code == CURLE_SSL_CACERT_BADFILE && t->owner->ca_bundle)
		snprintf(r->error, sizeof(r->error), "%s: AWS_CA_BUNDLE=%s cannot be used: %s", t->url,
			 t->owner->ca_bundle, text);
	else
		snprintf(r->error, sizeof(r->error), "%s: %s", t->url, text);
}

static void finish(struct transfer *t, CURLcode code)
{
	struct aws_http_result *r = &t->result;
	long status = 0, request_size = 0;
	curl_off_t pretransfer = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(t->easy, CURLINFO_REQUEST_SIZE, &request_size);
	curl_easy_getinfo(t->easy, CURLINFO_PRETRANSFER_TIME_T, &pretransfer);
	unlink_transfer(t);
	r->ok = code == CURLE_OK;
	/* Either is set no later than the first byte goes out: a doubt counts as sent. */
	r->sent = request_size > 0 || pretransfer > 0;
	r->status = (int)status;
	r->body = t->body.data ? t->body.data : "";
	r->body_len = t->body.len;
	if (!r->ok)
		describe_failure(t, code);
	t->cb(t->arg, r);
	transfer_free(t);
}

static void reap(struct aws_http *h)
{
	struct transfer *t = NULL;
	CURLMsg *msg;
	int left;

	while ((msg = curl_multi_info_read(h->multi, &left))) {
		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &t);
		finish(t, msg->data.result);
	}
}

void aws_http_socket(struct aws_http *h, int fd, int what)
{
	int mask = 0, running;

	if (aws_waits_ready(&h->waits, fd))
		return;
	mask |= what & AWS_WATCH_IN ? CURL_CSELECT_IN : 0;
	mask |= what & AWS_WATCH_OUT ? CURL_CSELECT_OUT : 0;
	curl_multi_socket_action(h->multi, fd, mask, &running);
	reap(h);
}

void aws_http_timeout(struct aws_http *h)
{
	int running;

	if (aws_waits_curl_due(&h->waits)) {
		curl_multi_socket_action(h->multi, CURL_SOCKET_TIMEOUT, 0, &running);
		reap(h);
	}
	aws_waits_due(&h->waits);
}

int aws_http_after(struct aws_http *h, long ms, aws_wait_cb cb, void *arg, struct sf_error *err)
{
	return aws_waits_after(&h->waits, ms, cb, arg, err);
}

int aws_http_watch(struct aws_http *h, int fd, aws_wait_cb cb, void *arg, struct sf_error *err)
{
	return aws_waits_watch(&h->waits, fd, cb, arg, err);
}

void aws_http_unwatch(struct aws_http *h, int fd)
{
	aws_waits_unwatch(&h->waits, fd);
}

void aws_http_forget(struct aws_http *h, const void *arg)
{
	aws_waits_forget(&h->waits, arg);
}
