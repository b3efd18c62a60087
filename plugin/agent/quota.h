/* The vCPU quotas of Fargate as the agent sees them: per profile, Region and provider what AWS allows, and who has it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_QUOTA_H
#define PLUGIN_AGENT_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/conf.h"
#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/names.h"
#include "plugin/agent/slurm_api.h"

#define QUOTA_NOTES 20   /* design section 3: so many waiting jobs have a comment that names their quota */
#define QUOTA_HISTORY 32 /* minutes of our own usage that are remembered: CloudWatch tells of the last 15, late */

struct agent;
struct job;

/* All quantities are in quarters of a vCPU, all times in ms unless said. A pool, once made, stays until the agent ends. */
struct quota_pool {
	struct quota_pool *next;
	struct agent *agent;
	char *profile, *region; /* NULL = AWS's own variables */
	bool spot;
	bool in_force;          /* a line of the conf in force uses it */
	char account[16];       /* "" = not known yet */
	char place[64];         /* the Region in words, "" = not known yet */

	/* Its limit, as AWS said it last. */
	bool known;   /* it did, ever; quota_fresh() says whether that counts */
	int64_t limit;
	bool applied; /* the account's own value; false: AWS's default */
	int64_t limit_at; /* s: when AWS said so */
	int64_t tried_at; /* of the last question */
	char why[SF_ERROR_MAX]; /* why the last question was not answered, "" = it was */

	/* What others have of it, from CloudWatch. */
	bool usage_known;
	int64_t others;
	int64_t usage_at; /* s */
	char usage_why[SF_ERROR_MAX];

	/* What we have of it: from before RunTask until the task is STOPPED. */
	int64_t ours;
	int64_t in_flight; /* of ours: not yet a task */
	struct {
		int64_t minute, most;
	} history[QUOTA_HISTORY]; /* the most we had within a minute; by minute modulo QUOTA_HISTORY */
	int64_t history_from;     /* s: what we had before is not known */

	/* Who waits for it. */
	unsigned waiting;     /* jobs of ours in CF, quota_ask() */
	bool serve;           /* something changed: the waiting are looked at in the next tick */
	unsigned pending;     /* jobs that are PENDING (Licenses) */
	int64_t pending_quarters;

	/* quota_read.c's */
	bool limit_flying, usage_flying;
	int64_t limit_due, usage_due;
	int64_t usage_tried;
	unsigned limit_failures, usage_failures;
	int64_t limit_said; /* the last that was logged, -1 = "unknown" */
};

/* A job that is PENDING (Licenses), among the first of them: what its AdminComment says. */
struct quota_note {
	uint32_t job_id; /* 0 = none, and none behind */
	struct quota_pool *pool;
	int64_t at; /* of the last comment, 0 = there was none of ours */
	char head[96];
	char text[SF_COMMENT_MAX];
};

/* quota.c: pools and reservations. */
/* The pools of all lines in force; what is known of pools that there were stays. After each change of a->conf. */
void quota_lines(struct agent *a);
void quota_arn(struct quota_pool *pool, const char *arn); /* of anything there: it names account and Region; NULL-safe */
void quota_free(struct agent *a); /* after the last callback */
struct quota_pool *quota_pool_of(const struct agent *a, const char *profile, const char *region, bool spot); /* or NULL */
/* The pool that a line draws on with that provider, or NULL. */
struct quota_pool *quota_line_pool(const struct agent *a, const struct sf_conf_line *line, const char *provider);
/* The line draws on it, with that provider of its own. */
bool quota_line_uses(const struct sf_conf_line *line, const struct quota_pool *pool);
/* Its limit is known and not older than QuotaMaxAge. */
bool quota_fresh(const struct agent *a, const struct quota_pool *pool);
/* What others have of it; 0 = nothing, or not known. */
int64_t quota_others(const struct agent *a, const struct quota_pool *pool);
/* What all our tasks together may have now: limit - others - ReserveVcpu, never below ours; -1 = not known. */
int64_t quota_usable(const struct agent *a, const struct quota_pool *pool);
/* The license (fargate.conf's License or SpotLicense) of the partitions that draw on it; NULL = none. */
const char *quota_license(const struct sf_conf *conf, const struct quota_pool *pool);
struct quota_pool *quota_job_pool(const struct job *job); /* of its row: of the last try, or the next */
int64_t quota_quarters(const struct job *job);

/* The pool can never hold the job, as far as AWS's last word goes. */
bool quota_too_small(const struct job *job, const char *provider);
/* No provider of the job's can ever hold it: the sentence that says so. */
bool quota_never(const struct job *job, char text[SF_ERROR_MAX]);
/* True once the job's quarters are reserved for its next try; until then it waits, the oldest first. */
bool quota_ask(struct job *job);
/* Something else keeps the job from its next try: others may have its quarters. */
void quota_leave(struct job *job);
/* Brings what is reserved for the job into line with where it stands; at the end of each of its ticks, and when it goes. */
void quota_sync(struct job *job);
void quota_tick(struct agent *a, int64_t now);
/* RunTask was refused for the quota: what is known of it is asked for again. */
void quota_refused(struct job *job);
/* A task of ours there may be waited for: it is looked at more often. */
bool quota_wanted(const struct job *job);
int quota_by_age(const void *a, const void *b); /* for qsort(3): struct job *, the oldest first */

/* quota_read.c: what AWS says. */
void quota_read_tick(struct quota_pool *pool, int64_t now);
void quota_read_again(struct quota_pool *pool); /* soon */
void quota_read_lines(struct quota_pool *pool); /* fargate.conf has changed */

/* quota_note.c: what waiting jobs are told. */
/* All of Slurm's jobs: who is PENDING (Licenses). */
void quota_pending(struct agent *a, const struct slurm_brief *briefs, size_t n);
void quota_waits(struct job *job);   /* it waits for its pool from now on */
void quota_goes_on(struct job *job); /* it does no more */
void quota_note_tick(struct agent *a, int64_t now);
/* "waits for the On-Demand quota L-3032A538 in eu-west-1 (6 vCPU, 5.75 in use by us, 0 by others)" */
void quota_words(const struct agent *a, const struct quota_pool *pool, char out[SF_ERROR_MAX]);

/* query_quota.c */
/* {"quotas":[...]}: for sfargate, every number. */
char *query_quota(struct agent *a);
/* For slurmctld's plugin: what job_submit judges by. */
sf_json *query_quota_snapshot(const struct agent *a);

#endif
