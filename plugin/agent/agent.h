/* What the agent's files share: the agent, its jobs, its connections, and who calls whom. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_AGENT_H
#define PLUGIN_AGENT_AGENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/aws/client.h"
#include "common/aws/ecs.h"
#include "common/base/conf.h"
#include "common/base/framing.h"
#include "common/base/ladder.h"
#include "common/base/names.h"
#include "common/base/proto.h"
#include "common/base/spec.h"
#include "common/base/verdict.h"
#include "plugin/agent/quota.h"
#include "plugin/agent/slurm_api.h"
#include "plugin/agent/store.h"
#include "plugin/agent/worker.h"

#define JOB_BUCKETS 4096
#define TICK_MS 200
#define OUTPUT_PENDING_MAX (1024 * 1024) /* per job: more is read again from CloudWatch later */
#define LAUNCHES_FLYING_MAX 20
#define QUERY_CONNS_MAX 16 /* per user: connections that ask questions */
#define DESCRIBE_URGENT_MS 700 /* between descriptions of a task that is being stopped */

struct event_base;
struct event;
struct bufferevent;
struct evconnlistener;
struct definitions;
struct job;
struct agent;
struct reader;
struct alerts;
struct holds;
struct sweep;

enum conn_role { CONN_NEW, CONN_HANDED, CONN_ATTACH, CONN_PROLOG, CONN_QUERY };

struct conn {
	struct agent *agent;
	struct bufferevent *bev;
	uid_t uid; /* of the process that called connect() */
	enum conn_role role;
	bool closing; /* close once everything is written */
	struct job *job;
	struct conn *next, *prev;
	int64_t opened_at, closed_at; /* ms */
	struct reader *reader; /* CONN_QUERY: its `logs` under way */
	enum { REAP_NONE, REAP_WAITS, REAP_RUNS } reap; /* CONN_QUERY: its `reap` */
	unsigned reap_how; /* enum sf_reap */
	/* CONN_HANDED: what root said about the step that sits behind this connection */
	uint32_t handed_job;
	uid_t handed_uid;
	char handed_token[SF_TOKEN_HEX + 1];
	char *handed_spec;
};

struct follow {
	struct sf_framing framing;
	char *token;      /* CloudWatch's, NULL = from the head */
	size_t index;     /* events of that page already taken */
	unsigned life;    /* rises with every (re-)attach, so that late answers are dropped */
	bool flying;
	int64_t next_at;  /* ms */
	int64_t quiet_since; /* ms since the token stopped moving, 0 = it moves */
	int64_t asked_at, looked_at; /* ms: the last call; the last one after which there was no more to read */
	unsigned failures;
};

/* What was last said of a job to people. */
struct job_history {
	int64_t id, count, last, written; /* of the last event; times in ms */
	bool unwritten;             /* count and last are newer than the store's */
	uint64_t same;              /* hash of what it says */
	int64_t n;                  /* events stored */
	bool counted;
	char words[512];            /* the last refusal, "" after a success */
};

/* One incarnation of one job. Everything outside `row` is rebuilt after a restart. */
struct job {
	struct agent *agent;
	struct job *hash_next, *next, *prev;
	struct job_row row;
	struct sf_spec spec;
	const struct sf_conf_line *line;
	unsigned flying; /* callbacks under way that point here */
	bool closed;     /* out of the table; freed when nothing flies */
	bool untrusted;  /* the spec came from the job's own user: held against Slurm's record before use */
	bool committing; /* waits for the store before it acts */
	struct slurm_brief slurm;
	char node[64]; /* where Slurm last showed it running */
	bool term_unsaid, term_said; /* SIGTERM reached its attach; its user was told that it ended nothing */
	struct slurm_job facts;
	bool have_facts;
	struct conn *attach;
	int64_t attached_at; /* ms */
	bool hold_mended;    /* the hold was made one that the user can release */
	bool attach_lost;    /* the last attach went without a verdict */
	unsigned prologs;    /* connections of waiting prologs */
	int64_t prolog_at;   /* ms: when the last one came */
	bool facts_flying, run_flying, list_flying, describe_flying, stop_flying, tell_flying, check_flying, end_time_flying;
	int64_t facts_at, launch_at, describe_at, stop_at, tell_at, check_at, check_until, end_time_at; /* ms: not before */
	int64_t sent_at; /* ms of the last RunTask, or of the agent's start: ListTasks is believed only some seconds later */
	unsigned run_failures;
	struct ecs_task task; /* as last described */
	bool have_task;
	bool ended;          /* the last description is an ending */
	int64_t ended_seen;  /* ms */
	int64_t stop_deadline; /* ms: the attach leaves then at the latest */
	struct follow follow;
	enum sf_phase phase;
	char commented[SF_COMMENT_MAX];
	struct job_history history;
	unsigned poll_seen;
	struct quota_pool *pool; /* quota.c's: where its quarters are reserved, or where it waits for them; NULL = neither */
	int64_t held;            /* quarters reserved there, 0 = it waits */
	bool held_flying;        /* ... and they are not yet a task */
	bool quota_granted;      /* reserved for the next try, which is not stored yet */
	int64_t noted_at;        /* ms: when its AdminComment last named the quota it waits for */
	bool lane_granted; /* counts against its partition's MaxVcpu before it is launched */
	int lane;          /* admit.c's: what it was to its partition's MaxVcpu at the last tick */
	int64_t lane_at;   /* ms: MaxVcpu is not looked at before */
	struct store_tally tally; /* of all starts of the job */
	char forgotten[64];       /* the task of the last try, which ListTasks may still show */
	int64_t clear_at;         /* ms: ListTasks is not asked again before */
	unsigned quota_waits;
	bool unsure; /* a RunTask of this try may have reached AWS without an answer of it */
	int64_t born_at; /* ms: when this record came into memory */
	unsigned born; /* polls sent before this record was made: their lists say nothing about it */
};

/* How the watch over fargate.conf stands (reload.c). */
struct reload {
	struct event *sighup;
	struct sf_conf_stamp seen;  /* at the last look */
	struct sf_conf_stamp tried; /* of the file that was read last, good or bad */
	bool asked;                 /* SIGHUP: whatever the stamps say */
	bool checking;              /* a good file is being held against Slurm */
	bool unchecked;             /* ... but slurmctld was away: again later */
	int64_t look_at, again_at;  /* ms: not before */
	int64_t loaded;             /* seconds: since when the conf is in force */
	char refused[SF_ERROR_MAX]; /* why the file of now is not in force, "" = it is */
};

/* A partition, and how often AWS refused its configuration in a row (pause.c). */
struct pause {
	struct pause *next;
	char *partition;
	unsigned refusals;
	int64_t since; /* seconds: paused since, 0 = open */
	int64_t probe_at, probe_wait; /* ms: when the next job may try */
	int64_t probe_job, probe_restart; /* the one that tries, 0 = none */
	char words[SF_ERROR_MAX];
};

struct agent {
	struct sf_conf *conf; /* in force, one reference; replaced by reload.c, so nothing but a job's line may point into it */
	struct reload reload;
	struct aws_api aws;
	struct aws_http *http;
	struct store *store;
	struct worker *worker;
	struct event_base *base;
	struct event *aws_timer, *tick, *flush, *worker_ready, *sigterm, *sigint;
	struct evconnlistener *listener;
	bool deaf; /* out of descriptors: the tick listens again */
	char instance[STORE_INSTANCE_MAX];
	struct slurm_cluster cluster;
	bool cluster_known;
	bool cluster_flying;
	int64_t cluster_at;
	char cluster_problem[SF_ERROR_MAX];
	struct definitions *definitions;
	struct pause *pauses;
	struct quota_pool *pools;
	struct quota_note quota_notes[QUOTA_NOTES]; /* the first of those that are PENDING (Licenses) */
	int64_t quota_note_at;                      /* ms */
	struct job *table[JOB_BUCKETS];
	struct job *jobs;
	size_t n_jobs;
	struct conn *conns;
	bool poll_flying;
	unsigned polls_sent;
	int64_t poll_at;
	unsigned poll_count;
	bool slurm_down; /* said once per change */
	bool names_down; /* likewise: the name service */
	bool store_down;
	unsigned launches_flying;
	int64_t describe_not_before;
	double log_tokens; /* GetLogEvents allowed now */
	int64_t log_tokens_at;
	int64_t log_spare_at; /* ms of the last call for `sfargate logs` */
	struct reader *readers;
	int64_t prune_at; /* ms */
	struct holds *holds;   /* hold.h; NULL = there were none yet */
	struct alerts *alerts; /* NULL = there was none yet */
	struct sweep *sweep;
	int64_t sweep_at; /* ms: the next one */
	char *fleet; /* fleet.c's: what the snapshot says of Slurm's jobs, JSON; NULL = not known yet */
	char aws_problem[SF_ERROR_MAX]; /* last thing AWS refused, "" = none */
	int64_t started;
};

/* loop.c: libevent, the clock, the order collect - commit - send. */
int agent_start(struct agent *a, struct sf_error *err); /* everything but the conf */
void agent_run(struct agent *a);
void agent_stop(struct agent *a);
int64_t agent_now_ms(const struct agent *a);
static inline int64_t agent_now(const struct agent *a)
{
	return agent_now_ms(a) / 1000;
}
/* A random moment within [0, most] ms from now: full jitter. */
int64_t agent_jitter(const struct agent *a, int64_t most);
/* A call for a job, with its profile and region; false (and the reason said once) when it could not be started. */
bool agent_call(struct job *job, enum aws_op op, const char *body, aws_reply_cb cb, void *arg);
/* Say a change of AWS's state once: text NULL = AWS answers again. */
void agent_aws_problem(struct agent *a, const char *text);

/* jobs.c: the table, the life of a record. */
struct job *job_find(struct agent *a, uint32_t job_id, const char *sid, uint32_t restart); /* sid NULL: any */
/* Somebody vouched for another record of the same start of the job. */
bool job_rival(const struct job *job);
/* A new record from a spec; NULL with err when the spec is refused. */
struct job *job_create(struct agent *a, uint32_t job_id, uint32_t restart, const char *spec, struct sf_error *err);
int jobs_load(struct agent *a, struct sf_error *err);
void jobs_free(struct agent *a);
/* Store the row; the loop turn's transaction ends before anything is sent. */
void job_save(struct job *job);
void job_tick(struct job *job, int64_t now);
/* A callback is under way / has come; job_landed() is false when the job was closed meanwhile (and may be freed by now). */
void job_fly(struct job *job);
bool job_landed(struct job *job);
void job_close(struct job *job);
/* The newest thing known about older incarnations of the same job id: true while one still has a task to be stopped. */
bool job_superseding(const struct job *job);
/* The place where its task will be, from its line; only before the first try. */
void job_copy_line(struct job *job);
void job_set(char **field, const char *value); /* replace a heap string; NULL clears */
/* The job is in another partition now: that line's cluster, profile, region and provider, in the row too. */
int job_move(struct job *job, const struct sf_conf_line *line, struct sf_error *err);

/* admit.c: what must hold before the first RunTask. */
/*
 * Hold the spec against fargate.conf and Slurm's record (job->facts) with the names of the groups of the job's user; a job that
 * was moved takes its new partition's line. -1: the job must not be launched, err is the sentence for its user.
 */
int admit_check(struct job *job, char *const *groups, struct sf_error *err);
/* Another copy of the spec of this start is the same, but for the partition it may have been moved from. */
bool admit_same_spec(const struct job *job, const char *text);
/* True once the job fits into its partition's MaxVcpu; until then it waits, the oldest first, and is checked again after it. */
bool lane_ask(struct job *job, int64_t now);
/* Wakes those who wait when the job no longer counts; at the end of each of its ticks. */
void lane_tick(struct job *job);

/* launch.c */
void launch_tick(struct job *job, int64_t now);
void launch_send(struct job *job); /* after the commit */
/* Somebody named a job that is not his, or not as slurmctld accepted it: the record goes, and nothing of the job changes. */
void job_drop(struct job *job, const char *why);

/* define.c */
struct definition_answer {
	const struct ecs_definition *def; /* NULL: refused, for `problem` and in the words of `text` */
	enum sf_class problem;
	const char *text;
};
struct definitions *definitions_new(void);
void definitions_free(struct definitions *d);
/* The definition the job chose, else its line's, not older than a minute; NULL while AWS is asked. Valid within this loop turn. */
const struct definition_answer *definition_ask(struct job *job, int64_t now);
/* The class of an answer that is no success, with the FailureRule lines in force, and its words. */
enum sf_class reply_class(const struct agent *a, const struct aws_reply *reply, bool read_only, char text[SF_ERROR_MAX]);

/* watch.c */
void watch_tick(struct agent *a, int64_t now);
void watch_task(struct job *job, struct ecs_task *task); /* takes the task's strings */
void watch_refused(struct job *job, const struct aws_reply *reply); /* AWS's refusal goes into the job's history */
void task_over(struct job *job); /* AWS has no task of it any more */

/* stop.c */
void stop_tick(struct job *job, int64_t now);
/* Stop the task because of what Slurm says of the job; idempotent. */
void job_stop(struct job *job, const char *why);
/* Stop the task of this try to make another one; retry_failed() follows with that class when it is gone. Idempotent. */
void job_abandon(struct job *job, enum sf_class why, const char *words);
/* ListTasks for every task of the job that AWS runs, whatever the try; false = not asked. Sets list_flying. */
bool job_list_own(struct job *job, aws_reply_cb cb);

/* retry.c */
const char *retry_provider(const struct job *job); /* of the next try; borrowed from the line */
const char *retry_subnet(const struct job *job);
/* This class of failure may be followed by another try, or by waiting: retry_failed() knows it. */
bool retry_class(enum sf_class c);
/* The try is over for good, and its container never ran: another one, back to Slurm, or held. */
void retry_failed(struct job *job, enum sf_class c, const char *words);
/* The same for a probe of a paused partition: it waits on with the others. */
void retry_paused(struct job *job, const char *words);
/* Before a new try: true when AWS shows no task of the earlier ones; asks it when it is time to. */
bool retry_clear(struct job *job, int64_t now);
/* So much of the pool came free: the first of those whom RunTask refused for the quota ask again. */
void retry_wake(struct quota_pool *pool, int64_t quarters);
/* The rungs of a job's ladder, whatever the quotas say; how many. */
size_t retry_ladder(const struct job *job, const char *providers[SF_LADDER_MAX]);
void retry_stuck(struct job *job); /* after each description of a task */

/* pause.c */
bool pause_asks(struct job *job, int64_t now); /* true: it may be launched as far as its partition goes */
/* AWS refused the partition's configuration for this job; true: the partition was paused already, the job waits on. */
bool pause_refused(struct job *job, const char *words);
void pause_taken(const struct job *job); /* AWS took a job of the partition */
bool pause_resume(struct agent *a, const char *partition); /* false: it was not paused */
void pauses_free(struct agent *a);

/* follow.c */
void follow_start(struct job *job, const char *cursor, size_t n); /* an attach has come; n 0 = from the head */
void follow_tick(struct agent *a, int64_t now); /* asks for what is due, in the order in which it fell due */
bool follow_complete(const struct job *job);
/* LogGrace from `since` on is not over, or nobody has looked since it was: calls are few, a page of output is none. */
bool follow_waits(const struct job *job, int64_t since, int64_t now);
void follow_reset(struct job *job);
/* May a log be read for somebody who asked by hand? The jobs' own output goes first, but one call a second is always free. */
bool follow_spare_token(struct agent *a, int64_t now);

/* history.c: what happened to a job, for `sfargate show`. */
enum job_event {
	EVENT_TRY,      /* a request is stored and about to be sent */
	EVENT_ANSWER,   /* of AWS; job_answer() */
	EVENT_STATUS,   /* ECS's lastStatus changed */
	EVENT_RUNNING,
	EVENT_EXIT,
	EVENT_STOP,     /* the task is to be stopped, and why */
	EVENT_ATTACHED,
	EVENT_ATTACH_LOST,
	EVENT_VERDICT,
	EVENT_TOLD      /* Slurm took the verdict, or what it said instead */
};
/*
 * Note an event in the loop turn's transaction; equal ones in a row are counted. outcome (a word) and text may be NULL; text is
 * cleaned and cut here, and must hold nothing of the user's script or values. Never fails the caller.
 */
void job_event(struct job *job, enum job_event what, const char *outcome, const char *text);
/* An answer of AWS: outcome "ok" or the class of the refusal. A leading "<Operation>: " of text is left out. */
void job_answer(struct job *job, enum aws_op op, const char *outcome, const char *text);
void job_remember(struct job *job); /* what Slurm's record says of the job's user and array goes into the row */
void job_keep(struct job *job);     /* the record goes: keep what `sfargate show` and `logs` need */
bool job_trusted(const struct job *job); /* somebody vouches for the record: root, or Slurm's own */
void job_history_write(struct job *job); /* what was only counted so far */
void job_history_lost(struct job *job);  /* its last event may have gone with a transaction */
void history_tick(struct agent *a, int64_t now); /* prune, in small steps */

/* tell.c: verdicts, comments, exits. */
void ending_tick(struct job *job, int64_t now);
/* Decide and store; told after the commit. What Slurm is to see goes by the class. */
void job_decide(struct job *job, enum sf_class verdict, const char *reason);
/* The same where it does not. */
void job_end(struct job *job, enum sf_class verdict, enum sf_action act, const char *reason);
enum sf_action job_act(const struct job *job); /* what was decided */
void job_started(struct job *job);
void job_note_lossy(struct job *job); /* once, when there is somebody to read it */
void job_comment(struct job *job, enum sf_phase phase, const char *reason);
void tell_tick(struct job *job, int64_t now);

/* alert.c: messages to AlertTopic. */
enum alert_kind {
	ALERT_LAUNCH, /* Slurm holds the job, or has ended it with BOOT_FAIL: its launch failed for good */
	ALERT_FAILED  /* Slurm has ended it with any other failure */
};
/*
 * Slurm has taken the verdict in job->row: publish one message, when the job's line wants one of this kind and this start has
 * had none. Only queued here, published once the row is stored; never fails, never touches the job's own course.
 */
void job_alert(struct job *job, enum alert_kind kind);
void alerts_tick(struct agent *a, int64_t now);
void alerts_status(const struct agent *a, sf_json *out); /* alerts_sent, alerts_failed, alerts_waiting, alert_problem */
void alerts_free(struct agent *a); /* after the last callback */

/* sweep.c: tasks that no job claims. */
void sweep_tick(struct agent *a, int64_t now);
void sweep_free(struct agent *a); /* after the last callback */

/* poll.c: what Slurm says. */
void poll_tick(struct agent *a, int64_t now);
void check_tick(struct job *job, int64_t now);
void job_check(struct job *job, int64_t for_ms); /* look at Slurm's record now, and again for that long */
void job_on_slurm(struct job *job, const struct slurm_brief *brief);
void agent_slurm_problem(struct agent *a, const char *text); /* NULL = slurmctld answers */

/* fleet.c: take from a list of all of Slurm's jobs which of them are ours. */
/* The first of the job's partitions (a list while it waits) that has a line, or NULL. */
const struct sf_conf_line *fleet_line(const struct sf_conf *conf, const struct slurm_brief *brief);
void fleet_update(struct agent *a, const struct slurm_brief *briefs, size_t n);

/* server.c: connections. */
int server_start(struct agent *a, struct sf_error *err);
void server_stop(struct agent *a);
void conn_send_output(struct conn *c, int stream, const char *cursor, size_t cursor_n, const char *bytes, size_t n);
size_t conn_pending(const struct conn *c);
void conn_note(struct conn *c, const char *text);
void conn_exit(struct conn *c, unsigned status); /* the attach goes */
void conn_refuse(struct conn *c, const char *text, bool retry);
void conn_accept(struct conn *c);
void conn_answer(struct conn *c, const char *text, const char *cursor); /* TEXT; cursor "" = that is all */
void server_tick(struct agent *a, int64_t now); /* connections that never say what they want are closed */
/* Let every prolog of the job go. */
void job_release_prologs(struct job *job);

/* dispatch.c: what the frames of others mean. */
void dispatch_frame(struct conn *c, const struct sf_frame *f);
void dispatch_gone(struct conn *c); /* the peer is gone */
void prolog_tick(struct job *job, int64_t now);

/* questions.c: what sfargate and slurmctld's plugin ask. */
bool conn_is_admin(const struct conn *c); /* root or SlurmUser, and no process of a job's user (dispatch.c) */
/* True when the frame is a question: then it was answered or refused. */
bool question_frame(struct conn *c, const struct sf_frame *f);

/* reader.c: `sfargate logs`. */
struct log_place {
	struct store_key key;
	const char *profile, *region, *group, *stream, *nonce; /* borrowed; NULL stream = no task yet */
	bool framing;
};
/* Begin to send a log to the connection; it ends with EXIT 0 or REFUSED. False when out of memory. */
bool reader_start(struct conn *c, const struct log_place *place, bool follow);
void reader_gone(struct conn *c); /* the connection goes */
void readers_tick(struct agent *a, int64_t now);
void readers_free(struct agent *a); /* after the last callback */

const char *conf_misfit(const struct slurm_cluster *cluster, const struct sf_conf *conf); /* NULL: it fits what slurmctld runs with */

/* reload.c: fargate.conf while the agent runs. */
int reload_start(struct agent *a, struct sf_error *err);
void reload_tick(struct agent *a, int64_t now);
void reload_stop(struct agent *a);
/* Point job->line at its partition's line of the conf in force; a line without a name when there is none. */
void job_find_line(struct job *job);
bool job_has_line(const struct job *job);
/* {"conf": text, "loaded": seconds, "path": path, "refused": why the file of now is not in force, or absent}; as query.c's. */
char *query_conf(struct agent *a);

/* query.c: answers as JSON text on the heap, NULL when out of memory. */
#define QUERY_CURSOR_MAX 128
struct question {
	bool admin;
	uid_t uid;
	uint32_t job_id;    /* a job, or all of an array; 0 = all jobs */
	int64_t array_task; /* only this element of the array job_id; -1 = any */
	int64_t within;     /* s: of all jobs also those that ended within so long */
	char cursor[QUERY_CURSOR_MAX]; /* "" = from the beginning */
	char next[QUERY_CURSOR_MAX];   /* out: where the answer goes on, "" = that is all */
	size_t found;                  /* out: starts in this answer */
};
char *query_status(struct agent *a);
/* {"starts":[…]} with every event, a few starts at a time; NULL also for a cursor that is not ours. */
char *query_show(struct agent *a, struct question *q);
/* {"tasks":[…]}: one row per start. */
char *query_tasks(struct agent *a, struct question *q);
char *query_snapshot(struct agent *a);
/* Where its task is, from the row or the definition's ARN; `room` may hold it. NULL when neither says. */
const char *query_region(const struct job_row *row, char room[64]);
/* What is kept of a job that goes, and where its log is; for struct store_ended. */
char *query_summary(const struct job *job);
char *query_place(const struct job *job);

#endif
