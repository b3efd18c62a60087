/* The gate in front of the quota: how many units of each license Slurm may give away, and when it gives none. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_HOLD_H
#define PLUGIN_AGENT_HOLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/conf.h"
#include "common/base/error.h"
#include "plugin/agent/slurm_api.h"
#include "plugin/agent/slurm_resv.h"

struct agent;
struct quota_pool;

#define HOLD_POOLS_MAX 16

/* One license. Units are quarters of a vCPU, times s. */
struct hold {
	struct hold *next;
	char license[SLURM_LICENSE_MAX];
	bool in_conf;      /* a line of the conf in force has it */
	int64_t usable;    /* last known, -1 = never */
	/* what Slurm's jobs make of it */
	int64_t in_use;    /* by jobs that run */
	uint32_t head;     /* the waiting job whose turn it is, 0 = none waits that could ever fit */
	int64_t need;      /* ... takes so many */
	int64_t head_since; /* ... and waits since then */
	bool overtaken;    /* ... while a smaller one was started or would be */
	bool frozen;
	/* what slurmctld has, once it was seen, and what was asked of it */
	bool seen, known;
	int64_t total, held;
	int64_t open, asked; /* -1 = leave it as it is */
	/* hold.c's, of the quotas behind it */
	const struct quota_pool *pools[HOLD_POOLS_MAX];
	size_t n_pools;
	int64_t allowed;     /* -1 = not known */
	bool missing_said, short_said, shared_said;
};

/* hold_rule.c: pure */
/* A list of all of Slurm's jobs. */
void hold_look(struct hold *h, const struct slurm_brief *briefs, size_t n, int64_t now);
/*
 * Units that Slurm may give away now, -1 = not known. `usable` is what the quota allows, -1 = not known: then what it was last
 * counts. With patience 0 nothing is ever frozen.
 */
int64_t hold_open(struct hold *h, int64_t usable, uint32_t patience, int64_t now);

/* hold.c: the agent's */
void hold_jobs(struct agent *a, const struct slurm_brief *briefs, size_t n); /* a new list of Slurm's jobs */
void hold_tick(struct agent *a, int64_t now);
/* The agent is told to leave: true when a frozen license is being opened; the loop is left when it is, or after a second. */
bool hold_leave(struct agent *a);
void hold_free(struct agent *a); /* after the last callback */
/* What is wrong with the licenses, for `sfargate status`; "" = nothing. */
void hold_problem(const struct agent *a, char out[SF_ERROR_MAX]);

/* For `fargated -t`: logs which of a conf's licenses slurm.conf does not have; -1 when slurmctld does not say. */
int hold_check_conf(const struct sf_conf *conf, struct sf_error *err);

#endif
