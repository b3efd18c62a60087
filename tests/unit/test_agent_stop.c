/* Stopping: what Slurm decided reaches the task, and nothing else does. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define TASK_0 "0000000000000000000000000000abc0"
#define STOP_0(why) "{\"cluster\":\"hpc\",\"task\":\"" TASK_0 "\",\"reason\":\"Slurm job 17: " why "\"}"

static void closes(void)
{
	UNTIL(world.n_jobs == 0);
	UNTIL(strcmp(world_db("SELECT count(*) FROM jobs"), "0") == 0);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
}

START_TEST(cancel_while_configuring)
{
	struct peer *prolog;
	int64_t at;

	world_start();
	prolog = world_launch(17);
	slurm_set(17, LIFE_CANCELLED);
	peer_shut(prolog);
	at = world_now;
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_int_le(world_now - at, 1000);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 0), STOP_0("cancelled"));
	UNTIL(slurm_count("comment 17 fargate: stopping") == 1);
	aws_status(aws_task(0), "STOPPED");
	closes();
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 1);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	world_end();
}
END_TEST

/* The poll alone finds it, when nobody's end of file told. */
START_TEST(the_poll_finds_a_cancelled_job)
{
	struct peer *prolog;
	int64_t at;

	world_start();
	prolog = world_launch(17);
	slurm_set(17, LIFE_CANCELLED);
	at = world_now;
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_int_le(world_now - at, 6000);
	UNTIL(prolog->released);
	world_end();
}
END_TEST

static const struct {
	enum slurm_life life;
	enum slurm_why why; /* 0 = what goes with life */
	const char *body;
} end_rows[] = {
	{ LIFE_TIMEOUT, WHY_UNKNOWN, STOP_0("time limit") },  { LIFE_CANCELLED, WHY_UNKNOWN, STOP_0("cancelled") },
	{ LIFE_ENDED, WHY_UNKNOWN, STOP_0("ended") },	      { LIFE_ENDED, WHY_PREEMPTED, STOP_0("preempted") },
	{ LIFE_ENDED, WHY_NODE_FAIL, STOP_0("node failure") }, { LIFE_ENDED, WHY_DEADLINE, STOP_0("deadline") },
	{ LIFE_CANCELLED, WHY_PREEMPTED, STOP_0("preempted") },
};

START_TEST(slurms_end_stops_a_running_task)
{
	struct peer *a;
	int64_t at;

	world_start();
	a = world_attached(17);
	slurm_job(17)->why = end_rows[_i].why;
	slurm_set(17, end_rows[_i].life);
	peer_signal(a, 15);
	at = world_now;
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_int_le(world_now - at, 2000);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 0), end_rows[_i].body);
	/* The script says a last word and ends. */
	aws_log(aws_task(0), "obye");
	aws_log_end(aws_task(0), 143);
	aws_exit(aws_task(0), 143);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 143);
	ck_assert_str_eq(a->out.data, "bye\n");
	ck_assert_uint_eq(a->notes.len, 0);
	closes();
	world_end();
}
END_TEST

START_TEST(stop_grace_ends_the_copying)
{
	struct peer *a;
	int64_t at;

	world_start();
	a = world_attached(17);
	slurm_set(17, LIFE_CANCELLED);
	peer_signal(a, 15);
	at = world_now;
	UNTIL(a->status >= 0);
	ck_assert_int_ge(world_now - at, 5000);
	ck_assert_int_le(world_now - at, 7000);
	ck_assert_int_eq(a->status, 143);
	ck_assert_str_eq(a->notes.data,
			 "the job was ended by Slurm; later output stays in CloudWatch; see CloudWatch log group /slurm, "
			 "stream job/main/" TASK_0 "\n");
	aws_exit(aws_task(0), 0);
	closes();
	world_end();
}
END_TEST

static const int stopped_codes[] = { 0, 256, 512, -256, 65536 };

START_TEST(a_stopped_job_never_exits_0)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	slurm_set(17, LIFE_CANCELLED);
	peer_signal(a, 15);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), stopped_codes[_i]);
	UNTIL(a->status >= 0);
	ck_assert_int_gt(a->status, 0);
	world_end();
}
END_TEST

#define TERM_NOTE                                                                                                                \
	"signal TERM cannot be delivered to the Fargate task without ending it, and Slurm has not ended the job; the job goes on\n"

START_TEST(sigterm_alone_stops_nothing)
{
	struct peer *a;
	int64_t at;

	world_start();
	a = world_attached(17);
	peer_signal(a, 15);
	at = world_now;
	UNTIL(a->notes.len);
	/* Slurm is looked at for 5 s first, and its user is told once. */
	ck_assert_int_ge(world_now - at, 5000);
	ck_assert_int_le(world_now - at, 7000);
	ck_assert_str_eq(a->notes.data, TERM_NOTE);
	peer_signal(a, 15);
	world_run(30000);
	ck_assert_str_eq(a->notes.data, TERM_NOTE);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	ck_assert_int_eq(a->status, -1);
	world_end();
}
END_TEST

/* What fargate-attach says by itself is not said again, and a SIGTERM that Slurm explains is none. */
START_TEST(other_signals_and_other_ends_draw_no_note)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	peer_signal(a, 10);
	world_run(10000);
	peer_signal(a, 15);
	world_run(3000);
	slurm_set(17, LIFE_CANCELLED);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	aws_log_end(aws_task(0), 143);
	aws_exit(aws_task(0), 143);
	UNTIL(a->status >= 0);
	ck_assert_uint_eq(a->notes.len, 0);
	world_end();
}
END_TEST

/* Slurm was away all the time: nothing is known, nothing is said before it is back. */
START_TEST(sigterm_while_slurmctld_is_away_waits_for_it)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	slurm_down(true);
	peer_signal(a, 15);
	world_run(30000);
	ck_assert_uint_eq(a->notes.len, 0);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	slurm_down(false);
	UNTIL(a->notes.len);
	ck_assert_str_eq(a->notes.data, TERM_NOTE);
	world_end();
}
END_TEST

START_TEST(a_throttled_stop_is_repeated)
{
	struct peer *prolog;

	world_start();
	aws_script((struct fake_answer){
		.op = AWS_OP_STOP_TASK, .code = "ThrottlingException", .message = "Rate exceeded", .times = 2 });
	aws_script((struct fake_answer){ .op = AWS_OP_STOP_TASK, .transport = true });
	prolog = world_launch(17);
	slurm_set(17, LIFE_CANCELLED);
	peer_shut(prolog);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 4);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 3), STOP_0("cancelled"));
	world_run(20000);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 4);
	aws_status(aws_task(0), "STOPPED");
	closes();
	world_end();
}
END_TEST

START_TEST(cancel_before_run_task_makes_no_task)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, true);
	prolog = peer_open(0);
	peer_launch(prolog, 17, 0, SPEC_A);
	UNTIL(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION) == 1);
	slurm_set(17, LIFE_CANCELLED);
	peer_shut(prolog);
	world_run(3000);
	aws_hold(AWS_OP_DESCRIBE_TASK_DEFINITION, false);
	closes();
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	world_end();
}
END_TEST

/* RunTask's answer was lost, then the job is cancelled: AWS is asked, not called to make one. */
static void lose_answers(bool effect)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .transport = true, .effect = effect, .times = 1000 });
	prolog = peer_open(0);
	peer_launch(prolog, 17, 0, SPEC_A);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 5);
	slurm_set(17, LIFE_CANCELLED);
	peer_shut(prolog);
}

START_TEST(an_unknown_outcome_is_listed)
{
	char wanted[128];
	size_t sent;

	lose_answers(true);
	UNTIL(world_job(17, 0)->row.stop_reason);
	sent = aws_count(AWS_OP_RUN_TASK);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	snprintf(wanted, sizeof(wanted), "{\"cluster\":\"hpc\",\"startedBy\":\"slurm/test-%s/17\"}", world.instance);
	ck_assert_str_eq(aws_body(AWS_OP_LIST_TASKS, 0), wanted);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 0), STOP_0("cancelled"));
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), sent);
	aws_status(aws_task(0), "STOPPED");
	closes();
	world_end();
}
END_TEST

START_TEST(an_unknown_outcome_may_be_no_task)
{
	lose_answers(false);
	closes();
	ck_assert_uint_ge(aws_count(AWS_OP_LIST_TASKS), 1);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	world_end();
}
END_TEST

/* ListTasks is eventually consistent: at least 5 s must lie between the last RunTask and a list that is believed. */
START_TEST(the_list_is_asked_5_s_after_the_last_call)
{
	size_t n;

	lose_answers(false);
	UNTIL(aws_count(AWS_OP_LIST_TASKS) >= 1 || world.n_jobs == 0);
	n = aws_count(AWS_OP_RUN_TASK);
	ck_assert_int_ge(aws_nth(AWS_OP_LIST_TASKS, aws_count(AWS_OP_LIST_TASKS) - 1)->at - aws_nth(AWS_OP_RUN_TASK, n - 1)->at,
			 5000);
	world_end();
}
END_TEST

/* The job ends while RunTask is under way, and RunTask is refused: Slurm already has its state. */
static const enum slurm_life late_rows[] = { LIFE_CANCELLED, LIFE_PENDING, LIFE_TIMEOUT };

START_TEST(a_refusal_after_the_cancel_holds_nothing)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	aws_hold(AWS_OP_RUN_TASK, true);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "AccessDeniedException", .message = "no" });
	prolog = peer_open(0);
	peer_launch(prolog, 17, 0, SPEC_A);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	slurm_restart(17, late_rows[_i] == LIFE_PENDING, late_rows[_i]);
	peer_shut(prolog);
	UNTIL(world_job(17, 0)->row.stop_reason);
	aws_hold(AWS_OP_RUN_TASK, false);
	world_run(20000);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	closes();
	world_end();
}
END_TEST

/* The verdict could not be told yet, and meanwhile the user cancelled: a hold would bring the job back. */
START_TEST(a_verdict_for_an_ended_job_is_dropped)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	slurm_refuse("hold", 3);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "AccessDeniedException", .message = "no" });
	prolog = peer_open(0);
	peer_launch(prolog, 17, 0, SPEC_A);
	UNTIL(world_logged("Slurm did not take the verdict"));
	slurm_set(17, LIFE_CANCELLED);
	world_run(60000);
	ck_assert_uint_eq(slurm_count("hold"), 0);
	ck_assert(prolog->released);
	closes();
	world_end();
}
END_TEST

START_TEST(a_requeued_job_starts_after_its_old_task)
{
	struct peer *a, *prolog;

	world_start();
	a = world_attached(17);
	aws_hold(AWS_OP_STOP_TASK, true);
	slurm_restart(17, 1, LIFE_PENDING);
	peer_shut(a);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 0), STOP_0("requeued"));
	slurm_restart(17, 1, LIFE_ACTIVE);
	prolog = peer_open(0);
	peer_launch(prolog, 17, 1, SPEC_A);
	world_run(10000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	aws_hold(AWS_OP_STOP_TASK, false);
	UNTIL(aws_tasks() == 2);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_RUN_TASK, 1), "\"group\":\"slurm-1699999990-1-1\""));
	aws_status(aws_task(0), "STOPPED");
	aws_running(aws_task(1));
	UNTIL(prolog->released);
	UNTIL(world.n_jobs == 1);
	ck_assert_ptr_nonnull(world_job(17, 1));
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 1);
	world_end();
}
END_TEST

/* Slurm requeues for several reasons and its record rarely says which: a node that is DOWN is looked for. */
static const struct {
	const char *down;
	enum slurm_why why;
	enum slurm_life life;
	const char *body;
} requeue_rows[] = {
	{ "-", WHY_UNKNOWN, LIFE_PENDING, STOP_0("requeued") },		{ "gw1", WHY_UNKNOWN, LIFE_PENDING, STOP_0("node failure") },
	{ "gw2", WHY_UNKNOWN, LIFE_PENDING, STOP_0("requeued") },	{ "-", WHY_PREEMPTED, LIFE_PENDING, STOP_0("preempted") },
	{ "gw1", WHY_UNKNOWN, LIFE_ACTIVE, STOP_0("node failure") },
};

START_TEST(a_requeue_says_why)
{
	struct peer *prolog;

	world_start();
	prolog = world_launch(17);
	slurm_node_down(requeue_rows[_i].down);
	slurm_job(17)->why = requeue_rows[_i].why;
	slurm_restart(17, 1, requeue_rows[_i].life);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 0), requeue_rows[_i].body);
	UNTIL(prolog->released);
	world_end();
}
END_TEST

/* The restart count rises at the request, before Slurm has ended the old start. */
START_TEST(a_higher_restart_count_stops_the_old_start)
{
	world_start();
	world_attached(17);
	slurm_restart(17, 1, LIFE_ACTIVE);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 0), STOP_0("requeued"));
	world_end();
}
END_TEST

/* A list Slurm made before the job started says nothing about this start of it. */
START_TEST(an_older_list_stops_no_new_start)
{
	struct peer *prolog;

	world_start();
	world_launch(16);
	slurm_add(17, ALICE);
	/* The list is of before the requeue: the count is lower than that of the start to come. */
	slurm_restart(17, 0, LIFE_PENDING);
	slurm_gate_after(true);
	UNTIL(slurm_waiting());
	slurm_restart(17, (uint32_t)_i, LIFE_ACTIVE);
	prolog = peer_open(0);
	peer_launch(prolog, 17, (uint32_t)_i, SPEC_A);
	UNTIL(world_job(17, (uint32_t)_i));
	slurm_gate_after(false);
	world_run(10000);
	ck_assert_uint_eq(prolog->released, 0);
	ck_assert_uint_eq(aws_tasks(), 2);
	ck_assert_ptr_null(world_job(17, (uint32_t)_i)->row.stop_reason);
	world_end();
}
END_TEST

START_TEST(slurmctld_away_keeps_tasks)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	slurm_down(true);
	peer_shut(a);
	world_run(120000);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	ck_assert(world_logged("slurmctld does not answer (Unable to contact slurm controller (connect failure)); tasks run on"));
	slurm_down(false);
	UNTIL(world_logged("slurmctld answers again"));
	world_run(20000);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	world_end();
}
END_TEST

START_TEST(a_job_slurm_no_longer_knows_is_stopped)
{
	world_start();
	world_attached(17);
	slurm_forget(17);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	ck_assert_str_eq(aws_body(AWS_OP_STOP_TASK, 0), STOP_0("no longer known"));
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ cancel_while_configuring, 0 },
		{ the_poll_finds_a_cancelled_job, 0 },
		{ slurms_end_stops_a_running_task, SF_COUNT(end_rows) },
		{ stop_grace_ends_the_copying, 0 },
		{ a_stopped_job_never_exits_0, SF_COUNT(stopped_codes) },
		{ sigterm_alone_stops_nothing, 0 },
		{ other_signals_and_other_ends_draw_no_note, 0 },
		{ sigterm_while_slurmctld_is_away_waits_for_it, 0 },
		{ a_requeue_says_why, SF_COUNT(requeue_rows) },
		{ a_throttled_stop_is_repeated, 0 },
		{ cancel_before_run_task_makes_no_task, 0 },
		{ an_unknown_outcome_is_listed, 0 },
		{ an_unknown_outcome_may_be_no_task, 0 },
		{ the_list_is_asked_5_s_after_the_last_call, 0 },
		{ a_refusal_after_the_cancel_holds_nothing, SF_COUNT(late_rows) },
		{ a_verdict_for_an_ended_job_is_dropped, 0 },
		{ a_requeued_job_starts_after_its_old_task, 0 },
		{ a_higher_restart_count_stops_the_old_start, 0 },
		{ an_older_list_stops_no_new_start, 2 },
		{ slurmctld_away_keeps_tasks, 0 },
		{ a_job_slurm_no_longer_knows_is_stopped, 0 },
	};

	return tap_main("agent_stop", tests, SF_COUNT(tests));
}
