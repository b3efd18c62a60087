/* Endings: one verdict, told once it is stored, confirmed, and never success without AWS's own 0. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define TASK_0 "0000000000000000000000000000abc0"

/* --- property ------------------------------------------------------------------------------------------------------ */
static const char *const statuses[] = { "PROVISIONING", "PENDING",  "ACTIVATING",     "RUNNING",
					"DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED" };
static const char *const stop_codes[] = { NULL,
					  "EssentialContainerExited",
					  "TaskFailedToStart",
					  "SpotInterruption",
					  "UserInitiated",
					  "TerminationNotice",
					  "ServiceSchedulerInitiated",
					  "WhoKnows" };
static const char *const reasons[] = { NULL,
				       "Essential container in task exited",
				       "CannotPullContainerError: not found",
				       "Your Spot Task was interrupted.",
				       "Timeout waiting for network interface provisioning",
				       "Task stopped due to maintenance on the underlying infrastructure",
				       "Internal error.",
				       "xyz" };
static const char *const container_reasons[] = { NULL, NULL, "OutOfMemoryError: Container killed due to memory usage",
						 "CannotStartContainerError: x" };
static const int exit_codes[] = { 0, 0, 1, 7, 137, 143, 255, 256, 512, -1 };

#define PICK(list) ((list)[(size_t)random() % SF_COUNT(list)])

/* A random life; what has come stays, the way ECS does it: an exit code and a stop code do not go away. */
static void random_snapshot(struct fake_task *t, size_t *at)
{
	*at += (size_t)random() % 3;
	if (*at >= SF_COUNT(statuses))
		*at = SF_COUNT(statuses) - 1;
	t->last = statuses[*at];
	t->started = t->started || (*at >= 3 && random() % 2);
	if (*at >= 3 && !t->has_exit && random() % 3 == 0) {
		t->has_exit = true;
		t->exit_code = PICK(exit_codes);
	}
	if (!t->stop_code && *at >= 2 && random() % 2) {
		t->stop_code = PICK(stop_codes);
		t->stopped_reason = PICK(reasons);
		t->container_reason = PICK(container_reasons);
	}
	if (*at > 3 || t->stop_code)
		t->desired = "STOPPED";
}

/* What ends a start as Slurm sees it, beside the attach's exit. */
static size_t endings(void)
{
	return slurm_count("hold") + slurm_count("complete") + slurm_count("requeue");
}

static struct peer *attach_once_released(const struct peer *prolog, struct peer *a)
{
	if (!prolog->released || a || endings())
		return a;
	slurm_running(17);
	return peer_attached(17, 0, TOKEN_A, SPEC_A);
}

/* Every task the agent makes for the job has a random life, until the start has an end. */
START_TEST(any_life_ends_once_and_0_only_by_0)
{
	struct fake_task *t = NULL;
	struct peer *prolog, *a = NULL;
	size_t at = 0, i, seen = 0;

	srandom(99u + (unsigned)_i);
	world_step = 250; /* a life with all its tries lasts minutes */
	world_start();
	prolog = world_launch(17);
	for (i = 0; i < 400 && !endings() && !(a && a->status >= 0); i++) {
		if (aws_tasks() > seen) {
			seen = aws_tasks();
			at = 0;
		}
		t = aws_task(seen - 1);
		if (at < SF_COUNT(statuses) - 1)
			random_snapshot(t, &at);
		else if (t->started && !t->log && random() % 2)
			aws_log_end(t, t->exit_code);
		world_run(2000);
		a = attach_once_released(prolog, a);
	}
	UNTIL(endings() || (a && a->status >= 0));
	world_run(5000);
	/* One verdict: held, requeued, completed through the API, or the attach's exit; never two that contradict. */
	ck_assert_uint_le(endings(), 1);
	ck_assert_uint_eq((slurm_count("comment 17 fargate: done") > 0) + (slurm_count("comment 17 fargate: held") > 0) +
				  slurm_count("begin 17"), 1);
	if (a && a->status == 0)
		ck_assert_msg(t->has_exit && t->exit_code == 0 && !endings(), "EXIT 0 with %d", t->exit_code);
	else
		ck_assert(endings() || (a && a->status > 0));
	ck_assert_uint_le(a ? a->exits : 0, 1);
	slurm_set(17, LIFE_ENDED);
	UNTIL(world.n_jobs == 0);
	world_end();
}
END_TEST

/* --- single endings ------------------------------------------------------------------------------------------------- */
START_TEST(oom_completes_through_the_api)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_task(0)->container_reason = "OutOfMemoryError: Container killed due to memory usage";
	aws_log_end(aws_task(0), 137);
	aws_exit(aws_task(0), 137);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 1);
	ck_assert_str_eq(slurm_nth("complete", 0), "complete 17 35325"); /* 137 << 8 | 253 */
	ck_assert_uint_eq(slurm_count("complete"), 1);
	ck_assert_str_eq(a->notes.data, "the task ended as oom: OutOfMemoryError: Container killed due to memory usage\n");
	world_end();
}
END_TEST

START_TEST(a_stop_by_someone_else_fails_the_job)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_task(0)->stopped_reason = "Task stopped by user";
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	aws_task(0)->stop_code = "UserInitiated";
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 1);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	ck_assert_ptr_nonnull(strstr(a->notes.data, "the task ended as external: "));
	world_end();
}
END_TEST

static const struct {
	const char *stop_code, *reason, *class;
} held_rows[] = {
	{ "TaskFailedToStart", "CannotPullContainerError: manifest unknown", "start-permanent" },
	{ "TaskFailedToStart", "something nobody has seen", "unknown-launch" },
};

START_TEST(a_task_that_never_ran_is_held_with_awss_words)
{
	struct peer *prolog;
	char wanted[256];

	world_start();
	prolog = world_launch(17);
	aws_task(0)->last = aws_task(0)->desired = "STOPPED";
	aws_task(0)->stop_code = held_rows[_i].stop_code;
	aws_task(0)->stopped_reason = held_rows[_i].reason;
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	snprintf(wanted, sizeof(wanted), "comment 17 fargate: held " TASK_0 " 1vCPU/2GB FARGATE eu-west-1a: %s",
		 held_rows[_i].reason);
	ck_assert_str_eq(slurm_nth("comment 17 fargate: held", 0), wanted);
	snprintf(wanted, sizeof(wanted), "job 17: verdict %s: ", held_rows[_i].class);
	ck_assert(world_logged(wanted));
	UNTIL(world.n_jobs == 0);
	world_end();
}
END_TEST

/* Seen on 22.05.8: the scheduler may turn our hold into an admin's, which the user could not release. */
START_TEST(a_hold_that_became_an_admins_is_given_back_to_the_user)
{
	struct peer *prolog;

	world_start();
	prolog = world_launch(17);
	aws_task(0)->last = aws_task(0)->desired = "STOPPED";
	aws_task(0)->stop_code = held_rows[0].stop_code;
	aws_task(0)->stopped_reason = held_rows[0].reason;
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("user_hold"), 0);
	slurm_job(17)->admin_held = true;
	slurm_set(17, LIFE_PENDING);
	UNTIL(slurm_count("user_hold 17"));
	/* An administrator who holds the job now means it. */
	slurm_job(17)->admin_held = true;
	slurm_set(17, LIFE_PENDING);
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(slurm_count("user_hold 17"), 1);
	world_end();
}
END_TEST

START_TEST(an_admins_hold_of_a_job_we_did_not_hold_is_left_alone)
{
	struct peer *prolog;

	world_start();
	prolog = world_launch(17);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	slurm_restart(17, 1, LIFE_PENDING);
	slurm_job(17)->admin_held = true;
	UNTIL(prolog->released);
	world_run(30000);
	ck_assert_uint_eq(slurm_count("user_hold"), 0);
	world_end();
}
END_TEST

/* --- telling ------------------------------------------------------------------------------------------------------- */
START_TEST(a_verdict_is_confirmed_after_10_s)
{
	struct peer *a;
	int64_t told;

	world_start();
	a = world_attached(17);
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(a->status == 0);
	told = world_now;
	slurm_set(17, LIFE_ENDED);
	world_run(8000);
	ck_assert_str_eq(world_db("SELECT telling FROM jobs"), "2");
	UNTIL(world.n_jobs == 0);
	ck_assert_int_ge(world_now - told, 9000);
	ck_assert_int_le(world_now - told, 17000);
	world_end();
}
END_TEST

static const struct {
	int exit_code;
	const char *call;
} retell_rows[] = { { 0, "complete 17 0" }, { 7, "complete 17 1792" } };

START_TEST(a_forgotten_verdict_is_told_again)
{
	struct peer *a;
	int64_t told;

	world_start();
	a = world_attached(17);
	aws_log_end(aws_task(0), retell_rows[_i].exit_code);
	aws_exit(aws_task(0), retell_rows[_i].exit_code);
	UNTIL(a->status >= 0);
	told = world_now;
	/* slurmctld died before it saved: it shows the job RUNNING again, and nobody is left to exit. */
	UNTIL(slurm_count("complete"));
	ck_assert_int_ge(world_now - told, 19000);
	ck_assert_int_le(world_now - told, 30000);
	ck_assert_str_eq(slurm_nth("complete", 0), retell_rows[_i].call);
	UNTIL(world.n_jobs == 0);
	ck_assert_uint_eq(slurm_count("complete"), 1);
	world_end();
}
END_TEST

START_TEST(a_verdict_slurm_refuses_is_told_again)
{
	struct peer *prolog;

	world_start();
	slurm_add(17, ALICE);
	slurm_refuse("hold", 2);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "AccessDeniedException", .message = "no" });
	prolog = peer_open(0);
	peer_launch(prolog, 17, 0, SPEC_A);
	UNTIL(world_logged("job 17: Slurm did not take the verdict: hold refused; asked again"));
	ck_assert_uint_eq(prolog->released, 0);
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	world_end();
}
END_TEST

START_TEST(slurmctld_away_delays_the_exit)
{
	struct peer *a;

	world_start();
	slurm_add(18, ALICE);
	a = world_attached(17);
	slurm_down(true);
	aws_task(0)->container_reason = "OutOfMemoryError: x";
	aws_log_end(aws_task(0), 137);
	aws_exit(aws_task(0), 137);
	world_run(30000);
	ck_assert_int_eq(a->status, -1);
	slurm_down(false);
	UNTIL(a->status >= 0);
	ck_assert_uint_eq(slurm_count("complete 17"), 1);
	world_end();
}
END_TEST

/* The exit code reaches the attach although the comment was refused. */
START_TEST(the_verdict_is_on_disk_before_it_is_told)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	slurm_gate(true);
	aws_log_end(aws_task(0), 3);
	aws_exit(aws_task(0), 3);
	UNTIL(strcmp(world_db("SELECT telling FROM jobs"), "1") == 0);
	ck_assert_str_eq(world_db("SELECT has_exit||' '||exit_code FROM jobs"), "1 3");
	ck_assert_int_eq(a->status, -1);
	slurm_gate(false);
	UNTIL(a->status == 3);
	world_end();
}
END_TEST

/* --- watching ------------------------------------------------------------------------------------------------------ */
START_TEST(descriptions_are_batched)
{
	size_t first = 0, i, most = 0, n;
	const char *p;
	uint32_t id;

	world_start();
	for (id = 1; id <= 150; id++) {
		struct peer *prolog = peer_open(0);

		slurm_add(id, ALICE);
		peer_launch(prolog, id, 0, SPEC_A);
		if (id % 10 == 0)
			world_turn();
	}
	UNTIL(aws_tasks() == 150);
	world_run(3000);
	first = aws_count(AWS_OP_DESCRIBE_TASKS);
	world_run(30000);
	for (i = first; i < aws_count(AWS_OP_DESCRIBE_TASKS); i++) {
		n = 0;
		for (p = aws_body(AWS_OP_DESCRIBE_TASKS, i); (p = strstr(p, "0000abc")); p++)
			n++;
		most = n > most ? n : most;
	}
	/* 150 tasks every 1.5 s for 30 s are 3000 descriptions: 20 rounds, of some batches each. */
	ck_assert_uint_le(aws_count(AWS_OP_DESCRIBE_TASKS) - first, 300);
	ck_assert_uint_ge(aws_count(AWS_OP_DESCRIBE_TASKS) - first, 30);
	world_end();
}
END_TEST

START_TEST(each_cluster_is_described_by_itself)
{
	struct fake_job *j;
	struct peer *p;
	size_t i, hpc = 0, spot = 0;

	world_start();
	world_launch(17);
	j = slurm_add(18, ALICE);
	sf_copy(j->partition, sizeof(j->partition), "spot");
	p = peer_open(0);
	peer_launch(p, 18, 0, world_spec(SID_B, "spot", NULL));
	UNTIL(aws_tasks() == 2);
	ck_assert_ptr_nonnull(
		strstr(aws_body(AWS_OP_RUN_TASK, 1), "\"capacityProviderStrategy\":[{\"capacityProvider\":\"FARGATE_SPOT\""));
	world_run(10000);
	for (i = 0; i < aws_count(AWS_OP_DESCRIBE_TASKS); i++) {
		const char *body = aws_body(AWS_OP_DESCRIBE_TASKS, i);
		bool in_hpc = strstr(body, "{\"cluster\":\"hpc\",") != NULL;

		ck_assert_int_eq(in_hpc, strstr(body, aws_task(0)->id) != NULL);
		ck_assert_int_eq(!in_hpc, strstr(body, aws_task(1)->id) != NULL);
		hpc += in_hpc;
		spot += !in_hpc;
	}
	ck_assert_uint_gt(hpc, 2);
	ck_assert_uint_gt(spot, 2);
	world_end();
}
END_TEST

START_TEST(failing_descriptions_end_nothing)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_script((struct fake_answer){
		.op = AWS_OP_DESCRIBE_TASKS, .code = "AccessDeniedException", .message = "no", .times = 10 });
	aws_script((struct fake_answer){ .op = AWS_OP_DESCRIBE_TASKS, .transport = true, .times = 10 });
	aws_script((struct fake_answer){ .op = AWS_OP_DESCRIBE_TASKS, .body = "{}", .times = 10 });
	world_run(200000);
	ck_assert_int_eq(a->status, -1);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(a->status == 0);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ any_life_ends_once_and_0_only_by_0, 100 },
		{ oom_completes_through_the_api, 0 },
		{ a_stop_by_someone_else_fails_the_job, 0 },
		{ a_task_that_never_ran_is_held_with_awss_words, SF_COUNT(held_rows) },
		{ a_hold_that_became_an_admins_is_given_back_to_the_user, 0 },
		{ an_admins_hold_of_a_job_we_did_not_hold_is_left_alone, 0 },
		{ a_verdict_is_confirmed_after_10_s, 0 },
		{ a_forgotten_verdict_is_told_again, SF_COUNT(retell_rows) },
		{ a_verdict_slurm_refuses_is_told_again, 0 },
		{ slurmctld_away_delays_the_exit, 0 },
		{ the_verdict_is_on_disk_before_it_is_told, 0 },
		{ descriptions_are_batched, 0 },
		{ each_cluster_is_described_by_itself, 0 },
		{ failing_descriptions_end_nothing, 0 },
	};

	return tap_main("agent_end", tests, SF_COUNT(tests));
}
