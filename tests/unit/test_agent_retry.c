/* Tries that come to nothing: the budget, the ladder, waiting for the quota, stuck starts, ghosts, and going back to Slurm. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define ENI "Timeout waiting for network interface provisioning to complete."
#define CAPACITY "Capacity is unavailable at this time. Please try again later or in a different availability zone"
#define VCPUS "You\xe2\x80\x99ve reached the limit on the number of vCPUs you can run concurrently"
#define FAILURE(text) "{\"tasks\":[],\"failures\":[{\"reason\":\"" text "\"}]}"

/* What RunTask answers, so often. */
static void refuse(const char *body, int times)
{
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .body = body, .times = times });
}

static struct peer *start(uint32_t id)
{
	struct peer *p;

	if (!slurm_job(id))
		slurm_add(id, ALICE);
	p = peer_open(0);
	peer_launch(p, id, slurm_job(id)->restart, SPEC_A);
	return p;
}

static size_t tries(void)
{
	return aws_count(AWS_OP_RUN_TASK);
}

/* Its body says that subnet and provider. */
static void check_rung(size_t n, const char *subnet, bool spot)
{
	const char *body = aws_body(AWS_OP_RUN_TASK, n);
	char wanted[64];

	snprintf(wanted, sizeof(wanted), "\"subnets\":[\"%s\"]", subnet);
	ck_assert_msg(strstr(body, wanted) != NULL, "try %zu: %s", n, body);
	ck_assert_msg((strstr(body, "FARGATE_SPOT") != NULL) == spot, "try %zu: %s", n, body);
}

static const char *token_of(size_t n)
{
	return strstr(aws_body(AWS_OP_RUN_TASK, n), "\"clientToken\"");
}

/* --- attempts --------------------------------------------------------------------------------------------------------- */
START_TEST(a_start_that_fails_is_tried_again_and_then_requeued)
{
	struct peer *prolog;
	size_t n;
	char text[256];

	world_start();
	prolog = start(17);
	for (n = 1; n <= 4; n++) {
		UNTIL(aws_tasks() == n);
		ck_assert_uint_eq(slurm_count("requeue"), 0);
		ck_assert(!prolog->released);
		aws_stopped(aws_task(n - 1), "TaskFailedToStart", ENI);
	}
	UNTIL(prolog->released);
	ck_assert_uint_eq(tries(), 4); /* 1 + RetryMaxAttempts */
	ck_assert_uint_eq(slurm_count("hold"), 0);
	ck_assert_uint_eq(slurm_count("requeue 17"), 1);
	snprintf(text, sizeof(text), "begin 17 60 fargate: retry %s 1vCPU/2GB FARGATE eu-west-1a: " ENI "; requeued, not before 60 s from then",
		 aws_task(3)->id);
	ck_assert_str_eq(slurm_nth("begin 17", 0), text);
	/* Each has a token of its own, and was made only after AWS had shown no task. */
	ck_assert_str_ne(token_of(0), token_of(1));
	ck_assert_uint_ge(aws_count(AWS_OP_LIST_TASKS), 3);
	for (n = 1; n < 4; n++) {
		ck_assert_int_ge(aws_nth(AWS_OP_RUN_TASK, n)->at, aws_nth(AWS_OP_LIST_TASKS, n - 1)->at);
		ck_assert_int_ge(aws_nth(AWS_OP_LIST_TASKS, n - 1)->at - aws_nth(AWS_OP_RUN_TASK, n - 1)->at, 5000);
	}
	world_end();
}
END_TEST

/* Every try fails, in every start Slurm makes. */
static void exhaust(uint32_t restart)
{
	struct peer *prolog;

	slurm_restart(17, restart, LIFE_ACTIVE);
	prolog = start(17);
	while (!prolog->released) {
		if (aws_tasks() && strcmp(aws_task(aws_tasks() - 1)->last, "STOPPED") != 0)
			aws_stopped(aws_task(aws_tasks() - 1), "TaskFailedToStart", ENI);
		world_turn();
	}
}

START_TEST(the_delay_doubles_and_then_the_job_is_held)
{
	static const char *const begins[] = { "begin 17 60 ", "begin 17 120 ", "begin 17 240 " };
	uint32_t n;

	world_keys = "RetryMaxAttempts=0";
	world_start();
	slurm_add(17, ALICE);
	for (n = 0; n < 3; n++) {
		exhaust(n);
		ck_assert_msg(strncmp(slurm_nth("begin 17", n), begins[n], strlen(begins[n])) == 0, "%s", slurm_nth("begin 17", n));
	}
	ck_assert_uint_eq(slurm_count("hold"), 0);
	/* The count outlives the agent. */
	world_down();
	world_up();
	exhaust(3);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	ck_assert_uint_eq(slurm_count("requeue"), 3);
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 17 fargate: held", 0), ": " ENI));
	world_end();
}
END_TEST

START_TEST(a_job_that_may_not_be_requeued_fails_to_boot)
{
	struct peer *prolog;

	world_keys = "RetryMaxAttempts=0";
	world_start();
	slurm_add(17, ALICE)->no_requeue = true;
	prolog = start(17);
	UNTIL(aws_tasks() == 1);
	aws_stopped(aws_task(0), "TaskFailedToStart", ENI);
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("boot_fail 17"), 1);
	ck_assert_uint_eq(slurm_count("begin"), 0);
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 17 fargate: held", 0), ENI));
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(slurm_count("boot_fail"), 1);
	world_end();
}
END_TEST

START_TEST(a_refused_begin_is_asked_again_and_never_requeues_twice)
{
	struct peer *prolog;

	world_keys = "RetryMaxAttempts=0";
	world_start();
	slurm_refuse("begin", 2);
	prolog = start(17);
	UNTIL(aws_tasks() == 1);
	aws_stopped(aws_task(0), "TaskFailedToStart", ENI);
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("requeue 17"), 1);
	ck_assert_uint_eq(slurm_count("begin 17 60"), 1);
	world_end();
}
END_TEST

START_TEST(attempts_survive_the_agent)
{
	struct peer *prolog;

	world_keys = "RetryMaxAttempts=1";
	world_start();
	start(17);
	UNTIL(aws_tasks() == 1);
	aws_stopped(aws_task(0), "TaskFailedToStart", ENI);
	UNTIL(world_job(17, 0)->row.attempts == 1);
	world_run(300);
	world_down();
	world_up();
	prolog = start(17);
	UNTIL(aws_tasks() == 2);
	aws_stopped(aws_task(1), "TaskFailedToStart", ENI);
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("requeue 17"), 1);
	ck_assert_uint_eq(tries(), 2);
	world_end();
}
END_TEST

/* --- the ladder ------------------------------------------------------------------------------------------------------- */
START_TEST(no_capacity_goes_subnet_by_subnet_and_then_to_the_next_provider)
{
	struct peer *prolog;

	world_keys = "Providers=FARGATE_SPOT,FARGATE RetryMaxAttempts=1";
	world_start();
	refuse(FAILURE(CAPACITY), 6);
	prolog = start(16);
	UNTIL(tries() == 7);
	check_rung(0, "subnet-a", true);
	check_rung(1, "subnet-b", true);
	check_rung(2, "subnet-a", false);
	check_rung(3, "subnet-b", false);
	/* A whole round is one attempt: the second begins at the foot. */
	check_rung(4, "subnet-a", true);
	check_rung(5, "subnet-b", true);
	check_rung(6, "subnet-a", false);
	UNTIL(aws_tasks() == 1);
	ck_assert_int_eq(world_job(16, 0)->row.attempts, 1);
	ck_assert_str_eq(slurm_nth("comment 16 fargate: retry", 1),
			 "comment 16 fargate: retry - 1vCPU/2GB FARGATE -: RunTask: " CAPACITY "; tried again in FARGATE, subnet-a");
	ck_assert(!prolog->released);
	aws_running(aws_task(0));
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("requeue"), 0);
	world_end();
}
END_TEST

START_TEST(a_ladder_without_an_end_goes_back_to_slurm)
{
	struct peer *prolog;

	world_keys = "RetryMaxAttempts=0";
	world_start();
	refuse(FAILURE(CAPACITY), 2);
	prolog = start(17);
	UNTIL(prolog->released);
	ck_assert_uint_eq(tries(), 2); /* one round: both subnets */
	ck_assert_uint_eq(slurm_count("requeue 17"), 1);
	ck_assert_uint_eq(aws_tasks(), 0);
	world_end();
}
END_TEST

/* A job whose task was taken by Spot: requeued, and the third start is On-Demand. */
START_TEST(after_two_interruptions_the_ladder_begins_on_demand)
{
	struct fake_task *t;
	struct peer *prolog;
	uint32_t n;

	world_keys = "Providers=FARGATE_SPOT,FARGATE";
	world_start();
	slurm_add(17, ALICE);
	for (n = 0; n < 2; n++) {
		slurm_restart(17, n, LIFE_ACTIVE);
		prolog = start(17);
		UNTIL(aws_tasks() == n + 1);
		check_rung(n, "subnet-b", true);
		t = aws_task(n);
		aws_running(t);
		UNTIL(prolog->released);
		slurm_running(17);
		peer_attached(17, n, TOKEN_A, SPEC_A);
		aws_log_end(t, 0);
		aws_exit(t, 0); /* a handler that exits 0 */
		t->stop_code = "SpotInterruption";
		t->stopped_reason = "Your Spot Task was interrupted.";
		UNTIL(slurm_count("requeue 17") == n + 1);
	}
	ck_assert_ptr_nonnull(strstr(slurm_nth("begin 17", 1), "Your Spot Task was interrupted."));
	slurm_restart(17, 2, LIFE_ACTIVE);
	start(17);
	UNTIL(aws_tasks() == 3);
	check_rung(2, "subnet-b", false);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	world_end();
}
END_TEST

START_TEST(an_interrupted_job_that_may_not_be_requeued_fails)
{
	struct peer *prolog, *a;

	world_start();
	slurm_add(17, ALICE)->no_requeue = true;
	prolog = start(17);
	UNTIL(aws_tasks() == 1);
	aws_running(aws_task(0));
	UNTIL(prolog->released);
	slurm_running(17);
	a = peer_attached(17, 0, TOKEN_A, SPEC_A);
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	aws_task(0)->stop_code = "TerminationNotice";
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 1);
	ck_assert_uint_eq(slurm_count("boot_fail"), 0);
	ck_assert_ptr_nonnull(slurm_nth("comment 17 fargate: done", 0));
	world_end();
}
END_TEST

/* --- the quota -------------------------------------------------------------------------------------------------------- */
START_TEST(the_quota_is_waited_for_and_spends_nothing)
{
	struct peer *prolog;

	world_keys = "RetryMaxAttempts=0";
	world_step = 100;
	world_start();
	refuse(FAILURE(VCPUS), 3);
	prolog = start(17);
	UNTIL(aws_tasks() == 1);
	ck_assert_uint_eq(tries(), 4);
	ck_assert_int_eq(world_job(17, 0)->row.attempts, 0);
	ck_assert(!prolog->released);
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 17 fargate: quota", 0), "limit on the number of vCPUs"));
	ck_assert_uint_eq(slurm_count("requeue") + slurm_count("hold"), 0);
	world_end();
}
END_TEST

START_TEST(a_task_that_ends_lets_the_next_ask_again)
{
	int64_t before;

	world_start();
	start(16);
	UNTIL(aws_tasks() == 1);
	aws_running(aws_task(0));
	refuse(FAILURE(VCPUS), 1);
	start(17);
	UNTIL(slurm_count("comment 17 fargate: quota"));
	world_run(12000);
	ck_assert_uint_eq(aws_tasks(), 1);
	before = world_now;
	aws_exit(aws_task(0), 0);
	UNTIL(aws_tasks() == 2);
	ck_assert_int_lt(world_now - before, 9000); /* the timer alone takes 30 s */
	world_end();
}
END_TEST

/* --- stuck, ghosts ----------------------------------------------------------------------------------------------------- */
START_TEST(a_stuck_start_is_stopped_and_made_once_more)
{
	struct peer *prolog;

	world_keys = "StartTimeout=60 PullTimeout=90";
	world_start();
	world_step = 100;
	prolog = start(17);
	UNTIL(aws_tasks() == 1);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_STOP_TASK, 0),
				     "Slurm job 17: no pull of its image 60 s (StartTimeout) after it was made"));
	world_run(20000);
	ck_assert_uint_eq(tries(), 1); /* not before the first is gone */
	aws_status(aws_task(0), "STOPPED");
	UNTIL(aws_tasks() == 2);
	ck_assert_int_eq(world_job(17, 0)->row.attempts, 1);
	aws_status(aws_task(1), "PENDING");
	aws_task(1)->pull_started = world_now / 1000;
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 2);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_STOP_TASK, 1), "not RUNNING 90 s (PullTimeout) after its image's pull began"));
	aws_status(aws_task(1), "STOPPED");
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 17 fargate: held", 0), "(PullTimeout)"));
	world_end();
}
END_TEST

START_TEST(a_job_cancelled_while_its_stuck_task_is_stopped_is_done_with_it)
{
	struct peer *prolog;

	world_keys = "StartTimeout=60";
	world_step = 100;
	world_start();
	prolog = start(17);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	slurm_set(17, LIFE_CANCELLED);
	UNTIL(prolog->released);
	aws_status(aws_task(0), "STOPPED");
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 1);
	ck_assert_uint_eq(tries(), 1);
	world_end();
}
END_TEST

START_TEST(a_task_made_in_spite_of_the_no_is_taken)
{
	struct peer *prolog;

	world_start();
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .effect = true, .body = FAILURE(CAPACITY) });
	prolog = start(17);
	UNTIL(world_job(17, 0) && world_job(17, 0)->row.task_id);
	ck_assert_uint_eq(tries(), 1);
	aws_running(aws_task(0));
	UNTIL(prolog->released);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	ck_assert_uint_eq(aws_tasks(), 1);
	world_end();
}
END_TEST

START_TEST(a_task_of_an_earlier_try_is_stopped)
{
	struct fake_task *ghost;

	world_start();
	/* The first try's task is not shown for a while, so that there is a second one; that fails too. */
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .effect = true, .body = FAILURE(CAPACITY) });
	aws_script((struct fake_answer){ .op = AWS_OP_LIST_TASKS, .body = "{\"taskArns\":[]}" });
	refuse(FAILURE(CAPACITY), 1);
	start(17);
	UNTIL(tries() == 2);
	ghost = aws_task(0);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_STOP_TASK, 0), ghost->id));
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_STOP_TASK, 0), "AWS started a task of an earlier try"));
	aws_status(ghost, "STOPPED");
	UNTIL(aws_tasks() == 2);
	ck_assert_uint_eq(tries(), 3);
	world_end();
}
END_TEST

START_TEST(a_cancelled_wait_looks_for_a_task_once_more)
{
	struct peer *prolog;

	world_start();
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .effect = true, .body = FAILURE(CAPACITY) });
	aws_hold(AWS_OP_LIST_TASKS, true);
	prolog = start(17);
	UNTIL(world_job(17, 0) && world_job(17, 0)->row.doubt);
	slurm_set(17, LIFE_CANCELLED);
	UNTIL(prolog->released);
	aws_hold(AWS_OP_LIST_TASKS, false);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_STOP_TASK, 0), "Slurm job 17: cancelled"));
	ck_assert_uint_eq(tries(), 1);
	aws_status(aws_task(0), "STOPPED");
	UNTIL(world.n_jobs == 0);
	world_end();
}
END_TEST

/* --- throttling and doubt ----------------------------------------------------------------------------------------------- */
START_TEST(an_hour_of_throttling_is_no_doubt)
{
	world_start();
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "ThrottlingException", .message = "Rate exceeded", .times = 100000 });
	start(17);
	world_step = 20000;
	world_run(3600 * 1000);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	ck_assert_uint_gt(tries(), 60);
	world_end();
}
END_TEST

START_TEST(without_prolog_the_end_is_pushed_on)
{
	struct peer *a;

	slurm_prolog(false, 0);
	world_step = 100;
	world_start();
	slurm_add(17, ALICE)->time_limit = 1;
	slurm_running(17);
	refuse(FAILURE(VCPUS), 3);
	a = peer_attached(17, 0, TOKEN_A, SPEC_A);
	UNTIL(slurm_count("end_time 17") >= 2);
	ck_assert_uint_eq(aws_tasks(), 0);
	UNTIL(aws_tasks() == 1);
	aws_running(aws_task(0));
	UNTIL(world_job(17, 0)->row.end_time_moved);
	ck_assert_int_lt(a->status, 0);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_start_that_fails_is_tried_again_and_then_requeued, 0 },
		{ the_delay_doubles_and_then_the_job_is_held, 0 },
		{ a_job_that_may_not_be_requeued_fails_to_boot, 0 },
		{ a_refused_begin_is_asked_again_and_never_requeues_twice, 0 },
		{ attempts_survive_the_agent, 0 },
		{ no_capacity_goes_subnet_by_subnet_and_then_to_the_next_provider, 0 },
		{ a_ladder_without_an_end_goes_back_to_slurm, 0 },
		{ after_two_interruptions_the_ladder_begins_on_demand, 0 },
		{ an_interrupted_job_that_may_not_be_requeued_fails, 0 },
		{ the_quota_is_waited_for_and_spends_nothing, 0 },
		{ a_task_that_ends_lets_the_next_ask_again, 0 },
		{ a_stuck_start_is_stopped_and_made_once_more, 0 },
		{ a_job_cancelled_while_its_stuck_task_is_stopped_is_done_with_it, 0 },
		{ a_task_made_in_spite_of_the_no_is_taken, 0 },
		{ a_task_of_an_earlier_try_is_stopped, 0 },
		{ a_cancelled_wait_looks_for_a_task_once_more, 0 },
		{ an_hour_of_throttling_is_no_doubt, 0 },
		{ without_prolog_the_end_is_pushed_on, 0 },
	};

	return tap_main("agent_retry", tests, SF_COUNT(tests));
}
