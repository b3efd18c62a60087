/* What the sweep does with a task that no record of the agent holds: every row of the table, guards, groups and owners. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/util.h"
#include "plugin/agent/sweep_rules.h"
#include "tests/unit/tap.h"

#define SUBMIT 1699999990

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

int main(void)
{
	const struct tap_test tests[] = {
		{ groups, SF_COUNT(group_rows) },
		{ owners, SF_COUNT(owner_rows) },
		{ records, SF_COUNT(record_rows) },
		{ guards, SF_COUNT(guard_rows) },
		{ rules, SF_COUNT(rule_rows) },
	};

	return tap_main("sweep_rules", tests, SF_COUNT(tests));
}
