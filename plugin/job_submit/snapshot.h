/* What job_submit may read without waiting: fargate.conf in force, its groups, and what the agent says. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_SNAPSHOT_H
#define PLUGIN_JOB_SUBMIT_SNAPSHOT_H

#include <sys/types.h>

#include "common/base/conf.h"
#include "plugin/job_submit/job.h"

#define JS_PARTITION_MAX 256

/* Something the helper thread has found, shared by whoever holds a snapshot, freed with the last of them. */
struct js_shared;
enum js_share { JS_SHARE_CONF, JS_SHARE_GROUPS, JS_SHARE_FLEET, JS_SHARE_QUOTAS, JS_SHARES };

struct js_snapshot {
	struct js_shared *shares[JS_SHARES];
	const struct sf_conf *conf; /* NULL: none was ever valid */
	const char *conf_error;     /* then why */
	const struct js_groups *groups; /* NULL: not looked up yet */
	const struct js_fleet *fleet;   /* NULL: the agent has never told */
	const struct js_quotas *quotas; /* likewise */
	int64_t quotas_age;		/* seconds since it was asked for them, rounded up */
	enum js_agent agent;
	char default_partition[JS_PARTITION_MAX]; /* "" = not known */
};

/*
 * Load the conf once, then start the thread that watches it (each second) and asks the agent (each two). `owner` is
 * SlurmUser's uid. Returns 0, or -1 when no thread could be had: the conf just loaded then stays in force.
 */
int js_snapshot_start(const char *path, uid_t owner);
/* Stop and join the thread; at most a second. */
void js_snapshot_stop(void);

/* Never waits for anything but a copy. Pair each get with a put. */
void js_snapshot_get(struct js_snapshot *out);
void js_snapshot_put(struct js_snapshot *s);

#endif
