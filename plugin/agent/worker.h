/* The Slurm worker: one thread, a bounded queue with two priorities, answers back on the event loop. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_WORKER_H
#define PLUGIN_AGENT_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "plugin/agent/slurm_api.h"
#include "plugin/agent/slurm_resv.h"

enum work_kind {
	WORK_CLUSTER,  /* slurm_api_cluster + slurm_api_check_conf */
	WORK_JOBS,     /* slurm_api_jobs */
	WORK_REVIEW,   /* all of slurm_api_jobs, then slurm_api_cluster */
	WORK_JOB,      /* slurm_api_job, slurm_api_requeued */
	WORK_SCRIPT,   /* slurm_api_job with the script, slurm_api_groups where asked for */
	WORK_COMMENT,  /* slurm_api_comment; low priority, the latest per job wins */
	WORK_END_TIME, /* slurm_api_end_time */
	WORK_USER_HOLD, /* slurm_api_user_hold */
	WORK_HOLDS,    /* slurm_api_holds */
	WORK_TELL      /* a verdict: the comment, then what `tell` says */
};

enum work_tell {
	WORK_TELL_NOTHING, /* only the comment: the exit code does the rest */
	WORK_TELL_HOLD,
	WORK_TELL_REQUEUE, /* not before `delay`; where the job may not be requeued, what `boot_fail` says */
	WORK_TELL_COMPLETE
};

/* One piece of work, request and answer in one. Owned by the worker from worker_submit() until `done` is called. */
struct work {
	enum work_kind kind;
	uint32_t job_id;
	enum work_tell tell;
	uint32_t restart; /* WORK_TELL: the start that the verdict is about; another one is left alone. WORK_JOB: the start asked about */
	char node[64];         /* WORK_JOB: where that start ran, "" = not known */
	uint32_t code;         /* WORK_TELL_COMPLETE */
	time_t when;           /* WORK_END_TIME */
	int64_t delay;         /* WORK_TELL_REQUEUE: s from the requeue to the job's BeginTime */
	bool boot_fail;        /* WORK_TELL_REQUEUE, refused: BOOT_FAIL; else the exit code does the rest */
	char *refused_comment; /* WORK_TELL_REQUEUE, heap: the comment in that case */
	bool with_groups;      /* WORK_SCRIPT: the groups of the job's user too */
	char *comment;         /* heap; WORK_COMMENT, WORK_TELL */
	struct sf_conf *conf;  /* WORK_CLUSTER; a reference of its own */
	void (*done)(struct work *w, void *ctx); /* on the event loop; w is freed afterwards */
	void *ctx;
	struct slurm_hold *holds; /* heap; WORK_HOLDS, request and answer */
	size_t n_holds;
	/* the answer */
	int rc;
	struct sf_error err;
	struct slurm_cluster cluster;
	struct slurm_job job;
	bool not_requeued;  /* WORK_TELL_REQUEUE: the job may not be */
	bool groups_failed; /* the name service failed, err says how; the rest is good */
	char **groups;
	struct slurm_brief *briefs;
	size_t n_briefs;
	bool changed;
	/* the worker's own */
	struct work *next;
};

struct worker;

/* Start the thread. *fd gets a descriptor that is readable when answers wait for worker_drain(). */
struct worker *worker_new(int *fd, struct sf_error *err);
/* Ask the thread to stop after what it is doing, wait for it, drop what is queued without calling done. NULL-safe. */
void worker_free(struct worker *w);

/* A zeroed piece of work, or NULL when out of memory. */
struct work *work_new(enum work_kind kind, uint32_t job_id, void (*done)(struct work *, void *), void *ctx);
void work_drop(struct work *w); /* one that was not submitted */
/*
 * Queue it. Comments wait behind everything else, and one already waiting for the same job is replaced (its done is called with
 * rc 0). Returns false when the queue is full (the work is freed, done is not called): ask again later.
 */
bool worker_submit(struct worker *w, struct work *work);
/* Call done for every answer that is there. */
void worker_drain(struct worker *w);

#endif
