/* Unit tests of common/base/verdict.c: what holds for all signals, and the classes. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/verdict.h"

#include <string.h>

#include "common/base/text.h"
#include "common/base/util.h"
#include "tests/unit/tap.h"

static const char *const statuses[] = { NULL, "PROVISIONING", "RUNNING", "STOPPING",
					"DEPROVISIONING", "STOPPED", "DELETED", "BRAND_NEW" };
static const char *const desired[] = { NULL, "RUNNING", "STOPPED", "BRAND_NEW" };
static const char *const stop_codes[] = { NULL, "TaskFailedToStart", "EssentialContainerExited",
					  "UserInitiated", "ServiceSchedulerInitiated",
					  "SpotInterruption", "TerminationNotice", "BRAND_NEW" };
static const char *const stopped_reasons[] = {
	NULL, "Essential container in task exited", "Your Spot Task was interrupted.",
	"ECS is performing maintenance on the underlying infrastructure", "BRAND NEW",
};
static const char *const container_reasons[] = { NULL, "OutOfMemoryError: x",
						 "CannotStartContainerError: x" };

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* What holds for every signal there can be. */
static void check_one(const struct sf_task_signal *s)
{
	enum sf_class c = sf_verdict_task(s);
	bool over = s->has_exit_code || is(s->last_status, "STOPPED") ||
		    is(s->last_status, "DELETED");

	must(c < SF_CLASS_COUNT);
	must(!sf_class_is_end(c) || over);
	if (c == SF_CLASS_EXITED) {
		must(s->has_exit_code && !s->own_stop && !s->bootstrap_error);
		must(s->stop_code ? is(s->stop_code, "EssentialContainerExited")
				       : is(s->desired_status, "RUNNING"));
		must(!is(s->stopped_reason, stopped_reasons[2]));
		must(!s->container_reason || s->exit_code == 0 ||
			  !is(s->container_reason, container_reasons[1]));
	}
	if (s->own_stop && over)
		must(c == SF_CLASS_CANCELLED);
	if (c == SF_CLASS_CANCELLED)
		must(s->own_stop);
	if (!over)
		must(c == SF_CLASS_LAUNCHING || c == SF_CLASS_RUNNING);
	/* A task that is over gets its ending, and one with an exit code and a stop code too: no job waits for ever. */
	if (over && (s->stop_code || !s->has_exit_code || is(s->last_status, "STOPPED") || is(s->last_status, "DELETED")))
		must(sf_class_is_end(c));
	/* Nothing is launched again that may have run. */
	if (sf_class_action(c) == SF_ACT_RELAUNCH)
		must(!s->started && !s->has_exit_code);
}

START_TEST(what_holds_for_every_task)
{
	size_t a, b, c, d, e, bits;
	struct sf_task_signal s;

	for (a = 0; a < SF_COUNT(statuses); a++)
	for (b = 0; b < SF_COUNT(desired); b++)
	for (c = 0; c < SF_COUNT(stop_codes); c++)
	for (d = 0; d < SF_COUNT(stopped_reasons); d++)
	for (e = 0; e < SF_COUNT(container_reasons); e++)
	for (bits = 0; bits < 32; bits++) {
		s = (struct sf_task_signal){
			.last_status = statuses[a],
			.desired_status = desired[b],
			.stop_code = stop_codes[c],
			.stopped_reason = stopped_reasons[d],
			.container_reason = container_reasons[e],
			.started = bits & 1,
			.own_stop = bits & 2,
			.has_exit_code = bits & 4,
			.exit_code = bits & 8 ? 137 : 0,
			.bootstrap_error = bits & 16 ? "x" : NULL,
		};
		check_one(&s);
	}
}
END_TEST

static const char *const codes[] = { NULL, "ThrottlingException", "AccessDeniedException", "ConflictException", "ExpiredToken",
				     "ClientException", "LimitExceededException", "BrandNewException" };
static const char *const reasons[] = { NULL, "MISSING", "RESOURCE:CPU", "Internal error.", "currently blocked", "brand new" };
static const int https[] = { 0, 200, 400, 403, 429, 500, 503 };

START_TEST(what_holds_for_every_answer)
{
	size_t i, j, k, bits;
	struct sf_api_signal s;
	enum sf_class c;

	for (i = 0; i < SF_COUNT(codes); i++)
	for (j = 0; j < SF_COUNT(reasons) * 2; j++)
	for (k = 0; k < SF_COUNT(https); k++)
	for (bits = 0; bits < 4; bits++) {
		s = (struct sf_api_signal){ .read_only = bits & 1, .transport = bits & 2, .http = https[k], .code = codes[i] };
		*(j & 1 ? &s.failure : &s.message) = reasons[j / 2];
		c = sf_verdict_api(&s);
		must(c != SF_CLASS_EXITED && c != SF_CLASS_RUNNING && c < SF_CLASS_COUNT);
		/* A read decides nothing about a job. */
		must(!s.read_only || sf_class_action(c) == SF_ACT_WAIT);
	}
}
END_TEST

static const struct {
	enum sf_class c;
	const char *name;
	enum sf_action action;
} class_rows[] = {
	{ SF_CLASS_EXITED, "exited", SF_ACT_EXIT },
	{ SF_CLASS_OOM, "oom", SF_ACT_OOM },
	{ SF_CLASS_THROTTLE, "throttle", SF_ACT_WAIT },
	{ SF_CLASS_CAPACITY, "capacity", SF_ACT_RELAUNCH },
	{ SF_CLASS_QUOTA_SIZE, "quota-size", SF_ACT_HOLD },
	{ SF_CLASS_START_PERMANENT, "start-permanent", SF_ACT_HOLD },
	{ SF_CLASS_PREEMPTED, "preempted", SF_ACT_REQUEUE },
	{ SF_CLASS_INFRA, "infra", SF_ACT_REQUEUE },
	{ SF_CLASS_CANCELLED, "cancelled", SF_ACT_LEAVE },
	{ SF_CLASS_EXTERNAL, "external", SF_ACT_FAIL },
	{ SF_CLASS_UNKNOWN_LAUNCH, "unknown-launch", SF_ACT_HOLD },
	{ SF_CLASS_UNKNOWN_END, "unknown-end", SF_ACT_FAIL },
	{ SF_CLASS_LAUNCHING, "launching", SF_ACT_NONE },
	{ SF_CLASS_RUNNING, "running", SF_ACT_NONE },
	{ SF_CLASS_CREDS, "creds", SF_ACT_WAIT },
	{ SF_CLASS_QUOTA, "quota", SF_ACT_WAIT },
	{ SF_CLASS_START_TRANSIENT, "start-transient", SF_ACT_RELAUNCH },
	{ SF_CLASS_CONFIG, "config", SF_ACT_HOLD },
	{ SF_CLASS_LAUNCHED, "launched", SF_ACT_NONE },
	{ SF_CLASS_UNKNOWN, "unknown", SF_ACT_WAIT },
	{ SF_CLASS_STUCK, "stuck", SF_ACT_RELAUNCH },
};

START_TEST(classes_have_names_and_actions)
{
	size_t i;

	for (i = 0; i < SF_COUNT(class_rows); i++) {
		ck_assert_str_eq(sf_class_name(class_rows[i].c), class_rows[i].name);
		ck_assert_int_eq(sf_class_action(class_rows[i].c), class_rows[i].action);
	}
	ck_assert_uint_eq(SF_COUNT(class_rows), SF_CLASS_COUNT);
	for (i = 0; i < SF_CLASS_COUNT; i++) {
		/* What waits or goes on is no ending of a task, everything else is. */
		enum sf_action act = sf_class_action((enum sf_class)i);

		ck_assert_ptr_nonnull(sf_class_outcome((enum sf_class)i));
		ck_assert_int_eq(sf_class_is_end((enum sf_class)i), act != SF_ACT_NONE && act != SF_ACT_WAIT);
	}
	ck_assert_str_eq(sf_class_name(SF_CLASS_COUNT), "unknown");
	ck_assert_int_eq(sf_class_action(SF_CLASS_COUNT), SF_ACT_HOLD);
	ck_assert(!sf_class_is_end(SF_CLASS_COUNT) && !sf_class_rule_uses(SF_CLASS_COUNT) && !sf_class_when(SF_CLASS_COUNT));
	ck_assert_ptr_nonnull(sf_class_outcome(SF_CLASS_COUNT));
}
END_TEST

/* jobs.db keeps the number. */
START_TEST(numbers_of_classes_stay)
{
	ck_assert_int_eq(SF_CLASS_LAUNCHING, 0);
	ck_assert_int_eq(SF_CLASS_EXITED, 2);
	ck_assert_int_eq(SF_CLASS_UNKNOWN_END, 19);
	ck_assert_int_eq(SF_CLASS_STUCK, 20);
}
END_TEST

/* Every class either has a row or says when it comes; every row can be told. */
START_TEST(the_table_can_be_told)
{
	unsigned rows[SF_CLASS_COUNT] = { 0 };
	struct sf_verdict_row row;
	bool task = false;
	size_t i, j;

	for (i = 0; sf_verdict_row(i, &row); i++) {
		sf_auto_buf struct sf_buf b = SF_BUF_INIT;

		rows[row.class]++;
		ck_assert(row.task || !task);
		task = row.task;
		ck_assert_msg(row.facts && (row.fields ? row.n_texts > 0 : row.n_texts == 0), "row %zu", i);
		sf_verdict_describe(&row, "`", &b);
		ck_assert_ptr_eq(strstr(b.data, row.facts), b.data);
		for (j = 0; j < row.n_texts; j++)
			ck_assert_ptr_nonnull(strstr(b.data, row.texts[j]));
		ck_assert_ptr_null(strpbrk(b.data, "|\n\\"));
	}
	ck_assert(task);
	for (i = 0; i < SF_CLASS_COUNT; i++)
		ck_assert_msg(rows[i] > 0 || sf_class_when((enum sf_class)i), "nobody knows when %s comes",
			      sf_class_name((enum sf_class)i));
	ck_assert_uint_eq(rows[SF_CLASS_STUCK], 0);
}
END_TEST

START_TEST(a_row_reads_as_a_sentence)
{
	static const char *const texts[] = { "a", "b", "c" };
	struct sf_verdict_row row = { .facts = "a task", .fields = "stopCode", .with = "w", .texts = texts };
	static const char *const want[] = { "a task: stopCode has 'w' and 'a'", "a task: stopCode has 'w' and 'a' or 'b'",
					    "a task: stopCode has 'w' and 'a', 'b' or 'c'" };

	for (row.n_texts = 1; row.n_texts <= SF_COUNT(texts); row.n_texts++) {
		sf_auto_buf struct sf_buf b = SF_BUF_INIT;

		sf_verdict_describe(&row, "'", &b);
		ck_assert_str_eq(b.data, want[row.n_texts - 1]);
	}
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ what_holds_for_every_task, 0 },
		{ what_holds_for_every_answer, 0 },
		{ classes_have_names_and_actions, 0 },
		{ numbers_of_classes_stay, 0 },
		{ the_table_can_be_told, 0 },
		{ a_row_reads_as_a_sentence, 0 },
	};

	return tap_main("verdict", tests, SF_COUNT(tests));
}
