/* jobs.db: one row per incarnation, written before the call that needs it (design section 5.1), and its history for people. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_STORE_H
#define PLUGIN_AGENT_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

/* Where an incarnation stands with AWS. */
enum job_stage {
	STAGE_FACTS,   /* Slurm's record and the script are being read */
	STAGE_DEFINE,  /* the task definition is being looked up */
	STAGE_LAUNCH,  /* a try is stored; RunTask is due or its outcome unknown */
	STAGE_TASK,    /* AWS has a task of ours */
	STAGE_OVER     /* no task, or it is STOPPED */
};

/* Where it stands with Slurm. */
enum job_telling {
	TELL_NOTHING,
	TELL_DECIDED,  /* the verdict is stored, Slurm does not know it yet */
	TELL_TOLD,     /* Slurm has been told; it may forget until it saves its state */
	TELL_CONFIRMED
};

/* Everything about an incarnation that must survive the agent. Strings are heap or NULL; times are seconds since the epoch, 0 = not yet. */
struct job_row {
	int64_t job_id;
	char *sid;
	int64_t restart;
	char *spec;
	int64_t uid;
	int64_t created;
	int64_t stage;
	int64_t prolog_seen;
	int64_t attach_seen;
	char *attach_token;
	char *profile;
	char *region;
	char *cluster;
	char *definition; /* full ARN, resolved before the first try */
	char *container;
	char *log_group;
	char *log_prefix;
	int64_t framing;
	int64_t log_lossy; /* awslogs not in blocking mode, and the job's user not told yet */
	int64_t time_limit; /* minutes, as Slurm had it when the job started */
	int64_t try_no;
	char *nonce;
	char *client_token;
	char *request; /* the byte-exact RunTask body; NULL once the outcome is definitive */
	int64_t request_at;
	int64_t sent;  /* the request may have reached AWS */
	char *task_id;
	char *provider;
	char *az;
	char *last_status;
	int64_t started;
	int64_t end_time_moved;
	char *stop_reason; /* not NULL: Slurm ended this start, so the task is to be stopped */
	char *abandon;     /* not NULL: this try's task is to be stopped, and another try made; what StopTask says */
	int64_t stop_accepted;
	int64_t has_exit;
	int64_t exit_code;
	int64_t ended_at;
	int64_t telling;
	int64_t verdict; /* enum sf_class */
	int64_t act;     /* enum sf_action, what Slurm is to see; 0 until decided */
	int64_t delay;   /* SF_ACT_REQUEUE: seconds until it may start again */
	char *reason;    /* in AWS's words, cleaned */
	int64_t told_at;
	char *user;         /* name of the job's user; NULL until Slurm has told */
	int64_t array_job;  /* 0 = no array element */
	int64_t array_task;
	/* The budget (retry.c). */
	int64_t attempts;   /* charged so far */
	int64_t rung;       /* of the ladder: provider by provider, subnet by subnet */
	int64_t stuck;      /* tries that were */
	int64_t doubt;      /* ms: when AWS's last "no" came; a new try waits until AWS shows no task; 0 = nothing to look for */
	int64_t retry_at;   /* ms: no new try before */
	int64_t released;   /* its prolog was let go, because the task ran */
	int64_t alerted; /* AlertTopic has been told of this start, or was to be */
};

#define STORE_INSTANCE_MAX 33 /* as long as fargate.conf lets Instance= be */

struct store;

/*
 * Open or create DIR/jobs.db (0600, WAL, synchronous=FULL); DIR is created 0700 when absent. Takes an exclusive lock so that
 * two agents never share it. `instance` gets the 8 hex digits made with the database, or `want` when not NULL.
 */
int store_open(const char *dir, const char *want, char instance[STORE_INSTANCE_MAX], struct store **out, struct sf_error *err);
void store_close(struct store *s);

/* A text of the agent's own under a name; "" when there is none. Written at once, or with the open transaction. */
int store_text(struct store *s, const char *name, char *out, size_t size, struct sf_error *err);
int store_put_text(struct store *s, const char *name, const char *value, struct sf_error *err);

/* Write a row (insert or replace). Rows of one loop turn share a transaction that store_commit() ends. */
int store_put(struct store *s, const struct job_row *row, struct sf_error *err);
int store_delete(struct store *s, const struct job_row *row, struct sf_error *err);
bool store_dirty(const struct store *s);
int store_commit(struct store *s, struct sf_error *err);

/* Call `each` with every stored row; ownership of the strings passes to it. */
int store_load(struct store *s, void (*each)(void *ctx, struct job_row *row), void *ctx, struct sf_error *err);

/* Who an incarnation is. */
struct store_key {
	int64_t job_id;
	int64_t restart;
	const char *sid;
};

/*
 * One thing that happened to an incarnation, for people to read: cleaned and short, nothing of the user's script or values.
 * Strings may be NULL but `what`.
 */
struct store_event {
	int64_t id;    /* set by store_event(); 0 = not stored yet */
	int64_t time;  /* ms since the epoch */
	int64_t last;  /* ms: when it was seen last, of `count` times in a row */
	int64_t count;
	int64_t try_no;
	const char *what, *op, *outcome, *text;
};
#define STORE_EVENTS_PER_JOB 120     /* then the oldest but the first STORE_EVENTS_KEPT go */
#define STORE_EVENTS_KEPT 20
#define STORE_EVENTS_MAX 200000      /* of all jobs: then ended jobs go early */
#define STORE_ENDED_MAX 10000
#define STORE_ENDED_S (7 * 24 * 3600)
#define STORE_PRUNE_STEP 10

/* Add the event (id 0, then set), or write its new `last` and `count`; in the loop turn's transaction. */
int store_event(struct store *s, const struct store_key *key, struct store_event *event, struct sf_error *err);
/* How many events an incarnation has. */
int store_event_count(struct store *s, const struct store_key *key, int64_t *n, struct sf_error *err);
/* Drop its oldest event but the first STORE_EVENTS_KEPT. */
int store_event_trim(struct store *s, const struct store_key *key, struct sf_error *err);
/* Call `each` with its events, oldest first; strings are borrowed for the call. */
int store_events(struct store *s, const struct store_key *key, void (*each)(void *ctx, const struct store_event *e), void *ctx,
		 struct sf_error *err);

/* What is kept of an incarnation when its row goes. */
struct store_ended {
	int64_t id; /* rises with every end; for paging */
	struct store_key key;
	int64_t uid;
	int64_t array_job, array_task; /* array_job 0: no array element */
	int64_t ended;       /* seconds since the epoch */
	const char *summary; /* JSON, as sfargate shows it */
	const char *place;   /* JSON: where its log is; for the agent only */
};
/* Keep it (replacing what was kept of the same incarnation); in the loop turn's transaction. */
int store_end(struct store *s, const struct store_ended *e, struct sf_error *err);

struct store_find {
	int64_t after;      /* ids above it */
	int64_t uid;        /* -1 = anybody's */
	int64_t since;      /* ended at or after it; only without `job` */
	int64_t job;        /* job id, or id of an array; 0 = all jobs */
	int64_t array_task; /* element of the array `job`; -1 = any */
	int64_t most;       /* rows */
};
/* Call `each` with what matches, oldest first, until it says false; everything is borrowed for the call. */
int store_find_ended(struct store *s, const struct store_find *f, bool (*each)(void *ctx, const struct store_ended *e), void *ctx,
		     struct sf_error *err);
/* Remove up to STORE_PRUNE_STEP ended incarnations, with their events, that are too old or too many; how many, -1 = error. */
int store_prune(struct store *s, int64_t now, struct sf_error *err);

/* What the starts of one job have in common: how often we gave it back to Slurm. Kept by (job id, sid) for 90 days. */
struct store_tally {
	int64_t requeues;      /* by us, for whatever reason */
	int64_t launches;      /* ... of them because it could not be launched */
	int64_t interruptions; /* ... because AWS took its Spot task */
};
/* All zero when there is none. */
int store_tally(struct store *s, int64_t job_id, const char *sid, struct store_tally *out, struct sf_error *err);
/* In the loop turn's transaction. */
int store_tally_put(struct store *s, int64_t job_id, const char *sid, const struct store_tally *tally, struct sf_error *err);

void job_row_free(struct job_row *row); /* the members; NULL-safe */

#endif
