/* A submission as plain values: what was decoded from job_desc, and what was decided about it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_JOB_H
#define PLUGIN_JOB_SUBMIT_JOB_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/conf.h"
#include "common/base/error.h"
#include "common/base/names.h"
#include "common/base/spec.h"

/* A submission or an update, without Slurm's NO_VALs: 0 or NULL is "not given". Everything is borrowed from job_desc. */
struct js_job {
	bool privileged;       /* root or SlurmUser sends it */
	uid_t uid;             /* whose job it is (to be) */
	gid_t gid;
	const char *packed;    /* FARGATE= of spank_job_env */
	const char *partition; /* -p, may be a list */
	const char *script;
	const char *container; /* --container */
	const char *gres;      /* the first request for generic resources */
	const char *clusters;  /* -M, --cluster-constraint */
	const char *req_nodes; /* -w, -F */
	const char *features;  /* -C, --batch */
	const char *burst_buffer;
	const char *licenses;  /* -L; of an update also "", for none */
	const char *std_in;    /* -i, when it is not /dev/null */
	const char *std_err;   /* -e */
	bool het;              /* component of a heterogeneous job */
	bool cron;             /* from scrontab */
	bool exclusive;        /* any kind of --exclusive */
	bool core_spec;        /* -S, --thread-spec */
	bool reboot;
	bool mem_whole;        /* --mem=0: all that a node has */
	bool warned;           /* --signal */
	bool resized;          /* an update that names CPUs, tasks, memory or disk */
	const char *array;     /* --array */
	bool mem_per_cpu;
	uint32_t min_nodes;
	uint32_t num_tasks;
	uint32_t cpus_per_task;
	uint32_t min_cpus;     /* CPUs that -n, -c, --mincpus come to */
	uint64_t mem_mib;
	uint32_t tmp_mib;      /* --tmp */
	const char *name, *account, *qos, *work_dir, *submit_host;
	char *const *argv;     /* argv[0] is the script itself */
	uint32_t argc;
	char *const *env;      /* the submission's environment, env_size entries */
	uint32_t env_size;
};

struct js_groups;
struct js_fleet;
struct js_quotas;

enum js_agent { JS_AGENT_UNKNOWN, JS_AGENT_ALIVE, JS_AGENT_DEAD };

/* What slurmctld's side knows at that moment. Borrowed. */
struct js_world {
	const struct sf_conf *conf;    /* NULL: none was ever valid */
	const char *conf_error;        /* why, when conf is NULL */
	enum js_agent agent;
	const char *default_partition; /* Slurm's; NULL = not known */
	const struct js_groups *groups; /* members of the groups that conf names; NULL = not looked up yet */
	const struct js_fleet *fleet;   /* which jobs are on Fargate; NULL = not known */
	const struct js_quotas *quotas; /* NULL = the agent has never told */
	int64_t quotas_age;		/* seconds since it has */
	int64_t now;
	char sid[17];
};

enum js_verdict { JS_PASS, JS_REFUSE, JS_OFFLOAD };

/* Why a submission is refused; plugin.c turns it into one of Slurm's error numbers. */
enum js_why {
	JS_WHY_NONE,
	JS_WHY_UNSUPPORTED,
	JS_WHY_PARTITION,
	JS_WHY_NODES,
	JS_WHY_SIZE,
	JS_WHY_GRES,
	JS_WHY_SCRIPT,
	JS_WHY_CONF,
	JS_WHY_RIGHTS,
	JS_WHY_ACCOUNT,
	JS_WHY_FEATURES,
	JS_WHY_LICENSE,
	JS_WHY_MEMORY,
	JS_WHY_COUNT
};

struct js_outcome {
	enum js_verdict verdict;
	enum js_why why;
	char text[SF_ERROR_MAX]; /* for the user: the refusal, or lines of information, or "" */
	/* The rest is set for JS_OFFLOAD only. */
	struct sf_spec spec;
	char *spec_text;
	const char *provider; /* the first that the job will be tried on; borrowed from conf or static */
	char *licenses;   /* all that the job is to have; NULL = as they are */
	uint32_t cpus;    /* CPUs of Slurm's record: max(1, vCPU) */
	uint64_t mem_mib; /* memory of Slurm's record, per node; 0 = not asked */
	char comment[SF_COMMENT_MAX];
};

/*
 * Decide about a submission. No I/O, no clock, no Slurm: the outcome depends on its arguments alone.
 * Release with js_outcome_free().
 */
void js_check(const struct js_job *job, const struct js_world *world, struct js_outcome *out);
void js_outcome_free(struct js_outcome *out);

/*
 * Decide about an update of the jobs `ids` names, in the forms scontrol sends: "12", "12_3", "12_[1-3]", several with commas.
 * JS_PASS or JS_REFUSE. A job that is too new for world->fleet passes: the agent holds Slurm's record against the spec again.
 */
void js_check_update(const struct js_job *job, const char *ids, const struct js_world *world, struct js_outcome *out);

/*
 * What the user exports into the container: the names of `--export` (SLURM_EXPORT_ENV in the submission's environment;
 * absent, ALL and NONE ship nothing), then `more` (NAME=VALUE), which wins. Free *env with sf_strv_free(); NULL = nothing.
 */
int js_export(const struct js_job *job, char *const *more, char ***env, struct sf_error *err);

#endif
