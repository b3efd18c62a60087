/* Unit tests of common/aws/client.c and api.c against scripted answers. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/client.h"

#include "common/aws/sigv4.h"
#include "common/aws/sns.h"
#include "common/base/log.h"
#include "tests/unit/aws_server.h"

static struct test_loop loop;
static struct aws_http *http;
static char cred_path[] = "/tmp/test_client.XXXXXX";
static char last_log[2048];

static void keep_log(enum sf_log_level level, const char *line)
{
	(void)level;
	snprintf(last_log, sizeof(last_log), "%s", line);
}

struct got {
	bool done;
	int calls;
	struct aws_reply r; /* the pointers are dead; the texts are in here: */
	char error[1024], code[256], message[2048], request_id[128], body[1024], message_id[64];
};

static void keep(char *out, size_t size, const char *text)
{
	snprintf(out, size, "%s", text ? text : "(null)");
}

static void on_reply(void *arg, const struct aws_reply *r)
{
	sf_auto_free char *body = r->body ? sf_json_text(r->body) : NULL;
	struct got *got = arg;

	got->r = *r;
	keep(got->error, sizeof(got->error), r->error);
	keep(got->code, sizeof(got->code), r->code);
	keep(got->message, sizeof(got->message), r->message);
	keep(got->request_id, sizeof(got->request_id), r->request_id);
	keep(got->body, sizeof(got->body), body);
	keep(got->message_id, sizeof(got->message_id), sns_message_id(r->xml));
	got->calls++;
	got->done = true;
	/* exactly one of the three */
	ck_assert_int_eq(r->ok + r->transport_failed + (!r->ok && !r->transport_failed && r->http >= 300), 1);
	ck_assert_int_eq(r->error != NULL, r->transport_failed);
}

static void write_keys(const char *access)
{
	FILE *f = fopen(cred_path, "w");

	ck_assert_ptr_nonnull(f);
	fprintf(f, "[default]\naws_access_key_id = %s\naws_secret_access_key = SECRET\naws_session_token = TOKEN/%s\n", access,
		access);
	ck_assert_int_eq(fclose(f), 0);
}

static struct aws_client *start(void)
{
	char url[64];
	struct sf_error err = { "" };
	struct aws_client *client;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d", server.port);
	setenv("AWS_ENDPOINT_URL", url, 1);
	write_keys("AKONE");
	sf_log_to(keep_log);
	http = loop_http(&loop);
	client = aws_client_new(http, NULL, "eu-west-1", &err);
	ck_assert_msg(client != NULL, "%s", err.text);
	return client;
}

static void stop(struct aws_client *client)
{
	aws_client_free(client);
	aws_http_free(http);
	ck_assert_uint_eq(loop.n, 0);
}

struct raw {
	bool done;
	sf_json *body;
};

static void on_raw(void *arg, const struct aws_http_result *result)
{
	struct raw *raw = arg;

	if (result->body_len)
		sf_json_parse(result->body, result->body_len, &raw->body, NULL);
	raw->done = true;
}

/* The server's own paths. */
static sf_json *control(const char *path, const char *body)
{
	char url[128];
	struct aws_http_request req = { .method = body ? "POST" : "GET", .url = url, .body = body,
					.body_len = body ? strlen(body) : 0 };
	struct raw raw = { false, NULL };
	struct sf_error err;

	snprintf(url, sizeof(url), "http://127.0.0.1:%d/%s", server.port, path);
	ck_assert_int_eq(aws_http_send(http, &req, on_raw, &raw, &err), 0);
	ck_assert(loop_run(&loop, http, &raw.done, 20000));
	return raw.body;
}

static void call(struct aws_client *client, enum aws_op op, const char *script, const char *body, struct got *got)
{
	struct sf_error err = { "" };

	control("_script", script);
	sf_json_free(control("_log", NULL));
	*got = (struct got){ 0 };
	ck_assert_msg(aws_client_call(client, op, body, on_reply, got, &err) == 0, "%s", err.text);
	ck_assert(!got->done);
	ck_assert(loop_run(&loop, http, &got->done, 20000));
	ck_assert_int_eq(got->calls, 1);
	ck_assert_int_eq(got->r.op, op);
}

static const char *header(sf_json *log, size_t i, const char *name)
{
	const char *value = sf_json_str(sf_json_object(sf_json_at(log, i), "headers"), name);

	return value ? value : "(none)";
}

START_TEST(a_call_on_the_wire)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	char host[32], scope[256];
	struct got got;

	call(client, AWS_OP_RUN_TASK, "[[200, {\"x-amzn-RequestId\": \"r\\u00e9\\u009b1\"}, \"{\\\"tasks\\\":[]}\"]]",
	     "{\"a\":\"\xc3\xa9/\"}", &got);
	ck_assert(got.r.ok);
	ck_assert(!got.r.transport_failed);
	ck_assert_int_eq(got.r.http, 200);
	ck_assert_str_eq(got.body, "{\"tasks\":[]}");
	ck_assert_str_eq(got.request_id, "r??1");
	ck_assert_str_eq(got.code, "(null)");
	ck_assert_str_eq(got.message, "(null)");
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 1);
	ck_assert_str_eq(sf_json_str(sf_json_at(log, 0), "body"), "{\"a\":\"\xc3\xa9/\"}");
	ck_assert_str_eq(header(log, 0, "x-amz-target"), "AmazonEC2ContainerServiceV20141113.RunTask");
	ck_assert_str_eq(header(log, 0, "content-type"), "application/x-amz-json-1.1");
	ck_assert_str_eq(header(log, 0, "x-amz-security-token"), "TOKEN/AKONE");
	snprintf(host, sizeof(host), "127.0.0.1:%d", server.port);
	ck_assert_str_eq(header(log, 0, "host"), host);
	snprintf(scope, sizeof(scope),
		 "AWS4-HMAC-SHA256 Credential=AKONE/%.8s/eu-west-1/ecs/aws4_request, "
		 "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature=",
		 header(log, 0, "x-amz-date"));
	ck_assert_msg(strncmp(header(log, 0, "authorization"), scope, strlen(scope)) == 0, "%s",
		      header(log, 0, "authorization"));
	call(client, AWS_OP_GET_LOG_EVENTS, "[[200, {}, \"{}\"]]", "{}", &got);
	sf_json_free(log);
	log = control("_log", NULL);
	ck_assert_str_eq(header(log, 0, "x-amz-target"), "Logs_20140328.GetLogEvents");
	ck_assert_ptr_nonnull(strstr(header(log, 0, "authorization"), "/eu-west-1/logs/aws4_request"));
	stop(client);
}
END_TEST

static const struct {
	const char *script, *code, *message, *body;
	int http;
} error_rows[] = {
	{ "[[400, {}, \"{\\\"__type\\\":\\\"InvalidParameterException\\\",\\\"message\\\":\\\"TaskDefinition is inactive\\\"}\"]]",
	  "InvalidParameterException", "TaskDefinition is inactive",
	  "{\"__type\":\"InvalidParameterException\",\"message\":\"TaskDefinition is inactive\"}", 400 },
	{ "[[400, {}, \"{\\\"__type\\\":\\\"com.amazon.coral.service#SerializationException\\\",\\\"Message\\\":\\\"m\\\"}\"]]",
	  "SerializationException", "m", "{\"__type\":\"com.amazon.coral.service#SerializationException\",\"Message\":\"m\"}", 400 },
	{ "[[400, {\"X-AMZN-ERRORTYPE\": \"ThrottlingException:http://x/#y\"}, \"{\\\"__type\\\":\\\"Other\\\"}\"]]",
	  "ThrottlingException", "(null)", "{\"__type\":\"Other\"}", 400 },
	{ "[[400, {}, \"{\\\"__type\\\":\\\"ConflictException\\\",\\\"resourceIds\\\":[\\\"arn\\\"]}\"]]", "ConflictException",
	  "(null)", "{\"__type\":\"ConflictException\",\"resourceIds\":[\"arn\"]}", 400 },
	{ "[[400, {}, \"{\\\"__type\\\":\\\"A\\\\u001bB\\\",\\\"message\\\":\\\"a\\\\nb\\\"}\"]]", "A?B", "a?b",
	  "{\"__type\":\"A\\u001bB\",\"message\":\"a\\nb\"}", 400 },
	{ "[[503, {\"x-amzn-ErrorType\": \"X\"}, \"<html>\\nService Unavailable\"]]", "(null)", "<html>?Service Unavailable",
	  "(null)", 503 },
	{ "[[500, {}, \"\"]]", "(null)", "(null)", "(null)", 500 },
	{ "[[500, {}, \"[1]\"]]", "(null)", "[1]", "(null)", 500 },
	{ "[[302, {\"Location\": \"/ok\"}, \"moved\"]]", "(null)", "moved", "(null)", 302 },
};

START_TEST(errors_are_read)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	call(client, AWS_OP_DESCRIBE_TASKS, error_rows[_i].script, "{}", &got);
	ck_assert(!got.r.ok);
	ck_assert(!got.r.transport_failed);
	ck_assert_int_eq(got.r.http, error_rows[_i].http);
	ck_assert_str_eq(got.code, error_rows[_i].code);
	ck_assert_str_eq(got.message, error_rows[_i].message);
	ck_assert_str_eq(got.body, error_rows[_i].body);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 1);
	stop(client);
}
END_TEST

#define SNS_NS "xmlns=\\\"http://sns.amazonaws.com/doc/2010-03-31/\\\""
#define PUBLISHED                                                                                                                \
	"<PublishResponse " SNS_NS "><PublishResult><MessageId>m-1</MessageId></PublishResult><ResponseMetadata><RequestId>r"    \
	"</RequestId></ResponseMetadata></PublishResponse>"
#define XML_ERROR(code, message)                                                                                                 \
	"<ErrorResponse " SNS_NS "><Error><Type>Sender</Type><Code>" code "</Code><Message>" message                            \
	"</Message></Error><RequestId>r</RequestId></ErrorResponse>"

START_TEST(the_query_protocol_on_the_wire)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	call(client, AWS_OP_PUBLISH, "[[200, {\"x-amzn-RequestId\": \"r\", \"Content-Type\": \"text/xml\"}, \"" PUBLISHED "\"]]",
	     "Action=Publish&Message=%7B%7D", &got);
	ck_assert(got.r.ok);
	ck_assert_str_eq(got.message_id, "m-1");
	ck_assert_str_eq(got.body, "(null)");
	ck_assert_str_eq(got.request_id, "r");
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 1);
	ck_assert_str_eq(sf_json_str(sf_json_at(log, 0), "body"), "Action=Publish&Message=%7B%7D");
	ck_assert_str_eq(header(log, 0, "x-amz-target"), "(none)");
	ck_assert_str_eq(header(log, 0, "content-type"), "application/x-www-form-urlencoded; charset=utf-8");
	ck_assert_ptr_nonnull(strstr(header(log, 0, "authorization"), "/eu-west-1/sns/aws4_request, SignedHeaders=content-type;host;"
								      "x-amz-date;x-amz-security-token, Signature="));
	stop(client);
}
END_TEST

/* libcurl repeats a request that died on a reused connection; a message must not be published twice. */
START_TEST(publish_is_sent_once)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	call(client, AWS_OP_LIST_TASKS, "[[200, {}, \"{}\"]]", "{}", &got);
	call(client, AWS_OP_PUBLISH, "[[0, {}, \"\"],[200, {}, \"" PUBLISHED "\"]]", "a=b", &got);
	ck_assert(got.r.transport_failed);
	ck_assert(got.r.sent);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 1);
	stop(client);
}
END_TEST

static const struct {
	const char *script, *code, *message;
	int http;
} xml_error_rows[] = {
	{ "[[404, {}, \"" XML_ERROR("NotFound", "Topic does not exist") "\"]]", "NotFound", "Topic does not exist", 404 },
	{ "[[403, {\"x-amzn-ErrorType\": \"Other\"}, \"" XML_ERROR("AuthorizationError", "a\\nb &lt;c&gt;") "\"]]", "AuthorizationError",
	  "a?b <c>", 403 },
	{ "[[400, {}, \"<ErrorResponse><Error><Type>Sender</Type></Error></ErrorResponse>\"]]", "(null)",
	  "<ErrorResponse><Error><Type>Sender</Type></Error></ErrorResponse>", 400 },
	{ "[[503, {}, \"<html>Service Unavailable</html>\"]]", "(null)", "<html>Service Unavailable</html>", 503 },
	{ "[[500, {}, \"\"]]", "(null)", "(null)", 500 },
	{ "[[400, {}, \"{\\\"__type\\\":\\\"X\\\"}\"]]", "(null)", "{\"__type\":\"X\"}", 400 },
	{ "[[500, {}, \"" PUBLISHED "\"]]", "(null)", NULL, 500 },
};

START_TEST(xml_errors_are_read)
{
	struct aws_client *client = start();
	struct got got;

	call(client, AWS_OP_PUBLISH, xml_error_rows[_i].script, "Action=Publish", &got);
	ck_assert(!got.r.ok);
	ck_assert(!got.r.transport_failed);
	ck_assert_int_eq(got.r.http, xml_error_rows[_i].http);
	ck_assert_str_eq(got.code, xml_error_rows[_i].code);
	if (xml_error_rows[_i].message)
		ck_assert_str_eq(got.message, xml_error_rows[_i].message);
	stop(client);
}
END_TEST

static const struct {
	const char *script, *error;
} useless_xml_rows[] = {
	{ "[[200, {}, \"{}\"]]", "Publish: HTTP 200 with an answer that is no XML that can be read: not well-formed (invalid token)" },
	{ "[[200, {}, \"\"]]", "Publish: HTTP 200 with an answer that is no XML that can be read: no element found" },
	{ "[[200, {}, \"<GetTopicResponse/>\"]]", "Publish: HTTP 200 with an answer that is <GetTopicResponse>" },
	{ "[[200, {}, \"" XML_ERROR("NotFound", "x") "\"]]", "Publish: HTTP 200 with an answer that is <ErrorResponse>" },
	{ "[[200, {}, \"<!DOCTYPE x><PublishResponse/>\"]]",
	  "Publish: HTTP 200 with an answer that is no XML that can be read: a document type declaration" },
};

START_TEST(useless_xml_is_a_transport_failure)
{
	struct aws_client *client = start();
	struct got got;

	call(client, AWS_OP_PUBLISH, useless_xml_rows[_i].script, "Action=Publish", &got);
	ck_assert(got.r.transport_failed);
	ck_assert(got.r.sent);
	ck_assert_str_eq(got.error, useless_xml_rows[_i].error);
	stop(client);
}
END_TEST

START_TEST(the_query_protocols_names_are_cured_too)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	write_keys("AKTWO");
	call(client, AWS_OP_PUBLISH, "[[403, {}, \"" XML_ERROR("InvalidClientTokenId", "m") "\"],[200, {}, \"" PUBLISHED "\"]]", "a=b", &got);
	ck_assert(got.r.ok);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 2);
	ck_assert_ptr_nonnull(strstr(header(log, 1, "authorization"), "Credential=AKTWO/"));
	loop.clock_offset = -3600 * 1000;
	call(client, AWS_OP_PUBLISH, "[[403, {}, \"" XML_ERROR("SignatureDoesNotMatch", "m") "\"],[200, {}, \"" PUBLISHED "\"]]", "a=b", &got);
	ck_assert(got.r.ok);
	call(client, AWS_OP_PUBLISH, "[[403, {}, \"" XML_ERROR("SignatureDoesNotMatc", "m") "\"]]", "a=b", &got);
	ck_assert_str_eq(got.code, "SignatureDoesNotMatc");
	stop(client);
}
END_TEST

/* In a partition whose names are not known only what is used needs an endpoint of its own. */
START_TEST(endpoints_are_looked_up_when_used)
{
	struct aws_client *client;
	struct got got = { 0 };
	struct sf_error err = { "" };
	char url[64];

	stop(start());
	unsetenv("AWS_ENDPOINT_URL");
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", server.port);
	setenv("AWS_ENDPOINT_URL_ECS", url, 1);
	http = loop_http(&loop);
	client = aws_client_new(http, NULL, "us-iso-east-1", &err);
	ck_assert_msg(client != NULL, "%s", err.text);
	call(client, AWS_OP_LIST_TASKS, "[[200, {}, \"{}\"]]", "{}", &got);
	ck_assert(got.r.ok);
	ck_assert_int_eq(aws_client_call(client, AWS_OP_PUBLISH, "a=b", on_reply, &got, &err), -1);
	ck_assert_str_eq(err.text, "Publish: region 'us-iso-east-1' is in a partition whose host names are not known here; set "
				   "AWS_ENDPOINT_URL_SNS");
	unsetenv("AWS_ENDPOINT_URL_ECS");
	stop(client);
}
END_TEST

START_TEST(a_long_answer_that_is_not_json_is_cut)
{
	struct aws_client *client = start();
	char script[2000] = "[[503, {}, \"";
	struct got got;

	memset(script + 12, 'x', 1000);
	memcpy(script + 1012, "\"]]", 4);
	call(client, AWS_OP_DESCRIBE_TASKS, script, "{}", &got);
	ck_assert_uint_eq(strlen(got.message), 299);
	stop(client);
}
END_TEST

static const struct {
	const char *script, *error;
	int http;
} useless_rows[] = {
	{ "[[200, {}, \"<html>\"]]", "ListTasks: HTTP 200 with an answer that is not JSON: unexpected character", 200 },
	{ "[[200, {}, \"[]\"]]", "ListTasks: HTTP 200 with an answer that is not a JSON object", 200 },
	{ "[[200, {}, \"null\"]]", "ListTasks: HTTP 200 with an answer that is not a JSON object", 200 },
	{ "[[200, {}, \"\"]]", "ListTasks: HTTP 200 with an answer that is not JSON: ", 200 },
	/* twice: libcurl itself repeats a request that died on a reused connection, once and on a new one */
	{ "[[0, {}, \"\"],[0, {}, \"\"]]", "ListTasks: http://127.0.0.1:", 0 },
};

START_TEST(useless_answers_are_transport_failures)
{
	struct aws_client *client = start();
	struct got got;

	call(client, AWS_OP_LIST_TASKS, useless_rows[_i].script, "{}", &got);
	ck_assert(!got.r.ok);
	ck_assert(got.r.transport_failed);
	ck_assert(got.r.sent);
	ck_assert_int_eq(got.r.http, useless_rows[_i].http);
	ck_assert_msg(strncmp(got.error, useless_rows[_i].error, strlen(useless_rows[_i].error)) == 0, "%s", got.error);
	ck_assert_str_eq(got.code, "(null)");
	ck_assert_str_eq(got.body, "(null)");
	stop(client);
}
END_TEST

#define REFUSAL(code) "[400, {}, \"{\\\"__type\\\":\\\"" code "\\\",\\\"message\\\":\\\"m\\\"}\"]"
#define FINE "[200, {}, \"{}\"]"

static const char *const credential_codes[] = { "ExpiredTokenException", "ExpiredToken", "UnrecognizedClientException" };

START_TEST(credentials_are_loaded_anew_once)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	char script[300];
	struct got got;

	write_keys("AKTWO");
	snprintf(script, sizeof(script), "[" REFUSAL("%s") "," FINE "]", credential_codes[_i]);
	call(client, AWS_OP_RUN_TASK, script, "{\"x\":1}", &got);
	ck_assert(got.r.ok);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 2);
	ck_assert_ptr_nonnull(strstr(header(log, 0, "authorization"), "Credential=AKONE/"));
	ck_assert_ptr_nonnull(strstr(header(log, 1, "authorization"), "Credential=AKTWO/"));
	ck_assert_str_eq(header(log, 1, "x-amz-security-token"), "TOKEN/AKTWO");
	ck_assert_str_eq(sf_json_str(sf_json_at(log, 1), "body"), "{\"x\":1}");

	snprintf(script, sizeof(script), "[" REFUSAL("%s") "," REFUSAL("%s") "," FINE "]", credential_codes[_i],
		 credential_codes[_i]);
	call(client, AWS_OP_RUN_TASK, script, "{\"x\":1}", &got);
	ck_assert(!got.r.ok);
	ck_assert_str_eq(got.code, credential_codes[_i]);
	sf_json_free(log);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 2);
	stop(client);
}
END_TEST

START_TEST(without_new_credentials_the_refusal_is_reported)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	ck_assert_int_eq(truncate(cred_path, 0), 0);
	call(client, AWS_OP_RUN_TASK, "[" REFUSAL("ExpiredTokenException") "," FINE "]", "{}", &got);
	ck_assert_str_eq(got.code, "ExpiredTokenException");
	ck_assert_str_eq(got.message, "m");
	ck_assert_ptr_nonnull(strstr(last_log, "AWS refuses the credentials (ExpiredTokenException) and there are no new ones: "
					       "no AWS credentials: "));
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 1);
	stop(client);
}
END_TEST

static bool date_is_near(const char *amz_date)
{
	int64_t now = loop_now(&loop) - loop.clock_offset;
	char date[AWS_SIGV4_DATE_MAX];
	int s;

	for (s = -5; s <= 5; s++) {
		aws_sigv4_date(now / 1000 + s, date);
		if (strcmp(date, amz_date) == 0)
			return true;
	}
	return false;
}

START_TEST(the_clock_is_corrected_once)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	loop.clock_offset = -3600 * 1000;
	call(client, AWS_OP_RUN_TASK, "[" REFUSAL("InvalidSignatureException") "," FINE "]", "{}", &got);
	ck_assert(got.r.ok);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 2);
	ck_assert(!date_is_near(header(log, 0, "x-amz-date")));
	ck_assert(date_is_near(header(log, 1, "x-amz-date")));
	ck_assert_ptr_nonnull(strstr(last_log, "this host's clock is -3"));
	ck_assert_ptr_nonnull(strstr(last_log, " s off from AWS's (RunTask); requests are signed with AWS's time"));
	/* the offset stays, and with the clock right a bad signature is only reported */
	call(client, AWS_OP_RUN_TASK, "[" REFUSAL("InvalidSignatureException") "," FINE "]", "{}", &got);
	ck_assert_str_eq(got.code, "InvalidSignatureException");
	sf_json_free(log);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 1);
	ck_assert(date_is_near(header(log, 0, "x-amz-date")));
	stop(client);
}
END_TEST

#define BAD_DATE(year) "[400, {\"Date\": \"Mon, 01 Jan " year " 00:00:00 GMT\"}, \"{\\\"__type\\\":\\\"InvalidSignatureException\\\"}\"]"

START_TEST(a_server_with_a_wandering_clock_is_not_followed)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	call(client, AWS_OP_RUN_TASK, "[" BAD_DATE("2029") "," BAD_DATE("2035") "," FINE "]", "{}", &got);
	ck_assert_str_eq(got.code, "InvalidSignatureException");
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 2);
	stop(client);
}
END_TEST

START_TEST(throttles_and_5xx_are_not_repeated)
{
	struct aws_client *client = start();
	sf_auto_json sf_json *log = NULL;
	struct got got;

	call(client, AWS_OP_RUN_TASK, "[" REFUSAL("ThrottlingException") "," FINE "]", "{}", &got);
	ck_assert_str_eq(got.code, "ThrottlingException");
	call(client, AWS_OP_RUN_TASK, "[[503, {}, \"\"]," FINE "]", "{}", &got);
	ck_assert_int_eq(got.r.http, 503);
	log = control("_log", NULL);
	ck_assert_uint_eq(sf_json_len(log), 1);
	stop(client);
}
END_TEST

START_TEST(free_cancels)
{
	struct aws_client *client = start();
	struct got got = { 0 };
	struct sf_error err;

	ck_assert_int_eq(aws_client_call(client, AWS_OP_LIST_TASKS, "{}", on_reply, &got, &err), 0);
	stop(client);
	ck_assert_int_eq(got.calls, 0);
}
END_TEST

START_TEST(creation_fails_in_words)
{
	struct sf_error err = { "" };

	stop(start());
	http = loop_http(&loop);
	ck_assert_ptr_null(aws_client_new(http, NULL, "EU", &err));
	ck_assert_str_eq(err.text, "'EU' is not the name of an AWS region");
	ck_assert_ptr_null(aws_client_new(http, "nope", "eu-west-1", &err));
	ck_assert_ptr_nonnull(strstr(err.text, "AWS profile 'nope' is neither in "));
	ck_assert_int_eq(truncate(cred_path, 0), 0);
	ck_assert_ptr_null(aws_client_new(http, NULL, "eu-west-1", &err));
	ck_assert_ptr_nonnull(strstr(err.text, "no AWS credentials: "));
	aws_http_free(http);
}
END_TEST

START_TEST(the_table_makes_clients_when_needed)
{
	struct aws_api api = { NULL, NULL, NULL };
	struct got got = { 0 };
	struct sf_error err = { "" };
	sf_auto_json sf_json *log = NULL;

	stop(start());
	http = loop_http(&loop);
	ck_assert_int_eq(aws_api_real(http, &api, &err), 0);
	ck_assert_int_eq(truncate(cred_path, 0), 0);
	ck_assert_int_eq(api.call(api.ctx, NULL, NULL, AWS_OP_LIST_TASKS, "{}", on_reply, &got, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "no AWS region: "));
	setenv("AWS_REGION", "eu-north-1", 1);
	ck_assert_int_eq(api.call(api.ctx, NULL, NULL, AWS_OP_LIST_TASKS, "{}", on_reply, &got, &err), -1);
	ck_assert_ptr_nonnull(strstr(err.text, "no AWS credentials: "));
	write_keys("AKONE");
	control("_script", "[" FINE "," FINE "]");
	sf_json_free(control("_log", NULL));
	ck_assert_int_eq(api.call(api.ctx, NULL, NULL, AWS_OP_LIST_TASKS, "{}", on_reply, &got, &err), 0);
	ck_assert(loop_run(&loop, http, &got.done, 20000));
	got = (struct got){ 0 };
	ck_assert_int_eq(api.call(api.ctx, "default", "eu-west-3", AWS_OP_LIST_TASKS, "{}", on_reply, &got, &err), 0);
	ck_assert(loop_run(&loop, http, &got.done, 20000));
	log = control("_log", NULL);
	ck_assert_ptr_nonnull(strstr(header(log, 0, "authorization"), "/eu-north-1/"));
	ck_assert_ptr_nonnull(strstr(header(log, 1, "authorization"), "/eu-west-3/"));
	ck_assert(llabs(api.now_ms(api.ctx) - loop_now(&loop)) < 5000);
	aws_api_real_free(&api);
	ck_assert_ptr_null(api.ctx);
	aws_http_free(http);
}
END_TEST

START_TEST(operations)
{
	enum aws_op op;

	ck_assert_str_eq(aws_op_name(AWS_OP_RUN_TASK), "RunTask");
	ck_assert_str_eq(aws_op_name(AWS_OP_GET_LOG_EVENTS), "GetLogEvents");
	ck_assert(!aws_op_read_only(AWS_OP_RUN_TASK));
	ck_assert(!aws_op_read_only(AWS_OP_STOP_TASK));
	ck_assert(aws_op_read_only(AWS_OP_LIST_TASKS));
	ck_assert_int_eq(aws_op_service(AWS_OP_GET_LOG_EVENTS), AWS_LOGS);
	ck_assert_int_eq(aws_op_service(AWS_OP_DESCRIBE_CLUSTERS), AWS_ECS);
	ck_assert_str_eq(aws_op_name(AWS_OP_PUBLISH), "Publish");
	ck_assert(!aws_op_read_only(AWS_OP_PUBLISH));
	ck_assert_int_eq(aws_op_service(AWS_OP_PUBLISH), AWS_SNS);
	ck_assert_str_eq(aws_op_name(AWS_OP_GET_SERVICE_QUOTA), "GetServiceQuota");
	ck_assert_str_eq(aws_op_name(AWS_OP_GET_DEFAULT_QUOTA), "GetAWSDefaultServiceQuota");
	ck_assert_str_eq(aws_op_name(AWS_OP_GET_METRIC_STATISTICS), "GetMetricStatistics");
	for (op = AWS_OP_GET_SERVICE_QUOTA; op <= AWS_OP_GET_METRIC_STATISTICS; op++) {
		ck_assert(aws_op_read_only(op));
		ck_assert_int_eq(aws_op_service(op), op == AWS_OP_GET_METRIC_STATISTICS ? AWS_MONITORING : AWS_QUOTAS);
	}
	ck_assert(aws_op_read_only(AWS_OP_GET_CALLER_IDENTITY));
	ck_assert_int_eq(aws_op_service(AWS_OP_GET_CALLER_IDENTITY), AWS_STS);
}
END_TEST

int main(void)
{
	static const char *const unset[] = { "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION",
					     "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
					     "AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL_SERVICE_QUOTAS", "AWS_ENDPOINT_URL_CLOUDWATCH",
					     "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT", "http_proxy", "all_proxy",
					     "ALL_PROXY" };
	const struct tap_test tests[] = {
		{ a_call_on_the_wire, 0 },
		{ errors_are_read, SF_COUNT(error_rows) },
		{ the_query_protocol_on_the_wire, 0 },
		{ publish_is_sent_once, 0 },
		{ xml_errors_are_read, SF_COUNT(xml_error_rows) },
		{ useless_xml_is_a_transport_failure, SF_COUNT(useless_xml_rows) },
		{ the_query_protocols_names_are_cured_too, 0 },
		{ endpoints_are_looked_up_when_used, 0 },
		{ a_long_answer_that_is_not_json_is_cut, 0 },
		{ useless_answers_are_transport_failures, SF_COUNT(useless_rows) },
		{ credentials_are_loaded_anew_once, SF_COUNT(credential_codes) },
		{ without_new_credentials_the_refusal_is_reported, 0 },
		{ the_clock_is_corrected_once, 0 },
		{ a_server_with_a_wandering_clock_is_not_followed, 0 },
		{ throttles_and_5xx_are_not_repeated, 0 },
		{ free_cancels, 0 },
		{ creation_fails_in_words, 0 },
		{ the_table_makes_clients_when_needed, 0 },
		{ operations, 0 },
	};
	int fd = mkstemp(cred_path), rc;
	size_t i;

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	for (i = 0; i < SF_COUNT(unset); i++)
		unsetenv(unset[i]);
	setenv("AWS_SHARED_CREDENTIALS_FILE", cred_path, 1);
	setenv("AWS_CONFIG_FILE", "/dev/null", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	server_start();
	rc = tap_main("client", tests, SF_COUNT(tests));
	server_stop();
	unlink(cred_path);
	return rc;
}
