/* What the agent answers of the vCPU quotas: to sfargate all it knows, to slurmctld's plugin what a submission is judged by. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "common/base/json.h"
#include "plugin/agent/agent.h"

static sf_json *partitions_of(const struct agent *a, const struct quota_pool *pool)
{
	sf_json *out = sf_json_new_array();
	size_t i;

	for (i = 0; i < a->conf->n_lines; i++)
		if (quota_line_uses(&a->conf->lines[i], pool))
			sf_json_add_str(out, a->conf->lines[i].name);
	return out;
}

/* The clock may have been set back since. */
static int64_t age_of(const struct agent *a, int64_t at)
{
	int64_t age = agent_now(a) - at;

	return age > 0 ? age : 0;
}

/* A number that is older than QuotaMaxAge is none: then only its age is said. */
static sf_json *judged_by(const struct agent *a, const struct quota_pool *pool)
{
	sf_json *out = sf_json_new_object();
	int64_t usable = quota_usable(a, pool);

	sf_json_set(out, "partitions", partitions_of(a, pool));
	sf_json_set_str(out, "provider", pool->spot ? "FARGATE_SPOT" : "FARGATE");
	sf_json_set_str(out, "region", pool->place);
	if (usable >= 0) {
		sf_json_set_int(out, "limit", pool->limit);
		sf_json_set_int(out, "free", usable - pool->ours);
	}
	if (pool->known)
		sf_json_set_int(out, "age", age_of(a, pool->limit_at));
	sf_json_set_str(out, "why", pool->why[0] ? pool->why : NULL);
	return out;
}

sf_json *query_quota_snapshot(const struct agent *a)
{
	sf_json *out = sf_json_new_array();
	const struct quota_pool *pool;

	for (pool = a->pools; pool; pool = pool->next)
		if (pool->in_force)
			sf_json_add(out, judged_by(a, pool));
	return out;
}

/* In CF for its numbers, or because RunTask said so. */
static bool waits_in(const struct job *job, const struct quota_pool *pool)
{
	if (job->pool)
		return job->pool == pool && job->held == 0;
	return job->phase == SF_PHASE_QUOTA && job->row.doubt && quota_job_pool(job) == pool;
}

static sf_json *all_of(const struct agent *a, const struct quota_pool *pool)
{
	sf_json *out = judged_by(a, pool);
	int64_t jobs = pool->pending, quarters = pool->pending_quarters;
	const struct job *job;

	for (job = a->jobs; job; job = job->next)
		if (waits_in(job, pool)) {
			jobs++;
			quarters += quota_quarters(job);
		}
	sf_json_set_str(out, "account", pool->account[0] ? pool->account : NULL);
	sf_json_set_str(out, "profile", pool->profile);
	if (pool->known) {
		/* However old: people can read an age. */
		sf_json_set_int(out, "limit", pool->limit);
		sf_json_set_bool(out, "applied", pool->applied);
	}
	sf_json_set_int(out, "ours", pool->ours);
	sf_json_set_int(out, "in_flight", pool->in_flight);
	if (pool->usage_known) {
		sf_json_set_int(out, "others", pool->others);
		sf_json_set_int(out, "others_age", age_of(a, pool->usage_at));
	}
	sf_json_set_str(out, "others_why", pool->usage_why[0] ? pool->usage_why : NULL);
	sf_json_set_int(out, "waiting_jobs", jobs);
	sf_json_set_int(out, "waiting", quarters);
	return out;
}

char *query_quota(struct agent *a)
{
	sf_auto_json sf_json *out = sf_json_new_object();
	sf_json *list = sf_json_new_array();
	const struct quota_pool *pool;

	for (pool = a->pools; pool; pool = pool->next)
		if (pool->in_force || pool->ours)
			sf_json_add(list, all_of(a, pool));
	sf_json_set(out, "quotas", list);
	return sf_json_text(out);
}
