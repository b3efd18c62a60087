/* Calls to AWS: sign, send, read the answer, resend after a definite refusal that we can cure. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/client.h"

#include <string.h>

#include "common/aws/headers.h"
#include "common/aws/keyring.h"
#include "common/aws/query.h"
#include "common/aws/sts.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/base/verdict.h"

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
#define STS(name) #name, NULL, AWS_STS, &query_protocol
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
	[AWS_OP_GET_CALLER_IDENTITY] = { STS(GetCallerIdentity), true, false },
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
	bool waiting;  /* for credentials */
	bool turn;     /* they have come, or not */
	char code[64]; /* of the refusal that made it wait, "" = not sent yet */
};

struct aws_client {
	struct aws_http *http;
	char *profile; /* NULL = AWS's own choice */
	char *region;
	struct aws_keyring *keyring;
	struct aws_endpoint endpoints[AWS_SERVICE_COUNT]; /* url "" = not looked up yet */
	char account[AWS_ACCOUNT_MAX]; /* "" = not known yet */
	bool asking_account;
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

static void on_credentials(void *arg, const struct sf_error *problem);

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
	c->keyring = aws_keyring_new(c->http, profile, c->region, on_credentials, c, err);
	return c->keyring ? 0 : -1;
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
	aws_keyring_free(client->keyring);
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

static void on_result(void *arg, const struct aws_http_result *result);

static int send_call(struct call *call, struct sf_error *err)
{
	const struct aws_endpoint *ep = endpoint_of(call->client, ops[call->op].service, err);
	struct aws_client *c = call->client;
	sf_auto(aws_headers_free) struct aws_headers h = { 0 };
	struct aws_http_request req = { .method = "POST", .headers = h.list, .body = call->body, .body_len = strlen(call->body) };
	const struct aws_to_sign what = { .endpoint = ep, .content_type = ops[call->op].protocol->content_type,
					  .target = ops[call->op].target, .body = call->body,
					  .at = (aws_http_now_ms(c->http) + aws_keyring_offset_ms(c->keyring)) / 1000 };

	if (!ep || aws_headers_sign(&what, aws_keyring_keys(c->keyring), &h, err) != 0)
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
	call->waiting = call->body && !aws_keyring_ready(client->keyring);
	if (!call->body || (!call->waiting && send_call(call, err) != 0)) {
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
static const struct protocol query_protocol = { AWS_FORM_TYPE, read_query };

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

/* The refusal was about credentials and fresh ones could be had: 0 = now, 1 = they are waited for, -1 = no. */
static int cure_credentials(struct call *call, const char *code)
{
	struct sf_error err = { "" };
	int rc;

	if (call->reloaded || sf_code_of(code) != SF_CODE_KEYS)
		return -1;
	call->reloaded = true;
	rc = aws_keyring_renew(call->client->keyring, &err);
	if (rc < 0)
		sf_log_warn("AWS refuses the credentials (%s) and there are no new ones: %s", code, err.text);
	call->waiting = rc > 0;
	if (rc > 0)
		sf_copy(call->code, sizeof(call->code), code);
	return rc;
}

/* The refusal was about the signature and the answer's own date says that our clock is off. */
static bool cure_clock(struct call *call, const char *code, const char *date)
{
	if (call->reset || sf_code_of(code) != SF_CODE_CLOCK || !aws_keyring_clock(call->client->keyring, date, ops[call->op].name))
		return false;
	call->reset = true;
	return true;
}

/* The end of a call that did not get as far as an answer. */
static void give_up(struct call *call, const char *code, const struct sf_error *why)
{
	struct aws_reply reply = { .op = call->op, .transport_failed = !code, .code = code };
	struct sf_error text = *why;

	sf_text_clean(text.text);
	if (code)
		reply.message = text.text;
	else
		reply.error = text.text;
	unlink_call(call);
	call->cb(call->arg, &reply);
	call_free(call);
}

static void on_credentials(void *arg, const struct sf_error *problem)
{
	struct aws_client *c = arg;
	struct call *call;
	struct sf_error err = { "" };

	/* A callback may add calls, which wait for the next time. */
	for (call = c->calls; call; call = call->next)
		call->turn = call->waiting;
	for (call = c->calls; call; call = call ? call->next : c->calls) {
		if (!call->turn)
			continue;
		call->turn = call->waiting = false;
		if (problem)
			/* AWS's own name for a request that has no credentials */
			give_up(call, *call->code ? call->code : "MissingAuthenticationToken", problem);
		else if (send_call(call, &err) != 0)
			give_up(call, NULL, &err);
		else
			continue;
		call = NULL;
	}
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
	struct sf_error err = { "" };
	int cure = -1;

	read_reply(result, &texts, &reply);
	if (reply.code)
		cure = cure_credentials(call, reply.code);
	if (cure >= 0 || (reply.code && cure_clock(call, reply.code, result->date))) {
		if (cure > 0 || send_call(call, &err) == 0) {
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

static void on_identity(void *arg, const struct aws_reply *reply)
{
	struct aws_client *client = arg;

	client->asking_account = false;
	if (!reply->ok || sts_account(reply->xml, client->account) != 0)
		client->account[0] = '\0';
}

const char *aws_client_account(struct aws_client *client)
{
	sf_auto_free char *body = NULL;

	if (client->account[0])
		return client->account;
	if (!client->asking_account && sts_identity_body(&body, NULL) == 0)
		client->asking_account = aws_client_call(client, AWS_OP_GET_CALLER_IDENTITY, body, on_identity, client, NULL) == 0;
	return NULL;
}
