/* The keys of one client: fetched, kept fresh, and never waited for by blocking. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/keyring.h"

#include <string.h>
#include <sys/stat.h>

#include <curl/curl.h>

#include "common/aws/chain.h"
#include "common/aws/endpoints.h"
#include "common/aws/headers.h"
#include "common/aws/keys_json.h"
#include "common/aws/metadata.h"
#include "common/aws/process.h"
#include "common/aws/sts.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/verdict.h"

/* botocore's windows */
#define ADVISORY_S (15 * 60)
#define MANDATORY_S (10 * 60)
#define WEB_TOKEN_MAX 20000 /* STS API, WebIdentityToken */
#define RETRY_FIRST_MS 1000
#define RETRY_MOST_MS 30000
#define AGAIN_MS 60000 /* least time between two refreshes that succeed */
#define LOOK_MS 1000   /* between two looks at the files */
/* AWS refuses signatures five minutes off; an offset of nearly that much is worth correcting already. */
#define SKEW_MS (4 * 60 * 1000)

struct aws_keyring {
	struct aws_http *http;
	char *profile, *region;
	aws_keyring_cb cb;
	void *arg;
	struct aws_chain chain;
	struct aws_profile_stamp stamp;
	int64_t looked_at;
	struct aws_credentials keys; /* in use */
	int64_t fetched;             /* s, AWS's time */
	int64_t next_at;             /* ms: no refresh before */
	int64_t offset_ms;
	int failures;
	struct sf_error problem;     /* of the last refresh, "" = none */
	bool telling;                /* the callback is under way without a refresh */

	bool running;                /* a refresh, with all that follows: */
	bool clock_cured;
	struct aws_credentials got;  /* by the last step */
	size_t roles;                /* still to be assumed */
	struct aws_process *process;
	struct aws_metadata *metadata;
};

static int64_t now_s(const struct aws_keyring *k)
{
	return (aws_http_now_ms(k->http) + k->offset_ms) / 1000;
}

static bool usable(const struct aws_keyring *k)
{
	return k->keys.access_key && (!k->keys.expires || k->keys.expires > now_s(k));
}

static void use(struct aws_keyring *k, struct aws_credentials *keys)
{
	aws_credentials_free(&k->keys);
	k->keys = *keys;
	*keys = (struct aws_credentials){ 0 };
	k->fetched = now_s(k);
}

/* Read the files; keys that stand in them are in use at once. */
static int look(struct aws_keyring *k, struct sf_error *err)
{
	struct aws_chain fresh = { 0 };

	k->looked_at = aws_http_now_ms(k->http);
	aws_profile_stamp(&k->stamp);
	if (aws_chain_load(k->profile, &fresh, err) != 0) {
		aws_chain_free(&fresh);
		return -1;
	}
	aws_chain_free(&k->chain);
	k->chain = fresh;
	if (fresh.source == AWS_FROM_KEYS && !fresh.n_roles)
		use(k, &k->chain.keys);
	else
		k->next_at = 0;
	return 0;
}

static bool is_static(const struct aws_keyring *k)
{
	return k->chain.source == AWS_FROM_KEYS && !k->chain.n_roles;
}

static void look_again(struct aws_keyring *k)
{
	struct aws_profile_stamp now;
	struct sf_error err = { "" };

	if (k->running || llabs(aws_http_now_ms(k->http) - k->looked_at) < LOOK_MS)
		return;
	k->looked_at = aws_http_now_ms(k->http);
	aws_profile_stamp(&now);
	if (memcmp(&now, &k->stamp, sizeof(now)) == 0)
		return;
	if (look(k, &err) == 0)
		sf_log_info("AWS's shared files have changed and were read again (%s)", k->keys.source ? k->keys.source : "no keys in them");
	else
		sf_log_warn("AWS's shared files have changed and cannot be used, so what was read before goes on: %s", err.text);
}

/* The refresh is over. */
static void finish(struct aws_keyring *k, const struct sf_error *err)
{
	int64_t delay = AGAIN_MS, life;

	k->running = false;
	aws_credentials_free(&k->got);
	if (err) {
		delay = RETRY_FIRST_MS << (k->failures < 5 ? k->failures : 5);
		k->failures++;
		if (strcmp(k->problem.text, err->text) != 0)
			sf_log_warn("no new AWS credentials%s: %s", usable(k) ? " (the old ones are good still)" : "", err->text);
		k->problem = *err;
	} else {
		if (k->failures)
			sf_log_info("AWS credentials are there again (%s)", k->keys.source);
		k->failures = 0;
		k->problem.text[0] = '\0';
		life = (k->keys.expires - k->fetched) * 1000;
		if (k->keys.expires && delay > life / 4)
			delay = life > 0 ? life / 4 : 0;
	}
	k->next_at = aws_http_now_ms(k->http) + (err && delay > RETRY_MOST_MS ? RETRY_MOST_MS : delay);
	k->cb(k->arg, err);
}

static void failed(struct aws_keyring *k, const char *where, const struct sf_error *why)
{
	struct sf_error err = *why;

	sf_err_wrap(&err, "%s", where);
	sf_text_clean(err.text);
	finish(k, &err);
}

static void next_role(struct aws_keyring *k);

/* The instance's service may be late with new keys; AWS goes on taking the old ones then. */
static void stretch(struct aws_keyring *k)
{
	if (k->chain.source != AWS_FROM_IMDS || k->got.expires > now_s(k))
		return;
	k->got.expires = now_s(k) + ADVISORY_S;
	sf_log_warn("the instance metadata's keys have expired; they are used for 15 more minutes");
}

static void on_keys(struct aws_keyring *k, struct aws_credentials *keys)
{
	aws_credentials_free(&k->got);
	k->got = *keys;
	*keys = (struct aws_credentials){ 0 };
	stretch(k);
	next_role(k);
}

static void on_metadata(void *arg, struct aws_credentials *keys, const struct sf_error *err)
{
	struct aws_keyring *k = arg;

	k->metadata = NULL;
	if (err)
		finish(k, err);
	else
		on_keys(k, keys);
}

static void on_process(void *arg, const char *out, size_t n, const struct sf_error *err)
{
	struct aws_keyring *k = arg;
	struct aws_credentials keys = { 0 };
	struct sf_error why = { "" };

	k->process = NULL;
	if (err)
		failed(k, k->chain.where, err);
	else if (aws_keys_json(AWS_JSON_PROCESS, k->chain.where, out, n, &keys, &why) != 0)
		finish(k, &why);
	else
		on_keys(k, &keys);
}

static bool is_web(const struct aws_keyring *k)
{
	return !k->got.access_key;
}

static void ask_sts(struct aws_keyring *k);

static void on_sts(void *arg, const struct aws_http_result *r)
{
	struct aws_keyring *k = arg;
	const char *action = is_web(k) ? "AssumeRoleWithWebIdentity" : "AssumeRole";
	const struct aws_role *role = is_web(k) ? &k->chain.web : &k->chain.roles[k->roles - 1];
	const char *where = is_web(k) ? k->chain.where : role->where;
	struct aws_credentials keys = { 0 };
	struct sf_error err = { "" };
	sf_auto_free char *source = NULL;
	char code[128] = "";

	if (!r->ok) {
		sf_err(&err, "%s: %s", action, r->error);
		failed(k, where, &err);
		return;
	}
	sts_error_code(r->body, r->body_len, code, sizeof(code));
	if (!k->clock_cured && sf_code_of(code) == SF_CODE_CLOCK && aws_keyring_clock(k, r->date, action)) {
		k->clock_cured = true;
		ask_sts(k);
		return;
	}
	if (asprintf(&source, "%s, role %s", where, role->arn) < 0) {
		source = NULL;
		sf_err(&err, "out of memory");
	}
	if (!source || sts_take_keys(action, source, r->status, r->body, r->body_len, &keys, &err) != 0) {
		failed(k, where, &err);
		return;
	}
	k->roles -= is_web(k) ? 0 : 1;
	on_keys(k, &keys);
}

static int sts_body(struct aws_keyring *k, char **body, struct sf_error *err)
{
	sf_auto_secret char *token = NULL;

	if (!is_web(k))
		return sts_assume_body(&k->chain.roles[k->roles - 1], body, err);
	if (aws_secret_read(k->chain.what, WEB_TOKEN_MAX, &token, err) != 0)
		return -1;
	return sts_web_identity_body(&k->chain.web, token, body, err);
}

static int send_sts(struct aws_keyring *k, struct sf_error *err)
{
	sf_auto(aws_headers_free) struct aws_headers h = { 0 };
	sf_auto_secret char *body = NULL;
	struct aws_endpoint ep;
	struct aws_to_sign what = { .endpoint = &ep, .content_type = AWS_FORM_TYPE, .at = now_s(k) };
	struct aws_http_request req = { .method = "POST", .url = ep.url, .headers = h.list, .secret = true };

	if (aws_endpoint_find(AWS_STS, k->region, k->profile, &ep, err) != 0 || sts_body(k, &body, err) != 0)
		return -1;
	what.body = body;
	req.body = body;
	req.body_len = strlen(body);
	if (aws_headers_sign(&what, is_web(k) ? NULL : &k->got, &h, err) != 0)
		return -1;
	return aws_http_send(k->http, &req, on_sts, k, err);
}

static void ask_sts(struct aws_keyring *k)
{
	struct sf_error err = { "" };

	if (send_sts(k, &err) != 0)
		failed(k, is_web(k) ? k->chain.where : k->chain.roles[k->roles - 1].where, &err);
}

static void next_role(struct aws_keyring *k)
{
	struct sf_error err = { "" };

	if (k->roles) {
		ask_sts(k);
		return;
	}
	if (k->got.expires && k->got.expires <= now_s(k)) {
		sf_err(&err, "%s: the keys have expired already", k->got.source);
		finish(k, &err);
		return;
	}
	use(k, &k->got);
	finish(k, NULL);
}

/* The first step of a refresh. */
static void on_begin(void *arg)
{
	struct aws_keyring *k = arg;
	struct sf_error err = { "" };
	struct aws_chain *c = &k->chain;
	int rc = 0;

	if (look(k, &err) != 0) {
		finish(k, &err);
		return;
	}
	k->roles = c->n_roles;
	k->clock_cured = false;
	if (is_static(k))
		finish(k, NULL);
	else if (c->source == AWS_FROM_KEYS)
		on_keys(k, &c->keys);
	else if (c->source == AWS_FROM_WEB)
		ask_sts(k);
	else if (c->source == AWS_FROM_PROCESS)
		rc = aws_process_start(k->http, c->what, on_process, k, &k->process, &err);
	else
		rc = aws_metadata_start(k->http, c->source == AWS_FROM_IMDS, on_metadata, k, &k->metadata, &err);
	if (rc != 0)
		failed(k, c->where ? c->where : "container or instance credentials", &err);
}

static void begin(struct aws_keyring *k)
{
	if (!k->running && aws_http_after(k->http, 0, on_begin, k, NULL) == 0)
		k->running = true;
}

/* A refresh has just failed, and the next one is not due yet. */
static void on_tell(void *arg)
{
	struct aws_keyring *k = arg;
	struct sf_error why = k->problem;

	k->telling = false;
	if (!why.text[0])
		sf_err(&why, "the AWS credentials have expired");
	k->cb(k->arg, usable(k) ? NULL : &why);
}

/* Inside a window of so many seconds before the end, or half and a third of a shorter life. */
static bool within(const struct aws_keyring *k, int64_t window, int64_t part)
{
	int64_t life = k->keys.expires - k->fetched;

	return k->keys.expires && k->keys.expires - now_s(k) <= (window < life / part ? window : life / part);
}

bool aws_keyring_ready(struct aws_keyring *k)
{
	bool due;

	look_again(k);
	due = !usable(k) || k->next_at == 0 || within(k, ADVISORY_S, 2);
	if (due && !(is_static(k) && usable(k)) && aws_http_now_ms(k->http) >= k->next_at)
		begin(k);
	if (usable(k) && !(k->running && within(k, MANDATORY_S, 3)))
		return true;
	if (!k->running && !k->telling)
		k->telling = aws_http_after(k->http, 0, on_tell, k, NULL) == 0;
	return false;
}

int aws_keyring_renew(struct aws_keyring *k, struct sf_error *err)
{
	if (is_static(k) || k->running)
		return k->running ? 1 : look(k, err) != 0 ? -1 : is_static(k) ? 0 : (begin(k), 1);
	if (k->failures && aws_http_now_ms(k->http) < k->next_at) {
		*err = k->problem;
		return -1;
	}
	begin(k);
	return 1;
}

const struct aws_credentials *aws_keyring_keys(const struct aws_keyring *k)
{
	return &k->keys;
}

int64_t aws_keyring_offset_ms(const struct aws_keyring *k)
{
	return k->offset_ms;
}

bool aws_keyring_clock(struct aws_keyring *k, const char *date, const char *operation)
{
	time_t theirs = curl_getdate(date, NULL);
	int64_t offset;

	if (theirs == (time_t)-1)
		return false;
	offset = (int64_t)theirs * 1000 - aws_http_now_ms(k->http);
	if (llabs(offset - k->offset_ms) < SKEW_MS)
		return false;
	k->offset_ms = offset;
	sf_log_warn("this host's clock is %lld s off from AWS's (%s); requests are signed with AWS's time",
		    (long long)(-offset / 1000), operation);
	return true;
}

struct aws_keyring *aws_keyring_new(struct aws_http *http, const char *profile, const char *region, aws_keyring_cb cb, void *arg,
				    struct sf_error *err)
{
	struct aws_keyring *k = calloc(1, sizeof(*k));

	if (!k) {
		sf_err(err, "out of memory");
		return NULL;
	}
	*k = (struct aws_keyring){ .http = http, .cb = cb, .arg = arg };
	k->profile = profile ? strdup(profile) : NULL;
	k->region = strdup(region);
	if (!k->region || (profile && !k->profile))
		sf_err(err, "out of memory");
	else if (look(k, err) == 0)
		return k;
	aws_keyring_free(k);
	return NULL;
}

void aws_keyring_free(struct aws_keyring *k)
{
	if (!k)
		return;
	aws_http_cancel(k->http, k);
	aws_http_forget(k->http, k);
	aws_process_free(k->process);
	aws_metadata_free(k->metadata);
	aws_credentials_free(&k->keys);
	aws_credentials_free(&k->got);
	aws_chain_free(&k->chain);
	free(k->profile);
	free(k->region);
	free(k);
}
