/* Fuzzes what aws/client.c makes of an HTTP answer: one callback, one of three outcomes, clean words. The network is a stub. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/client.h"
#include "common/base/log.h"
#include "tests/fuzz/fuzz.h"

#define NOW_MS 1700000000000
#define SENDS_MAX 3 /* the call, once with fresh keys, once with another clock */

/* Stands for aws/http.c: keeps the request until the answer is given by hand. */
struct aws_http {
	aws_http_cb cb;
	void *arg;
	unsigned sends;
};

int aws_http_send(struct aws_http *h, const struct aws_http_request *req, aws_http_cb cb, void *arg, struct sf_error *err)
{
	(void)err;
	HOLDS(req->url && req->headers && req->body);
	HOLDS(++h->sends <= SENDS_MAX);
	h->cb = cb;
	h->arg = arg;
	return 0;
}

void aws_http_cancel(struct aws_http *h, const void *arg)
{
	if (h->arg == arg)
		h->cb = NULL;
}

int64_t aws_http_now_ms(const struct aws_http *h)
{
	(void)h;
	return NOW_MS;
}

/* The keys stand in the environment: nobody waits for any. */
int aws_http_after(struct aws_http *h, long ms, aws_wait_cb cb, void *arg, struct sf_error *err)
{
	(void)h, (void)ms, (void)cb, (void)arg;
	return sf_err(err, "no waiting here");
}

int aws_http_watch(struct aws_http *h, int fd, aws_wait_cb cb, void *arg, struct sf_error *err)
{
	(void)h, (void)fd, (void)cb, (void)arg;
	return sf_err(err, "no watching here");
}

void aws_http_unwatch(struct aws_http *h, int fd)
{
	(void)h, (void)fd;
}

void aws_http_forget(struct aws_http *h, const void *arg)
{
	(void)h, (void)arg;
}

static void quiet(enum sf_log_level level, const char *line)
{
	(void)level;
	HOLDS(fuzz_clean(line));
}

static void on_reply(void *arg, const struct aws_reply *r)
{
	unsigned *replies = arg;

	++*replies;
	HOLDS(!(r->ok && r->transport_failed));
	HOLDS(r->transport_failed == (r->error != NULL));
	HOLDS(!r->ok || (r->http / 100 == 2 && !r->code && (r->body || r->xml)));
	HOLDS(!r->body || sf_json_is_object(r->body));
	HOLDS(!r->body || !r->xml);
	HOLDS(fuzz_clean_or_null(r->error) && fuzz_clean_or_null(r->code) && fuzz_clean_or_null(r->message));
	HOLDS(fuzz_clean_or_null(r->request_id));
	HOLDS(!r->code || !strpbrk(r->code, ":"));
}

/* "Publish 403": the operation and the status. */
static enum aws_op first_line(const char *line, struct aws_http_result *result)
{
	const char *blank = strchrnul(line, ' ');
	int op;

	result->status = *blank ? (int)(strtoul(blank, NULL, 10) % 1000) : 0;
	result->ok = result->status >= 100;
	result->sent = true;
	for (op = 0; op < AWS_OP_COUNT; op++)
		if (strncmp(aws_op_name((enum aws_op)op), line, (size_t)(blank - line)) == 0)
			return (enum aws_op)op;
	return AWS_OP_RUN_TASK;
}

static void answer(struct aws_client *client, struct aws_http *http, char *text, const uint8_t *end)
{
	struct aws_http_result result = { .error = "https://ecs: timeout" };
	struct sf_error err = { "" };
	unsigned replies = 0, i;
	char *line = text, *rest = fuzz_split(line);
	enum aws_op op = first_line(line, &result);

	line = rest;
	rest = fuzz_split(line);
	sf_copy(result.error_type, sizeof(result.error_type), line);
	line = rest;
	rest = fuzz_split(line);
	sf_copy(result.request_id, sizeof(result.request_id), line);
	line = rest;
	result.body = fuzz_split(line);
	sf_copy(result.date, sizeof(result.date), line);
	result.body_len = (size_t)((const char *)end - result.body);
	HOLDS(aws_client_call(client, op, "{}", on_reply, &replies, &err) == 0);
	for (i = 0; i < SENDS_MAX && replies == 0; i++)
		http->cb(http->arg, &result);
	HOLDS(replies == 1);
}

static void environment(void)
{
	/* The endpoint's settings too, so that no file is looked into. */
	static const char *const variables[][2] = {
		{ "AWS_ACCESS_KEY_ID", "AKIDEXAMPLE" },	      { "AWS_SECRET_ACCESS_KEY", "secret" },
		{ "AWS_ENDPOINT_URL", "http://127.0.0.1:1" }, { "AWS_USE_FIPS_ENDPOINT", "false" },
		{ "AWS_USE_DUALSTACK_ENDPOINT", "false" },    { "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "false" },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(variables); i++)
		setenv(variables[i][0], variables[i][1], 1);
	sf_log_to(quiet);
}

/* Four lines (operation and status, x-amzn-ErrorType, x-amzn-RequestId, Date), then the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct aws_http http = { 0 };
	struct sf_error err = { "" };
	struct aws_client *client;
	sf_auto_free char *text = malloc(size + 1);

	HOLDS(text);
	memcpy(text, data, size);
	text[size] = '\0';
	environment();
	client = aws_client_new(&http, NULL, "eu-west-1", &err);
	HOLDS(client);
	/* A NUL in the first lines would hide where the body begins. */
	if (strlen(text) == size)
		answer(client, &http, text, (const uint8_t *)text + size);
	aws_client_free(client);
	return 0;
}
