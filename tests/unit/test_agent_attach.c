/* The attach: output and cursors, coming back, and the exit status. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define TASK_0 "0000000000000000000000000000abc0"

static const int codes[] = { 0, 1, 7, 137, 255 };

START_TEST(a_whole_job)
{
	char wanted[256];
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_log(aws_task(0), "ohello");
	aws_log(aws_task(0), "o");
	aws_log(aws_task(0), "ewarning");
	aws_log(aws_task(0), "oworld");
	UNTIL(a->out.len == strlen("hello\n\nworld\n"));
	ck_assert_str_eq(a->out.data, "hello\n\nworld\n");
	ck_assert_str_eq(a->err.data, "warning\n");
	aws_log_end(aws_task(0), codes[_i]);
	aws_exit(aws_task(0), codes[_i]);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, codes[_i]);
	ck_assert_uint_eq(a->exits, 1);
	ck_assert_uint_eq(a->notes.len, 0);
	/* The comment is with Slurm before the attach may go. */
	snprintf(wanted, sizeof(wanted), "comment 17 fargate: done " TASK_0 " 1vCPU/2GB FARGATE eu-west-1a");
	ck_assert_str_eq(slurm_nth("comment 17", slurm_count("comment 17") - 1), wanted);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	slurm_set(17, LIFE_ENDED);
	UNTIL(world.n_jobs == 0);
	UNTIL(strcmp(world_db("SELECT count(*) FROM jobs"), "0") == 0);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	world_end();
}
END_TEST

/* The log may be complete before ECS shows the end, and the other way round. */
START_TEST(the_exit_waits_for_the_log)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_log(aws_task(0), "oone");
	aws_exit(aws_task(0), 0);
	world_run(8000);
	ck_assert_int_eq(a->status, -1);
	aws_log(aws_task(0), "otwo");
	aws_log_end(aws_task(0), 0);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 0);
	ck_assert_str_eq(a->out.data, "one\ntwo\n");
	ck_assert_uint_eq(a->notes.len, 0);
	world_end();
}
END_TEST

START_TEST(missing_end_marks_cost_log_grace_and_are_said)
{
	int64_t ended;
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_log(aws_task(0), "oone");
	UNTIL(a->out.len == 4);
	aws_exit(aws_task(0), 3);
	UNTIL(world_job(17, 0)->ended);
	ended = world_now;
	UNTIL(a->status >= 0);
	ck_assert_int_ge(world_now - ended, 15000 - 100);
	ck_assert_int_le(world_now - ended, 17000);
	ck_assert_int_eq(a->status, 3);
	ck_assert_str_eq(a->notes.data,
			 "the end of the task's log did not arrive in time; output may be incomplete; see CloudWatch log "
			 "group /slurm, stream job/main/" TASK_0 "\n");
	ck_assert_str_eq(slurm_nth("comment 17 fargate: done", 0),
			 "comment 17 fargate: done " TASK_0 " 1vCPU/2GB FARGATE eu-west-1a: output may be incomplete");
	world_end();
}
END_TEST

/* GetLogEvents allows 9 calls a second: the last of these jobs is read long after its LogGrace. */
START_TEST(scarce_log_calls_cost_nobody_his_output)
{
	enum { N = 120 }; /* two reads each, ten a second: longer than LogGrace */
	struct peer *a[N];
	int i;

	world_start();
	for (i = 0; i < N; i++) {
		a[i] = world_attached(17 + (uint32_t)i);
		aws_log(aws_task((size_t)i), "ohello");
	}
	for (i = 0; i < N; i++) {
		aws_log(aws_task((size_t)i), "olast");
		aws_log_end(aws_task((size_t)i), 3);
		aws_exit(aws_task((size_t)i), 3);
	}
	for (i = 0; i < N; i++) {
		UNTIL(a[i]->status >= 0);
		ck_assert_int_eq(a[i]->status, 3);
		ck_assert_str_eq(a[i]->out.data, "hello\nlast\n");
		ck_assert_uint_eq(a[i]->notes.len, 0);
	}
	world_end();
}
END_TEST

/* ... and a log that takes longer to read than LogGrace is read to its end all the same. */
START_TEST(a_long_log_is_read_to_its_end)
{
	struct peer *a;
	int i;

	world_start();
	aws_page = 1;
	a = world_attached(17);
	for (i = 0; i < 200; i++)
		aws_log(aws_task(0), "oline");
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(a->status >= 0);
	ck_assert_uint_eq(a->out.len, 200 * strlen("line\n"));
	ck_assert_uint_eq(a->notes.len, 0);
	world_end();
}
END_TEST

START_TEST(without_framing_silence_ends_the_log)
{
	struct fake_job *j;
	struct peer *a;

	world_start();
	j = slurm_add(17, ALICE);
	sf_copy(j->partition, sizeof(j->partition), "plain");
	slurm_running(17);
	a = peer_attached(17, 0, TOKEN_A, world_spec(SID_A, "plain", NULL));
	UNTIL(aws_tasks() == 1);
	aws_running(aws_task(0));
	aws_log(aws_task(0), "plain line");
	UNTIL(a->out.len);
	aws_exit(aws_task(0), 0);
	world_run(10000);
	ck_assert_int_eq(a->status, -1);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 0);
	ck_assert_str_eq(a->out.data, "plain line\n");
	ck_assert_uint_eq(a->notes.len, 0);
	world_end();
}
END_TEST

START_TEST(the_bootstraps_own_failure_is_held)
{
	char nonce[17], line[128];
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_nonce(aws_task(0), nonce);
	snprintf(line, sizeof(line), "%s bootstrap: base64 is missing", nonce);
	aws_log(aws_task(0), line);
	aws_log_end(aws_task(0), 125);
	aws_exit(aws_task(0), 125);
	UNTIL(a->status >= 0);
	ck_assert_int_ne(a->status, 0);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 17 fargate: held", 0), ": bootstrap: base64 is missing"));
	ck_assert_str_eq(a->notes.data, "the task ended as start-permanent: bootstrap: base64 is missing\n");
	ck_assert_uint_eq(a->out.len, 0);
	world_end();
}
END_TEST

/* Whatever moment the attach is lost at, the job's files hold every line once. */
START_TEST(coming_back_loses_and_doubles_nothing)
{
	struct sf_buf out = SF_BUF_INIT, err = SF_BUF_INIT, want_out = SF_BUF_INIT, want_err = SF_BUF_INIT;
	unsigned char cursor[SF_CURSOR_MAX];
	size_t cursor_n = 0;
	int i, turns;
	char line[64];
	struct peer *a;

	srandom(4711u + (unsigned)_i);
	world_start();
	aws_page = 1 + (size_t)random() % 9;
	a = world_attached(17);
	for (i = 0; i < 120; i++) {
		snprintf(line, sizeof(line), "%cline %d", random() % 3 ? 'o' : 'e', i);
		aws_log(aws_task(0), line);
		sf_buf_printf(line[0] == 'o' ? &want_out : &want_err, "%s\n", line + 1);
		if (random() % 4)
			continue;
		for (turns = (int)(random() % 12); turns; turns--)
			world_turn();
		if (random() % 2)
			continue;
		sf_buf_add(&out, a->out.data, a->out.len);
		sf_buf_add(&err, a->err.data, a->err.len);
		if (a->cursor_n)
			memcpy(cursor, a->cursor, cursor_n = a->cursor_n);
		peer_shut(a);
		if (random() % 2)
			world_turn();
		if (random() % 4 == 0) {
			world_down();
			world_up();
			/* Until Slurm has been asked, no attach without hand-over is taken; this one has its token. */
		}
		a = peer_open(ALICE);
		peer_attach_at(a, 17, 0, TOKEN_A, SPEC_A, cursor, cursor_n);
	}
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 0);
	sf_buf_add(&out, a->out.data, a->out.len);
	sf_buf_add(&err, a->err.data, a->err.len);
	ck_assert_str_eq(out.data, want_out.data);
	if (want_err.len)
		ck_assert_str_eq(err.data, want_err.data);
	sf_buf_free(&out);
	sf_buf_free(&err);
	sf_buf_free(&want_out);
	sf_buf_free(&want_err);
	world_end();
}
END_TEST

START_TEST(a_foreign_cursor_starts_at_the_head)
{
	static const char *const bad[] = { "x", "0", "zz:", "00", "0-", "?9:f/1", "0x:f/3" };
	struct peer *a;

	world_start();
	a = world_attached(17);
	aws_log(aws_task(0), "oone");
	UNTIL(a->out.len == 4);
	peer_shut(a);
	a = peer_open(ALICE);
	peer_attach_at(a, 17, 0, TOKEN_A, SPEC_A, bad[_i], strlen(bad[_i]));
	UNTIL(a->out.len == 4);
	ck_assert_str_eq(a->out.data, "one\n");
	ck_assert(world_logged("job 17: an attach came with a cursor that is not ours"));
	world_end();
}
END_TEST

START_TEST(losing_the_attach_stops_nothing)
{
	struct peer *a;

	world_start();
	a = world_attached(17);
	peer_shut(a);
	world_run(120000);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	aws_exit(aws_task(0), 4);
	aws_log_end(aws_task(0), 4);
	world_run(60000);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	a = peer_open(ALICE);
	peer_attach(a, 17, 0, TOKEN_A, SPEC_A);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 4);
	world_end();
}
END_TEST

START_TEST(a_second_attach_takes_over)
{
	struct peer *a, *b;

	world_start();
	a = world_attached(17);
	b = peer_open(ALICE);
	peer_attach(b, 17, 0, TOKEN_A, SPEC_A);
	UNTIL(b->accepted && a->refused[0]);
	ck_assert_str_eq(a->refused, "another attach of this job has taken over");
	aws_log_end(aws_task(0), 9);
	aws_exit(aws_task(0), 9);
	UNTIL(b->status >= 0);
	ck_assert_int_eq(b->status, 9);
	ck_assert_int_eq(a->status, -1);
	world_end();
}
END_TEST

/* EXIT was sent, and the attach was gone before it read it. */
START_TEST(the_verdict_is_told_to_one_who_lost_it)
{
	struct peer *a, *b;

	world_start();
	a = world_attached(17);
	aws_log_end(aws_task(0), 5);
	aws_exit(aws_task(0), 5);
	UNTIL(a->status >= 0);
	b = peer_open(ALICE);
	peer_attach(b, 17, 0, TOKEN_A, SPEC_A);
	UNTIL(b->status >= 0);
	ck_assert_int_eq(b->status, 5);
	ck_assert_uint_eq(slurm_count("hold") + slurm_count("complete"), 0);
	world_end();
}
END_TEST

START_TEST(a_prolog_after_the_attach_is_held_until_it_ended)
{
	struct peer *a, *again;

	world_start();
	a = world_attached(17);
	again = peer_open(0);
	peer_launch(again, 17, 0, SPEC_A);
	world_run(30000);
	ck_assert_uint_eq(again->released, 0);
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(again->released);
	ck_assert_int_eq(a->status, 0);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	world_end();
}
END_TEST

START_TEST(short_tasks_never_show_running)
{
	struct peer *prolog, *a;

	world_start();
	prolog = world_launch(17);
	aws_log(aws_task(0), "oquick");
	aws_log_end(aws_task(0), 0);
	aws_exit(aws_task(0), 0);
	UNTIL(prolog->released);
	slurm_running(17);
	a = peer_attached(17, 0, TOKEN_A, SPEC_A);
	UNTIL(a->status >= 0);
	ck_assert_int_eq(a->status, 0);
	ck_assert_str_eq(a->out.data, "quick\n");
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_whole_job, SF_COUNT(codes) },
		{ the_exit_waits_for_the_log, 0 },
		{ missing_end_marks_cost_log_grace_and_are_said, 0 },
		{ scarce_log_calls_cost_nobody_his_output, 0 },
		{ a_long_log_is_read_to_its_end, 0 },
		{ without_framing_silence_ends_the_log, 0 },
		{ the_bootstraps_own_failure_is_held, 0 },
		{ coming_back_loses_and_doubles_nothing, 12 },
		{ a_foreign_cursor_starts_at_the_head, 7 },
		{ losing_the_attach_stops_nothing, 0 },
		{ a_second_attach_takes_over, 0 },
		{ the_verdict_is_told_to_one_who_lost_it, 0 },
		{ a_prolog_after_the_attach_is_held_until_it_ended, 0 },
		{ short_tasks_never_show_running, 0 },
	};

	return tap_main("agent_attach", tests, SF_COUNT(tests));
}
