/* What a job's record at slurmctld means: does the job live, and if not, what ended this start of it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/slurm_api.h"

#include "common/base/util.h"
#include "plugin/agent/compat.h"

static const struct {
	enum slurm_life life;
	enum slurm_why why;
} states[JOB_END] = {
	/* A record that waits or runs, but with another restart count than the start that is asked about. */
	[JOB_PENDING] = { LIFE_PENDING, WHY_REQUEUED },
	[JOB_RUNNING] = { LIFE_ACTIVE, WHY_REQUEUED },
	[JOB_SUSPENDED] = { LIFE_ACTIVE, WHY_REQUEUED },
	[JOB_COMPLETE] = { LIFE_ENDED, WHY_ENDED },
	[JOB_CANCELLED] = { LIFE_CANCELLED, WHY_CANCELLED },
	[JOB_FAILED] = { LIFE_ENDED, WHY_ENDED },
	[JOB_TIMEOUT] = { LIFE_TIMEOUT, WHY_TIMEOUT },
	[JOB_NODE_FAIL] = { LIFE_ENDED, WHY_NODE_FAIL },
	[JOB_PREEMPTED] = { LIFE_ENDED, WHY_PREEMPTED },
	[JOB_BOOT_FAIL] = { LIFE_ENDED, WHY_ENDED },
	[JOB_DEADLINE] = { LIFE_ENDED, WHY_DEADLINE },
	[JOB_OOM] = { LIFE_ENDED, WHY_ENDED },
};

static const char *const names[] = {
	[WHY_UNKNOWN] = "unknown",     [WHY_REQUEUED] = "requeued",      [WHY_CANCELLED] = "cancelled",
	[WHY_TIMEOUT] = "time limit",  [WHY_PREEMPTED] = "preempted",    [WHY_NODE_FAIL] = "node failure",
	[WHY_DEADLINE] = "deadline",   [WHY_ENDED] = "ended",            [WHY_GONE] = "no longer known",
};

const char *slurm_why_name(enum slurm_why why)
{
	return (size_t)why < SF_COUNT(names) ? names[why] : names[WHY_UNKNOWN];
}

enum slurm_life slurm_life_of(uint32_t job_state)
{
	uint32_t base = job_state & JOB_STATE_BASE;

	return base < JOB_END ? states[base].life : LIFE_ENDED;
}

/*
 * Seen on 22.05.8. A preempted job is PREEMPTED, but CANCELLED where it was CONFIGURING; requeued it is PENDING, with preempt_time
 * only until its batch step is gone, and never where it was CONFIGURING. With GraceTime, preempt_time is set when the grace
 * begins and again at its end: cancelled in between, by its user, the job has ended later than that. A job that runs into its
 * --deadline is TIMEOUT; DEADLINE is for those that never started.
 */
enum slurm_why slurm_why_of(const struct slurm_seen *seen)
{
	uint32_t base = seen->job_state & JOB_STATE_BASE;
	enum slurm_why why = base < JOB_END ? states[base].why : WHY_ENDED;

	if (why == WHY_CANCELLED && seen->preempt_time && seen->end_time <= seen->preempt_time + 1)
		return WHY_PREEMPTED;
	if (base == JOB_PENDING && seen->preempt_time)
		return WHY_PREEMPTED;
	if (why == WHY_TIMEOUT && seen->deadline && seen->end_time >= seen->deadline)
		return WHY_DEADLINE;
	return why;
}
