/* The sweep: the agent finds tasks that no job claims, stops them, and answers who asks for it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define LOST_WHY "Slurm has this start of the job, but the agent has no record of it"

static const char *own(uint32_t job)
{
	static char text[SF_STARTED_BY_MAX];

	sf_started_by("test", world.instance, job, text);
	return text;
}

static bool stopping(const struct fake_task *t)
{
	return strcmp(t->desired, "STOPPED") == 0;
}

static const char *ask(unsigned how)
{
	struct peer *p = peer_open(0);

	peer_reap(p, how);
	UNTIL(p->text.data || p->refused[0]);
	return p->text.data ? p->text.data : p->refused;
}

/* An orphan is stopped by the second sweep; what others started is never touched, nor what belongs to a job. */
START_TEST(an_orphan_is_stopped_by_the_second_sweep)
{
	struct fake_task *orphan, *others[4];
	size_t i;

	world_start();
	world_attached(17);
	orphan = aws_made(own(99), "slurm-1690000000-0-1", 600);
	others[0] = aws_made("slurm/test-ffffffff/99", "slurm-1690000000-0-1", 600);
	others[1] = aws_made(NULL, "slurm-1690000000-0-1", 600);
	others[2] = aws_made("me", NULL, 600);
	others[3] = aws_made("slurm/test-0/99x", NULL, 600);
	world.sweep_at = 0;
	UNTIL(world.sweep_at > world_now);
	ck_assert(!stopping(orphan));
	world_run(61000);
	UNTIL(stopping(orphan));
	ck_assert(world_logged("sweep: job 99: task 0000000000000000000000000000abc1 is stopped: no job claims it: Slurm does not know the job"));
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_STOP_TASK, 0), "\"reason\":\"slurm-fargate: no job of this cluster claims it (sweep)\""));
	world_run(130000);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 1);
	for (i = 0; i < SF_COUNT(others); i++)
		ck_assert(!stopping(others[i]));
	ck_assert(!stopping(aws_task(0)));
	world_end();
}
END_TEST

START_TEST(a_young_orphan_waits_for_its_age)
{
	struct fake_task *orphan;

	world_start();
	orphan = aws_made(own(99), "slurm-1690000000-0-1", 0);
	world.sweep_at = 0;
	world_run(85000);
	ck_assert_uint_ge(aws_count(AWS_OP_LIST_TASKS), 4);
	ck_assert(!stopping(orphan));
	world_run(61000);
	UNTIL(stopping(orphan));
	world_end();
}
END_TEST

/* AWS said no, and made a task all the same, which comes up when the next try already runs. */
START_TEST(a_ghost_of_an_earlier_try_is_stopped_while_the_job_runs)
{
	struct fake_task *ghost, *current;
	struct job *job;

	world_start();
	world_attached(17);
	job = world_job(17, 0);
	ck_assert_int_eq(job->row.try_no, 1);
	ghost = aws_made(own(17), "slurm-1699999990-0-0", 600);
	current = aws_made(own(17), "slurm-1699999990-0-1", 600);
	ck_assert_ptr_nonnull(strstr(ask(SF_REAP_FORCE), "\"decision\":\"stopped\",\"why\":\"an earlier start or try of the job made it\""));
	ck_assert(stopping(ghost) && !stopping(current) && !stopping(aws_task(0)));
	world_end();
}
END_TEST

START_TEST(a_requeued_jobs_lost_start_is_stopped_and_its_present_one_is_not)
{
	struct fake_task *past, *present;
	const char *text;

	world_start();
	slurm_add(20, ALICE);
	slurm_restart(20, 1, LIFE_ACTIVE);
	past = aws_made(own(20), "slurm-1699999990-0-7", 600);
	present = aws_made(own(20), "slurm-1699999990-1-1", 600);
	text = ask(SF_REAP_FORCE);
	ck_assert_msg(stopping(past) && !stopping(present), "%s", text);
	ck_assert_ptr_nonnull(strstr(text, "\"decision\":\"wait\",\"why\":\"" LOST_WHY "\""));
	world_end();
}
END_TEST

START_TEST(a_start_of_slurmctld_guards_for_5_minutes)
{
	struct fake_task *orphan;

	world_start();
	slurm_boot = world_now / 1000 - 400;
	world.sweep_at = 0;
	UNTIL(world.sweep_at > world_now);
	orphan = aws_made(own(99), "slurm-1690000000-0-1", 600);
	slurm_boot = world_now / 1000 + 3600; /* its clock is wrong: what counts is when the agent saw it */
	world_run(280000);
	ck_assert(world_logged("sweep: slurmctld was started less than 5 minutes ago: no task is stopped meanwhile"));
	ck_assert(!stopping(orphan));
	ck_assert_ptr_nonnull(strstr(ask(0), "\"guard\":\"slurmctld was started less than 5 minutes ago\""));
	ck_assert(!stopping(orphan) && !world_logged("are stopped again"));
	world_run(125000);
	ck_assert(world_logged("sweep: tasks that no job claims are stopped again"));
	ck_assert(stopping(orphan));
	world_end();
}
END_TEST

/* slurmctld came back without its state: every job is unknown, and the store knows better. */
START_TEST(an_empty_list_of_jobs_guards)
{
	struct fake_task *orphan;

	world_start();
	world_attached(17);
	orphan = aws_made(own(99), "slurm-1690000000-0-1", 600);
	slurm_gate(true);
	UNTIL(slurm_waiting());
	slurm_forget(17);
	world.sweep_at = 0;
	world_run(2000);
	ck_assert_ptr_nonnull(world_job(17, 0));
	slurm_gate(false);
	ck_assert_ptr_nonnull(strstr(ask(SF_REAP_DRY_RUN), "\"guard\":\"slurmctld shows no job at all, but the agent has some\""));
	ck_assert(!stopping(orphan));
	world_end();
}
END_TEST

START_TEST(slurmctld_away_guards_even_against_force)
{
	struct fake_task *orphan;
	const char *text;

	world_start();
	orphan = aws_made(own(99), "slurm-1690000000-0-1", 600);
	slurm_down(true);
	text = ask(SF_REAP_FORCE);
	ck_assert_ptr_nonnull(strstr(text, "\"why\":\"slurmctld has not said whether the job lives\""));
	ck_assert_ptr_nonnull(strstr(text, "\"guard\":\"slurmctld does not answer\""));
	ck_assert(!stopping(orphan));
	world_end();
}
END_TEST

START_TEST(a_dry_run_changes_nothing)
{
	struct fake_task *orphan;
	struct peer *user;
	const char *text;

	world_start();
	orphan = aws_made(own(99), "slurm-1690000000-0-1", 600);
	ask(SF_REAP_DRY_RUN);
	text = ask(SF_REAP_DRY_RUN);
	ck_assert_ptr_nonnull(strstr(text, "\"job\":99,\"cluster\":\"hpc\",\"age\":6"));
	ck_assert_ptr_nonnull(strstr(text, "\"seen\":0,\"decision\":\"wait\",\"why\":\"only one sweep has seen it\""));
	text = ask(SF_REAP_DRY_RUN | SF_REAP_FORCE);
	ck_assert_ptr_nonnull(strstr(text, "\"decision\":\"stop\",\"why\":\"Slurm does not know the job\""));
	ck_assert(!stopping(orphan));
	user = peer_open(ALICE);
	peer_reap(user, SF_REAP_FORCE);
	UNTIL(user->refused[0]);
	ck_assert_str_eq(user->refused, "only root and SlurmUser may reap tasks");
	ck_assert(!stopping(orphan));
	world_end();
}
END_TEST

/* Two who ask at once are answered one after the other, each as he asked. */
START_TEST(each_asker_gets_his_own_sweep)
{
	struct peer *dry, *real;

	world_start();
	aws_made(own(99), "slurm-1690000000-0-1", 600);
	dry = peer_open(0);
	real = peer_open(0);
	peer_reap(dry, SF_REAP_DRY_RUN | SF_REAP_FORCE);
	peer_reap(real, SF_REAP_FORCE);
	UNTIL(dry->text.data && real->text.data);
	ck_assert_ptr_nonnull(strstr(dry->text.data, "\"decision\":\"stop\""));
	ck_assert_ptr_nonnull(strstr(real->text.data, "\"decision\":\"stopped\""));
	world_end();
}
END_TEST

START_TEST(dry_runs_without_end_keep_no_sweep_away)
{
	struct fake_task *orphan;
	int i;

	world_start();
	orphan = aws_made(own(99), "slurm-1690000000-0-1", 600);
	world.sweep_at = 0;
	world_step = 1000;
	for (i = 0; i < 200 && !stopping(orphan); i++)
		ask(SF_REAP_DRY_RUN);
	ck_assert(stopping(orphan));
	world_end();
}
END_TEST

START_TEST(every_page_is_read_and_tasks_are_described_by_the_hundred)
{
	size_t i;

	world_start();
	aws_list_page = 100;
	for (i = 0; i < 250; i++)
		aws_made("slurm/test-ffffffff/1", "slurm-5-0-1", 600);
	aws_made(own(99), "slurm-1690000000-0-1", 600);
	ck_assert_ptr_nonnull(strstr(ask(SF_REAP_FORCE), "\"others\":250"));
	ck_assert(stopping(aws_task(250)));
	ck_assert_uint_eq(aws_count(AWS_OP_DESCRIBE_TASKS), 3);
	/* Three pages in cluster hpc, one in hpc-spot; partitions with the same place are asked for once. */
	ck_assert_uint_eq(aws_count(AWS_OP_LIST_TASKS), 4);
	world_end();
}
END_TEST

START_TEST(a_pattern_of_definitions_lists_the_whole_cluster)
{
	world_keys = "TaskDefinitions=slurm-job,team-*";
	world_start();
	ask(SF_REAP_DRY_RUN);
	ck_assert_uint_eq(aws_count(AWS_OP_LIST_TASKS), 2);
	ck_assert_str_eq(aws_body(AWS_OP_LIST_TASKS, 0), "{\"cluster\":\"hpc\"}");
	ck_assert_str_eq(aws_body(AWS_OP_LIST_TASKS, 1), "{\"cluster\":\"hpc-spot\",\"family\":\"slurm-job\"}");
	world_end();
}
END_TEST

static const struct {
	const char *code, *message;
	size_t lists;
	const char *said;
} trouble_rows[] = {
	/* Asked again by the next sweep, and not before. */
	{ "ThrottlingException", "Rate exceeded", 1, "sweep: ListTasks: ThrottlingException: Rate exceeded; tried again in 60 s" },
	/* One place that is refused keeps nobody from the others. */
	{ "ClusterNotFoundException", "Cluster not found.", 2, "sweep: ListTasks: ClusterNotFoundException: Cluster not found.; tried again in 60 s" },
};

START_TEST(trouble_is_said_once)
{
	const char *text;

	world_start();
	aws_script((struct fake_answer){ .op = AWS_OP_LIST_TASKS, .code = trouble_rows[_i].code, .message = trouble_rows[_i].message });
	text = ask(0);
	ck_assert_msg(strstr(text, trouble_rows[_i].message) != NULL, "%s", text);
	ck_assert_uint_eq(aws_count(AWS_OP_LIST_TASKS), trouble_rows[_i].lists);
	ck_assert(world_logged(trouble_rows[_i].said));
	ask(0);
	ck_assert(world_logged("sweep: AWS answers all of it again"));
	world_end();
}
END_TEST

START_TEST(a_refused_stop_is_told_and_tried_again)
{
	world_start();
	aws_made(own(99), "slurm-1690000000-0-1", 600);
	aws_script((struct fake_answer){ .op = AWS_OP_STOP_TASK, .code = "AccessDeniedException", .message = "no" });
	ck_assert_ptr_nonnull(strstr(ask(SF_REAP_FORCE), "\"decision\":\"not stopped\",\"why\":\"StopTask: AccessDeniedException: no\""));
	ck_assert_ptr_nonnull(strstr(ask(SF_REAP_FORCE), "\"decision\":\"stopped\""));
	world_end();
}
END_TEST

START_TEST(the_agent_may_leave_while_it_sweeps)
{
	world_start();
	aws_made(own(99), "slurm-1690000000-0-1", 600);
	aws_hold(AWS_OP_DESCRIBE_TASKS, true);
	peer_reap(peer_open(0), SF_REAP_FORCE);
	UNTIL(aws_count(AWS_OP_DESCRIBE_TASKS) == 1);
	world_down();
	aws_hold(AWS_OP_DESCRIBE_TASKS, false);
	world_sweeps = true;
	world_boot();
	UNTIL(aws_count(AWS_OP_DESCRIBE_TASKS) == 2);
	world_end();
}
END_TEST

/* The other direction of the comparison: a record whose job Slurm forgot while the agent was away is closed, its task stopped. */
START_TEST(a_stored_job_that_slurm_forgot_is_closed)
{
	world_start();
	slurm_add(18, ALICE);
	peer_shut(world_attached(17));
	world_down();
	slurm_forget(17);
	world_up();
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_STOP_TASK, 0), "Slurm job 17: no longer known"));
	aws_stopped(aws_task(0), "UserInitiated", "Slurm job 17: no longer known");
	UNTIL(!world_job(17, 0));
	ck_assert_str_eq(world_db("SELECT count(*) FROM jobs"), "0");
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ an_orphan_is_stopped_by_the_second_sweep, 0 },
		{ a_young_orphan_waits_for_its_age, 0 },
		{ a_ghost_of_an_earlier_try_is_stopped_while_the_job_runs, 0 },
		{ a_requeued_jobs_lost_start_is_stopped_and_its_present_one_is_not, 0 },
		{ a_start_of_slurmctld_guards_for_5_minutes, 0 },
		{ an_empty_list_of_jobs_guards, 0 },
		{ slurmctld_away_guards_even_against_force, 0 },
		{ a_dry_run_changes_nothing, 0 },
		{ each_asker_gets_his_own_sweep, 0 },
		{ dry_runs_without_end_keep_no_sweep_away, 0 },
		{ every_page_is_read_and_tasks_are_described_by_the_hundred, 0 },
		{ a_pattern_of_definitions_lists_the_whole_cluster, 0 },
		{ trouble_is_said_once, SF_COUNT(trouble_rows) },
		{ a_refused_stop_is_told_and_tried_again, 0 },
		{ the_agent_may_leave_while_it_sweeps, 0 },
		{ a_stored_job_that_slurm_forgot_is_closed, 0 },
	};

	return tap_main("agent_sweep", tests, SF_COUNT(tests));
}
