/* Unit tests of common/base/verdict_rules.c: what a FailureRule line can say, and what it cannot. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/conf.h"
#include "common/base/util.h"
#include "tests/unit/tap.h"

#define PART "PartitionName=p Cluster=c TaskDefinition=t Subnets=subnet-a SecurityGroups=sg-1\n"
#define OVER .last_status = "STOPPED", .desired_status = "STOPPED"
#define NORMAL(rc) \
	OVER, .started = true, .stop_code = "EssentialContainerExited", .has_exit_code = true, .exit_code = (rc), \
	.stopped_reason = "Essential container in task exited"

static struct sf_conf *conf_of(const char *rules)
{
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	char text[2048];

	snprintf(text, sizeof(text), "%s\n%s", rules, PART);
	ck_assert_msg(sf_conf_parse("f", text, &conf, &err) == 0, "%s", err.text);
	return conf;
}

#define OF(status) .operation = "RunTask", .http = (status)
#define RUN_TASK OF(400)
#define REFUSED RUN_TASK, .code = "ClientException"

static const struct {
	const char *rules;
	struct sf_api_signal s;
	enum sf_class want;
} answer_rows[] = {
	{ "", { REFUSED }, SF_CLASS_CONFIG },
	/* before the table */
	{ "FailureRule=start-transient Code=ClientException", { REFUSED }, SF_CLASS_START_TRANSIENT },
	{ "FailureRule=quota Reason=*capacity*", { RUN_TASK, .failure = "Capacity is unavailable." }, SF_CLASS_QUOTA },
	{ "FailureRule=throttle Code=Brand*", { RUN_TASK, .code = "BrandNewException" }, SF_CLASS_THROTTLE },
	{ "FailureRule=config Code=Throttling*", { RUN_TASK, .code = "ThrottlingException" }, SF_CLASS_CONFIG },
	{ "FailureRule=capacity Code=*", { OF(429), .code = "x" }, SF_CLASS_CAPACITY },
	/* every pattern, over the whole text, any case, either apostrophe */
	{ "FailureRule=capacity Code=client*", { REFUSED }, SF_CLASS_CAPACITY },
	{ "FailureRule=capacity Code=CLIENT?XCEPTION", { REFUSED }, SF_CLASS_CAPACITY },
	{ "FailureRule=capacity Code=Client", { REFUSED }, SF_CLASS_CONFIG },
	{ "FailureRule=capacity Code=ClientException Reason=*odd*", { REFUSED, .message = "An Odd thing" }, SF_CLASS_CAPACITY },
	{ "FailureRule=capacity Code=ClientException Reason=*odd*", { REFUSED, .message = "nothing" }, SF_CLASS_CONFIG },
	{ "FailureRule=capacity Code=ClientException Reason=*", { REFUSED }, SF_CLASS_CONFIG },
	{ "FailureRule=start-transient Reason=\"you've had enough\"",
	  { RUN_TASK, .failure = "You\xe2\x80\x99ve had enough" }, SF_CLASS_START_TRANSIENT },
	{ "FailureRule=capacity Reason=\"*[[]x[]]\"", { REFUSED, .message = "in [x]" }, SF_CLASS_CAPACITY },
	{ "FailureRule=capacity Code=ClientException Operation=Run*", { REFUSED }, SF_CLASS_CAPACITY },
	{ "FailureRule=capacity Code=ClientException Operation=StopTask", { REFUSED }, SF_CLASS_CONFIG },
	{ "FailureRule=capacity Code=ClientException Operation=*", { .http = 400, .code = "ClientException" }, SF_CLASS_CONFIG },
	{ "FailureRule=start-permanent Operation=RunTask", { REFUSED }, SF_CLASS_START_PERMANENT },
	/* the first that fits */
	{ "FailureRule=quota Code=x\nFailureRule=quota-size Code=Client*\nFailureRule=capacity Code=*", { REFUSED },
	  SF_CLASS_QUOTA_SIZE },
	/* one of tasks says nothing here, whatever it matches */
	{ "FailureRule=oom ExitCode=*\nFailureRule=infra StopCode=*\nFailureRule=capacity StoppedReason=*", { REFUSED },
	  SF_CLASS_CONFIG },
	/* a read decides nothing about a job, and after a 5xx nobody knows what was done */
	{ "FailureRule=config Code=*\nFailureRule=creds Code=*", { REFUSED, .read_only = true }, SF_CLASS_CREDS },
	{ "FailureRule=start-transient Code=*\nFailureRule=quota Code=*", { REFUSED, .read_only = true }, SF_CLASS_THROTTLE },
	{ "FailureRule=start-transient Code=*", { OF(500), .code = "ServerException" }, SF_CLASS_THROTTLE },
	{ "FailureRule=creds Code=*", { OF(503), .code = "ServerException" }, SF_CLASS_CREDS },
	/* AWS has said nothing */
	{ "FailureRule=start-transient Operation=*", { .operation = "RunTask", .transport = true }, SF_CLASS_THROTTLE },
	{ "FailureRule=start-transient Operation=*", { .operation = "RunTask", .transport = true, .code = "x" },
	  SF_CLASS_THROTTLE },
	{ "FailureRule=start-transient Operation=*", { .operation = "RunTask", .http = 403 }, SF_CLASS_UNKNOWN_LAUNCH },
	{ "FailureRule=start-transient Operation=*", { .operation = "RunTask", .http = 200 }, SF_CLASS_UNKNOWN_LAUNCH },
	/* the task that exists, and the task that does not */
	{ "FailureRule=start-transient Code=*", { RUN_TASK, .code = "ConflictException" }, SF_CLASS_LAUNCHED },
	{ "FailureRule=throttle Reason=*", { .read_only = true, .http = 200, .failure = "MISSING" }, SF_CLASS_UNKNOWN },
};

START_TEST(answers)
{
	sf_auto_conf struct sf_conf *conf = conf_of(answer_rows[_i].rules);
	struct sf_api_signal s = answer_rows[_i].s;

	s.rules = conf->rules;
	s.n_rules = conf->n_rules;
	ck_assert_msg(sf_verdict_api(&s) == answer_rows[_i].want, "%s: %s, not %s", answer_rows[_i].rules,
		      sf_class_name(sf_verdict_api(&s)), sf_class_name(answer_rows[_i].want));
}
END_TEST

static const struct {
	const char *rules;
	struct sf_task_signal s;
	enum sf_class want;
} task_rows[] = {
	{ "", { NORMAL(7) }, SF_CLASS_EXITED },
	/* before the table */
	{ "FailureRule=infra ExitCode=7", { NORMAL(7) }, SF_CLASS_INFRA },
	{ "FailureRule=infra ExitCode=7", { NORMAL(77) }, SF_CLASS_EXITED },
	{ "FailureRule=oom ExitCode=13?", { NORMAL(137) }, SF_CLASS_OOM },
	{ "FailureRule=config StoppedReason=*SPOT*", { OVER, .stopped_reason = "Your Spot Task was interrupted." },
	  SF_CLASS_CONFIG },
	{ "FailureRule=preempted StopCode=serviceschedulerinitiated",
	  { OVER, .started = true, .stop_code = "ServiceSchedulerInitiated", .has_exit_code = true }, SF_CLASS_PREEMPTED },
	{ "FailureRule=start-permanent ContainerReason=Out*",
	  { NORMAL(137), .container_reason = "OutOfMemoryError: x" }, SF_CLASS_START_PERMANENT },
	{ "FailureRule=start-transient StoppedReason=*unauthorized*",
	  { OVER, .stop_code = "TaskFailedToStart", .stopped_reason = "CannotPullContainerError: 401 Unauthorized" },
	  SF_CLASS_START_TRANSIENT },
	{ "FailureRule=quota-size StopCode=brand*", { OVER, .stop_code = "BrandNew" }, SF_CLASS_QUOTA_SIZE },
	{ "FailureRule=capacity StoppedReason=\"can't\"", { OVER, .stopped_reason = "can\xe2\x80\x98t" }, SF_CLASS_CAPACITY },
	/* every pattern, and only what is there */
	{ "FailureRule=infra ExitCode=7 StopCode=Essential*", { NORMAL(7) }, SF_CLASS_INFRA },
	{ "FailureRule=infra ExitCode=7 StopCode=User*", { NORMAL(7) }, SF_CLASS_EXITED },
	{ "FailureRule=infra ExitCode=7 ContainerReason=*", { NORMAL(7) }, SF_CLASS_EXITED },
	{ "FailureRule=config ExitCode=*", { OVER, .started = true }, SF_CLASS_INFRA },
	{ "FailureRule=config ExitCode=0", { OVER, .started = true }, SF_CLASS_INFRA },
	/* one of answers says nothing here */
	{ "FailureRule=capacity Operation=*\nFailureRule=config Code=*\nFailureRule=quota Reason=*", { NORMAL(7) },
	  SF_CLASS_EXITED },
	/* the first that fits */
	{ "FailureRule=oom ExitCode=8\nFailureRule=infra ExitCode=7\nFailureRule=config ExitCode=*", { NORMAL(7) },
	  SF_CLASS_INFRA },
	/* success is no failure; an exit code 0 that does not count is none */
	{ "FailureRule=infra ExitCode=0", { NORMAL(0) }, SF_CLASS_EXITED },
	{ "FailureRule=infra ExitCode=0",
	  { OVER, .started = true, .stop_code = "UserInitiated", .has_exit_code = true }, SF_CLASS_INFRA },
	/* our own stop */
	{ "FailureRule=infra StopCode=*", { NORMAL(7), .own_stop = true }, SF_CLASS_CANCELLED },
	/* not over */
	{ "FailureRule=infra StopCode=*", { .last_status = "STOPPING", .stop_code = "UserInitiated", .started = true },
	  SF_CLASS_RUNNING },
	{ "FailureRule=infra StopCode=*", { .last_status = "DEPROVISIONING", .stop_code = "TaskFailedToStart" },
	  SF_CLASS_LAUNCHING },
	{ "FailureRule=infra ExitCode=*",
	  { .last_status = "STOPPING", .desired_status = "STOPPED", .started = true, .has_exit_code = true, .exit_code = 7 },
	  SF_CLASS_RUNNING },
	/* the script may have run: it is not run again behind Slurm, the next line has its turn */
	{ "FailureRule=start-transient ExitCode=7\nFailureRule=capacity ExitCode=7", { NORMAL(7) }, SF_CLASS_EXITED },
	{ "FailureRule=start-transient ExitCode=7\nFailureRule=infra ExitCode=7", { NORMAL(7) }, SF_CLASS_INFRA },
	{ "FailureRule=start-transient StopCode=TaskFailedToStart", { OVER, .started = true, .stop_code = "TaskFailedToStart" },
	  SF_CLASS_UNKNOWN_LAUNCH },
};

START_TEST(tasks)
{
	sf_auto_conf struct sf_conf *conf = conf_of(task_rows[_i].rules);
	struct sf_task_signal s = task_rows[_i].s;

	s.rules = conf->rules;
	s.n_rules = conf->n_rules;
	ck_assert_msg(sf_verdict_task(&s) == task_rows[_i].want, "%s: %s, not %s", task_rows[_i].rules,
		      sf_class_name(sf_verdict_task(&s)), sf_class_name(task_rows[_i].want));
}
END_TEST

static char star[] = "*";

/* Rules that no file can hold: each class, with patterns that match whatever is there. */
static void rules_of_everything(enum sf_class c, struct sf_conf_rule out[7])
{
	struct sf_conf_rule *r = out;

	memset(out, 0, 7 * sizeof(*out));
	r++->operation = star;
	r++->code = star;
	r++->reason = star;
	r++->stop_code = star;
	r++->stopped_reason = star;
	r++->container_reason = star;
	r->exit_code = star;
	for (size_t i = 0; i < 7; i++)
		out[i].class = c;
}

START_TEST(no_class_of_a_rule_reaches_what_is_fixed)
{
	struct sf_conf_rule rules[7];
	struct sf_task_signal s;
	enum sf_class c, plain;
	unsigned bits;

	rules_of_everything((enum sf_class)_i, rules);
	for (bits = 0; bits < 64; bits++) {
		s = (struct sf_task_signal){
			.last_status = bits & 1 ? "STOPPED" : "STOPPING",
			.desired_status = "STOPPED",
			.stop_code = bits & 2 ? "EssentialContainerExited" : NULL,
			.stopped_reason = "x",
			.started = bits & 4,
			.has_exit_code = bits & 8,
			.exit_code = bits & 16 ? 7 : 0,
			.own_stop = bits & 32,
		};
		plain = sf_verdict_task(&s);
		s.rules = rules;
		s.n_rules = SF_COUNT(rules);
		c = sf_verdict_task(&s);
		ck_assert(c == plain || c == (enum sf_class)_i);
		if (!sf_class_is_end(plain) || plain == SF_CLASS_CANCELLED || c == SF_CLASS_EXITED)
			ck_assert_int_eq(c, plain);
		if (plain == SF_CLASS_EXITED && s.exit_code == 0)
			ck_assert_int_eq(c, plain);
		ck_assert(!sf_class_is_end(plain) || sf_class_is_end(c));
		ck_assert(sf_class_action(c) != SF_ACT_RELAUNCH || (!s.started && !s.has_exit_code));
	}
}
END_TEST

START_TEST(no_class_of_a_rule_makes_an_answer_what_it_is_not)
{
	static const char *const codes[] = { NULL, "ConflictException", "ClientException", "ThrottlingException", "New" };
	struct sf_conf_rule rules[7];
	struct sf_api_signal s;
	enum sf_class c, plain;
	size_t i, bits;

	rules_of_everything((enum sf_class)_i, rules);
	for (i = 0; i < SF_COUNT(codes); i++)
	for (bits = 0; bits < 8; bits++) {
		s = (struct sf_api_signal){ .read_only = bits & 1, .transport = bits & 2, .http = bits & 4 ? 500 : 400,
					    .code = codes[i], .operation = "RunTask" };
		plain = sf_verdict_api(&s);
		s.rules = rules;
		s.n_rules = SF_COUNT(rules);
		c = sf_verdict_api(&s);
		ck_assert(c == plain || sf_class_rule_uses(c));
		ck_assert(!s.read_only || sf_class_action(c) == SF_ACT_WAIT);
		if (plain == SF_CLASS_LAUNCHED || s.transport || !s.code)
			ck_assert_int_eq(c, plain);
		/* Whether there is a task is not known: the same request again, or what the table says. */
		if (s.http == 500 && c != plain)
			ck_assert(c == SF_CLASS_THROTTLE || c == SF_CLASS_CREDS);
		ck_assert(c != SF_CLASS_EXITED && c != SF_CLASS_OOM && c != SF_CLASS_PREEMPTED && c != SF_CLASS_INFRA);
	}
}
END_TEST

/* A line of both kinds, which no file can hold, speaks of neither. */
START_TEST(a_rule_of_both_kinds_is_of_none)
{
	struct sf_conf_rule rule = { .class = SF_CLASS_CONFIG, .code = star, .exit_code = star };
	struct sf_api_signal answer = { RUN_TASK, .code = "New", .rules = &rule, .n_rules = 1 };
	struct sf_task_signal task = { NORMAL(7), .rules = &rule, .n_rules = 1 };
	struct sf_conf_rule empty = { .class = SF_CLASS_CONFIG };

	ck_assert_int_eq(sf_verdict_api(&answer), SF_CLASS_UNKNOWN_LAUNCH);
	ck_assert_int_eq(sf_verdict_task(&task), SF_CLASS_EXITED);
	answer.rules = task.rules = &empty;
	ck_assert_int_eq(sf_verdict_api(&answer), SF_CLASS_UNKNOWN_LAUNCH);
	ck_assert_int_eq(sf_verdict_task(&task), SF_CLASS_EXITED);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ answers, SF_COUNT(answer_rows) },
		{ tasks, SF_COUNT(task_rows) },
		{ no_class_of_a_rule_reaches_what_is_fixed, SF_CLASS_COUNT },
		{ no_class_of_a_rule_makes_an_answer_what_it_is_not, SF_CLASS_COUNT },
		{ a_rule_of_both_kinds_is_of_none, 0 },
	};

	return tap_main("verdict_rules", tests, SF_COUNT(tests));
}
