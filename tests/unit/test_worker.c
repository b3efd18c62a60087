/* The Slurm worker: verdicts first, comments coalesced, bounded, answers on the loop. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define QUEUE_MAX 20000

static struct worker *worker;
static int fd = -1;
static size_t answers;
static int last_rc;
static char last_error[SF_ERROR_MAX];

static void done(struct work *w, void *ctx)
{
	ck_assert_ptr_eq(ctx, &answers);
	answers++;
	last_rc = w->rc;
	sf_copy(last_error, sizeof(last_error), w->err.text);
}

static void start(void)
{
	struct sf_error err = { "" };

	slurm_add(1, ALICE);
	slurm_add(3, ALICE);
	worker = worker_new(&fd, &err);
	ck_assert_msg(worker != NULL, "%s", err.text);
}

static bool submit(enum work_kind kind, uint32_t job, const char *comment, enum work_tell tell)
{
	struct work *w = work_new(kind, job, done, &answers);

	ck_assert_ptr_nonnull(w);
	w->comment = comment ? strdup(comment) : NULL;
	w->tell = tell;
	w->code = 7 << 8;
	return worker_submit(worker, w);
}

static void wait_answers(size_t n)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	while (answers < n) {
		ck_assert_int_eq(poll(&p, 1, 10000), 1);
		worker_drain(worker);
	}
	ck_assert_uint_eq(answers, n);
}

/* The thread stands inside a first call, so that what comes now waits in the queue. */
static void stop_thread(void)
{
	slurm_gate(true);
	ck_assert(submit(WORK_JOB, 99, NULL, WORK_TELL_NOTHING));
	while (!slurm_waiting())
		;
}

START_TEST(answers_arrive_on_the_loop)
{
	start();
	ck_assert(submit(WORK_TELL, 1, "fargate: done", WORK_TELL_COMPLETE));
	wait_answers(1);
	ck_assert_int_eq(last_rc, 0);
	ck_assert_str_eq(slurm_nth("", 0), "comment 1 fargate: done");
	ck_assert_str_eq(slurm_nth("", 1), "complete 1 1792");
	worker_free(worker);
}
END_TEST

START_TEST(errors_come_back_in_slurms_words)
{
	slurm_down(true);
	start();
	ck_assert(submit(WORK_JOB, 1, NULL, WORK_TELL_NOTHING));
	wait_answers(1);
	ck_assert_int_eq(last_rc, -1);
	ck_assert_str_eq(last_error, "Unable to contact slurm controller (connect failure)");
	worker_free(worker);
}
END_TEST

START_TEST(a_refused_comment_keeps_no_verdict_back)
{
	start();
	slurm_refuse("comment", 1);
	ck_assert(submit(WORK_TELL, 1, "fargate: held", WORK_TELL_HOLD));
	wait_answers(1);
	ck_assert_int_eq(last_rc, 0);
	ck_assert_str_eq(slurm_nth("", 0), "hold 1");
	worker_free(worker);
}
END_TEST

START_TEST(comments_coalesce_to_the_latest)
{
	start();
	stop_thread();
	ck_assert(submit(WORK_COMMENT, 1, "one", WORK_TELL_NOTHING));
	ck_assert(submit(WORK_COMMENT, 2, "other", WORK_TELL_NOTHING));
	ck_assert(submit(WORK_COMMENT, 1, "two", WORK_TELL_NOTHING));
	ck_assert(submit(WORK_COMMENT, 1, "three", WORK_TELL_NOTHING));
	slurm_gate(false);
	wait_answers(5);
	ck_assert_uint_eq(slurm_count("comment"), 2);
	ck_assert_str_eq(slurm_nth("comment 1", 0), "comment 1 three");
	ck_assert_str_eq(slurm_nth("comment 2", 0), "comment 2 other");
	worker_free(worker);
}
END_TEST

START_TEST(verdicts_overtake_comments)
{
	start();
	stop_thread();
	ck_assert(submit(WORK_COMMENT, 1, "one", WORK_TELL_NOTHING));
	ck_assert(submit(WORK_COMMENT, 2, "two", WORK_TELL_NOTHING));
	ck_assert(submit(WORK_TELL, 3, NULL, WORK_TELL_HOLD));
	slurm_gate(false);
	wait_answers(4);
	ck_assert_str_eq(slurm_nth("", 0), "hold 3");
	worker_free(worker);
}
END_TEST

/* The verdict's comment is the last word: one that still waited for the same job must not come after it. */
START_TEST(no_older_comment_follows_a_verdict)
{
	start();
	stop_thread();
	ck_assert(submit(WORK_COMMENT, 1, "running", WORK_TELL_NOTHING));
	ck_assert(submit(WORK_TELL, 1, "done", WORK_TELL_NOTHING));
	slurm_gate(false);
	wait_answers(3);
	ck_assert_str_eq(slurm_nth("comment 1", slurm_count("comment 1") - 1), "comment 1 done");
	worker_free(worker);
}
END_TEST

START_TEST(the_queue_is_bounded)
{
	size_t i;

	start();
	stop_thread();
	for (i = 0; i < QUEUE_MAX; i++)
		ck_assert(submit(WORK_JOB, (uint32_t)i + 1, NULL, WORK_TELL_NOTHING));
	ck_assert(!submit(WORK_JOB, 1, NULL, WORK_TELL_NOTHING));
	ck_assert(!submit(WORK_COMMENT, 1, "x", WORK_TELL_NOTHING));
	slurm_gate(false);
	wait_answers(QUEUE_MAX + 1);
	ck_assert(submit(WORK_JOB, 1, NULL, WORK_TELL_NOTHING));
	wait_answers(QUEUE_MAX + 2);
	worker_free(worker);
}
END_TEST

START_TEST(stopping_drops_what_waits)
{
	size_t i;

	start();
	stop_thread();
	for (i = 0; i < 10; i++)
		ck_assert(submit(WORK_TELL, (uint32_t)i + 1, "x", WORK_TELL_HOLD));
	slurm_gate(false);
	worker_free(worker);
	ck_assert_uint_eq(answers, 0);
	worker_free(NULL);
}
END_TEST

START_TEST(stopping_does_not_wait_for_slurm_for_ever)
{
	start();
	stop_thread();
	worker_free(worker);
	ck_assert_uint_eq(answers, 0);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ answers_arrive_on_the_loop, 0 },
		{ errors_come_back_in_slurms_words, 0 },
		{ a_refused_comment_keeps_no_verdict_back, 0 },
		{ comments_coalesce_to_the_latest, 0 },
		{ verdicts_overtake_comments, 0 },
		{ no_older_comment_follows_a_verdict, 0 },
		{ the_queue_is_bounded, 0 },
		{ stopping_drops_what_waits, 0 },
		{ stopping_does_not_wait_for_slurm_for_ever, 0 },
	};

	return tap_main("worker", tests, SF_COUNT(tests));
}
