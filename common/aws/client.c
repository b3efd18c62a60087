/* Calls to AWS: sign, send, read the answer, resend after a definite refusal that we can cure. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/client.h"

#include <string.h>

#include <curl/curl.h>
#include <openssl/crypto.h>

#include "common/aws/credentials.h"
#include "common/aws/query.h"
#include "common/aws/sigv4.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/verdict.h"

/* AWS refuses signatures five minutes off; an offset of nearly that much is worth correcting already. */
#define SKEW_MS (4 * 60 * 1000)
#define MESSAGE_MAX 300 /* bytes shown of an answer that is not AWS's */

/* What a reply points into. */
struct texts {
	struct sf_error error;
	char code[256];
	char message[2048];
	char request_id[128];
	struct aws_xml *xml;
};

struct protocol {
	const char *content_type; /* of the request */
	/* Take an answer apart: the document, why it is useless (t->error, r->transport_failed), an exception's texts. */
	void (*read)(const struct aws_http_result *result, struct texts *t, struct aws_reply *r);
};

static const struct protocol json_protocol, query_protocol;

static const struct op {
	const char *name;
	const char *target; /* X-Amz-Target, NULL = none */
	enum aws_service service;
	const struct protocol *protocol;
	bool read_only;
	bool once; /* nothing in the request tells AWS that it comes a second time */
} ops[AWS_OP_COUNT] = {
#define ECS(name) #name, "AmazonEC2ContainerServiceV20141113." #name, AWS_ECS, &json_protocol
#define LOGS(name) #name, "Logs_20140328." #name, AWS_LOGS, &json_protocol
#define SNS(name) #name, NULL, AWS_SNS, &query_protocol
#define QUOTAS(name) #name, "ServiceQuotasV20190624." #name, AWS_QUOTAS, &json_protocol
#define MONITORING(name) #name, NULL, AWS_MONITORING, &query_protocol
	[AWS_OP_RUN_TASK] = { ECS(RunTask), false, false },
	[AWS_OP_DESCRIBE_TASKS] = { ECS(DescribeTasks), true, false },
	[AWS_OP_STOP_TASK] = { ECS(StopTask), false, false },
	[AWS_OP_LIST_TASKS] = { ECS(ListTasks), true, false },
	[AWS_OP_DESCRIBE_TASK_DEFINITION] = { ECS(DescribeTaskDefinition), true, false },
	[AWS_OP_DESCRIBE_CLUSTERS] = { ECS(DescribeClusters), true, false },
	[AWS_OP_GET_LOG_EVENTS] = { LOGS(GetLogEvents), true, false },
	[AWS_OP_PUBLISH] = { SNS(Publish), false, true },
	[AWS_OP_GET_SERVICE_QUOTA] = { QUOTAS(GetServiceQuota), true, false },
	[AWS_OP_GET_DEFAULT_QUOTA] = { QUOTAS(GetAWSDefaultServiceQuota), true, false },
	[AWS_OP_GET_METRIC_STATISTICS] = { MONITORING(GetMetricStatistics), true, false },
};

struct call {
	struct call *next;
	struct aws_client *client;
	enum aws_op op;
	char *body;
	aws_reply_cb cb;
	void *arg;
	bool reloaded; /* credentials, once per call */
	bool reset;    /* the clock, once per call */
};

struct aws_client {
	struct aws_http *http;
	char *profile; /* NULL = AWS's own choice */
	char *region;
	struct aws_credentials credentials;
	struct aws_endpoint endpoints[AWS_SERVICE_COUNT]; /* url "" = not looked up yet */
	int64_t offset_ms; /* AWS's clock less ours */
	struct call *calls;
};

const char *aws_op_name(enum aws_op op)
{
	return ops[op].name;
}

bool aws_op_read_only(enum aws_op op)
{
	return ops[op].read_only;
}

enum aws_service aws_op_service(enum aws_op op)
{
	return ops[op].service;
}

const char *aws_client_region(const struct aws_client *client)
{
	return client->region;
}

static int client_fill(struct aws_client *c, const char *profile, const char *region, struct sf_error *err)
{
	c->profile = profile ? strdup(profile) : NULL;
	if (region)
		c->region = strdup(region);
	else if (aws_region_load(profile, &c->region, err) != 0)
		return -1;
	if (!c->region || (profile && !c->profile))
		return sf_err(err, "out of memory");
	if (!aws_region_valid(c->region))
		return sf_err(err, "'%s' is not the name of an AWS region", c->region);
	return aws_credentials_load(profile, &c->credentials, err);
}

struct aws_client *aws_client_new(struct aws_http *http, const char *profile, const char *region, struct sf_error *err)
{
	struct aws_client *c = calloc(1, sizeof(*c));

	if (!c) {
		sf_err(err, "out of memory");
		return NULL;
	}
	c->http = http;
	if (client_fill(c, profile, region, err) == 0)
		return c;
	aws_client_free(c);
	return NULL;
}

static void call_free(struct call *call)
{
	free(call->body);
	free(call);
}

static void unlink_call(struct call *call)
{
	struct call **p = &call->client->calls;

	while (*p != call)
		p = &(*p)->next;
	*p = call->next;
}

void aws_client_free(struct aws_client *client)
{
	struct call *call;

	if (!client)
		return;
	while ((call = client->calls)) {
		aws_http_cancel(client->http, call);
		unlink_call(call);
		call_free(call);
	}
	aws_credentials_free(&client->credentials);
	free(client->profile);
	free(client->region);
	free(client);
}

/* At the first call: where a partition's names are not known, only the services in use need an AWS_ENDPOINT_URL_…. */
static const struct aws_endpoint *endpoint_of(struct aws_client *c, enum aws_service service, struct sf_error *err)
{
	struct aws_endpoint found, *ep = &c->endpoints[service];

	if (ep->url[0])
		return ep;
	if (aws_endpoint_find(service, c->region, c->profile, &found, err) != 0)
		return NULL;
	*ep = found;
	return ep;
}

/* The headers of a call, all of them signed; Authorization comes last. */
struct headers {
	char host[AWS_ENDPOINT_URL_MAX + 8];
	char type[80];
	char target[128];
	char date[AWS_SIGV4_DATE_MAX + 16];
	char *token;
	char *authorization;
	const char *list[7];
};

static void headers_free(struct headers *h)
{
	if (h->token)
		OPENSSL_cleanse(h->token, strlen(h->token));
	free(h->token);
	free(h->authorization);
}

static int sign(const struct call *call, const struct aws_endpoint *ep, struct headers *h, struct sf_error *err)
{
	const struct aws_client *c = call->client;
	const struct op *op = &ops[call->op];
	const struct aws_sigv4_key key = { c->credentials.access_key, c->credentials.secret_key, ep->signing_region,
					   ep->signing_name };
	struct aws_sigv4_request req = { .method = "POST", .path = ep->path, .headers = h->list, .body = call->body,
					 .body_len = strlen(call->body) };
	char date[AWS_SIGV4_DATE_MAX];
	sf_auto_free char *value = NULL;
	size_t n = 0;

	aws_sigv4_date((aws_http_now_ms(c->http) + c->offset_ms) / 1000, date);
	snprintf(h->host, sizeof(h->host), "Host: %s", ep->host);
	snprintf(h->type, sizeof(h->type), "Content-Type: %s", op->protocol->content_type);
	snprintf(h->date, sizeof(h->date), "X-Amz-Date: %s", date);
	h->list[n++] = h->host;
	h->list[n++] = h->type;
	h->list[n++] = h->date;
	if (op->target) {
		snprintf(h->target, sizeof(h->target), "X-Amz-Target: %s", op->target);
		h->list[n++] = h->target;
	}
	if (c->credentials.session_token) {
		if (asprintf(&h->token, "X-Amz-Security-Token: %s", c->credentials.session_token) < 0)
			return sf_err(err, "out of memory");
		h->list[n++] = h->token;
	}
	if (aws_sigv4_authorization(&req, date, &key, &value, err) != 0)
		return -1;
	if (asprintf(&h->authorization, "Authorization: %s", value) < 0)
		return sf_err(err, "out of memory");
	h->list[n] = h->authorization;
	return 0;
}

static void on_result(void *arg, const struct aws_http_result *result);

static int send_call(struct call *call, struct sf_error *err)
{
	const struct aws_endpoint *ep = endpoint_of(call->client, ops[call->op].service, err);
	sf_auto(headers_free) struct headers h = { 0 };
	struct aws_http_request req = { .method = "POST", .headers = h.list, .body = call->body, .body_len = strlen(call->body) };

	if (!ep || sign(call, ep, &h, err) != 0)
		return -1;
	req.url = ep->url;
	req.once = ops[call->op].once;
	return aws_http_send(call->client->http, &req, on_result, call, err);
}

int aws_client_call(struct aws_client *client, enum aws_op op, const char *body, aws_reply_cb cb, void *arg,
		    struct sf_error *err)
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call)
		return sf_err(err, "out of memory");
	*call = (struct call){ .client = client, .op = op, .body = strdup(body), .cb = cb, .arg = arg };
	if (!call->body)
		sf_err(err, "out of memory");
	if (!call->body || send_call(call, err) != 0) {
		call_free(call);
		return sf_err_wrap(err, "%s", ops[op].name);
	}
	call->next = client->calls;
	client->calls = call;
	return 0;
}

/* "com.amazon.coral.service#SerializationException:http://..." is SerializationException. */
static void take_code(const char *raw, char *out, size_t size)
{
	const char *hash = memchr(raw, '#', strcspn(raw, ":"));

	sf_copy(out, size, hash ? hash + 1 : raw);
	out[strcspn(out, ":")] = '\0';
	sf_text_clean(out);
}

/* An exception in the document's words; without a document it is not AWS's service that speaks, whatever the headers say. */
static void take_exception(const struct aws_http_result *result, bool document, const char *code, const char *message,
			   struct texts *t)
{
	if (document && code)
		take_code(code, t->code, sizeof(t->code));
	if (document && message)
		sf_copy(t->message, sizeof(t->message), message);
	else if (!document)
		sf_copy(t->message, MESSAGE_MAX, result->body);
	sf_text_clean(t->message);
}

static void read_json(const struct aws_http_result *result, struct texts *t, struct aws_reply *r)
{
	struct sf_error why = { "" };
	bool success = result->status / 100 == 2;
	const char *message;

	if (sf_json_parse(result->body, result->body_len, &r->body, &why) != 0 && success) {
		r->transport_failed = true;
		sf_err(&t->error, "HTTP %d with an answer that is %s", result->status, why.text);
	} else if (!sf_json_is_object(r->body)) {
		sf_json_free(sf_steal(r->body));
		r->transport_failed = success;
		sf_err(&t->error, "HTTP %d with an answer that is not a JSON object", result->status);
	}
	message = sf_json_str(r->body, "message");
	if (!success)
		take_exception(result, r->body, *result->error_type ? result->error_type : sf_json_str(r->body, "__type"),
			       message ? message : sf_json_str(r->body, "Message"), t);
}

static void read_query(const struct aws_http_result *result, struct texts *t, struct aws_reply *r)
{
	struct sf_error why = { "" };
	bool success = result->status / 100 == 2;

	if (aws_xml_parse(result->body, result->body_len, &t->xml, &why) != 0 && success) {
		r->transport_failed = true;
		sf_err(&t->error, "HTTP %d with an answer that is %s", result->status, why.text);
	} else if (success && !aws_query_answers(t->xml, ops[r->op].name)) {
		r->transport_failed = true;
		sf_err(&t->error, "HTTP %d with an answer that is <%s>", result->status, aws_xml_name(t->xml));
	}
	if (!success)
		take_exception(result, aws_query_code(t->xml), aws_query_code(t->xml), aws_query_message(t->xml), t);
	r->xml = t->xml;
}

static const struct protocol json_protocol = { "application/x-amz-json-1.1", read_json };
static const struct protocol query_protocol = { "application/x-www-form-urlencoded; charset=utf-8", read_query };

static void read_reply(const struct aws_http_result *result, struct texts *t, struct aws_reply *r)
{
	r->sent = result->sent;
	r->http = result->status;
	sf_copy(t->request_id, sizeof(t->request_id), result->request_id);
	sf_text_clean(t->request_id);
	r->request_id = *t->request_id ? t->request_id : NULL;
	r->transport_failed = !result->ok;
	if (result->ok)
		ops[r->op].protocol->read(result, t, r);
	else
		sf_err(&t->error, "%s", result->error);
	r->ok = result->status / 100 == 2 && !r->transport_failed;
	r->code = *t->code ? t->code : NULL;
	r->message = *t->message ? t->message : NULL;
	if (r->transport_failed) {
		sf_err_wrap(&t->error, "%s", ops[r->op].name);
		sf_text_clean(t->error.text);
		r->error = t->error.text;
	}
}

/* The refusal was about credentials and fresh ones could be had. */
static bool cure_credentials(struct call *call, const char *code)
{
	struct aws_client *c = call->client;
	struct aws_credentials fresh;
	struct sf_error err;

	if (call->reloaded || sf_code_of(code) != SF_CODE_KEYS)
		return false;
	call->reloaded = true;
	if (aws_credentials_load(c->profile, &fresh, &err) != 0) {
		sf_log_warn("AWS refuses the credentials (%s) and there are no new ones: %s", code, err.text);
		return false;
	}
	aws_credentials_free(&c->credentials);
	c->credentials = fresh;
	return true;
}

/* The refusal was about the signature and the answer's own date says that our clock is off. */
static bool cure_clock(struct call *call, const char *code, const char *date)
{
	struct aws_client *c = call->client;
	int64_t now = aws_http_now_ms(c->http), offset;
	time_t theirs;

	if (call->reset || sf_code_of(code) != SF_CODE_CLOCK)
		return false;
	theirs = curl_getdate(date, NULL);
	if (theirs == (time_t)-1)
		return false;
	offset = (int64_t)theirs * 1000 - now;
	if (llabs(offset - c->offset_ms) < SKEW_MS)
		return false;
	call->reset = true;
	c->offset_ms = offset;
	sf_log_warn("this host's clock is %lld s off from AWS's (%s); requests are signed with AWS's time",
		    (long long)(-offset / 1000), ops[call->op].name);
	return true;
}

static void reply_free(struct aws_reply *reply, struct texts *texts)
{
	sf_json_free(reply->body);
	aws_xml_free(texts->xml);
}

static void on_result(void *arg, const struct aws_http_result *result)
{
	struct call *call = arg;
	struct aws_reply reply = { .op = call->op };
	struct texts texts = { 0 };
	struct sf_error err;

	read_reply(result, &texts, &reply);
	if (reply.code && (cure_credentials(call, reply.code) || cure_clock(call, reply.code, result->date))) {
		if (send_call(call, &err) == 0) {
			reply_free(&reply, &texts);
			return;
		}
		sf_log_warn("%s: %s", ops[call->op].name, err.text);
	}
	unlink_call(call);
	call->cb(call->arg, &reply);
	reply_free(&reply, &texts);
	call_free(call);
}
