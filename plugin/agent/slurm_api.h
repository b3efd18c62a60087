/* Slurm's blocking API, wrapped once: plain structs in and out, called on the worker thread only. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_SLURM_API_H
#define PLUGIN_AGENT_SLURM_API_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "common/base/conf.h"
#include "common/base/error.h"

/* What a job is to us. */
enum slurm_life {
	LIFE_UNKNOWN,   /* slurmctld has not answered yet */
	LIFE_ACTIVE,    /* CONFIGURING, RUNNING or SUSPENDED */
	LIFE_PENDING,   /* (re)queued */
	LIFE_CANCELLED,
	LIFE_TIMEOUT,
	LIFE_ENDED,     /* any other end */
	LIFE_GONE       /* slurmctld does not know the job */
};

/* Why a start of a job is not one that Slurm runs any more, as fine as Slurm tells it. */
enum slurm_why {
	WHY_UNKNOWN, /* slurmctld has not answered yet */
	WHY_REQUEUED,
	WHY_CANCELLED,
	WHY_TIMEOUT,
	WHY_PREEMPTED,
	WHY_NODE_FAIL,
	WHY_DEADLINE,
	WHY_ENDED, /* any other end, as of a batch step that was killed */
	WHY_GONE   /* slurmctld does not know the job */
};
/* "cancelled", "time limit", … as StopTask reasons use it. */
const char *slurm_why_name(enum slurm_why why);

/* life.c: what a record of slurmctld means. */
struct slurm_seen {
	uint32_t job_state;
	time_t preempt_time, end_time, deadline; /* 0 = none */
};
enum slurm_life slurm_life_of(uint32_t job_state);
enum slurm_why slurm_why_of(const struct slurm_seen *seen);

struct slurm_brief {
	uint32_t job_id;
	uint32_t restart;
	enum slurm_life life;
	enum slurm_why why; /* if this is not the start that is asked about, or no life */
	bool why_final;     /* whether its node is down has been looked at */
	bool configuring;
	bool admin_held;     /* waits with reason JobHeldAdmin: its user cannot release it */
	bool suspended;      /* scontrol suspend */
	bool says_suspended; /* the AdminComment ends with SLURM_SUSPENDED_NOTE */
	bool waits_license;  /* PENDING (Licenses) */
	bool waits_untold;   /* PENDING, and Slurm has not said why: any update of a job, as of its AdminComment, makes it forget */
	uint32_t priority;
	time_t start;        /* while LIFE_ACTIVE: since when */
	uint32_t array_job_id; /* 0 = not an array */
	char partition[64];    /* a list while it waits, cut where it is longer */
	char node[64];         /* of the batch step; "" while it waits */
	char licenses[128];    /* "fargate:4,matlab:1" as asked for, cut behind one of them where the list is longer */
	char comment[96];      /* the beginning of its AdminComment, of a job that waits */
};
#define SLURM_SUSPENDED_NOTE "suspended in Slurm, but the Fargate task runs on and costs; scancel ends it"

/* A job's record as far as the container and the checks need it. Strings are heap, never NULL. */
struct slurm_job {
	struct slurm_brief brief;
	uid_t uid;
	uint32_t time_limit; /* minutes; UINT32_MAX = none */
	uint32_t array_job_id, array_task_id; /* array_job_id 0 = not an array element */
	uint32_t num_cpus;   /* allocated */
	uint32_t cpus_asked; /* of the requested TRES, 0 = unknown */
	uint64_t mem_mib;    /* memory of the whole job where it was asked for, not where it is slurm.conf's default; 0 = none */
	uint32_t num_tasks; /* -n, 0 = not given */
	char *name, *account, *user, *qos, *partition, *work_dir, *submit_host, *nodes, *admin_comment;
	char *script; /* only when asked for */
};
void slurm_job_free(struct slurm_job *job); /* the members; NULL-safe */

/* The cluster as slurmctld runs it now. */
struct slurm_cluster {
	char name[64];
	uid_t slurm_user;
	bool has_prolog;           /* PrologSlurmctld is set */
	uint32_t prolog_timeout;   /* PrologTimeout or PrologEpilogTimeout, 0 = unset */
	uint32_t kill_wait;
	char default_partition[64]; /* "" = none */
	time_t boot_time;          /* when slurmctld was started */
};

/* slurm_init(3) with SLURM_CONF from the environment; once, before any other call and before threads. */
void slurm_api_init(void);

/* Each returns 0, or -1 with err in Slurm's words. */
int slurm_api_cluster(struct slurm_cluster *out, struct sf_error *err);
/* Checks fargate.conf against Slurm's partitions and nodes (design section 1, step 5); an error text says what does not fit. */
int slurm_api_check_conf(const struct sf_conf *conf, struct sf_error *err);
/* One job; with_script also fetches the batch script. A job Slurm does not know: 0 with life LIFE_GONE. */
int slurm_api_job(uint32_t job_id, bool with_script, struct slurm_job *out, struct sf_error *err);
/*
 * All jobs changed since *since (updated): *n briefs on the heap. Nothing changed: *n = 0 and *changed false.
 */
int slurm_api_jobs(time_t *since, struct slurm_brief **out, size_t *n, bool *changed, struct sf_error *err);
/* The names of a user's groups, the primary one first (sf_strv_free; NULL = an unknown user). -1: the name service fails. */
int slurm_api_groups(uid_t uid, char ***names, struct sf_error *err);
/* A requeued job's record does not say why: when the node it ran on is DOWN, that is why. Sets why; never fails. */
void slurm_api_requeued(struct slurm_brief *brief, const char *node);
int slurm_api_comment(uint32_t job_id, const char *admin_comment, struct sf_error *err);
int slurm_api_end_time(uint32_t job_id, time_t end_time, struct sf_error *err);
/* slurm_complete_job(3): `code` as waitpid(2) would give it, or (exit << 8) | 253 for OUT_OF_MEMORY. */
int slurm_api_complete(uint32_t job_id, uint32_t code, struct sf_error *err);
/* Held with Reason "launch failed requeued held"; a job that may not be requeued becomes BOOT_FAIL. */
int slurm_api_hold(uint32_t job_id, struct sf_error *err);
/* Back into the queue; *may_not: the job may not be requeued (--no-requeue, JobRequeue=0), and nothing happened. */
int slurm_api_requeue(uint32_t job_id, bool *may_not, struct sf_error *err);
/* BOOT_FAIL; only for a job that may not be requeued (another one would be). */
int slurm_api_boot_fail(uint32_t job_id, struct sf_error *err);
/* Of a job that waits: not before `begin`, and the comment. */
int slurm_api_begin(uint32_t job_id, time_t begin, const char *admin_comment, struct sf_error *err);
/* Make an admin's hold the user's own (as `scontrol uhold` does), so that the user may release it. */
int slurm_api_user_hold(uint32_t job_id, struct sf_error *err);

#endif
