/* Keys by HTTP from close by: a container's credential endpoint, or the instance metadata service (IMDSv2). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/metadata.h"

#include <string.h>

#include "common/aws/keys_json.h"
#include "common/base/text.h"

#define CONTAINER_TIMEOUT_MS 2000
#define TOKEN_MAX 16384
#define ROLES "latest/meta-data/iam/security-credentials/"

struct aws_metadata {
	struct aws_http *http;
	aws_keys_cb cb;
	void *arg;
	char base[512];   /* of IMDS, with a slash at its end; else the whole URL */
	char role[128];   /* of IMDS, "" = not known yet */
	char *header;     /* the token's */
	long timeout_ms;
};

void aws_metadata_free(struct aws_metadata *m)
{
	if (!m)
		return;
	aws_http_cancel(m->http, m);
	aws_wipe(m->header);
	free(m);
}

static void finish(struct aws_metadata *m, struct aws_credentials *keys, const struct sf_error *err)
{
	m->cb(m->arg, keys, err);
	aws_metadata_free(m);
}

static int ask(struct aws_metadata *m, const char *method, const char *path, const char *header, aws_http_cb cb, struct sf_error *err)
{
	char url[800];
	const char *const headers[] = { header, NULL };
	struct aws_http_request req = { .method = method, .url = url, .headers = headers, .timeout_ms = m->timeout_ms, .secret = true,
					.direct = true };

	if ((size_t)snprintf(url, sizeof(url), "%s%s", m->base, path) >= sizeof(url))
		return sf_err(err, "the URL is too long");
	return aws_http_send(m->http, &req, cb, m, err);
}

/* An answer that is not what was asked for; its text is not shown, for it may be anything. */
static bool answered(struct aws_metadata *m, const char *what, const struct aws_http_result *r)
{
	struct sf_error err = { "" };

	if (r->ok && r->status == 200 && r->body_len <= AWS_KEYS_JSON_MAX)
		return true;
	if (r->ok)
		sf_err(&err, "%s: HTTP %d", what, r->status);
	else
		sf_err(&err, "%s: %s", what, r->error);
	sf_text_clean(err.text);
	finish(m, NULL, &err);
	return false;
}

static void take_keys(struct aws_metadata *m, enum aws_dialect dialect, const char *source, const struct aws_http_result *r)
{
	sf_auto_credentials struct aws_credentials keys = { 0 };
	struct sf_error err = { "" };

	if (!answered(m, source, r))
		return;
	if (aws_keys_json(dialect, source, r->body, r->body_len, &keys, &err) == 0)
		finish(m, &keys, NULL);
	else
		finish(m, NULL, &err);
}

static void on_container(void *arg, const struct aws_http_result *r)
{
	take_keys(arg, AWS_JSON_CONTAINER, "container credentials", r);
}

static void on_imds(void *arg, const struct aws_http_result *r)
{
	take_keys(arg, AWS_JSON_IMDS, "instance metadata", r);
}

static void go_on(struct aws_metadata *m, const char *path, aws_http_cb cb)
{
	struct sf_error err = { "" };

	if (ask(m, "GET", path, m->header, cb, &err) != 0)
		finish(m, NULL, &err);
}

static bool is_plain(const char *s)
{
	return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+=,.@_-")] == '\0';
}

static void on_role(void *arg, const struct aws_http_result *r)
{
	struct aws_metadata *m = arg;
	struct sf_error err = { "" };
	char path[256];

	if (!answered(m, "instance metadata, role", r))
		return;
	sf_copy(m->role, sizeof(m->role), r->body);
	m->role[strcspn(m->role, "\r\n")] = '\0';
	if (!is_plain(m->role)) {
		sf_err(&err, "instance metadata: the instance has no role");
		finish(m, NULL, &err);
		return;
	}
	snprintf(path, sizeof(path), ROLES "%s", m->role);
	go_on(m, path, on_imds);
}

static void on_token(void *arg, const struct aws_http_result *r)
{
	struct aws_metadata *m = arg;
	struct sf_error err = { "" };

	if (!answered(m, "instance metadata, token", r))
		return;
	if (r->body_len == 0 || r->body_len > TOKEN_MAX || strpbrk(r->body, "\r\n") || strlen(r->body) != r->body_len ||
	    asprintf(&m->header, "X-aws-ec2-metadata-token: %s", r->body) < 0) {
		m->header = NULL;
		sf_err(&err, "instance metadata: the token is not one");
		finish(m, NULL, &err);
		return;
	}
	go_on(m, ROLES, on_role);
}

bool aws_container_uri_allowed(const char *uri)
{
	static const char *const hosts[] = { "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]", "localhost", "127.0.0.1", "[::1]" };
	const char *host = uri + 7;
	size_t n, i;

	if (strpbrk(uri, " \t\r\n\\"))
		return false;
	if (strncmp(uri, "https://", 8) == 0)
		return true;
	if (strncmp(uri, "http://", 7) != 0)
		return false;
	n = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/?#");
	for (i = 0; i < SF_COUNT(hosts); i++)
		if (strlen(hosts[i]) == n && strncmp(hosts[i], host, n) == 0)
			/* "localhost:x@elsewhere" is elsewhere */
			return !memchr(host, '@', strcspn(host, "/?#"));
	return false;
}

static int container_url(struct aws_metadata *m, struct sf_error *err)
{
	const char *relative = aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
	const char *full = aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI");
	size_t n;

	if (relative)
		n = (size_t)snprintf(m->base, sizeof(m->base), "http://169.254.170.2%s", relative);
	else
		n = (size_t)snprintf(m->base, sizeof(m->base), "%s", full ? full : "");
	if (relative && (*relative != '/' || strpbrk(relative, " \t\r\n\\")))
		return sf_err(err, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with /");
	if (n >= sizeof(m->base) || (!relative && !aws_container_uri_allowed(m->base)))
		return sf_err(err, "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https nor http to this host, 169.254.170.2, "
			      "169.254.170.23 or [fd00:ec2::23]");
	return 0;
}

static int container_token(struct aws_metadata *m, struct sf_error *err)
{
	const char *file = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	const char *plain = aws_env("AWS_CONTAINER_AUTHORIZATION_TOKEN");
	sf_auto_secret char *read = NULL;

	if (file && aws_secret_read(file, TOKEN_MAX, &read, err) != 0)
		return sf_err_wrap(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
	if (plain && strpbrk(plain, "\r\n"))
		return sf_err(err, "AWS_CONTAINER_AUTHORIZATION_TOKEN holds a line break");
	if ((read || plain) && asprintf(&m->header, "Authorization: %s", read ? read : plain) < 0) {
		m->header = NULL;
		return sf_err(err, "out of memory");
	}
	return 0;
}

static int start_container(struct aws_metadata *m, struct sf_error *err)
{
	m->timeout_ms = CONTAINER_TIMEOUT_MS;
	if (container_url(m, err) != 0 || container_token(m, err) != 0)
		return -1;
	return ask(m, "GET", "", m->header, on_container, err);
}

static int start_imds(struct aws_metadata *m, struct sf_error *err)
{
	const char *endpoint = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT");
	const char *mode = aws_env("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE");
	const char *timeout = aws_env("AWS_METADATA_SERVICE_TIMEOUT");
	bool v6 = mode && strcasecmp(mode, "ipv6") == 0;
	double seconds = timeout ? strtod(timeout, NULL) : 1;

	if (!endpoint)
		endpoint = v6 ? "http://[fd00:ec2::254]/" : "http://169.254.169.254/";
	m->timeout_ms = seconds >= 0.001 && seconds <= 60 ? (long)(seconds * 1000) : 1000;
	if ((size_t)snprintf(m->base, sizeof(m->base), "%s%s", endpoint, endpoint[strlen(endpoint) - 1] == '/' ? "" : "/") >= sizeof(m->base) ||
	    (strncmp(m->base, "http://", 7) != 0 && strncmp(m->base, "https://", 8) != 0))
		return sf_err(err, "AWS_EC2_METADATA_SERVICE_ENDPOINT is not an http URL");
	return ask(m, "PUT", "latest/api/token", "X-aws-ec2-metadata-token-ttl-seconds: 21600", on_token, err);
}

int aws_metadata_start(struct aws_http *http, bool imds, aws_keys_cb cb, void *arg, struct aws_metadata **out, struct sf_error *err)
{
	struct aws_metadata *m = calloc(1, sizeof(*m));

	if (!m)
		return sf_err(err, "out of memory");
	*m = (struct aws_metadata){ .http = http, .cb = cb, .arg = arg };
	if ((imds ? start_imds(m, err) : start_container(m, err)) != 0) {
		aws_metadata_free(m);
		return -1;
	}
	*out = m;
	return 0;
}
