/* Launching in doubt: a full disk, lost answers, tasks AWS does not show, slurmctld away. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/compat.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define TASK_0 "0000000000000000000000000000abc0"
#define ARN_0 "arn:aws:ecs:eu-west-1:123456789012:task/hpc/" TASK_0

static struct peer *prolog_for(uint32_t job)
{
	struct peer *prolog = peer_open(0);

	peer_launch(prolog, job, 0, SPEC_A);
	return prolog;
}

START_TEST(a_task_that_cannot_be_read_is_not_left_alone)
{
	world_start();
	slurm_add(17, ALICE);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK,
					 .effect = true,
					 .body = "{\"tasks\":[{\"taskArn\":\"" ARN_0
						 "\",\"createdAt\":\"yesterday\"}],\"failures\":[]}" });
	prolog_for(17);
	UNTIL(slurm_count("hold") || (world_job(17, 0) && world_job(17, 0)->row.task_id));
	/* AWS has a task of ours: it is followed (or at least stopped), never forgotten. */
	ck_assert_str_eq(world_db("SELECT task_id FROM jobs"), TASK_0);
	world_end();
}
END_TEST

START_TEST(no_disk_no_run_task)
{
	int i;

	world_start();
	slurm_add(17, ALICE);
	world_disk_full(true);
	prolog_for(17);
	for (i = 0; i < 400; i++)
		world_turn();
	world_disk_full(false);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	ck_assert(world.store_down);
	ck_assert(world_logged("; nothing new is launched until it can be written"));
	UNTIL(aws_tasks() == 1);
	ck_assert(world_logged("jobs.db can be written again"));
	ck_assert_str_eq(world_db("SELECT job_id FROM jobs"), "17");
	world_end();
}
END_TEST

START_TEST(an_old_unknown_outcome_is_held)
{
	size_t n;

	world_start();
	slurm_add(17, ALICE);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .transport = true, .times = 100000 });
	prolog_for(17);
	UNTIL(aws_count(AWS_OP_RUN_TASK) > 1);
	world_step = 5000;
	UNTIL(slurm_count("hold 17") == 1);
	ck_assert_int_ge(world_now - aws_nth(AWS_OP_RUN_TASK, 0)->at, 45 * 60 * 1000);
	ck_assert_str_eq(slurm_nth("comment 17", 0),
			 "comment 17 fargate: held - 1vCPU/2GB FARGATE -: launch outcome unknown; see sfargate show");
	n = aws_count(AWS_OP_RUN_TASK);
	world_run(300000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), n);
	world_end();
}
END_TEST

START_TEST(a_young_task_may_be_missing)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	/* Throttled for longer than MISSING's grace: the task is young all the same. */
	aws_script((struct fake_answer){
		.op = AWS_OP_RUN_TASK, .code = "ThrottlingException", .message = "Rate exceeded", .times = _i ? 30 : 0 });
	aws_script(
		(struct fake_answer){ .op = AWS_OP_DESCRIBE_TASKS,
				      .times = 2,
				      .body = "{\"tasks\":[],\"failures\":[{\"arn\":\"" ARN_0 "\",\"reason\":\"MISSING\"}]}" });
	world_step = _i ? 1000 : 50;
	prolog = prolog_for(17);
	UNTIL(aws_count(AWS_OP_DESCRIBE_TASKS) >= 3 || slurm_count("hold"));
	ck_assert_uint_eq(slurm_count("hold"), 0);
	aws_running(aws_task(0));
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	world_end();
}
END_TEST

START_TEST(a_lost_task_is_infra)
{
	struct peer *prolog;

	world_start();
	prolog = world_launch(17);
	aws_task(0)->missing = true;
	world_run(100000);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	world_run(30000);
	ck_assert_uint_eq(slurm_count("requeue 17"), 1);
	ck_assert(prolog->released);
	ck_assert_ptr_nonnull(strstr(slurm_nth("begin 17", 0), "DescribeTasks: MISSING; AWS no longer knows the task"));
	world_end();
}
END_TEST

START_TEST(another_refusal_to_describe_ends_nothing)
{
	struct peer *prolog;

	world_start();
	prolog = world_launch(17);
	aws_script((struct fake_answer){ .op = AWS_OP_DESCRIBE_TASKS,
					 .times = 1000,
					 .body = "{\"tasks\":[],\"failures\":[{\"arn\":\"" ARN_0
						 "\",\"reason\":\"Internal error.\"}]}" });
	world_run(300000);
	ck_assert_uint_ge(aws_count(AWS_OP_DESCRIBE_TASKS), 100);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	ck_assert(!prolog->released);
	world_end();
}
END_TEST

START_TEST(calls_that_cannot_start_are_tried_again)
{
	world_start();
	aws_offline = true;
	slurm_add(17, ALICE);
	prolog_for(17);
	UNTIL(world_logged("AWS: no credentials"));
	world_run(30000);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	aws_offline = false;
	UNTIL(aws_tasks() == 1);
	world_end();
}
END_TEST

START_TEST(slurm_away_is_waited_for)
{
	struct peer *p;

	world_begin();
	slurm_down(true);
	world_boot();
	p = prolog_for(17);
	UNTIL(p->refused[0]);
	ck_assert_str_eq(p->refused, "the agent is still asking slurmctld for its configuration");
	ck_assert(p->retry);
	slurm_down(false);
	UNTIL(world.cluster_known);
	world_launch(17);
	world_end();
}
END_TEST

START_TEST(a_prolog_timeout_refuses_prolog_mode)
{
	struct peer *p;

	world_begin();
	slurm_prolog(true, 60);
	world_boot();
	UNTIL(world.cluster_problem[0]);
	p = prolog_for(17);
	UNTIL(p->refused[0]);
	ck_assert_str_eq(p->refused,
			 COMPAT_PROLOG_KEYS
			 " is set in slurm.conf: it would kill a waiting fargate-prolog; remove it, or "
			 "PrologSlurmctld");
	ck_assert(p->retry);
	slurm_prolog(true, 0);
	UNTIL(world.cluster_known);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_task_that_cannot_be_read_is_not_left_alone, 0 },
		{ no_disk_no_run_task, 0 },
		{ an_old_unknown_outcome_is_held, 0 },
		{ a_young_task_may_be_missing, 2 },
		{ a_lost_task_is_infra, 0 },
		{ another_refusal_to_describe_ends_nothing, 0 },
		{ calls_that_cannot_start_are_tried_again, 0 },
		{ slurm_away_is_waited_for, 0 },
		{ a_prolog_timeout_refuses_prolog_mode, 0 },
	};

	return tap_main("agent_doubt", tests, SF_COUNT(tests));
}
