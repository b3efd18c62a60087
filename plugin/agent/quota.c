/* Pools of Fargate's vCPU quotas, and what is reserved in them before RunTask (design section 1, step 3: the agent is the
 * authority). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/quota.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/credentials.h"
#include "common/base/log.h"
#include "common/base/quota.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define SPOT "FARGATE_SPOT"

/* --- pools ------------------------------------------------------------------------------------------------------------ */
static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_spot(const char *provider)
{
	return provider && strcmp(provider, SPOT) == 0;
}

struct quota_pool *quota_pool_of(const struct agent *a, const char *profile, const char *region, bool spot)
{
	struct quota_pool *p;

	for (p = a->pools; p; p = p->next)
		if (p->spot == spot && same(p->profile, profile) && same(p->region, region))
			return p;
	return NULL;
}

struct quota_pool *quota_line_pool(const struct agent *a, const struct sf_conf_line *line, const char *provider)
{
	return quota_pool_of(a, line->profile, line->region, is_spot(provider));
}

bool quota_line_uses(const struct sf_conf_line *line, const struct quota_pool *pool)
{
	return same(line->profile, pool->profile) && same(line->region, pool->region) &&
	       sf_strv_has(line->providers, pool->spot ? SPOT : "FARGATE");
}

void quota_arn(struct quota_pool *pool, const char *arn)
{
	char region[sizeof(pool->place)] = "", account[sizeof(pool->account)] = "";

	/* arn:PARTITION:SERVICE:REGION:ACCOUNT:…; of AWS's defaults without an account. */
	if (!arn || sscanf(arn, "arn:%*[^:]:%*[^:]:%63[a-z0-9-]:%15[0-9]:", region, account) < 1)
		return;
	if (!pool->place[0])
		sf_copy(pool->place, sizeof(pool->place), region);
	if (!pool->account[0])
		sf_copy(pool->account, sizeof(pool->account), account);
}

static void find_place(struct quota_pool *pool)
{
	sf_auto_free char *region = NULL;
	struct sf_error ignored;

	/* (Where it cannot be found, every call to AWS says so.) */
	if (pool->region || aws_region_load(pool->profile, &region, &ignored) == 0)
		sf_copy(pool->place, sizeof(pool->place), pool->region ? pool->region : region);
}

static struct quota_pool *pool_make(struct agent *a, const char *profile, const char *region, bool spot)
{
	struct quota_pool *pool = quota_pool_of(a, profile, region, spot), **end;

	if (pool)
		return pool;
	pool = calloc(1, sizeof(*pool));
	if (!pool)
		return NULL;
	job_set(&pool->profile, profile);
	job_set(&pool->region, region);
	if (!same(pool->profile, profile) || !same(pool->region, region)) {
		free(pool->profile);
		free(pool->region);
		free(pool);
		return NULL;
	}
	pool->agent = a;
	pool->spot = spot;
	pool->limit_said = -1;
	pool->history_from = agent_now(a);
	sf_copy(pool->why, sizeof(pool->why), "AWS has not answered yet");
	find_place(pool);
	for (end = &a->pools; *end; end = &(*end)->next)
		;
	*end = pool;
	return pool;
}

void quota_lines(struct agent *a)
{
	const struct sf_conf *conf = a->conf;
	struct quota_pool *pool;
	char **provider;
	size_t i;

	for (pool = a->pools; pool; pool = pool->next)
		pool->in_force = false;
	for (i = 0; i < conf->n_lines; i++)
		for (provider = conf->lines[i].providers; *provider; provider++) {
			pool = pool_make(a, conf->lines[i].profile, conf->lines[i].region, is_spot(*provider));
			if (!pool)
				continue;
			pool->in_force = pool->serve = true;
			quota_read_lines(pool);
			quota_arn(pool, conf->lines[i].cluster);
		}
}

void quota_free(struct agent *a)
{
	struct quota_pool *pool;

	while ((pool = a->pools)) {
		a->pools = pool->next;
		free(pool->profile);
		free(pool->region);
		free(pool);
	}
}

const char *quota_license(const struct sf_conf *conf, const struct quota_pool *pool)
{
	const char *license;
	size_t i;

	for (i = 0; i < conf->n_lines; i++) {
		license = pool->spot ? conf->lines[i].spot_license : conf->lines[i].license;
		if (license && quota_line_uses(&conf->lines[i], pool))
			return license;
	}
	return NULL;
}

/* --- numbers ---------------------------------------------------------------------------------------------------------- */
int64_t quota_quarters(const struct job *job)
{
	return sf_quarters_of_units(job->spec.size.cpu_units);
}

bool quota_fresh(const struct agent *a, const struct quota_pool *pool)
{
	return pool->known && agent_now(a) - pool->limit_at <= (int64_t)a->conf->quota_max_age;
}

int64_t quota_others(const struct agent *a, const struct quota_pool *pool)
{
	return pool->usage_known && agent_now(a) - pool->usage_at <= (int64_t)a->conf->quota_max_age ? pool->others : 0;
}

/* What ReserveVcpu leaves of the limit, with nobody else there. */
static int64_t room_of(const struct agent *a, const struct quota_pool *pool)
{
	return pool->limit - (int64_t)a->conf->reserve_vcpu * SF_QUARTERS_PER_VCPU;
}

int64_t quota_usable(const struct agent *a, const struct quota_pool *pool)
{
	int64_t usable;

	if (!quota_fresh(a, pool))
		return -1;
	usable = room_of(a, pool) - quota_others(a, pool);
	return usable > pool->ours ? usable : pool->ours;
}

/* RunTask decides where nothing is known. */
static bool fits(const struct quota_pool *pool, int64_t quarters)
{
	int64_t usable = quota_usable(pool->agent, pool);

	return usable < 0 || pool->ours + quarters <= usable;
}

bool quota_too_small(const struct job *job, const char *provider)
{
	const struct quota_pool *pool = quota_pool_of(job->agent, job->row.profile, job->row.region, is_spot(provider));

	return pool && quota_fresh(job->agent, pool) && quota_quarters(job) > room_of(job->agent, pool);
}

bool quota_never(const struct job *job, char text[SF_ERROR_MAX])
{
	const char *providers[SF_LADDER_MAX];
	size_t n = retry_ladder(job, providers), i, at;
	char need[SF_QUARTERS_TEXT_MAX], limit[SF_QUARTERS_TEXT_MAX];
	const struct quota_pool *pool;

	for (i = 0; i < n; i++)
		if (!quota_too_small(job, providers[i]))
			return false;
	at = (size_t)snprintf(text, SF_ERROR_MAX, "the job needs %s vCPU", sf_quarters_text(quota_quarters(job), need));
	for (i = 0; i < n && at < SF_ERROR_MAX; i++) {
		pool = quota_pool_of(job->agent, job->row.profile, job->row.region, is_spot(providers[i]));
		at += (size_t)snprintf(text + at, SF_ERROR_MAX - at, "%s the Fargate %s quota %s in %s is %s", i ? " and" : ",",
				       sf_quota_title(pool->spot), sf_quota_code(pool->spot), pool->place,
				       sf_quarters_text(pool->limit, limit));
	}
	if (job->agent->conf->reserve_vcpu && at < SF_ERROR_MAX)
		at += (size_t)snprintf(text + at, SF_ERROR_MAX - at, ", of which ReserveVcpu=%u is kept back",
				       job->agent->conf->reserve_vcpu);
	if (at < SF_ERROR_MAX)
		snprintf(text + at, SF_ERROR_MAX - at,
			 "; ask AWS to raise it and release the job then, or submit it with fewer CPUs (-c)");
	return n > 0;
}

/* --- reservations ----------------------------------------------------------------------------------------------------- */
/* The most we had within this minute, for what CloudWatch says of it some minutes later. */
static void remember(struct quota_pool *pool)
{
	int64_t minute = pool ? agent_now(pool->agent) / 60 : 0;
	size_t i = (size_t)(minute % QUOTA_HISTORY);

	if (!pool)
		return;
	if (pool->history[i].minute != minute || pool->history[i].most < pool->ours) {
		pool->history[i].minute = minute;
		pool->history[i].most = pool->ours;
	}
}

/* pool NULL: the job has and wants nothing; held 0: it waits there. */
static void place(struct job *job, struct quota_pool *pool, int64_t held, bool flying)
{
	struct quota_pool *old = job->pool;

	if (old == pool && held == job->held && flying == job->held_flying)
		return;
	remember(old);
	remember(pool);
	if (old) {
		old->serve = old->serve || pool != old || held < job->held;
		old->ours -= job->held;
		old->in_flight -= job->held_flying ? job->held : 0;
		old->waiting -= job->held == 0;
	}
	if (pool) {
		pool->serve = pool->serve || held == 0;
		pool->ours += held;
		pool->in_flight += flying ? held : 0;
		pool->waiting += held == 0;
	}
	job->pool = pool;
	job->held = pool ? held : 0;
	job->held_flying = pool && held && flying;
	remember(pool);
}

struct quota_pool *quota_job_pool(const struct job *job)
{
	return quota_pool_of(job->agent, job->row.profile, job->row.region, is_spot(job->row.provider));
}

static struct quota_pool *pool_for(struct job *job, const char *provider)
{
	return pool_make(job->agent, job->row.profile, job->row.region, is_spot(provider));
}

/* A try that AWS may have taken, or a task that is not STOPPED: AWS counts it, whatever Slurm says of the job. */
static bool has_try(const struct job *job)
{
	return job->row.stage == STAGE_TASK || (job->row.stage == STAGE_LAUNCH && job->row.request);
}

static bool may_ask(const struct job *job)
{
	return !job->closed && job->row.stage <= STAGE_DEFINE && !job->row.stop_reason && job->row.telling == TELL_NOTHING;
}

void quota_sync(struct job *job)
{
	if (!job->closed && has_try(job)) {
		job->quota_granted = false;
		place(job, pool_for(job, job->row.provider), quota_quarters(job), job->row.stage != STAGE_TASK);
	} else if ((job->held && !job->quota_granted) || !may_ask(job)) {
		quota_leave(job);
	}
}

void quota_leave(struct job *job)
{
	if (!has_try(job) || job->closed) {
		job->quota_granted = false;
		place(job, NULL, 0, false);
	}
}

static void grant(struct job *job, struct quota_pool *pool)
{
	job->quota_granted = true;
	place(job, pool, quota_quarters(job), true);
}

bool quota_ask(struct job *job)
{
	const char *provider = retry_provider(job);
	struct quota_pool *pool = provider ? pool_for(job, provider) : NULL;

	/* (Without a provider the request cannot be built, which says so.) */
	if (!pool || (job->pool == pool && job->quota_granted))
		return true;
	if (job->pool != pool)
		quota_leave(job);
	if (!job->pool && pool->waiting == 0 && fits(pool, quota_quarters(job))) {
		grant(job, pool);
		return true;
	}
	if (!job->pool) {
		place(job, pool, 0, false);
		quota_waits(job);
	}
	return false;
}

int quota_by_age(const void *a, const void *b)
{
	const struct job_row *x = &(*(struct job *const *)a)->row, *y = &(*(struct job *const *)b)->row;

	if (x->created != y->created)
		return x->created < y->created ? -1 : 1;
	return (x->job_id > y->job_id) - (x->job_id < y->job_id);
}

static void let_go(struct job *job)
{
	grant(job, job->pool);
	quota_goes_on(job);
	/* What was found good before the wait is looked at again after it. */
	job->row.stage = STAGE_FACTS;
	job->facts_at = 0;
}

/*
 * The oldest first, and none overtakes it: a large job gets its quarters as they come free. Only one that would not fit if
 * everything of ours were gone, because others have too much of the quota, lets the younger ones pass.
 */
static void serve(struct quota_pool *pool)
{
	sf_auto_free struct job **list = calloc(pool->waiting + 1, sizeof(*list));
	int64_t room = room_of(pool->agent, pool) - quota_others(pool->agent, pool);
	struct job *job;
	size_t n = 0, i;

	if (!list)
		return;
	pool->serve = false;
	for (job = pool->agent->jobs; job; job = job->next)
		if (job->pool == pool && job->held == 0)
			list[n++] = job;
	qsort(list, n, sizeof(*list), quota_by_age);
	for (i = 0; i < n; i++)
		if (fits(pool, quota_quarters(list[i])))
			let_go(list[i]);
		else if (quota_quarters(list[i]) <= room)
			return;
}

void quota_tick(struct agent *a, int64_t now)
{
	struct quota_pool *pool;

	for (pool = a->pools; pool; pool = pool->next) {
		remember(pool); /* a minute without a change is one too: the most of the last one does not go on */
		if (pool->in_force)
			quota_read_tick(pool, now);
		if (pool->waiting && (pool->serve || !quota_fresh(a, pool)))
			serve(pool);
	}
	quota_note_tick(a, now);
}

void quota_refused(struct job *job)
{
	struct quota_pool *pool = quota_job_pool(job);

	if (pool)
		quota_read_again(pool);
}

bool quota_wanted(const struct job *job)
{
	return job->pool && job->pool->waiting;
}
