/* Unit tests of common/aws/keys_json.c, sts.c and the rule of metadata.c: what others send us as keys. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/keys_json.h"

#include <string.h>

#include "common/aws/metadata.h"
#include "common/aws/sts.h"
#include "tests/unit/tap.h"

#define K "\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"top-secret\""
#define T ",\"Token\":\"tok-secret\",\"Expiration\":\"2026-11-28T10:00:00Z\""

static const struct {
	enum aws_dialect dialect;
	const char *text, *problem; /* NULL = taken */
} json_rows[] = {
	{ AWS_JSON_PROCESS, "{\"Version\":1," K "}", NULL },
	{ AWS_JSON_PROCESS, "{\"Version\":1," K ",\"SessionToken\":\"t\",\"Expiration\":\"2026-11-28T10:00:00Z\",\"X\":[]}\n", NULL },
	{ AWS_JSON_PROCESS, "{" K "}", "src: the answer cannot be used: its Version is not 1" },
	{ AWS_JSON_PROCESS, "{\"Version\":\"1\"," K "}", "src: the answer cannot be used: its Version is not 1" },
	{ AWS_JSON_PROCESS, "{\"Version\":2," K "}", "src: the answer cannot be used: its Version is not 1" },
	{ AWS_JSON_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"AK\"}", "src: the answer cannot be used: there is no 'SecretAccessKey'" },
	{ AWS_JSON_PROCESS, "{\"Version\":1,\"AccessKeyId\":1}", "src: the answer cannot be used: 'AccessKeyId' is not a string" },
	{ AWS_JSON_PROCESS, "{\"Version\":1," K ",\"SessionToken\":1}", "src: the answer cannot be used: 'SessionToken' is not a string" },
	{ AWS_JSON_PROCESS, "{\"Version\":1," K ",\"Expiration\":1795860000}", "src: the answer cannot be used: 'Expiration' is not a string" },
	{ AWS_JSON_PROCESS, "{\"Version\":1," K ",\"Expiration\":\"tomorrow\"}",
	  "src: the expiration is not a time like 2026-01-31T10:00:00Z" },
	{ AWS_JSON_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"AK\",\"SecretAccessKey\":\"a\\r\\nX: y\"}",
	  "src: the keys hold a blank, a control character or a byte outside ASCII" },
	{ AWS_JSON_PROCESS, "{\"Version\":1,\"AccessKeyId\":\"\",\"SecretAccessKey\":\"s\"}", "src: there is no AccessKeyId" },
	{ AWS_JSON_PROCESS, "[]", "src: the answer cannot be used: not a JSON object" },
	{ AWS_JSON_PROCESS, "", "src: the answer is not JSON of at most 65536 bytes" },
	{ AWS_JSON_PROCESS, "{\"Version\":1," K "} x", "src: the answer is not JSON of at most 65536 bytes" },
	{ AWS_JSON_CONTAINER, "{\"RoleArn\":\"r\"," K T "}", NULL },
	{ AWS_JSON_CONTAINER, "{" K "}", "src: the answer cannot be used: there is no 'Token'" },
	{ AWS_JSON_CONTAINER, "{" K ",\"Token\":\"t\"}", "src: the answer cannot be used: there is no 'Expiration'" },
	{ AWS_JSON_CONTAINER, "{" K ",\"Token\":null,\"Expiration\":\"2026-11-28T10:00:00Z\"}",
	  "src: the answer cannot be used: 'Token' is not a string" },
	{ AWS_JSON_IMDS, "{\"Code\":\"Success\"," K T "}", NULL },
	{ AWS_JSON_IMDS, "{\"Code\":\"AssumeRoleUnauthorizedAccess\"," K T "}", "src: the answer cannot be used: its Code is not Success" },
	{ AWS_JSON_IMDS, "<html>top-secret</html>", "src: the answer is not JSON of at most 65536 bytes" },
};

START_TEST(json)
{
	sf_auto_credentials struct aws_credentials c = { 0 };
	struct sf_error err = { "" };
	int rc = aws_keys_json(json_rows[_i].dialect, "src", json_rows[_i].text, strlen(json_rows[_i].text), &c, &err);

	ck_assert_int_eq(rc, json_rows[_i].problem ? -1 : 0);
	ck_assert_str_eq(err.text, json_rows[_i].problem ? json_rows[_i].problem : "");
	ck_assert_pstr_eq(c.secret_key, json_rows[_i].problem ? NULL : "top-secret");
	ck_assert_ptr_null(strstr(err.text, "secret"));
}
END_TEST

static const struct {
	const char *uri;
	bool allowed;
} uri_rows[] = {
	{ "http://localhost/x", true }, { "http://localhost:99", true }, { "http://127.0.0.1:8/x?y", true }, { "http://[::1]:8/", true },
	{ "http://169.254.170.2/x", true }, { "http://169.254.170.23/v1/credentials", true }, { "http://[fd00:ec2::23]/v1", true },
	{ "https://elsewhere.example/x", true }, { "http://elsewhere.example/x", false }, { "http://169.254.170.22/", false },
	{ "http://localhost:x@elsewhere/", false }, { "http://localhost@elsewhere/", false }, { "http://localhost.elsewhere/", false },
	{ "http://127.0.0.1.elsewhere/", false }, { "http://[fd00:ec2::24]/", false }, { "http://", false }, { "", false },
	{ "ftp://localhost/", false }, { "file:///etc/passwd", false }, { "http://localhost/\r\nX: y", false },
	{ "http://elsewhere\\@localhost/", false }, { "http://[::1", false },
};

START_TEST(container_uris)
{
	ck_assert_msg(aws_container_uri_allowed(uri_rows[_i].uri) == uri_rows[_i].allowed, "%s", uri_rows[_i].uri);
}
END_TEST

#define ANSWER(members)                                                                                             \
	"<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult><Credentials>" members \
	"</Credentials></AssumeRoleResult></AssumeRoleResponse>"
#define XK "<AccessKeyId>AK</AccessKeyId><SecretAccessKey>top-secret</SecretAccessKey>"
#define XT "<SessionToken>tok-secret</SessionToken>"
#define XE "<Expiration>2026-11-28T10:00:00Z</Expiration>"

static const struct {
	int status;
	const char *text, *problem;
} sts_rows[] = {
	{ 200, ANSWER(XK XT XE), NULL },
	{ 200, ANSWER(XK XE), "AssumeRole: the answer has no SessionToken" },
	{ 200, ANSWER(XK XT), "AssumeRole: the answer has no Expiration" },
	{ 200, ANSWER(XT XE), "AssumeRole: src: there is no AccessKeyId" },
	{ 200, ANSWER("<AccessKeyId>AK</AccessKeyId>" XT XE), "AssumeRole: src: there is AccessKeyId but no SecretAccessKey" },
	{ 200, ANSWER(XK XT "<Expiration>soon</Expiration>"), "AssumeRole: src: the expiration is not a time like 2026-01-31T10:00:00Z" },
	{ 200, "<AssumeRoleResponse/>", "AssumeRole: the answer has no Expiration" },
	{ 200, "<Other/>", "AssumeRole: HTTP 200 with an answer that is not STS's" },
	{ 200, "{}", "AssumeRole: HTTP 200 with an answer that is not STS's" },
	{ 503, "<html>", "AssumeRole: HTTP 503 with an answer that is not STS's" },
	{ 403, ANSWER(XK XT XE), "AssumeRole: HTTP 403 with an answer that is not STS's" },
	{ 403, "<ErrorResponse><Error><Code>AccessDenied</Code><Message>a\nb</Message></Error></ErrorResponse>", "AssumeRole: AccessDenied: a?b" },
};

START_TEST(sts)
{
	sf_auto_credentials struct aws_credentials c = { 0 };
	struct sf_error err = { "" };
	int rc = sts_take_keys("AssumeRole", "src", sts_rows[_i].status, sts_rows[_i].text, strlen(sts_rows[_i].text), &c, &err);

	ck_assert_str_eq(err.text, sts_rows[_i].problem ? sts_rows[_i].problem : "");
	ck_assert_int_eq(rc, sts_rows[_i].problem ? -1 : 0);
	ck_assert(c.expires == (sts_rows[_i].problem ? 0 : 1795860000));
}
END_TEST

START_TEST(sts_forms)
{
	struct aws_role role = { .arn = (char *)"arn:r/x", .session = (char *)"s", .external_id = (char *)"e&f", .duration = (char *)"900" };
	sf_auto_free char *assume = NULL, *web = NULL, *identity = NULL;

	ck_assert_int_eq(sts_assume_body(&role, &assume, NULL), 0);
	ck_assert_str_eq(assume, "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ar%2Fx&RoleSessionName=s&ExternalId=e%26f&DurationSeconds=900");
	ck_assert_int_eq(sts_web_identity_body(&role, "t", &web, NULL), 0);
	ck_assert_str_eq(web, "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Ar%2Fx&RoleSessionName=s&WebIdentityToken=t");
	ck_assert_int_eq(sts_identity_body(&identity, NULL), 0);
	ck_assert_str_eq(identity, "Action=GetCallerIdentity&Version=2011-06-15");
}
END_TEST

static const struct {
	const char *arn, *account;
} arn_rows[] = {
	{ "arn:aws:ecs:eu-west-1:123456789012:cluster/hpc", "123456789012" },
	{ "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/hpc", "123456789012" },
	{ "hpc", NULL }, { "arn:aws:ecs:eu-west-1", NULL }, { "arn:aws:ecs:eu-west-1::cluster/x", NULL },
	{ "arn:aws:ecs:eu-west-1:12345678901:cluster/x", NULL }, { "arn:aws:ecs:eu-west-1:12345678901x:cluster/x", NULL },
};

START_TEST(accounts)
{
	char account[AWS_ACCOUNT_MAX] = "";

	ck_assert_int_eq(sts_account_of_arn(arn_rows[_i].arn, account), arn_rows[_i].account ? 0 : -1);
	ck_assert_str_eq(account, arn_rows[_i].account ? arn_rows[_i].account : "");
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ json, SF_COUNT(json_rows) },    { container_uris, SF_COUNT(uri_rows) }, { sts, SF_COUNT(sts_rows) },
		{ sts_forms, 0 },                 { accounts, SF_COUNT(arn_rows) },
	};

	return tap_main("keys_json", tests, SF_COUNT(tests));
}
