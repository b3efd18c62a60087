/* Unit tests of common/base/conf.c and conf_lex.c: lines, keys, defaults and what must fit together. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf.h"

#include <string.h>

#include "common/base/names.h"
#include "common/base/text.h"
#include "tests/unit/tap.h"

#define NEED "Cluster=c TaskDefinition=t Subnets=subnet-a SecurityGroups=sg-1"
#define ANSWERS "AWS's answers (Operation, Code, Reason)"
#define TASKS "tasks (StopCode, StoppedReason, ContainerReason, ExitCode)"
#define PART(name) "PartitionName=" name " " NEED "\n"

static struct sf_conf *good(const char *text)
{
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_conf_parse("f", text, &conf, &err) == 0, "%s", err.text);
	return conf;
}

START_TEST(defaults_are_the_documented_ones)
{
	sf_auto_conf struct sf_conf *conf = good(PART("p"));
	const struct sf_conf_line *l = sf_conf_find(conf, "p");

	ck_assert_str_eq(conf->path, "f");
	ck_assert_str_eq(conf->socket, SF_DEFAULT_SOCKET);
	ck_assert_str_eq(conf->state_dir, SF_DEFAULT_STATE_DIR);
	ck_assert_ptr_null(conf->instance);
	ck_assert_uint_eq(conf->quota_refresh, 300);
	ck_assert_uint_eq(conf->quota_max_age, 900);
	ck_assert_uint_eq(conf->large_job_patience, 60);
	ck_assert_uint_eq(conf->slurm_poll, 5);
	ck_assert_uint_eq(conf->stop_grace, 5);
	ck_assert_uint_eq(conf->reattach_timeout, 300);
	ck_assert_uint_eq(conf->reconcile_interval, 60);
	ck_assert_ptr_null(conf->default_line);
	ck_assert_ptr_nonnull(l);
	ck_assert_ptr_null(l->region);
	ck_assert_ptr_null(l->profile);
	ck_assert_ptr_null(l->container);
	ck_assert_ptr_null(l->license);
	ck_assert_ptr_null(l->spot_license);
	ck_assert_uint_eq(sf_strv_len(l->providers), 1);
	ck_assert_str_eq(l->providers[0], "FARGATE");
	ck_assert(!l->is_default && !l->assign_public_ip && !l->allow_32vcpu && l->log_framing);
	ck_assert_uint_eq(l->retry_interval, 3);
	ck_assert_uint_eq(l->retry_max_attempts, 3);
	ck_assert_uint_eq(l->retry_backoff_rate, 5);
	ck_assert_uint_eq(l->retry_max_requeues, 3);
	ck_assert_uint_eq(l->start_timeout, 600);
	ck_assert_uint_eq(l->pull_timeout, 3600);
	ck_assert_uint_eq(l->log_grace, 15);
}
END_TEST

START_TEST(a_whole_file)
{
	sf_auto_conf struct sf_conf *conf = good(
		"# comment \\\n"
		"region=eu-west-1   # lower case key\r\n"
		"RetryInterval=4 RetryMaxAttempts = 5\n"
		"Socket=/run/a.sock StateDir=\"/var/lib/a b#c\"\n"
		"Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a,subnet-b \\  \n"
		"  SecurityGroups=sg-1\n"
		"\n"
		"PartitionName=fargate Default=yes Container=main Providers=FARGATE LogGrace=0\n"
		"LogGrace=20\n"
		"PartitionName=spot Cluster=hpc-spot Profile=\"my research\" \\\n"
		"\tTaskDefinition=arn:aws:ecs:eu-west-1:123456789012:task-definition/x:7 \\\n"
		"\tProviders=FARGATE_SPOT,FARGATE License=fargate SpotLicense=fargate_spot \\\n"
		"\tAllow32Vcpu=YES AssignPublicIp=YES LogFraming=NO RetryInterval=9");
	const struct sf_conf_line *a = sf_conf_find(conf, "fargate");
	const struct sf_conf_line *b = sf_conf_find(conf, "spot");
	sf_auto_free char *names = sf_conf_names(conf);

	ck_assert_str_eq(names, "fargate, spot");
	ck_assert_ptr_null(sf_conf_find(conf, "Fargate"));
	ck_assert_str_eq(conf->state_dir, "/var/lib/a b#c");
	ck_assert_str_eq(conf->socket, "/run/a.sock");
	ck_assert_ptr_eq(conf->default_line, a);
	ck_assert_uint_eq(a->line, 8);
	ck_assert_str_eq(a->region, "eu-west-1");
	ck_assert_str_eq(a->cluster, "hpc");
	ck_assert_str_eq(a->container, "main");
	ck_assert_uint_eq(a->retry_interval, 4);
	ck_assert_uint_eq(a->retry_max_attempts, 5);
	ck_assert_uint_eq(a->log_grace, 0);
	ck_assert_uint_eq(sf_strv_len(a->subnets), 2);
	ck_assert_str_eq(a->subnets[1], "subnet-b");
	ck_assert_uint_eq(b->line, 10);
	ck_assert_str_eq(b->cluster, "hpc-spot");
	ck_assert_str_eq(b->profile, "my research");
	ck_assert_str_eq(b->task_definition,
			 "arn:aws:ecs:eu-west-1:123456789012:task-definition/x:7");
	ck_assert_str_eq(b->providers[0], "FARGATE_SPOT");
	ck_assert_str_eq(b->license, "fargate");
	ck_assert_str_eq(b->spot_license, "fargate_spot");
	ck_assert(b->allow_32vcpu && b->assign_public_ip && !b->log_framing && !b->is_default);
	ck_assert_uint_eq(b->retry_interval, 9);
	ck_assert_uint_eq(b->log_grace, 20);
}
END_TEST

#define YES_NO "give YES or NO"
#define SUBNETS "give up to 16 different ids such as subnet-0a1b2c, separated by commas"
#define PROVIDERS "give FARGATE, FARGATE_SPOT or both, separated by a comma"
#define TASKDEF "give FAMILY, FAMILY:REVISION or the ARN of a task definition"
#define ECS_CLUSTER "give the name of an ECS cluster: 1 to 255 letters, digits, - and _"

static const struct {
	const char *text, *error;
} bad_rows[] = {
	{ "", "f: there is no PartitionName line" },
	{ "# nothing\nRegion=eu-west-1\n", "f: there is no PartitionName line" },
	{ "\nColour=blue\n", "f:2: unknown key Colour" },
	{ "PartitionName=p Colour=blue", "f:1: unknown key Colour" },
	{ "Region=a1\nRegion=a1\n", "f:2: duplicate Region (the first is on line 1)" },
	{ "PartitionName=p Cluster=a cluster=b", "f:1: duplicate Cluster" },
	{ PART("p") PART("q") PART("p"),
	  "f:3: duplicate PartitionName=p (the first is on line 1)" },
	{ "PartitionName=p PartitionName=q " NEED, "f:1: duplicate PartitionName" },
	{ "PartitionName=p Default=YES " NEED "\nPartitionName=q Default=YES " NEED,
	  "f:2: a second Default=YES (the first is on line 1)" },
	{ "Default=YES\n", "f:1: Default belongs on a PartitionName line" },
	{ "Region=a1 PartitionName=p " NEED, "f:1: PartitionName must come first on its line" },
	{ "PartitionName=p Socket=/s " NEED,
	  "f:1: Socket belongs at the top level, not on a PartitionName line" },
	{ "PartitionName=p TaskDefinition=t Subnets=subnet-a SecurityGroups=sg-1",
	  "f:1: PartitionName=p: Cluster is required" },
	{ "PartitionName=p Cluster=c Subnets=subnet-a SecurityGroups=sg-1",
	  "f:1: PartitionName=p: TaskDefinition is required" },
	{ "PartitionName=p Cluster=c TaskDefinition=t SecurityGroups=sg-1",
	  "f:1: PartitionName=p: Subnets is required" },
	{ "PartitionName=p Cluster=c TaskDefinition=t Subnets=subnet-a",
	  "f:1: PartitionName=p: SecurityGroups is required" },
	{ "\n\nPartitionName=p \\\n Cluster=c\nCluster=d",
	  "f:3: PartitionName=p: TaskDefinition is required" },
	{ "RetryInterval=0",
	  "f:1: RetryInterval=0 is not valid; give a whole number from 1 to 3600" },
	{ "RetryInterval=3s",
	  "f:1: RetryInterval=3s is not valid; give a whole number from 1 to 3600" },
	{ "RetryInterval=-1",
	  "f:1: RetryInterval=-1 is not valid; give a whole number from 1 to 3600" },
	{ "RetryInterval=99999999999999999999999",
	  "f:1: RetryInterval=99999999999999999999999 is not valid; give a whole number from 1 to "
	  "3600" },
	{ "PartitionName=p LogGrace=3601 " NEED,
	  "f:1: LogGrace=3601 is not valid; give a whole number from 0 to 3600" },
	{ "LogFraming=maybe", "f:1: LogFraming=maybe is not valid; " YES_NO },
	{ "Providers=FARGATE,FARGATE", "f:1: Providers=FARGATE,FARGATE is not valid; " PROVIDERS },
	{ "Providers=EC2", "f:1: Providers=EC2 is not valid; " PROVIDERS },
	{ "Providers=FARGATE,", "f:1: Providers=FARGATE, is not valid; " PROVIDERS },
	{ "Subnets=sg-1", "f:1: Subnets=sg-1 is not valid; " SUBNETS },
	{ "Subnets=subnet-", "f:1: Subnets=subnet- is not valid; " SUBNETS },
	{ "Subnets=subnet-a,subnet-a", "f:1: Subnets=subnet-a,subnet-a is not valid; " SUBNETS },
	{ "SecurityGroups=sg-1,sg-2,sg-3,sg-4,sg-5,sg-6",
	  "f:1: SecurityGroups=sg-1,sg-2,sg-3,sg-4,sg-5,sg-6 is not valid; give up to 5 different "
	  "ids such as sg-0a1b2c, separated by commas" },
	{ "Cluster=arn:x", "f:1: Cluster=arn:x is not valid; " ECS_CLUSTER },
	{ "TaskDefinition=a:b", "f:1: TaskDefinition=a:b is not valid; " TASKDEF },
	{ "TaskDefinition=a:0", "f:1: TaskDefinition=a:0 is not valid; " TASKDEF },
	{ "TaskDefinition=arn:aws:ec2:eu-west-1:1:task-definition/a:1",
	  "f:1: TaskDefinition=arn:aws:ec2:eu-west-1:1:task-definition/a:1 is not valid; "
	  TASKDEF },
	{ "Region=Ireland",
	  "f:1: Region=Ireland is not valid; give an AWS Region such as eu-west-1" },
	{ "Socket=agent.sock",
	  "f:1: Socket=agent.sock is not valid; give an absolute path of at most 107 bytes" },
	{ "StateDir=var", "f:1: StateDir=var is not valid; give an absolute path" },
	{ "Instance=a/b", "f:1: Instance=a/b is not valid; give 1 to 32 letters, digits and _" },
	{ "PartitionName=a,b " NEED, "f:1: PartitionName=a,b is not valid; give the name of one "
				     "partition of slurm.conf" },
	{ "PartitionName=DEFAULT " NEED, "f:1: PartitionName=DEFAULT is not valid; give the name "
					 "of one partition of slurm.conf" },
	{ "Region=", "f:1: Region has no value" },
	{ "Profile=\"\"", "f:1: Profile has no value" },
	{ "Profile=\"open", "f:1: a quote is not closed" },
	{ "Profile=a\"b c\"", "f:1: Profile: a quote may only enclose a whole value" },
	{ "Profile=\"a\"b", "f:1: Profile: a quote may only enclose a whole value" },
	{ "Region", "f:1: 'Region' is not Key=Value" },
	{ "=x", "f:1: '=x' is not Key=Value" },
	{ "Include /etc/slurm/more.conf", "f:1: Include is not supported: put every line into this file" },
	{ "Region=a1\n  include\tx", "f:2: Include is not supported: put every line into this file" },
	{ "INCLUDE=x", "f:1: Include is not supported: put every line into this file" },
	{ "Includes=x", "f:1: unknown key Includes" },
	{ "Region=a1 FailureRule=infra Code=x", "f:1: FailureRule must come first on its line" },
	{ "PartitionName=p FailureRule=infra " NEED, "f:1: FailureRule belongs on a FailureRule line" },
	{ "PartitionName=p Operation=RunTask " NEED, "f:1: Operation belongs on a FailureRule line" },
	{ "ExitCode=7", "f:1: ExitCode belongs on a FailureRule line" },
	{ "FailureRule=infra Region=a1", "f:1: Region belongs on a PartitionName line" },
	{ "FailureRule=infra SlurmPoll=5", "f:1: SlurmPoll belongs at the top level, not on a FailureRule line" },
	{ "FailureRule=infra Code=x Code=y", "f:1: duplicate Code" },
	{ "FailureRule=infra",
	  "f:1: FailureRule=infra matches everything; add one of Operation, Code, Reason, StopCode, StoppedReason, "
	  "ContainerReason, ExitCode" },
	{ "FailureRule=config Code=x ExitCode=7",
	  "f:1: FailureRule=config can never match: it speaks of " ANSWERS " and of " TASKS ", make it two lines" },
	{ "Region=a1\nFailureRule=oom Code=x", "f:2: FailureRule=oom can only be said of " TASKS },
	{ "FailureRule=preempted Operation=RunTask", "f:1: FailureRule=preempted can only be said of " TASKS },
	{ "FailureRule=infra Reason=x", "f:1: FailureRule=infra can only be said of " TASKS },
	{ "FailureRule=throttle ExitCode=7", "f:1: FailureRule=throttle can only be said of " ANSWERS },
	{ "FailureRule=creds StopCode=x", "f:1: FailureRule=creds can only be said of " ANSWERS },
	{ "FailureRule=quota ContainerReason=x", "f:1: FailureRule=quota can only be said of " ANSWERS },
	{ "QuotaMaxAge=10\n" PART("p") "QuotaRefresh=11\n",
	  "f:3: QuotaMaxAge=10 is shorter than QuotaRefresh=11: quotas would be too old before they are read again" },
	{ "QuotaMaxAge=299\n" PART("p"),
	  "f:1: QuotaMaxAge=299 is shorter than QuotaRefresh=300: quotas would be too old before they are read again" },
	{ "PartitionName=p Region=eu-west-1 Cluster=c TaskDefinition=arn:aws:ecs:us-east-1:123456789012:task-definition/x:7 "
	  "Subnets=subnet-a SecurityGroups=sg-1",
	  "f:1: PartitionName=p: TaskDefinition is in us-east-1, but Region=eu-west-1" },
	{ "Region=a1\\", "f: there is no PartitionName line" },
	{ "Region=a1 \\\n\\\nRegion=a2", "f:1: duplicate Region (the first is on line 1)" },
	{ "\xef\xbb\xbf" "Colour=blue", "f:1: unknown key Colour" },
	{ "Reg\033ion=x", "f:1: 'Reg?ion=x' is not Key=Value" },
	{ "Cluster=\033[2J", "f:1: Cluster=?[2J is not valid; " ECS_CLUSTER },
};

START_TEST(bad_files_are_refused_in_words)
{
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(sf_conf_parse("f", bad_rows[_i].text, &conf, &err), -1);
	ck_assert_str_eq(err.text, bad_rows[_i].error);
	ck_assert_ptr_null(conf);
	ck_assert_int_eq(sf_conf_parse("f", bad_rows[_i].text, &conf, NULL), -1);
}
END_TEST

START_TEST(lengths_are_bounded)
{
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	char text[6000] = "Cluster=";

	memset(text + 8, 'c', 256);
	ck_assert_int_eq(sf_conf_parse("f", text, &conf, &err), -1);
	ck_assert_msg(strstr(err.text, ECS_CLUSTER) != NULL, "%s", err.text);
	memset(text + 8, 'c', 5000);
	ck_assert_int_eq(sf_conf_parse("f", text, &conf, &err), -1);
	ck_assert_str_eq(err.text, "f:1: the value of Cluster is longer than 4096 bytes");
}
END_TEST

/* As editors of other systems leave files. */
START_TEST(line_ends_and_byte_order_marks_do_not_matter)
{
	static const char *const texts[] = {
		"\xef\xbb\xbf" PART("p"),
		"PARTITIONNAME=p CLUSTER=c taskdefinition=t Subnets=subnet-a \\\r\n SecurityGroups=sg-1\r\n",
		"PartitionName=p " NEED,
		"Profile = \"a b\"\r\n# x\r\n\r\nPartitionName = p " NEED " # y",
		"\n\n" PART("p") "\n \t\n",
	};
	size_t i;

	for (i = 0; i < SF_COUNT(texts); i++) {
		sf_auto_conf struct sf_conf *conf = good(texts[i]);

		ck_assert_ptr_nonnull(sf_conf_find(conf, "p"));
		ck_assert_str_eq(conf->lines[0].security_groups[0], "sg-1");
	}
}
END_TEST

START_TEST(the_last_holder_frees)
{
	struct sf_conf *conf = good(PART("p"));

	ck_assert_ptr_eq(sf_conf_hold(conf), conf);
	sf_conf_free(conf);
	ck_assert_str_eq(conf->lines[0].name, "p");
	sf_conf_free(conf);
	sf_conf_free(NULL);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ defaults_are_the_documented_ones, 0 },
		{ a_whole_file, 0 },
		{ bad_files_are_refused_in_words, SF_COUNT(bad_rows) },
		{ lengths_are_bounded, 0 },
		{ line_ends_and_byte_order_marks_do_not_matter, 0 },
		{ the_last_holder_frees, 0 },
	};

	return tap_main("conf", tests, SF_COUNT(tests));
}
