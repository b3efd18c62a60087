/* What the sweep's files share: where it looks, what it has found, how far it is. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_SWEEP_H
#define PLUGIN_AGENT_SWEEP_H

#include "plugin/agent/agent.h"
#include "plugin/agent/sweep_rules.h"

#define SWEEP_ID_MAX 64
#define SWEEP_WHY_MAX 256

/* One ListTasks with all its pages. */
struct sweep_place {
	char *profile, *region, *cluster;
	char *family; /* NULL = every task of the cluster: users may choose definitions by a pattern */
};

/* A task that no record of the agent held when it was listed. */
struct sweep_task {
	size_t place;
	char id[SWEEP_ID_MAX];
	uint32_t job_id; /* 0 = somebody else's, or not described */
	bool stopping, has_start;
	struct sweep_start start;
	int64_t created; /* s, 0 = AWS does not say */
	unsigned seen;
	bool stop, stopped;
	char why[SWEEP_WHY_MAX];
};

/* How often a task was seen; kept from sweep to sweep. */
struct sweep_seen {
	char id[SWEEP_ID_MAX];
	unsigned times;
	int64_t at; /* ms: the last time */
};

enum sweep_phase { SWEEP_IDLE, SWEEP_LIST, SWEEP_DESCRIBE, SWEEP_REVIEW, SWEEP_STOP };

/* One at a time, one call at a time; everything but the last group is of the sweep under way. */
struct sweep {
	struct agent *agent;
	enum sweep_phase phase;
	bool flying;
	bool dry, force;
	struct sweep_place *places;
	size_t n_places, place; /* the one that is being listed */
	char *page;             /* AWS's token, NULL = the first */
	unsigned pages;
	struct sweep_task *tasks;
	size_t n_tasks, at; /* the next one to be described or stopped */
	size_t others;      /* tasks of others */
	bool answered;      /* slurmctld: the list of its jobs */
	struct slurm_brief *briefs;
	size_t n_briefs;
	const char *guard;
	char trouble[SF_ERROR_MAX]; /* of this sweep, "" = none */
	/* kept */
	struct sweep_seen *seen;
	size_t n_seen;
	time_t boot;          /* slurmctld's, as last heard */
	int64_t boot_since;   /* s */
	const char *guarding; /* the guard that was last said */
	char problem[SF_ERROR_MAX]; /* the trouble that was last said */
};

/* sweep_list.c */
/* Where tasks of ours may be: fargate.conf's lines and the stored jobs. -1: out of memory. */
int sweep_places(struct sweep *s);
void sweep_places_free(struct sweep *s);
/* The next call of that phase, or the next phase. */
void sweep_list_step(struct sweep *s);
void sweep_describe_step(struct sweep *s);

/* sweep.c */
/* Begin a call for that place; false: it could not be started, and the place is to be left out. */
bool sweep_call(struct sweep *s, size_t place, enum aws_op op, const char *body, aws_reply_cb cb);
/* AWS refused. True: this place only, go on with the next; false: AWS is not to be asked now, and the sweep is over. */
bool sweep_refused(struct sweep *s, const struct aws_reply *reply);
void sweep_trouble(struct sweep *s, const char *text);

#endif
