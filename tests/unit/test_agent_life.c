/* What slurmctld's records mean: a job's life, and why a start of it is over. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <check.h>
#include <string.h>

#include "common/base/util.h"
#include "plugin/agent/compat.h"
#include "plugin/agent/slurm_api.h"
#include "tests/unit/tap.h"

#define T 1795841000 /* some moment */

/* Records as Slurm 22.05.8 showed them, and what is made of others. */
static const struct {
	struct slurm_seen seen;
	enum slurm_life life;
	const char *why;
} rows[] = {
	{ { JOB_PENDING, 0, T, 0 }, LIFE_PENDING, "requeued" },
	{ { JOB_PENDING | JOB_COMPLETING, 0, T, 0 }, LIFE_PENDING, "requeued" },
	{ { JOB_PENDING | JOB_COMPLETING | JOB_SPECIAL_EXIT, 0, T, 0 }, LIFE_PENDING, "requeued" },
	{ { JOB_PENDING | JOB_COMPLETING, T, T + 100, 0 }, LIFE_PENDING, "preempted" },
	{ { JOB_RUNNING, 0, T, 0 }, LIFE_ACTIVE, "requeued" },
	{ { JOB_RUNNING | JOB_CONFIGURING, 0, T, 0 }, LIFE_ACTIVE, "requeued" },
	{ { JOB_RUNNING, T, T + 8, 0 }, LIFE_ACTIVE, "requeued" }, /* within GraceTime */
	{ { JOB_SUSPENDED, 0, T, 0 }, LIFE_ACTIVE, "requeued" },
	{ { JOB_CANCELLED | JOB_COMPLETING, 0, T, 0 }, LIFE_CANCELLED, "cancelled" },
	{ { JOB_CANCELLED, 0, 0, 0 }, LIFE_CANCELLED, "cancelled" },
	{ { JOB_CANCELLED, T, T, 0 }, LIFE_CANCELLED, "preempted" }, /* was CONFIGURING */
	{ { JOB_CANCELLED, T, T + 1, 0 }, LIFE_CANCELLED, "preempted" },
	{ { JOB_CANCELLED | JOB_COMPLETING, T, T + 5, 0 }, LIFE_CANCELLED, "cancelled" }, /* by its user, within GraceTime */
	{ { JOB_PREEMPTED | JOB_COMPLETING, T, T, 0 }, LIFE_ENDED, "preempted" },
	{ { JOB_PREEMPTED, 0, T, 0 }, LIFE_ENDED, "preempted" },
	{ { JOB_TIMEOUT | JOB_COMPLETING, 0, T, 0 }, LIFE_TIMEOUT, "time limit" },
	{ { JOB_TIMEOUT, T, T, 0 }, LIFE_TIMEOUT, "time limit" },
	{ { JOB_TIMEOUT | JOB_COMPLETING, 0, T, T }, LIFE_TIMEOUT, "deadline" },
	{ { JOB_TIMEOUT, 0, T + 20, T }, LIFE_TIMEOUT, "deadline" },
	{ { JOB_TIMEOUT, 0, T, T + 1 }, LIFE_TIMEOUT, "time limit" }, /* before its deadline */
	{ { JOB_CANCELLED, 0, T, T }, LIFE_CANCELLED, "cancelled" },
	{ { JOB_NODE_FAIL, 0, T, 0 }, LIFE_ENDED, "node failure" },
	{ { JOB_NODE_FAIL | JOB_COMPLETING, 0, T, 0 }, LIFE_ENDED, "node failure" },
	{ { JOB_DEADLINE, 0, T, 0 }, LIFE_ENDED, "deadline" },
	{ { JOB_COMPLETE, 0, T, 0 }, LIFE_ENDED, "ended" },
	{ { JOB_FAILED | JOB_COMPLETING, 0, T, 0 }, LIFE_ENDED, "ended" },
	{ { JOB_OOM, 0, T, 0 }, LIFE_ENDED, "ended" },
	{ { JOB_BOOT_FAIL, 0, T, 0 }, LIFE_ENDED, "ended" },
	{ { JOB_END, 0, T, 0 }, LIFE_ENDED, "ended" }, /* what a later Slurm may have */
	{ { JOB_STATE_BASE, T, T, 0 }, LIFE_ENDED, "ended" },
};

START_TEST(a_record_says_life_and_why)
{
	ck_assert_int_eq(slurm_life_of(rows[_i].seen.job_state), rows[_i].life);
	ck_assert_str_eq(slurm_why_name(slurm_why_of(&rows[_i].seen)), rows[_i].why);
}
END_TEST

START_TEST(every_reason_has_a_name_of_its_own)
{
	int i, k;

	for (i = WHY_UNKNOWN; i <= WHY_GONE; i++)
		for (k = i + 1; k <= WHY_GONE; k++)
			ck_assert_str_ne(slurm_why_name((enum slurm_why)i), slurm_why_name((enum slurm_why)k));
	ck_assert_str_eq(slurm_why_name(WHY_GONE), "no longer known");
	ck_assert_str_eq(slurm_why_name((enum slurm_why)(WHY_GONE + 1)), "unknown");
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_record_says_life_and_why, SF_COUNT(rows) },
		{ every_reason_has_a_name_of_its_own, 0 },
	};

	return tap_main("agent_life", tests, SF_COUNT(tests));
}
