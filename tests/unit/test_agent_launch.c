/* From LAUNCH to a task: what is stored before RunTask, what is sent again, what is held. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "common/aws/sigv4.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define TASK_0 "0000000000000000000000000000abc0"
#define ARN_0 "arn:aws:ecs:eu-west-1:123456789012:task/hpc/" TASK_0

static char stored[16384];

static void look_into_the_store(const struct aws_seen *call)
{
	if (call->op == AWS_OP_RUN_TASK)
		sf_copy(stored, sizeof(stored), world_db("SELECT request FROM jobs WHERE job_id=17 AND stage=2 AND sent=1"));
}

static struct peer *prolog_for(uint32_t job)
{
	struct peer *prolog = peer_open(0);

	peer_launch(prolog, job, 0, SPEC_A);
	return prolog;
}

START_TEST(the_request_is_on_disk_before_the_call)
{
	world_start();
	aws_watcher = look_into_the_store;
	world_launch(17);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	ck_assert_str_eq(stored, aws_body(AWS_OP_RUN_TASK, 0));
	/* The outcome is definitive: users' values go. */
	UNTIL(world_db("SELECT request FROM jobs")[0] == '\0');
	ck_assert_str_eq(world_db("SELECT task_id FROM jobs"), TASK_0);
	ck_assert_str_eq(world_db("SELECT stage FROM jobs"), "3");
	world_end();
}
END_TEST

START_TEST(run_task_says_what_the_design_says)
{
	char token[65], head[1024], tail[1024];
	const char *text = "test 17 " SID_A " 0 1", *body;

	world_start();
	world_launch(17);
	body = aws_body(AWS_OP_RUN_TASK, 0);
	aws_sha256_hex(text, strlen(text), token);
	snprintf(head, sizeof(head),
		 "{\"clientToken\":\"%s\",\"cluster\":\"hpc\",\"count\":1,\"taskDefinition\":\"" DEFINITION
		 "\",\"launchType\":\"FARGATE\",\"networkConfiguration\":{\"awsvpcConfiguration\":{\"subnets\":[\"subnet-b\"],"
		 "\"securityGroups\":[\"sg-1\"],\"assignPublicIp\":\"DISABLED\"}},\"overrides\":{\"containerOverrides\":[{"
		 "\"name\":"
		 "\"main\",\"command\":[\"/bin/sh\",\"-c\",",
		 token);
	snprintf(tail, sizeof(tail),
		 "}],\"cpu\":\"1024\",\"memory\":\"2048\"},\"startedBy\":\"slurm/test-%s/17\",\"group\":\"slurm-1699999990-0-1\","
		 "\"tags\":[{\"key\":\"slurm:jobid\",\"value\":\"17\"},{\"key\":\"slurm:user\",\"value\":\"alice\"},{\"key\":"
		 "\"slurm:account\",\"value\":\"acct\"},{\"key\":\"slurm:partition\",\"value\":\"fargate\"},{\"key\":"
		 "\"slurm:cluster\",\"value\":\"test\"},{\"key\":\"slurm:jobname\",\"value\":\"job.sh\"}]}",
		 world.instance);
	ck_assert_msg(strncmp(body, head, strlen(head)) == 0, "%.*s", (int)strlen(head), body);
	ck_assert_msg(strlen(body) > strlen(tail) && strcmp(body + strlen(body) - strlen(tail), tail) == 0, "%s", body);
	ck_assert_ptr_nonnull(strstr(body, "\"slurm_script\",\"a\",\"b c\"]"));
	ck_assert_ptr_nonnull(strstr(body, "{\"name\":\"FOO\",\"value\":\"secret-value\"}"));
	ck_assert_ptr_nonnull(strstr(body, "{\"name\":\"SLURM_JOB_ID\",\"value\":\"17\"}"));
	world_end();
}
END_TEST

START_TEST(the_prolog_waits_for_running)
{
	struct peer *prolog;

	world_start();
	prolog = world_launch(17);
	UNTIL(slurm_count("comment 17") == 1);
	ck_assert_str_eq(slurm_nth("comment 17", 0), "comment 17 fargate: provisioning " TASK_0 " 1vCPU/2GB FARGATE -");
	aws_status(aws_task(0), "PENDING");
	world_run(10000);
	ck_assert_uint_eq(prolog->released, 0);
	ck_assert_str_eq(aws_body(AWS_OP_DESCRIBE_TASKS, 0), "{\"cluster\":\"hpc\",\"tasks\":[\"" TASK_0 "\"]}");
	aws_running(aws_task(0));
	UNTIL(prolog->released == 1 && prolog->eof);
	UNTIL(slurm_count("comment 17") == 2);
	ck_assert_str_eq(slurm_nth("comment 17", 1), "comment 17 fargate: running " TASK_0 " 1vCPU/2GB FARGATE eu-west-1a");
	ck_assert_uint_eq(slurm_count("end_time"), 0);
	world_end();
}
END_TEST

/* Nothing decided: the same bytes, until AWS answers. */
static const struct fake_answer again_rows[] = {
	{ .code = "ThrottlingException", .message = "Rate exceeded", .times = 3 },
	{ .code = "ServerException", .message = "oops", .http = 500, .times = 3 },
	{ .http = 503, .times = 3 },
	{ .code = "ExpiredTokenException", .message = "expired", .times = 3 },
	{ .transport = true, .times = 3 },
	{ .transport = true, .effect = true, .times = 3 },
};

START_TEST(undecided_answers_send_the_same_bytes_again)
{
	struct fake_answer a = again_rows[_i];
	size_t i;

	world_start();
	a.op = AWS_OP_RUN_TASK;
	aws_script(a);
	world_launch(17);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 4);
	for (i = 1; i < 4; i++) {
		ck_assert_str_eq(aws_body(AWS_OP_RUN_TASK, i), aws_body(AWS_OP_RUN_TASK, 0));
		ck_assert_int_gt(aws_nth(AWS_OP_RUN_TASK, i)->at, aws_nth(AWS_OP_RUN_TASK, i - 1)->at + 150);
	}
	ck_assert_uint_eq(aws_tasks(), 1);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	world_end();
}
END_TEST

START_TEST(a_conflict_adopts_the_task_it_names)
{
	world_start();
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK,
					 .effect = true,
					 .code = "ConflictException",
					 .message = "in use",
					 .body = "{\"resourceIds\":[\"" ARN_0 "\"]}" });
	world_launch(17);
	ck_assert_str_eq(world_job(17, 0)->row.task_id, TASK_0);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	world_end();
}
END_TEST

static const struct {
	struct fake_answer answer;
	const char *words;
} held_rows[] = {
	{ { .body = "{\"tasks\":[],\"failures\":[{\"reason\":\"The requested CPU configuration is above your limit.\"}]}" },
	  "RunTask: The requested CPU configuration is above your limit." },
	{ { .code = "AccessDeniedException", .message = "User is not authorized to perform: ecs:RunTask" },
	  "RunTask: AccessDeniedException: User is not authorized to perform: ecs:RunTask" },
	{ { .code = "ClusterNotFoundException", .message = "Cluster not found." },
	  "RunTask: ClusterNotFoundException: Cluster not found." },
	{ { .code = "ClientException", .message = "TaskDefinition is inactive" },
	  "RunTask: ClientException: TaskDefinition is inactive" },
	{ { .code = "NobodyKnowsException", .message = "hm" }, "RunTask: NobodyKnowsException: hm" },
	{ { .body = "{\"tasks\":[],\"failures\":[]}" }, "RunTask: AWS answered with neither a task nor a failure" },
	{ { .code = "ConflictException", .message = "x", .body = "{\"resourceIds\":[]}" },
	  "RunTask: ConflictException names no task" },
};

START_TEST(refusals_hold_the_job_with_awss_words)
{
	struct fake_answer a = held_rows[_i].answer;
	struct peer *prolog;
	char wanted[512];

	world_start();
	slurm_add(17, ALICE);
	a.op = AWS_OP_RUN_TASK;
	aws_script(a);
	prolog = prolog_for(17);
	UNTIL(prolog->released);
	/* Slurm's call comes first, the prolog's exit second. */
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	snprintf(wanted, sizeof(wanted), "comment 17 fargate: held - 1vCPU/2GB FARGATE -: %s", held_rows[_i].words);
	ck_assert_str_eq(slurm_nth("comment 17", slurm_count("comment 17") - 1), wanted);
	ck_assert_str_eq(world_db("SELECT request FROM jobs"), "");
	world_run(20000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	ck_assert_uint_eq(slurm_count("complete"), 0);
	world_end();
}
END_TEST

START_TEST(a_bad_definition_holds_and_names_it)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	aws_script((struct fake_answer){ .op = AWS_OP_DESCRIBE_TASK_DEFINITION,
					 .body = "{\"taskDefinition\":{\"taskDefinitionArn\":\"" DEFINITION
						 "\",\"networkMode\":\"bridge\"}}" });
	prolog = prolog_for(17);
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	ck_assert_str_eq(slurm_nth("comment 17", 0),
			 "comment 17 fargate: held - 1vCPU/2GB FARGATE -: task definition slurm-job:7: its "
			 "networkMode is bridge; Fargate needs awsvpc");
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	world_end();
}
END_TEST

START_TEST(a_definition_that_cannot_be_read_now_is_waited_for)
{
	world_start();
	aws_script((struct fake_answer){
		.op = AWS_OP_DESCRIBE_TASK_DEFINITION, .code = "AccessDeniedException", .message = "no", .times = 2 });
	world_launch(17);
	ck_assert_uint_eq(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION), 3);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	ck_assert(world_logged("AWS: DescribeTaskDefinition: AccessDeniedException: no"));
	ck_assert(world_logged("AWS answers again"));
	world_end();
}
END_TEST

START_TEST(a_burst_shares_one_definition_and_is_bounded)
{
	uint32_t id;

	world_start();
	aws_hold(AWS_OP_RUN_TASK, true);
	for (id = 1; id <= 30; id++) {
		slurm_add(id, ALICE);
		prolog_for(id);
		world_turn();
	}
	UNTIL(aws_count(AWS_OP_RUN_TASK) == LAUNCHES_FLYING_MAX);
	world_run(3000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), LAUNCHES_FLYING_MAX);
	aws_hold(AWS_OP_RUN_TASK, false);
	UNTIL(aws_tasks() == 30);
	world_run(3000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 30);
	ck_assert_uint_eq(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION), 1);
	world_end();
}
END_TEST

START_TEST(a_second_prolog_launches_nothing)
{
	struct peer *first, *second;

	world_start();
	first = world_launch(17);
	peer_shut(first);
	second = prolog_for(17);
	world_run(10000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	aws_running(aws_task(0));
	UNTIL(second->released == 1);
	world_end();
}
END_TEST

START_TEST(what_is_no_start_is_refused)
{
	struct peer *p;

	world_start();
	p = peer_open(0);
	peer_launch(p, 17, 0, "{\"v\":1}");
	UNTIL(p->refused[0]);
	ck_assert_str_eq(p->refused, "the spec cannot be read: member 'spec' is missing");
	ck_assert(!p->retry);
	p = peer_open(0);
	peer_launch(p, 0, 0, SPEC_A);
	UNTIL(p->refused[0]);
	ck_assert_str_eq(p->refused, "the frame names no job and restart count");
	ck_assert_uint_eq(world.n_jobs, 0);
	world_end();
}
END_TEST

START_TEST(slurms_record_must_fit_the_spec)
{
	struct fake_job *j;
	struct peer *prolog;

	world_start();
	j = slurm_add(17, ALICE);
	if (_i == 0)
		sf_copy(j->partition, sizeof(j->partition), "local");
	else
		j->cpus = 0;
	prolog = prolog_for(17);
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	ck_assert_ptr_nonnull(
		strstr(slurm_nth("comment 17", 0),
		       _i == 0 ? "held - 1vCPU/2GB FARGATE -: the job is in partition 'local', which has no line in fargate.conf"
			       : ": the job holds fewer CPUs in Slurm than its Fargate size has"));
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	world_end();
}
END_TEST

START_TEST(without_prolog_the_attach_launches_and_the_limit_moves)
{
	char wanted[64];
	struct peer *a;

	world_begin();
	slurm_prolog(false, 0);
	world_up();
	slurm_add(17, ALICE);
	slurm_running(17);
	slurm_refuse("end_time", 2);
	a = peer_attached(17, 0, TOKEN_A, SPEC_A);
	UNTIL(aws_tasks() == 1);
	aws_status(aws_task(0), "PENDING");
	UNTIL(slurm_count("comment 17 fargate: pending ") == 1);
	ck_assert_uint_eq(slurm_count("end_time"), 0);
	aws_running(aws_task(0));
	UNTIL(slurm_count("end_time 17") == 1);
	snprintf(wanted, sizeof(wanted), "end_time 17 %lld", (long long)(world_job(17, 0)->row.started + 60 * 60));
	ck_assert_str_eq(slurm_nth("end_time", 0), wanted);
	world_run(60000);
	ck_assert_uint_eq(slurm_count("end_time"), 1);
	ck_assert_int_eq(a->status, -1);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ the_request_is_on_disk_before_the_call, 0 },
		{ run_task_says_what_the_design_says, 0 },
		{ the_prolog_waits_for_running, 0 },
		{ undecided_answers_send_the_same_bytes_again, SF_COUNT(again_rows) },
		{ a_conflict_adopts_the_task_it_names, 0 },
		{ refusals_hold_the_job_with_awss_words, SF_COUNT(held_rows) },
		{ a_bad_definition_holds_and_names_it, 0 },
		{ a_definition_that_cannot_be_read_now_is_waited_for, 0 },
		{ a_burst_shares_one_definition_and_is_bounded, 0 },
		{ a_second_prolog_launches_nothing, 0 },
		{ what_is_no_start_is_refused, 0 },
		{ slurms_record_must_fit_the_spec, 2 },
		{ without_prolog_the_attach_launches_and_the_limit_moves, 0 },
	};

	return tap_main("agent_launch", tests, SF_COUNT(tests));
}
