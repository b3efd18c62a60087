/* Golden table of common/base/verdict.c: every text and code AWS is known to answer a call with, and what becomes of it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/util.h"
#include "common/base/verdict.h"
#include "tests/unit/tap.h"
#include "tests/unit/verdict_forms.h"

#define CONCURRENTLY " you can run concurrently"
/* failures[].reason of RunTask, and of a read. Source: ECS, "API failure reasons" and "Service event messages". */
static const struct {
	const char *reason;
	enum sf_class want;
	enum sf_action act;
	enum sf_class read;
} failure_rows[] = {
	{ "Capacity is unavailable at this time. Please try again later or in a different availability zone", SF_CLASS_CAPACITY,
	  SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "You've reached the limit on the number of vCPUs" CONCURRENTLY, SF_CLASS_QUOTA, SF_ACT_WAIT, SF_CLASS_THROTTLE },
	{ "You've reached the limit on the number of tasks" CONCURRENTLY, SF_CLASS_QUOTA, SF_ACT_WAIT, SF_CLASS_THROTTLE },
	{ "The requested CPU configuration is above your limit.", SF_CLASS_QUOTA_SIZE, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ "The requested MEMORY configuration is above your limit.", SF_CLASS_QUOTA_SIZE, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ "Internal error.", SF_CLASS_START_TRANSIENT, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "RESOURCE:CPU", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "RESOURCE:MEMORY", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "RESOURCE:PORTS", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "RESOURCE:ENI", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "RESOURCE:GPU", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "RESOURCE:FARGATE", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "InsufficientFreeAddressesInSubnet", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "The subnet has no free IP addresses", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "The subnet has not enough free addresses", SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE },
	{ "AGENT", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ "LOCATION", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ "ATTRIBUTE", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ "MISSING", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_UNKNOWN },
	{ "INACTIVE", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ "We're unable to place a task because your account is currently blocked", SF_CLASS_CONFIG, SF_ACT_HOLD,
	  SF_CLASS_THROTTLE },
	{ "something AWS never said before", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ "", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
};

/* A call that changes something, then a read: it never decides anything about a job. */
static void check(struct sf_api_signal *s, enum sf_class want, enum sf_action act, enum sf_class read)
{
	enum sf_class c;

	s->read_only = false;
	c = sf_verdict_api(s);
	ck_assert_msg(c == want, "%s, not %s: %s %s %s", sf_class_name(c), sf_class_name(want), s->failure ? s->failure : "-",
		      s->code ? s->code : "-", s->message ? s->message : "-");
	ck_assert_int_eq(sf_class_action(c), act);
	s->read_only = true;
	c = sf_verdict_api(s);
	ck_assert_str_eq(sf_class_name(c), sf_class_name(read));
	ck_assert_int_eq(sf_class_action(c), SF_ACT_WAIT);
}

START_TEST(failures_of_a_200_answer)
{
	struct sf_api_signal s = { .http = 200 };
	char text[FORM_MAX];

	for (int form = 0; form < FORMS; form++) {
		s.failure = form_of(failure_rows[_i].reason, form, text);
		check(&s, failure_rows[_i].want, failure_rows[_i].act, failure_rows[_i].read);
	}
}
END_TEST

#define INVALID "InvalidParameterException"
#define HELD SF_CLASS_CONFIG, SF_ACT_HOLD, SF_CLASS_THROTTLE
#define AGAIN SF_CLASS_THROTTLE, SF_ACT_WAIT, SF_CLASS_THROTTLE
#define KEYS SF_CLASS_CREDS, SF_ACT_WAIT, SF_CLASS_CREDS
#define FULL SF_CLASS_CAPACITY, SF_ACT_RELAUNCH, SF_CLASS_THROTTLE
#define QUOTA SF_CLASS_QUOTA, SF_ACT_WAIT, SF_CLASS_THROTTLE

/* Exceptions. Source: ECS API models, "Common errors", botocore's retry tables, and reports of users. */
static const struct {
	int http;
	const char *code, *message;
	enum sf_class want;
	enum sf_action act;
	enum sf_class read;
} exception_rows[] = {
	/* asked again */
	{ 400, "ThrottlingException", "Rate exceeded", AGAIN },
	{ 400, "ThrottlingException", "Rate exceeded.", AGAIN },
	{ 400, "Throttling", NULL, AGAIN },
	{ 400, "ThrottledException", NULL, AGAIN },
	{ 400, "RequestThrottledException", NULL, AGAIN },
	{ 400, "RequestThrottled", NULL, AGAIN },
	{ 400, "EC2ThrottledException", NULL, AGAIN },
	{ 400, "TooManyRequestsException", NULL, AGAIN },
	{ 400, "ProvisionedThroughputExceededException", NULL, AGAIN },
	{ 400, "TransactionInProgressException", NULL, AGAIN },
	{ 400, "RequestLimitExceeded", NULL, AGAIN },
	{ 400, "BandwidthLimitExceeded", NULL, AGAIN },
	{ 400, "SlowDown", NULL, AGAIN },
	{ 400, "PriorRequestNotComplete", NULL, AGAIN },
	{ 400, "RequestTimeout", NULL, AGAIN },
	{ 400, "RequestTimeoutException", NULL, AGAIN },
	{ 400, INVALID, "Error retrieving subnet information for [subnet-0a1b]: Rate exceeded (ErrorCode: Throttling)", AGAIN },
	{ 400, INVALID, "Error retrieving security group information for [sg-0a1b]: Request limit exceeded. (ErrorCode: "
			"RequestLimitExceeded)", AGAIN },
	{ 500, "ServerException", "Service Unavailable. Please try again later.", AGAIN },
	{ 400, "ServerException", NULL, AGAIN },
	{ 500, NULL, NULL, AGAIN },
	{ 502, NULL, NULL, AGAIN },
	{ 503, NULL, NULL, AGAIN },
	{ 503, "BrandNewException", NULL, AGAIN },
	{ 504, NULL, NULL, AGAIN },
	{ 429, NULL, NULL, AGAIN },
	/* held; on a read it decides nothing */
	{ 400, "ClientException",
	  "ECS was unable to assume the role 'arn:aws:iam::1:role/x' that was provided for this task. Please verify that the "
	  "role being passed has the proper trust relationship and permissions and that your IAM user has permissions to pass "
	  "this role.",
	  HELD },
	{ 400, "ClientException",
	  "The RunTask could not be processed because you use managed scaling and there is a capacity error because the quota of "
	  "tasks in the PROVISIONING per cluster has been reached.", HELD },
	{ 400, "ClientException", "No Fargate configuration exists for given values.", HELD },
	{ 400, "ClientException", "Invalid 'cpu' setting for task.", HELD },
	{ 400, "ClientException", NULL, HELD },
	{ 400, "ClusterNotFoundException", "Cluster not found.", HELD },
	{ 400, "ClusterNotFoundException", "The referenced cluster was inactive.", HELD },
	{ 400, INVALID, "TaskDefinition is inactive", HELD },
	{ 400, INVALID, "Network Configuration must be provided when networkMode 'awsvpc' is specified.", HELD },
	{ 400, INVALID, "Task definition does not support launch_type FARGATE.", HELD },
	{ 400, INVALID, "Override for container named X is not a container in the TaskDefinition", HELD },
	{ 400, INVALID, "subnets can not be empty.", HELD },
	{ 400, INVALID, "security group cannot be blank", HELD },
	{ 400, INVALID, "No Container Instances were found in your cluster.", HELD },
	{ 400, INVALID, "The specified capacity provider strategy cannot contain a capacity provider that is not associated with "
			"the cluster.", HELD },
	{ 400, INVALID, "startedBy longer than 36.", HELD },
	{ 400, INVALID, "ownerId longer than 36.", HELD },
	{ 400, INVALID, "Some tags contain invalid characters", HELD },
	{ 400, INVALID, "count must be 1 to 10, the number of tasks", HELD },
	{ 400, INVALID, NULL, HELD },
	{ 400, "BlockedException", NULL, HELD },
	{ 400, "UnsupportedFeatureException", NULL, HELD },
	{ 400, "PlatformUnknownException", NULL, HELD },
	{ 400, "PlatformTaskDefinitionIncompatibilityException", NULL, HELD },
	{ 500, "PlatformUnknownException", NULL, HELD },
	/* not allowed: a launch is held, a read is waited out */
	{ 400, "AccessDeniedException",
	  "User: arn:aws:iam::1:user/u is not authorized to perform: ecs:RunTask on resource: "
	  "arn:aws:ecs:eu-west-1:1:task-definition/x:1 because no identity-based policy allows the ecs:RunTask action",
	  SF_CLASS_CONFIG, SF_ACT_HOLD, SF_CLASS_CREDS },
	{ 500, "AccessDeniedException", NULL, SF_CLASS_CONFIG, SF_ACT_HOLD, SF_CLASS_CREDS },
	/* capacity and quota */
	{ 400, INVALID, "The subnet subnet-1 has insufficient free addresses", FULL },
	{ 400, INVALID, "InsufficientFreeAddressesInSubnet", FULL },
	{ 400, "ClientException", "The subnet has no free IP addresses", FULL },
	{ 400, "ClientException", "Capacity is unavailable at this time", FULL },
	{ 400, "LimitExceededException", NULL, QUOTA },
	{ 400, "ClientException", "You've reached the limit on the number of tasks" CONCURRENTLY, QUOTA },
	{ 400, "ClientException", "You've reached the limit on the number of vCPUs" CONCURRENTLY, QUOTA },
	{ 400, "ClientException", "The requested CPU configuration is above your limit.", SF_CLASS_QUOTA_SIZE, SF_ACT_HOLD,
	  SF_CLASS_THROTTLE },
	/* the task that is there already */
	{ 400, "ConflictException", NULL, SF_CLASS_LAUNCHED, SF_ACT_NONE, SF_CLASS_THROTTLE },
	/* credentials and clock */
	{ 400, "ExpiredTokenException", "The security token included in the request is expired", KEYS },
	{ 403, "ExpiredToken", NULL, KEYS },
	{ 400, "UnrecognizedClientException", "The security token included in the request is invalid.", KEYS },
	{ 400, "InvalidSignatureException",
	  "Signature expired: 20201002T000000Z is now earlier than 20201002T000500Z (20201002T001000Z - 5 min.)", KEYS },
	{ 400, "InvalidSignatureException",
	  "Signature not yet current: 20201002T001000Z is still later than 20201002T000500Z (20201002T000000Z + 5 min.)", KEYS },
	{ 403, "SignatureDoesNotMatch", NULL, KEYS },
	{ 403, "InvalidClientTokenId", NULL, KEYS },
	{ 403, "MissingAuthenticationTokenException", NULL, KEYS },
	{ 400, "RequestExpired", NULL, KEYS },
	/* unknown */
	{ 400, "BrandNewException", "who knows", SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ 403, NULL, NULL, SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
	{ 200, NULL, NULL, SF_CLASS_UNKNOWN_LAUNCH, SF_ACT_HOLD, SF_CLASS_THROTTLE },
};

START_TEST(exceptions)
{
	struct sf_api_signal s = { .http = exception_rows[_i].http, .code = exception_rows[_i].code };
	char text[FORM_MAX];

	for (int form = 0; form < FORMS; form++) {
		s.message = form_of(exception_rows[_i].message, form, text);
		check(&s, exception_rows[_i].want, exception_rows[_i].act, exception_rows[_i].read);
	}
}
END_TEST

/* Nobody knows then what AWS has done: the same request goes out again. */
START_TEST(no_answer_at_all)
{
	struct sf_api_signal s = { .transport = true };

	check(&s, AGAIN);
}
END_TEST

/* What two rows of the table would both take. */
static const struct {
	struct sf_api_signal s;
	enum sf_class want;
} both_rows[] = {
	/* AWS's own throttles and credentials come before what the message is about */
	{ { .http = 400, .code = "ThrottlingException", .message = "You've reached the limit on the number of tasks" },
	  SF_CLASS_THROTTLE },
	{ { .http = 400, .code = INVALID, .message = "Rate exceeded; capacity is unavailable" }, SF_CLASS_THROTTLE },
	{ { .http = 400, .code = "UnrecognizedClientException", .message = "Capacity is unavailable" }, SF_CLASS_CREDS },
	/* a task that exists is taken, whatever else is said */
	{ { .http = 400, .code = "ConflictException", .message = "Capacity is unavailable" }, SF_CLASS_LAUNCHED },
	{ { .http = 500, .code = "ConflictException" }, SF_CLASS_LAUNCHED },
	/* waiting would not help */
	{ { .http = 400, .code = "LimitExceededException", .message = "The requested CPU configuration is above your limit." },
	  SF_CLASS_QUOTA_SIZE },
	/* an exception's code before the HTTP status */
	{ { .http = 503, .code = "LimitExceededException" }, SF_CLASS_QUOTA },
	{ { .http = 503, .code = "AccessDeniedException" }, SF_CLASS_CONFIG },
	{ { .http = 503, .code = "AccessDeniedException", .read_only = true }, SF_CLASS_CREDS },
	{ { .http = 400, .code = "AccessDeniedException", .message = "Rate exceeded", .read_only = true }, SF_CLASS_THROTTLE },
};

START_TEST(the_order_decides_between_two)
{
	ck_assert_str_eq(sf_class_name(sf_verdict_api(&both_rows[_i].s)), sf_class_name(both_rows[_i].want));
}
END_TEST

static const struct {
	const char *code;
	enum sf_code want;
} code_rows[] = {
	{ "ExpiredToken", SF_CODE_KEYS },
	{ "ExpiredTokenException", SF_CODE_KEYS },
	{ "UnrecognizedClientException", SF_CODE_KEYS },
	{ "InvalidSignatureException", SF_CODE_CLOCK },
	{ "ResourceNotFoundException", SF_CODE_ABSENT },
	{ "NoSuchResourceException", SF_CODE_ABSENT },
	{ "ThrottlingException", SF_CODE_OTHER },
	{ "AccessDeniedException", SF_CODE_OTHER },
	{ "", SF_CODE_OTHER },
	{ NULL, SF_CODE_OTHER },
};

START_TEST(codes_our_client_acts_on)
{
	ck_assert_int_eq(sf_code_of(code_rows[_i].code), code_rows[_i].want);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ failures_of_a_200_answer, SF_COUNT(failure_rows) },
		{ exceptions, SF_COUNT(exception_rows) },
		{ no_answer_at_all, 0 },
		{ the_order_decides_between_two, SF_COUNT(both_rows) },
		{ codes_our_client_acts_on, SF_COUNT(code_rows) },
	};

	return tap_main("verdict_answers", tests, SF_COUNT(tests));
}
