/* Property test of common/base/verdict.c: lives of tasks, drawn at random, as any interleaving of snapshots may show them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdint.h>
#include <string.h>

#include "common/base/conf.h"
#include "common/base/util.h"
#include "tests/unit/tap.h"
#include "tests/unit/verdict_forms.h"

#define LIVES 120000
#define SNAPSHOTS_MAX 12
#define RULES_MAX 3

static uint64_t state;

/* splitmix64: the same lives on every machine. */
static unsigned draw(unsigned n)
{
	uint64_t z = (state += 0x9e3779b97f4a7c15u);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return (unsigned)((z ^ (z >> 31)) % n);
}

#define ONE_OF(list) (list)[draw(SF_COUNT(list))]

static const char *const statuses[] = { NULL, "PROVISIONING", "PENDING", "ACTIVATING", "RUNNING", "DEACTIVATING", "STOPPING",
					"DEPROVISIONING", "STOPPED", "DELETED", "BRAND_NEW", "" };
static const char *const desired[] = { NULL, "RUNNING", "STOPPED", "PENDING", "" };
static const char *const stop_codes[] = { NULL, "", "TaskFailedToStart", "EssentialContainerExited", "UserInitiated",
					  "ServiceSchedulerInitiated", "SpotInterruption", "TerminationNotice", "BrandNew" };
static const char *const reasons[] = {
	NULL, "", "Essential container in task exited", "Task stopped by user", "Your Spot Task was interrupted.",
	"ECS is performing maintenance on the underlying infrastructure hosting the task", "Internal error.",
	"Timeout waiting for network interface provisioning to complete.", "CannotPullContainerError: i/o timeout",
	"CannotPullContainerError: pull access denied", "ResourceInitializationError: failed to create Cloudwatch log group",
	"CannotStartContainerError: x", "OutOfMemoryError: Container killed due to memory usage", "RESOURCE:CPU", "brand new",
	"You've done it", "exit code 0", "COMPLETED", "exited",
};
static const int exits[] = { 0, 0, 1, 127, 137, 143, 255, 253 };
static char *const globs[] = { NULL, NULL, (char *)"*", (char *)"*e*", (char *)"EssentialContainerExited", (char *)"?*" };
static char *const exit_globs[] = { NULL, NULL, (char *)"*", (char *)"0", (char *)"1*" };

/* Classes that no file may name, too. */
static size_t draw_rules(struct sf_conf_rule rules[RULES_MAX])
{
	size_t n = draw(RULES_MAX + 1), i;

	for (i = 0; i < n; i++)
		rules[i] = (struct sf_conf_rule){
			.class = (enum sf_class)draw(SF_CLASS_COUNT),
			.code = draw(8) ? NULL : ONE_OF(globs),
			.stop_code = ONE_OF(globs),
			.stopped_reason = ONE_OF(globs),
			.container_reason = ONE_OF(globs),
			.exit_code = ONE_OF(exit_globs),
		};
	return n;
}

/* Any of the fields may come, change and go: AWS's answers overtake each other. */
static void next_snapshot(struct sf_task_signal *s)
{
	if (draw(2))
		s->last_status = ONE_OF(statuses);
	if (draw(2))
		s->desired_status = ONE_OF(desired);
	if (!draw(3))
		s->stop_code = ONE_OF(stop_codes);
	if (!draw(3))
		s->stopped_reason = ONE_OF(reasons);
	if (!draw(3))
		s->container_reason = ONE_OF(reasons);
	if (!draw(3)) {
		s->has_exit_code = draw(2);
		/* What an absent exit code holds must not matter. */
		s->exit_code = ONE_OF(exits);
	}
	s->own_stop = s->own_stop || !draw(12);
	if (!draw(16))
		s->bootstrap_error = "x";
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* Everything that may not matter is different: addresses, quotes, case, an exit code that is absent. */
static enum sf_class asked_otherwise(const struct sf_task_signal *s)
{
	struct sf_task_signal again = *s;
	char stop_code[FORM_MAX], stopped[FORM_MAX], container[FORM_MAX];

	again.stop_code = form_of(s->stop_code, 0, stop_code);
	again.stopped_reason = form_of(s->stopped_reason, 1, stopped);
	again.container_reason = form_of(s->container_reason, 1, container);
	for (char *p = stopped; s->stopped_reason && *p; p++)
		*p = *p >= 'a' && *p <= 'z' ? (char)(*p - 'a' + 'A') : *p;
	if (!s->has_exit_code)
		again.exit_code = 99;
	return sf_verdict_task(&again);
}

static void check(const struct sf_task_signal *s, enum sf_class c)
{
	bool stopped = is(s->last_status, "STOPPED") || is(s->last_status, "DELETED");
	bool counts = s->has_exit_code && (s->stop_code && *s->stop_code ? is(s->stop_code, "EssentialContainerExited")
									 : is(s->desired_status, "RUNNING"));

	must(c < SF_CLASS_COUNT);
	must(c == asked_otherwise(s));
	if (sf_class_action(c) == SF_ACT_EXIT)
		must(counts && !s->own_stop && !s->bootstrap_error);
	if (stopped)
		must(sf_class_is_end(c));
	if (!stopped && !s->has_exit_code)
		must(c == SF_CLASS_LAUNCHING || c == SF_CLASS_RUNNING);
	if (s->own_stop && sf_class_is_end(c))
		must(c == SF_CLASS_CANCELLED);
	if (sf_class_action(c) == SF_ACT_RELAUNCH)
		must(!s->started && !s->has_exit_code);
	if (!sf_class_is_end(c))
		must(c == SF_CLASS_LAUNCHING || c == SF_CLASS_RUNNING);
}

/* One task until its first ending, which must come with STOPPED at the latest; returns its class, or COUNT when none came. */
static enum sf_class live(unsigned *snapshots)
{
	struct sf_conf_rule rules[RULES_MAX];
	struct sf_task_signal s = { .rules = rules };
	unsigned i, n = 1 + draw(SNAPSHOTS_MAX);
	enum sf_class c;

	s.n_rules = draw_rules(rules);
	for (i = 0; i < n; i++) {
		next_snapshot(&s);
		c = sf_verdict_task(&s);
		(*snapshots)++;
		check(&s, c);
		if (sf_class_is_end(c))
			return c;
		s.started = s.started || c == SF_CLASS_RUNNING;
	}
	return SF_CLASS_COUNT;
}

static uint64_t all_lives(unsigned seen[SF_CLASS_COUNT + 1])
{
	uint64_t sum = 0;
	unsigned snapshots = 0, i;
	enum sf_class c;

	state = 20260101;
	for (i = 0; i < LIVES; i++) {
		c = live(&snapshots);
		seen[c]++;
		sum = sum * 31 + c;
	}
	ck_assert_uint_gt(snapshots, 300000);
	return sum;
}

START_TEST(no_interleaving_makes_a_success_of_what_is_none)
{
	unsigned seen[SF_CLASS_COUNT + 1] = { 0 }, again[SF_CLASS_COUNT + 1] = { 0 };

	ck_assert_uint_eq(all_lives(seen), all_lives(again));
	ck_assert_int_eq(memcmp(seen, again, sizeof(seen)), 0);
	/* The lives are worth something: they end in every way a task can. */
	for (enum sf_class c = 0; c < SF_CLASS_COUNT; c++)
		if (sf_class_is_end(c) && c != SF_CLASS_STUCK)
			ck_assert_msg(seen[c] > 0, "no task ended as %s", sf_class_name(c));
	ck_assert_uint_eq(seen[SF_CLASS_STUCK], 0);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ no_interleaving_makes_a_success_of_what_is_none, 0 },
	};

	return tap_main("verdict_property", tests, SF_COUNT(tests));
}
