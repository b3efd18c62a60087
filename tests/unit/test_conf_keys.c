/* Unit tests of common/base/conf_keys.c: every key, its bounds, its warning, and the effective configuration. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf_keys.h"

#include <string.h>

#include "common/base/conf.h"
#include "common/base/text.h"
#include "tests/unit/tap.h"

#define NEED "Cluster=c TaskDefinition=t Subnets=subnet-a SecurityGroups=sg-1"
#define PART "PartitionName=p " NEED
#define ECS "1 to 255 letters, digits, - and _"
#define PATTERNS "give up to 64 different patterns of FAMILY or FAMILY:REVISION such as bio-*, separated by commas"
#define GROUPS "give ALL or up to 128 different names of groups, separated by commas"
#define ACCOUNTS "give ALL or up to 128 different names of accounts, separated by commas"
#define CLASSES \
	"give one of oom, throttle, creds, capacity, quota, quota-size, start-transient, start-permanent, config, preempted, " \
	"infra"
#define DEFINITION "give FAMILY, FAMILY:REVISION or the ARN of a task definition"
#define LICENSE "give the name of a license of slurm.conf"
#define GLOB "give a pattern of printable characters"
#define EXIT "give an exit code from 0 to 255 or a pattern such as 7*"
#define TOPIC "give the ARN of an SNS topic"
#define WHOLE(min, max) "give a whole number from " #min " to " #max
#define YES_NO "give YES or NO"

/* A value that is refused, and what is allowed. On a line of its own for keys of the top level, else on its own line type. */
static const struct {
	const char *key, *value, *allowed;
} bad[] = {
	{ "PartitionName", "a#b", "give the name of one partition of slurm.conf" },
	{ "PartitionName", "default", "give the name of one partition of slurm.conf" },
	{ "FailureRule", "exited", CLASSES },
	{ "FailureRule", "running", CLASSES },
	{ "FailureRule", "cancelled", CLASSES },
	{ "FailureRule", "nonsense", CLASSES },
	{ "Default", "1", YES_NO },
	{ "Implicit", "maybe", YES_NO },
	{ "Adopt", "true", YES_NO },
	{ "Region", "eu_west", "give an AWS Region such as eu-west-1" },
	{ "Region", "1eu", "give an AWS Region such as eu-west-1" },
	{ "Profile", "[x]", "give the name of a profile of AWS's configuration files" },
	{ "Cluster", "a/b", "give the name of an ECS cluster: " ECS },
	{ "TaskDefinition", "a:1:2", DEFINITION },
	{ "TaskDefinition", "arn:aws:ecs:eu-west-1:1:cluster/a", DEFINITION },
	{ "TaskDefinition", "arn:aws:sns:eu-west-1:1:task-definition/a:1", DEFINITION },
	{ "TaskDefinitions", "a b", PATTERNS },
	{ "TaskDefinitions", "a/*", PATTERNS },
	{ "TaskDefinitions", "a[b", PATTERNS },
	{ "TaskDefinitions", "a,,b", PATTERNS },
	{ "TaskDefinitions", "a*,a*", PATTERNS },
	{ "Container", "a.b", "give the name of a container: " ECS },
	{ "Subnets", "subnet-a;subnet-b", "give up to 16 different ids such as subnet-0a1b2c, separated by commas" },
	{ "SecurityGroups", "subnet-1", "give up to 5 different ids such as sg-0a1b2c, separated by commas" },
	{ "AssignPublicIp", "ENABLED", YES_NO },
	{ "Providers", "fargate", "give FARGATE, FARGATE_SPOT or both, separated by a comma" },
	{ "Providers", "FARGATE,FARGATE_SPOT,FARGATE", "give FARGATE, FARGATE_SPOT or both, separated by a comma" },
	{ "Allow32Vcpu", "2", YES_NO },
	{ "LogFraming", "off", YES_NO },
	{ "LogGrace", "3601", WHOLE(0, 3600) },
	{ "LogGrace", "1.5", WHOLE(0, 3600) },
	{ "AllowGroups", "a,", GROUPS },
	{ "AllowGroups", "a,a", GROUPS },
	{ "AllowAccounts", ",a", ACCOUNTS },
	{ "MaxVcpu", "0", "give UNLIMITED or a whole number from 1 to 1000000" },
	{ "MaxVcpu", "1000001", "give UNLIMITED or a whole number from 1 to 1000000" },
	{ "MaxVcpu", "many", "give UNLIMITED or a whole number from 1 to 1000000" },
	{ "License", "a:4", LICENSE },
	{ "SpotLicense", "a,b", LICENSE },
	{ "RetryInterval", "0", WHOLE(1, 3600) },
	{ "RetryInterval", "3601", WHOLE(1, 3600) },
	{ "RetryMaxAttempts", "101", WHOLE(0, 100) },
	{ "RetryMaxAttempts", "-1", WHOLE(0, 100) },
	{ "RetryBackoffRate", "0", WHOLE(1, 100) },
	{ "RetryBackoffRate", "101", WHOLE(1, 100) },
	{ "RetryMaxRequeues", "1001", WHOLE(0, 1000) },
	{ "StartTimeout", "0", WHOLE(1, 86400) },
	{ "StartTimeout", "86401", WHOLE(1, 86400) },
	{ "PullTimeout", "0", WHOLE(1, 86400) },
	{ "PullTimeout", "86401", WHOLE(1, 86400) },
	{ "AlertTopic", "arn:aws:ecs:eu-west-1:123456789012:x", TOPIC },
	{ "AlertTopic", "arn:aws:sns:eu-west-1:123456789012:", TOPIC },
	{ "AlertTopic", "mail@example.org", TOPIC },
	{ "AlertOn", "never", "give launch or failed" },
	{ "Socket",
	  "/012345678901234567890123456789012345678901234567890123"
	  "456789012345678901234567890123456789012345678901234567",
	  "give an absolute path of at most 107 bytes" },
	{ "StateDir", "./x", "give an absolute path" },
	{ "StateDir", "/a\033b", "give an absolute path" },
	{ "Instance", "a-b", "give 1 to 32 letters, digits and _" },
	{ "ReserveVcpu", "1000001", WHOLE(0, 1000000) },
	{ "QuotaRefresh", "0", WHOLE(1, 86400) },
	{ "QuotaRefresh", "86401", WHOLE(1, 86400) },
	{ "QuotaMaxAge", "0", WHOLE(1, 86400) },
	{ "QuotaMaxAge", "86401", WHOLE(1, 86400) },
	{ "LargeJobPatience", "86401", WHOLE(0, 86400) },
	{ "SlurmPoll", "0", WHOLE(1, 300) },
	{ "SlurmPoll", "301", WHOLE(1, 300) },
	{ "StopGrace", "3601", WHOLE(0, 3600) },
	{ "StopGrace", "4294967296", WHOLE(0, 3600) },
	{ "ReattachTimeout", "0", WHOLE(1, 86400) },
	{ "ReconcileInterval", "86401", WHOLE(1, 86400) },
	{ "ReconcileInterval", "0", WHOLE(1, 86400) },
	{ "Operation", "Run\tTask", GLOB },
	{ "Code", "a\033", GLOB },
	{ "Reason", "a[b", GLOB },
	{ "StopCode", "\177", GLOB },
	{ "StoppedReason", "\xc3\xa4", GLOB },
	{ "ContainerReason", "[", GLOB },
	{ "ExitCode", "256", EXIT },
	{ "ExitCode", "x", EXIT },
	{ "ExitCode", "0000", EXIT },
};

static void line_of(const struct sf_key *k, const char *value, char *out, size_t size)
{
	if (k == &sf_keys[SF_KEY_PARTITION])
		snprintf(out, size, "PartitionName=\"%s\" " NEED "\n", value);
	else if (k == &sf_keys[SF_KEY_FAILURE])
		snprintf(out, size, "FailureRule=\"%s\" Code=x\n" PART "\n", value);
	else if (k->scope == SF_KEY_LINE)
		snprintf(out, size, PART " %s=\"%s\"\n", k->name, value);
	else if (k->scope == SF_KEY_RULE)
		snprintf(out, size, "FailureRule=infra %s=\"%s\"\n" PART "\n", k->name, value);
	else
		snprintf(out, size, "%s=\"%s\"\n" PART "\n", k->name, value);
}

START_TEST(every_key_refuses_bad_values_in_words)
{
	const struct sf_key *k = sf_key_find(bad[_i].key);
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	char text[1024], want[SF_ERROR_MAX];

	ck_assert_msg(k != NULL, "no key %s", bad[_i].key);
	line_of(k, bad[_i].value, text, sizeof(text));
	snprintf(want, sizeof(want), "f:1: %s=%.80s is not valid; %s", k->name, bad[_i].value, bad[_i].allowed);
	sf_text_clean(want);
	ck_assert_msg(sf_conf_parse("f", text, &conf, &err) == -1, "%s was taken", text);
	ck_assert_str_eq(err.text, want);
	ck_assert_ptr_null(conf);
}
END_TEST

START_TEST(the_table_above_knows_every_key)
{
	size_t i, j;

	for (i = 0; i < sf_n_keys; i++) {
		for (j = 0; j < SF_COUNT(bad) && strcmp(bad[j].key, sf_keys[i].name) != 0; j++)
			;
		ck_assert_msg(j < SF_COUNT(bad), "no bad value for %s", sf_keys[i].name);
	}
}
END_TEST

/* Every key with a value that is not its default, as sf_conf_text() writes it. */
static const char everything[] =
	"Socket=/run/a.sock\n"
	"StateDir=\"/var/lib/a b#c\"\n"
	"Instance=abc\n"
	"ReserveVcpu=8\n"
	"QuotaRefresh=60\n"
	"QuotaMaxAge=61\n"
	"LargeJobPatience=0\n"
	"SlurmPoll=300\n"
	"StopGrace=3600\n"
	"ReattachTimeout=86400\n"
	"ReconcileInterval=1\n"
	"FailureRule=capacity Operation=RunTask Code=Client* Reason=\"no room [a-z]*\"\n"
	"FailureRule=infra StopCode=TaskFailedToStart StoppedReason=\"* lost #1\" ContainerReason=\"back\\slash\" "
	"ExitCode=7?\n"
	"PartitionName=p Default=YES Implicit=YES Adopt=YES Region=us-gov-east-1 Profile=\"my research\" "
	"Cluster=hpc TaskDefinition=arn:aws-us-gov:ecs:us-gov-east-1:123456789012:task-definition/x:7 "
	"TaskDefinitions=bio-*,x[0-9]:? Container=main Subnets=subnet-a,subnet-b SecurityGroups=sg-1,sg-2 "
	"AssignPublicIp=YES Providers=FARGATE_SPOT,FARGATE Allow32Vcpu=YES LogFraming=NO LogGrace=0 "
	"AllowGroups=\"domain users,bio\" AllowAccounts=lab1,lab2 MaxVcpu=200 License=fargate "
	"SpotLicense=fargate_spot RetryInterval=3600 RetryMaxAttempts=0 RetryBackoffRate=100 RetryMaxRequeues=1000 "
	"StartTimeout=1 PullTimeout=86400 AlertTopic=arn:aws-us-gov:sns:us-gov-east-1:123456789012:ops "
	"AlertOn=failed\n"
	"PartitionName=q Default=NO Implicit=NO Adopt=NO Cluster=c TaskDefinition=t Subnets=subnet-a "
	"SecurityGroups=sg-1 AssignPublicIp=NO Providers=FARGATE Allow32Vcpu=NO LogFraming=YES LogGrace=15 "
	"AllowGroups=ALL AllowAccounts=ALL MaxVcpu=UNLIMITED RetryInterval=3 RetryMaxAttempts=3 RetryBackoffRate=5 "
	"RetryMaxRequeues=3 StartTimeout=600 PullTimeout=3600 AlertOn=launch\n";

static struct sf_conf *good(const char *text)
{
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_conf_parse("f", text, &conf, &err) == 0, "%s\n%s", err.text, text);
	return conf;
}

/* The rules that are built in stand below, in their order, and each class with what it leads to. */
static void only_comments(const char *text)
{
	static const char *const lines[] = {
		("# Built-in rules, tried in this order after the FailureRule lines above; the first that fits decides:\n"
		 "# capacity: a call that changes something: failures[].reason has \"capacity is unavailable\", "),
		"\n# cancelled: a task that we stopped\n",
		"\n# unknown-end: any other task that ended\n# What Slurm sees of each class:\n# launching: ",
		"\n# exited: COMPLETED or FAILED N:0\n",
	};
	const char *p = text;
	size_t i;

	for (i = 0; i < SF_COUNT(lines); i++) {
		p = strstr(p, lines[i]);
		ck_assert_msg(p != NULL, "no '%s' in\n%s", lines[i], text);
	}
	for (p = text; *p; p += strcspn(p, "\n") + 1)
		ck_assert_msg(strncmp(p, "# ", 2) == 0, "%s", p);
}

START_TEST(the_text_round_trips)
{
	sf_auto_conf struct sf_conf *conf = good(everything);
	sf_auto_free char *text = sf_conf_text(conf);
	size_t i;

	ck_assert_ptr_eq(strstr(text, everything), text);
	only_comments(text + strlen(everything));
	for (i = 0; i < sf_n_keys; i++)
		ck_assert_msg(strstr(everything, sf_keys[i].name) != NULL, "%s is not in there", sf_keys[i].name);
	ck_assert_uint_eq(conf->reserve_vcpu, 8);
	ck_assert_uint_eq(conf->n_rules, 2);
	ck_assert_uint_eq(conf->rules[0].line, 12);
	ck_assert_int_eq((int)conf->rules[0].class, SF_CLASS_CAPACITY);
	ck_assert_str_eq(conf->rules[0].reason, "no room [a-z]*");
	ck_assert_ptr_null(conf->rules[0].exit_code);
	ck_assert_str_eq(conf->rules[1].container_reason, "back\\slash");
	ck_assert(conf->lines[0].adopt && conf->lines[0].implicit && conf->lines[0].alert_on == SF_ALERT_FAILED);
	ck_assert_str_eq(conf->lines[0].allow_groups[0], "domain users");
	ck_assert_str_eq(conf->lines[0].task_definitions[1], "x[0-9]:?");
	ck_assert_uint_eq(conf->lines[0].max_vcpu, 200);
	ck_assert_ptr_null(conf->lines[1].allow_groups);
	ck_assert_uint_eq(conf->lines[1].max_vcpu, 0);
}
END_TEST

static void holds(const char *text, const char *part)
{
	ck_assert_msg(strstr(text, part) != NULL, "no '%s' in\n%s", part, text);
}

START_TEST(defaults_come_out_too)
{
	sf_auto_conf struct sf_conf *conf = good("Region=eu-west-1 LogGrace=7\nSlurmPoll=9\n" PART "\n");
	sf_auto_free char *text = sf_conf_text(conf);
	sf_auto_conf struct sf_conf *again = good(text);
	sf_auto_free char *text_again = sf_conf_text(again);

	ck_assert_str_eq(text, text_again);
	ck_assert_ptr_eq(strstr(text, "Socket=/run/slurm-fargate/agent.sock\nStateDir=/var/lib/slurm-fargate\n"), text);
	holds(text, "\nSlurmPoll=9\nStopGrace=5\n");
	holds(text, "\nPartitionName=p Default=NO Implicit=NO Adopt=NO Region=eu-west-1 Cluster=c ");
	holds(text, " LogGrace=7 AllowGroups=ALL AllowAccounts=ALL MaxVcpu=UNLIMITED RetryInterval=3 ");
	ck_assert_msg(!strstr(text, "License=") && !strstr(text, "Instance=") && !strstr(text, "Profile="), "%s", text);
}
END_TEST

START_TEST(a_line_takes_back_what_the_top_level_limits)
{
	sf_auto_conf struct sf_conf *conf = good("MaxVcpu=4 AllowGroups=a AllowAccounts=b Implicit=YES\n" PART "\n"
						 "PartitionName=q MaxVcpu=unlimited AllowGroups=all AllowAccounts=ALL "
						 "Implicit=no " NEED "\n");

	ck_assert_uint_eq(conf->lines[0].max_vcpu, 4);
	ck_assert_str_eq(conf->lines[0].allow_groups[0], "a");
	ck_assert_str_eq(conf->lines[0].allow_accounts[0], "b");
	ck_assert(conf->lines[0].implicit && !conf->lines[1].implicit);
	ck_assert_uint_eq(conf->lines[1].max_vcpu, 0);
	ck_assert_ptr_null(conf->lines[1].allow_groups);
	ck_assert_ptr_null(conf->lines[1].allow_accounts);
}
END_TEST

/* What is kept for a later version is said once per key, with the first line that sets it, and for nothing else. */
START_TEST(keys_without_effect_are_warned_about)
{
	sf_auto_conf struct sf_conf *conf = good("ReattachTimeout=3\n" PART " RetryInterval=4 Adopt=YES Default=YES\n"
						 "PartitionName=q Adopt=NO Providers=FARGATE,FARGATE_SPOT " NEED "\n"
						 "FailureRule=config Code=x\nFailureRule=config Code=y\n");
	static const char *const want[] = {
		"f:2: Adopt has no effect in this version",
		"f:1: ReattachTimeout has no effect in this version",
	};
	size_t i;

	ck_assert_uint_eq(sf_strv_len(conf->warnings), SF_COUNT(want));
	for (i = 0; i < SF_COUNT(want); i++)
		ck_assert_str_eq(conf->warnings[i], want[i]);
}
END_TEST

START_TEST(a_plain_file_has_no_warning)
{
	sf_auto_conf struct sf_conf *conf = good(PART " AllowGroups=a MaxVcpu=1 Implicit=YES LogGrace=3\n");

	ck_assert_ptr_null(conf->warnings);
}
END_TEST

START_TEST(rules_speak_of_classes_as_verdicts_do)
{
	const struct sf_key *k = &sf_keys[SF_KEY_FAILURE];
	size_t i;

	ck_assert_uint_eq(k->n_words, SF_CLASS_COUNT);
	for (i = 0; i < k->n_words; i++) {
		ck_assert_int_eq(k->words[i] != NULL, sf_class_rule_uses((enum sf_class)i) != 0);
		if (k->words[i])
			ck_assert_str_eq(k->words[i], sf_class_name((enum sf_class)i));
	}
	ck_assert_ptr_null(k->words[SF_CLASS_EXITED]);
	ck_assert_ptr_null(k->words[SF_CLASS_CANCELLED]);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ every_key_refuses_bad_values_in_words, SF_COUNT(bad) },
		{ the_table_above_knows_every_key, 0 },
		{ the_text_round_trips, 0 },
		{ defaults_come_out_too, 0 },
		{ a_line_takes_back_what_the_top_level_limits, 0 },
		{ keys_without_effect_are_warned_about, 0 },
		{ a_plain_file_has_no_warning, 0 },
		{ rules_speak_of_classes_as_verdicts_do, 0 },
	};

	return tap_main("conf_keys", tests, SF_COUNT(tests));
}
