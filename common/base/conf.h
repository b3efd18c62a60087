/* fargate.conf: a typed table of keys in Slurm's own syntax, every error with file:line. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_CONF_H
#define SF_BASE_CONF_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/error.h"
#include "common/base/verdict.h"

enum sf_alert_on { SF_ALERT_LAUNCH, SF_ALERT_FAILED };

/* One PartitionName= line, defaults of the top level filled in. Strings are not NULL unless said; vectors end with NULL. */
struct sf_conf_line {
	char *name;
	unsigned line; /* line number in the file */
	bool is_default;
	char *region;  /* NULL = from AWS's own variables and files */
	char *profile; /* NULL = AWS_PROFILE or none */
	char *cluster;
	char *task_definition;
	char *container; /* NULL = the definition's only container */
	char **subnets;
	char **security_groups;
	char **providers; /* FARGATE and/or FARGATE_SPOT, at least one */
	bool assign_public_ip;
	bool allow_32vcpu;
	bool log_framing;
	bool implicit;          /* every batch job sent to this partition is taken as if it had --fargate */
	char **task_definitions; /* globs that --fargate-task-definition may match; NULL = only task_definition */
	char **allow_groups;     /* NULL = everyone; root and SlurmUser always */
	char **allow_accounts;   /* NULL = every account */
	uint32_t max_vcpu;       /* vCPUs the partition's tasks may have together; 0 = unlimited */
	char *license;      /* NULL = none */
	char *spot_license; /* NULL = none */
	uint32_t retry_interval, retry_max_attempts, retry_backoff_rate, retry_max_requeues;
	uint32_t start_timeout, pull_timeout, log_grace; /* seconds */
	bool adopt;
	char *alert_topic; /* ARN, NULL = none */
	enum sf_alert_on alert_on;
};

/*
 * One FailureRule= line, in the file's order: what AWS says is of this class when every pattern but NULL matches (fnmatch(3),
 * the whole text, any case). The first three are of answers, where reason is an exception's message too; the others of tasks.
 */
struct sf_conf_rule {
	unsigned line;
	enum sf_class class;
	char *operation, *code, *reason, *stop_code, *stopped_reason, *container_reason, *exit_code;
};

/* Identity and age of a file; all zero when there is none. */
struct sf_conf_stamp {
	int64_t v[7];
};

struct sf_conf {
	char *path;
	char *socket;    /* agent's socket */
	char *state_dir; /* jobs.db lives here */
	char *instance;  /* NULL = drawn once and kept in jobs.db */
	uint32_t reserve_vcpu;
	uint32_t quota_refresh, quota_max_age, large_job_patience;
	uint32_t slurm_poll, stop_grace, reattach_timeout, reconcile_interval; /* seconds */
	struct sf_conf_line *lines;
	size_t n_lines;
	const struct sf_conf_line *default_line; /* the Default=YES line, or NULL */
	struct sf_conf_rule *rules;
	size_t n_rules;
	char **warnings;            /* "<file>:<line>: <what>", to be said once when the conf comes into force; NULL = none */
	struct sf_conf_stamp stamp; /* of the file that sf_conf_load() read */
	atomic_uint holders;
};

/*
 * Read and check a fargate.conf. `owner` is SlurmUser's uid: the file and every directory above it must belong to
 * root or owner and be writable by nobody else (a sticky directory such as /tmp may be world-writable), else it is
 * refused. Free with sf_conf_free(). Errors read "<file>:<line>: <what>" or "<file>: <what>".
 */
int sf_conf_load(const char *path, uid_t owner, struct sf_conf **out, struct sf_error *err);
/* The same from a string, no ownership check; `path` is only for messages. */
int sf_conf_parse(const char *path, const char *text, struct sf_conf **out, struct sf_error *err);
/*
 * The agent's socket as a file names it that may be wrong everywhere else: who asks the agent about a bad file must find it.
 * 0 with out set (the default when the file names none), -1 when the file may not be read or believed at all.
 */
int sf_conf_socket(const char *path, uid_t owner, char *out, size_t size);
/* Drop a reference, the last one frees; NULL-safe. A conf begins with one; it is not changed once others can see it. */
void sf_conf_free(struct sf_conf *conf);
/* One more reference, for any thread; gives conf. */
struct sf_conf *sf_conf_hold(struct sf_conf *conf);
static inline void sf_conf_cleanup(struct sf_conf **conf)
{
	sf_conf_free(*conf);
}
#define sf_auto_conf sf_auto(sf_conf_cleanup)

/* The line of a partition (exact name), or NULL. */
const struct sf_conf_line *sf_conf_find(const struct sf_conf *conf, const char *partition);
/* "fargate, spot": the partitions that have a line, for messages. Caller frees; NULL when out of memory. */
char *sf_conf_names(const struct sf_conf *conf);
/*
 * The effective configuration in fargate.conf's own syntax, defaults filled in, one "Key=Value", FailureRule or PartitionName
 * line per line, to be read by people and by sf_conf_parse(); the built-in rules and what Slurm sees of each class stand below as
 * comments. What is not set and has no default is left out. Caller frees; NULL when out of memory.
 */
char *sf_conf_text(const struct sf_conf *conf);
/* The stamp of the file at path now: one that differs from conf->stamp means that there is something to load. */
struct sf_conf_stamp sf_conf_stamp(const char *path);
bool sf_conf_stamp_same(const struct sf_conf_stamp *a, const struct sf_conf_stamp *b);
/* dirname($SLURM_CONF)/fargate.conf, else SYSCONFDIR "/fargate.conf" (compiled in as SF_SYSCONFDIR). Caller frees. */
char *sf_conf_default_path(void);

#endif
