/* The sweep: what becomes of a task that no record of the agent holds, as a table, and the agent that goes by it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "plugin/agent/sweep_rules.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define SUBMIT 1699999990 /* of world_spec() */

/* --- names ------------------------------------------------------------------------------------------------------------ */
static const struct {
	const char *group;
	bool ours;
	struct sweep_start start;
} group_rows[] = {
	{ "slurm-1699999990-0-1", true, { SUBMIT, 0, 1 } },
	{ "slurm-5-4294967295-4294967295", true, { 5, UINT32_MAX, UINT32_MAX } },
	{ NULL, false, { 0 } },
	{ "", false, { 0 } },
	{ "slurm-", false, { 0 } },
	{ "slurm-5-0", false, { 0 } },
	{ "slurm-5-0-1-2", false, { 0 } },
	{ "slurm-5-0-1 ", false, { 0 } },
	{ "slurm-5-0-01", false, { 0 } },
	{ "slurm- 5-0-1", false, { 0 } },
	{ "slurm-+5-0-1", false, { 0 } },
	{ "slurm--5-0-1", false, { 0 } },
	{ "slurm-5-0-4294967296", false, { 0 } },
	{ "slurm-99999999999999999999-0-1", false, { 0 } },
	{ "Slurm-5-0-1", false, { 0 } },
	{ "family:slurm-job", false, { 0 } },
};

START_TEST(groups)
{
	struct sweep_start start = { 0 };
	bool ours = sweep_parse_group(group_rows[_i].group, &start);

	ck_assert_msg(ours == group_rows[_i].ours, "%s", group_rows[_i].group);
	ck_assert(!ours || (start.submit == group_rows[_i].start.submit && start.restart == group_rows[_i].start.restart &&
			    start.try_no == group_rows[_i].start.try_no));
}
END_TEST

static const struct {
	const char *started_by;
	uint32_t job;
} owner_rows[] = {
	{ "slurm/test-0a1b2c3d/17", 17 },
	{ "slurm/test-0a1b2c3d/4294967295", UINT32_MAX },
	{ NULL, 0 },
	{ "", 0 },
	{ "17", 0 },
	{ "slurm/test-0a1b2c3e/17", 0 },
	{ "slurm/other-0a1b2c3d/17", 0 },
	{ "slurm/test-0a1b2c3d/", 0 },
	{ "slurm/test-0a1b2c3d/0", 0 },
	{ "slurm/test-0a1b2c3d/017", 0 },
	{ "slurm/test-0a1b2c3d/+17", 0 },
	{ "slurm/test-0a1b2c3d/17 ", 0 },
	{ "slurm/test-0a1b2c3d/17/18", 0 },
	{ "slurm/test-0a1b2c3d/4294967296", 0 },
	{ "xslurm/test-0a1b2c3d/17", 0 },
};

START_TEST(owners)
{
	ck_assert_uint_eq(sweep_job_of(owner_rows[_i].started_by, "test", "0a1b2c3d"), owner_rows[_i].job);
}
END_TEST

/* --- against the records ------------------------------------------------------------------------------------------------ */
static const struct {
	struct sweep_start task;
	size_t n;
	struct sweep_start records[3];
	enum sweep_record record;
} record_rows[] = {
	{ { 5, 0, 1 }, 0, { { 0 } }, SWEEP_NO_RECORD },
	{ { 5, 0, 1 }, 1, { { 5, 0, 1 } }, SWEEP_CURRENT },
	{ { 5, 0, 1 }, 1, { { 5, 0, 2 } }, SWEEP_PAST },
	{ { 5, 0, 2 }, 1, { { 5, 0, 1 } }, SWEEP_AHEAD },
	{ { 5, 0, 1 }, 1, { { 5, 0, 0 } }, SWEEP_AHEAD },
	{ { 5, 0, 9 }, 1, { { 5, 1, 1 } }, SWEEP_PAST },
	{ { 5, 1, 1 }, 1, { { 5, 0, 9 } }, SWEEP_AHEAD },
	{ { 5, 3, 9 }, 1, { { 6, 0, 0 } }, SWEEP_PAST },
	{ { 6, 0, 1 }, 1, { { 5, 3, 9 } }, SWEEP_AHEAD },
	/* Two starts of the job: each knows its own tries. */
	{ { 5, 0, 2 }, 2, { { 5, 0, 2 }, { 5, 1, 1 } }, SWEEP_CURRENT },
	{ { 5, 0, 2 }, 2, { { 5, 1, 1 }, { 5, 0, 2 } }, SWEEP_CURRENT },
	{ { 5, 0, 1 }, 2, { { 5, 1, 1 }, { 5, 0, 2 } }, SWEEP_PAST },
	{ { 5, 0, 3 }, 2, { { 5, 1, 1 }, { 5, 0, 2 } }, SWEEP_AHEAD },
	{ { 5, 1, 1 }, 3, { { 5, 0, 2 }, { 5, 2, 1 }, { 4, 9, 9 } }, SWEEP_PAST },
	{ { 5, 3, 1 }, 3, { { 5, 0, 2 }, { 5, 2, 1 }, { 4, 9, 9 } }, SWEEP_AHEAD },
};

START_TEST(records)
{
	ck_assert_int_eq(sweep_record_of(&record_rows[_i].task, record_rows[_i].records, record_rows[_i].n), record_rows[_i].record);
}
END_TEST

/* --- guards --------------------------------------------------------------------------------------------------------------- */
static const struct {
	struct sweep_world world;
	const char *why;
} guard_rows[] = {
	{ { true, true, 3, 3, 300 }, NULL },
	{ { true, true, 0, 0, 300 }, NULL },
	{ { true, true, 1, 9, 301 }, NULL },
	{ { false, true, 3, 3, 3000 }, "slurmctld does not answer" },
	{ { true, false, 3, 3, 3000 }, "the agent has not gone through Slurm's jobs yet" },
	{ { true, true, 0, 1, 3000 }, "slurmctld shows no job at all, but the agent has some" },
	{ { true, true, 3, 3, 299 }, "slurmctld was started less than 5 minutes ago" },
	{ { true, true, 3, 3, -5 }, "slurmctld was started less than 5 minutes ago" },
};

START_TEST(guards)
{
	const char *why = sweep_guard(&guard_rows[_i].world);

	ck_assert_msg(why == guard_rows[_i].why || (why && guard_rows[_i].why && strcmp(why, guard_rows[_i].why) == 0), "%s", why);
}
END_TEST

/* --- the table -------------------------------------------------------------------------------------------------------------- */
#define PAST_WHY "an earlier start or try of the job made it"
#define LOST_WHY "Slurm has this start of the job, but the agent has no record of it"
#define OLD .age = 91, .seen = 2
#define START(r) .has_start = true, .start = { SUBMIT, (r), 1 }

static const struct {
	struct sweep_facts f;
	bool stop;
	const char *why;
} rule_rows[] = {
	/* Nobody claims it, and it is old enough. */
	{ { START(0), OLD, .life = LIFE_GONE }, true, "Slurm does not know the job" },
	{ { START(0), OLD, .life = LIFE_ENDED }, true, "the job has ended" },
	{ { START(0), OLD, .life = LIFE_CANCELLED }, true, "the job has ended" },
	{ { START(0), OLD, .life = LIFE_TIMEOUT }, true, "the job has ended" },
	{ { START(0), OLD, .life = LIFE_ACTIVE, .restart = 1 }, true, PAST_WHY },
	{ { START(0), OLD, .life = LIFE_PENDING, .restart = 1 }, true, PAST_WHY },
	{ { START(0), OLD, .life = LIFE_ACTIVE, .records = 1, .record = SWEEP_PAST }, true, PAST_WHY },
	{ { START(0), OLD, .life = LIFE_UNKNOWN, .records = 1, .record = SWEEP_PAST }, true, PAST_WHY },
	{ { OLD, .life = LIFE_GONE }, true, "Slurm does not know the job" },
	/* Somebody may. */
	{ { START(0), OLD, .life = LIFE_ACTIVE, .records = 1, .record = SWEEP_CURRENT }, false, "it belongs to the job's current try" },
	{ { START(0), OLD, .life = LIFE_GONE, .records = 1, .record = SWEEP_CURRENT }, false, "it belongs to the job's current try" },
	{ { START(0), OLD, .life = LIFE_ACTIVE, .records = 1, .record = SWEEP_AHEAD }, false,
	  "it is of a later try than the agent's record of the job" },
	{ { START(0), OLD, .life = LIFE_ACTIVE }, false, LOST_WHY },
	{ { START(2), OLD, .life = LIFE_ACTIVE, .restart = 1 }, false, LOST_WHY },
	{ { START(0), OLD, .life = LIFE_PENDING }, false, LOST_WHY },
	{ { START(0), OLD, .life = LIFE_UNKNOWN }, false, "slurmctld has not said whether the job lives" },
	{ { OLD, .life = LIFE_ACTIVE, .restart = 1 }, false, "its group does not say which start of the job made it, and the job is not over" },
	{ { OLD, .life = LIFE_PENDING, .restart = 1 }, false, "its group does not say which start of the job made it, and the job is not over" },
	{ { OLD, .life = LIFE_GONE, .records = 1 }, false, "its group does not say which start of the job made it, and the job is not over" },
	{ { OLD, .life = LIFE_UNKNOWN }, false, "slurmctld has not said whether the job lives" },
	{ { START(0), OLD, .life = LIFE_GONE, .stopping = true }, false, "AWS is stopping it" },
	/* Not yet. */
	{ { START(0), .age = 90, .seen = 2, .life = LIFE_GONE }, false, "it is not older than 90 s" },
	{ { START(0), .age = -1, .seen = 2, .life = LIFE_GONE }, false, "it is not older than 90 s" },
	{ { START(0), .age = 91, .seen = 1, .life = LIFE_GONE }, false, "only one sweep has seen it" },
	{ { START(0), OLD, .life = LIFE_GONE, .guard = "a guard" }, false, "a guard" },
	{ { START(0), .age = 3, .life = LIFE_GONE, .guard = "a guard" }, false, "a guard" },
	/* An administrator does not wait, but takes nothing from a job either. */
	{ { START(0), .age = 0, .life = LIFE_GONE, .guard = "a guard", .force = true }, true, "Slurm does not know the job" },
	{ { START(0), .age = -1, .life = LIFE_ENDED, .force = true }, true, "the job has ended" },
	{ { START(0), OLD, .life = LIFE_ACTIVE, .records = 1, .record = SWEEP_CURRENT, .force = true }, false, "it belongs to the job's current try" },
	{ { START(0), OLD, .life = LIFE_ACTIVE, .force = true }, false, LOST_WHY },
	{ { START(0), OLD, .life = LIFE_UNKNOWN, .guard = "a guard", .force = true }, false, "slurmctld has not said whether the job lives" },
	{ { START(0), OLD, .life = LIFE_GONE, .stopping = true, .force = true }, false, "AWS is stopping it" },
};

START_TEST(rules)
{
	struct sweep_answer a = sweep_decide(&rule_rows[_i].f);

	ck_assert_str_eq(a.why, rule_rows[_i].why);
	ck_assert(a.stop == rule_rows[_i].stop);
}
END_TEST

/* --- the agent -------------------------------------------------------------------------------------------------------------- */
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
		{ groups, SF_COUNT(group_rows) },
		{ owners, SF_COUNT(owner_rows) },
		{ records, SF_COUNT(record_rows) },
		{ guards, SF_COUNT(guard_rows) },
		{ rules, SF_COUNT(rule_rows) },
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
