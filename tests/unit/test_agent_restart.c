/* The agent ends at any moment and starts again on the same store. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define TASK_0 "0000000000000000000000000000abc0"

static struct peer *prolog_for(uint32_t job)
{
	struct peer *p = peer_open(0);

	peer_launch(p, job, 0, SPEC_A);
	return p;
}

static struct peer *back(void)
{
	struct peer *p = peer_open(ALICE);

	peer_attach(p, 17, 0, TOKEN_A, SPEC_A);
	UNTIL(p->accepted);
	return p;
}

START_TEST(while_facts_are_read)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_down(true);
	prolog_for(17);
	UNTIL(strcmp(world_db("SELECT stage FROM jobs"), "0") == 0);
	world_down();
	/* slurmctld answers again only after a while: nothing is launched under a cluster name nobody knows yet. */
	world_boot();
	world_run(3000);
	slurm_down(false);
	p = NULL;
	UNTIL(aws_tasks() == 1);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_RUN_TASK, 0), "\"startedBy\":\"slurm/test-"));
	UNTIL(world.cluster_known);
	p = prolog_for(17);
	aws_running(aws_task(0));
	UNTIL(p->released);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	world_end();
}
END_TEST

/* The same, slurmctld refusing its configuration a little longer than the job's record. */
START_TEST(while_facts_are_read_and_the_cluster_comes_late)
{
	world_start();
	slurm_add(17, ALICE);
	slurm_down(true);
	prolog_for(17);
	UNTIL(strcmp(world_db("SELECT stage FROM jobs"), "0") == 0);
	world_down();
	world_boot();
	while (!world.cluster_at)
		world_turn();
	/* The cluster is asked every 2 s, the facts every 1 s. */
	slurm_down(false);
	world.cluster_at = world_now + 10000;
	world_run(8000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	UNTIL(aws_tasks() == 1);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_RUN_TASK, 0), "\"startedBy\":\"slurm/test-"));
	world_end();
}
END_TEST

/* RunTask may have reached AWS: exactly the stored bytes go again. */
START_TEST(with_a_stored_request)
{
	world_start();
	slurm_add(17, ALICE);
	aws_hold(AWS_OP_RUN_TASK, true);
	prolog_for(17);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	world_down();
	aws_hold(AWS_OP_RUN_TASK, false);
	world_up();
	UNTIL(aws_tasks() == 1);
	ck_assert_str_eq(aws_body(AWS_OP_RUN_TASK, 1), aws_body(AWS_OP_RUN_TASK, 0));
	ck_assert_str_eq(world_db("SELECT try_no FROM jobs"), "1");
	world_end();
}
END_TEST

/* The job was cancelled while the agent was away: Slurm is asked before AWS is called. */
START_TEST(with_a_stored_request_of_a_cancelled_job)
{
	world_start();
	slurm_add(17, ALICE);
	aws_hold(AWS_OP_RUN_TASK, true);
	prolog_for(17);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	world_down();
	slurm_set(17, LIFE_CANCELLED);
	aws_hold(AWS_OP_RUN_TASK, false);
	world_boot();
	UNTIL(world.n_jobs == 0 || aws_tasks());
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	ck_assert_uint_eq(aws_tasks(), 0);
	ck_assert_uint_ge(aws_count(AWS_OP_LIST_TASKS), 1);
	world_end();
}
END_TEST

/* Cancelled with the outcome unknown, and the agent starts while slurmctld is away: startedBy needs the cluster's name. */
START_TEST(with_a_stop_that_must_list)
{
	char wanted[128];

	world_start();
	slurm_add(17, ALICE);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .transport = true, .effect = true, .times = 1000 });
	aws_hold(AWS_OP_LIST_TASKS, true);
	peer_shut(prolog_for(17));
	UNTIL(aws_tasks() == 1);
	slurm_set(17, LIFE_CANCELLED);
	UNTIL(world_db("SELECT stop_reason FROM jobs")[0]);
	slurm_down(true);
	world_down();
	aws_hold(AWS_OP_LIST_TASKS, false);
	world_boot();
	world_run(20000);
	slurm_down(false);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1 || world.n_jobs == 0);
	snprintf(wanted, sizeof(wanted), "{\"cluster\":\"hpc\",\"startedBy\":\"slurm/test-%s/17\"}", world.instance);
	ck_assert_str_eq(aws_body(AWS_OP_LIST_TASKS, aws_count(AWS_OP_LIST_TASKS) - 1), wanted);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 1);
	world_end();
}
END_TEST

START_TEST(with_a_task)
{
	struct peer *p;

	world_start();
	world_launch(17);
	world_down();
	world_up();
	p = prolog_for(17);
	world_run(5000);
	ck_assert_uint_eq(p->released, 0);
	aws_running(aws_task(0));
	UNTIL(p->released);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	world_end();
}
END_TEST

START_TEST(with_a_running_task_and_its_attach)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_log(aws_task(0), "oone");
	UNTIL(a->out.len == 4);
	world_down();
	world_up();
	aws_log(aws_task(0), "otwo");
	a = peer_open(ALICE);
	peer_attach_at(a, 17, 0, TOKEN_B, SPEC_A, "", 0);
	UNTIL(a->refused[0]);
	ck_assert_str_eq(a->refused, "the token is not the one this job attached with");
	a = back();
	UNTIL(a->out.len == 8);
	aws_log_end(aws_task(0), 6);
	aws_exit(aws_task(0), 6);
	UNTIL(a->status == 6);
	world_end();
}
END_TEST

START_TEST(with_a_stop_not_yet_accepted)
{
	world_start();
	world_attached(17);
	aws_hold(AWS_OP_STOP_TASK, true);
	slurm_set(17, LIFE_CANCELLED);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	world_down();
	aws_hold(AWS_OP_STOP_TASK, false);
	world_up();
	UNTIL(strcmp(aws_task(0)->desired, "STOPPED") == 0);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 1), aws_body(AWS_OP_STOP_TASK, 0));
	aws_status(aws_task(0), "STOPPED");
	UNTIL(world.n_jobs == 0);
	world_end();
}
END_TEST

/* The task is STOPPED, its log was not complete yet: the new agent must still decide. */
START_TEST(with_an_ended_task_whose_log_is_awaited)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_log(aws_task(0), "oone");
	aws_exit(aws_task(0), 2);
	UNTIL(strcmp(world_db("SELECT stage FROM jobs"), "4") == 0);
	ck_assert_int_eq(a->status, -1);
	world_down();
	world_up();
	/* An hour later AWS has forgotten the task; what it said is on disk. */
	if (_i == 1)
		aws_task(0)->missing = true;
	a = back();
	if (_i == 0)
		aws_log_end(aws_task(0), 2);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 2);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	world_end();
}
END_TEST

/* The exit code is known, the task not yet STOPPED; then AWS forgets it. */
START_TEST(with_a_known_exit_code_of_a_task_that_goes_missing)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_exit(aws_task(0), 0);
	aws_status(aws_task(0), "DEPROVISIONING");
	UNTIL(strcmp(world_db("SELECT has_exit FROM jobs"), "1") == 0);
	ck_assert_int_eq(a->status, -1);
	world_down();
	world_now += 3600 * 1000;
	aws_task(0)->missing = true;
	world_up();
	a = back();
	UNTIL(a->status >= 0 || slurm_count("hold"));
	ck_assert_uint_eq(slurm_count("hold"), 0);
	ck_assert_int_eq(a->status, 0);
	world_end();
}
END_TEST

/*
 * slurmctld was killed right after the batch start and runs the prolog again: a second batch step would drain the gateway, and the
 * first one's attach may still be on its way.
 */
START_TEST(a_second_prolog_waits_for_the_first_ones_step)
{
	struct peer *first, *second, *a;

	world_start();
	slurm_add(17, ALICE);
	first = prolog_for(17);
	UNTIL(aws_tasks() == 1);
	aws_running(aws_task(0));
	UNTIL(first->released);
	second = prolog_for(17);
	world_run(8000);
	ck_assert(!second->released);
	slurm_running(17);
	a = peer_attached(17, 0, TOKEN_A, SPEC_A);
	world_run(30000);
	ck_assert(!second->released);
	aws_log_end(aws_task(0), 3);
	aws_exit(aws_task(0), 3);
	UNTIL(a->status == 3);
	/* Let go before slurmctld knows of the step's end, it would still launch the batch a second time. */
	world_run(3000);
	ck_assert(!second->released);
	slurm_set(17, LIFE_ENDED);
	UNTIL(second->released);
	world_end();
}
END_TEST

START_TEST(a_second_prolog_does_not_wait_for_a_step_that_was_never_started)
{
	struct peer *first, *second;
	int64_t before;

	world_start();
	slurm_add(17, ALICE);
	first = prolog_for(17);
	UNTIL(aws_tasks() == 1);
	aws_running(aws_task(0));
	UNTIL(first->released);
	world_run(1000);
	world_down(); /* the agent knows it afterwards too */
	world_up();
	before = world_now;
	second = prolog_for(17);
	UNTIL(second->released);
	ck_assert_int_ge(world_now - before, 19000);
	ck_assert_int_le(world_now - before, 25000);
	world_end();
}
END_TEST

START_TEST(with_a_decided_hold)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	slurm_refuse("hold", 1);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "AccessDeniedException", .message = "no" });
	prolog_for(17);
	UNTIL(world_logged("Slurm did not take the verdict"));
	world_down();
	world_up();
	p = prolog_for(17);
	UNTIL(slurm_count("hold 17") == 1 && (p->released || p->refused[0]));
	ck_assert_str_eq(slurm_nth("comment 17 fargate: held", 0),
			 "comment 17 fargate: held - 1vCPU/2GB FARGATE -: RunTask: AccessDeniedException: no");
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	world_end();
}
END_TEST

static void decide_exit(int code)
{
	world_start();
	world_attached(17);
	slurm_gate(true);
	aws_log_end(aws_task(0), code);
	aws_exit(aws_task(0), code);
	UNTIL(strcmp(world_db("SELECT telling FROM jobs"), "1") == 0);
	slurm_gate(false);
	world_down();
}

START_TEST(with_a_decided_exit)
{
	struct peer *a;

	decide_exit(8);
	world_up();
	a = back();
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 8);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	world_end();
}
END_TEST

/* … and the attach never comes back, because Slurm has ended the job meanwhile. */
START_TEST(with_a_decided_exit_of_an_ended_job)
{
	decide_exit(0);
	slurm_set(17, LIFE_CANCELLED);
	world_up();
	aws_status(aws_task(0), "STOPPED");
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	world_end();
}
END_TEST

START_TEST(with_a_told_verdict)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(a->status == 0);
	UNTIL(strcmp(world_db("SELECT telling FROM jobs"), "2") == 0);
	world_down();
	if (_i == 0)
		slurm_set(17, LIFE_ENDED);
	world_up();
	if (_i == 1)
		UNTIL(slurm_count("complete 17 0") == 1);
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(slurm_count("complete"), _i == 1 ? 1 : 0);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	world_end();
}
END_TEST

START_TEST(the_instance_stays)
{
	char instance[STORE_INSTANCE_MAX];

	world_start();
	sf_copy(instance, sizeof(instance), world.instance);
	world_down();
	world_up();
	ck_assert_str_eq(world.instance, instance);
	world_end();
}
END_TEST

/* At random moments, again and again: one task, one exit, the right one. */
START_TEST(at_any_moment)
{
	struct peer *p = NULL, *a = NULL;
	int i, kills = 0;

	srandom(7u + (unsigned)_i);
	world_start();
	slurm_add(17, ALICE);
	for (i = 0; i < 4000 && !(a && a->status >= 0); i++) {
		if (kills < 12 && random() % 25 == 0) {
			world_down();
			world_up();
			kills++;
			p = a = NULL;
		}
		if (!p && !a && !(aws_tasks() && aws_task(0)->started))
			p = prolog_for(17);
		if (p && p->released) {
			slurm_running(17);
			p = NULL;
		}
		if (!p && (!a || a->eof) && aws_tasks() && aws_task(0)->started) {
			slurm_running(17);
			a = peer_open(ALICE);
			peer_attach(a, 17, 0, TOKEN_A, SPEC_A);
		}
		if (aws_tasks() && random() % 60 == 0) {
			if (!aws_task(0)->started)
				aws_running(aws_task(0));
			else if (!aws_task(0)->has_exit)
				aws_exit(aws_task(0), 3);
			else if (!aws_task(0)->log)
				aws_log_end(aws_task(0), 3);
		}
		world_turn();
	}
	ck_assert_ptr_nonnull(a);
	ck_assert_int_eq(a->status, 3);
	ck_assert_uint_eq(aws_tasks(), 1);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ while_facts_are_read, 0 },
		{ while_facts_are_read_and_the_cluster_comes_late, 0 },
		{ with_a_stored_request, 0 },
		{ with_a_stored_request_of_a_cancelled_job, 0 },
		{ with_a_stop_that_must_list, 0 },
		{ with_a_task, 0 },
		{ with_a_running_task_and_its_attach, 0 },
		{ with_a_stop_not_yet_accepted, 0 },
		{ with_an_ended_task_whose_log_is_awaited, 2 },
		{ with_a_known_exit_code_of_a_task_that_goes_missing, 0 },
		{ a_second_prolog_waits_for_the_first_ones_step, 0 },
		{ a_second_prolog_does_not_wait_for_a_step_that_was_never_started, 0 },
		{ with_a_decided_hold, 0 },
		{ with_a_decided_exit, 0 },
		{ with_a_decided_exit_of_an_ended_job, 0 },
		{ with_a_told_verdict, 2 },
		{ the_instance_stays, 0 },
		{ at_any_moment, 20 },
	};

	return tap_main("agent_restart", tests, SF_COUNT(tests));
}
