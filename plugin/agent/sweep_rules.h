/* What becomes of a task of ours that no record of the agent holds: pure functions, one table. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_SWEEP_RULES_H
#define PLUGIN_AGENT_SWEEP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plugin/agent/slurm_api.h"

#define SWEEP_AGE_S 90  /* a younger task may be one whose record is being written */
#define SWEEP_SEEN 2    /* sweeps that must have seen it */
#define SWEEP_BOOT_S 300 /* after a start of slurmctld: it may have come back with an older state, or with none */

/* Which start and try of a job made a task. */
struct sweep_start {
	int64_t submit;
	uint32_t restart, try_no;
};
/* The group of a task, exactly as sf_group() writes it; false: it is none of ours. */
bool sweep_parse_group(const char *group, struct sweep_start *out);
/* The job id in startedBy, exactly as sf_started_by() writes it for this cluster and instance; 0: the task is somebody else's. */
uint32_t sweep_job_of(const char *started_by, const char *cluster, const char *instance);

/* How the agent's records of the job stand to the task. */
enum sweep_record {
	SWEEP_NO_RECORD,
	SWEEP_CURRENT, /* it was made by the current try of one of them, which takes it by itself or has its outcome open */
	SWEEP_PAST,    /* ... by an earlier start or try */
	SWEEP_AHEAD    /* ... by a later one than the agent knows: its record was lost */
};
/* `starts`: the current try of each record of the job. */
enum sweep_record sweep_record_of(const struct sweep_start *task, const struct sweep_start *starts, size_t n);

/* What keeps the sweep from stopping anything. */
struct sweep_world {
	bool answered;       /* slurmctld gave its list of jobs */
	bool polled;         /* and the agent has gone through one before */
	size_t jobs, records; /* in slurmctld's list; in the agent's table */
	int64_t up;          /* s since the agent saw slurmctld start, or slurmctld says it did */
};
const char *sweep_guard(const struct sweep_world *w); /* a clause for people, NULL = nothing does */

struct sweep_facts {
	bool stopping;  /* AWS stops it already */
	bool has_start; /* its group is one of ours, and this is what it says: */
	struct sweep_start start;
	enum sweep_record record;
	size_t records;        /* of its job */
	enum slurm_life life;  /* of its job; LIFE_UNKNOWN: slurmctld was not asked, or gave no answer */
	uint32_t restart;      /* ... and the restart count */
	int64_t age;           /* s; -1 = AWS does not say */
	unsigned seen;         /* sweeps that saw it, this one included */
	const char *guard;     /* of sweep_guard() */
	bool force;            /* an administrator asks: guard, age and number of sweeps do not count */
};
struct sweep_answer {
	bool stop;
	const char *why; /* static, or the guard */
};
struct sweep_answer sweep_decide(const struct sweep_facts *f);

#endif
