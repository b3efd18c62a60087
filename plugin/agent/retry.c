/* A try that came to nothing: what it is charged, where the next one goes, and when it may be made (design section 3, "Budget"). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define CLEAR_AFTER_MS 5000 /* design section 5.1: ListTasks is asked so long after AWS's "no" */
#define CLEAR_AGAIN_MS 3000
#define DELAY_MOST_MS (3600 * 1000)
#define QUOTA_FIRST_MS 30000 /* a task that ends wakes the waiting earlier */
#define QUOTA_MOST_MS 300000
#define STUCK_MOST 2         /* design section 4: relaunched once; the second time held */
#define SPOT_INTERRUPTIONS 2 /* then On-Demand, where the ladder has it */

/* --- the ladder: provider by provider, and for each subnet by subnet ------------------------------------------------ */
size_t retry_ladder(const struct job *job, const char *providers[SF_LADDER_MAX])
{
	return sf_ladder(job->line, job->spec.spot, job->tally.interruptions >= SPOT_INTERRUPTIONS, providers);
}

/* Without those whose quota the job can never fit into; where that leaves none, quota_never() has the word. */
static size_t providers_of(const struct job *job, const char *providers[SF_LADDER_MAX])
{
	const char *all[SF_LADDER_MAX];
	size_t n = retry_ladder(job, all), left = 0, i;

	for (i = 0; i < n; i++)
		if (!quota_too_small(job, all[i]))
			providers[left++] = all[i];
	if (left == 0)
		return retry_ladder(job, providers);
	for (i = left; i < SF_LADDER_MAX; i++)
		providers[i] = NULL;
	return left;
}

static size_t subnets_of(const struct job *job)
{
	return sf_strv_len(job->line->subnets);
}

const char *retry_provider(const struct job *job)
{
	const char *providers[SF_LADDER_MAX];
	size_t n = providers_of(job, providers), at = (size_t)job->row.rung / subnets_of(job);

	/* The line may have lost a provider or a subnet since; NULL when none is left: the request cannot be built then. */
	return providers[at < n || n == 0 ? at % SF_LADDER_MAX : n - 1];
}

const char *retry_subnet(const struct job *job)
{
	size_t n = subnets_of(job);

	return job->line->subnets[((size_t)job->row.job_id + (size_t)job->row.rung % n) % n];
}

/* False when there is none: the round is over, and the next one begins at its foot. */
static bool next_rung(struct job *job)
{
	const char *providers[SF_LADDER_MAX];

	if ((size_t)++job->row.rung < providers_of(job, providers) * subnets_of(job))
		return true;
	job->row.rung = 0;
	return false;
}

/* --- another try ------------------------------------------------------------------------------------------------------ */
/* Nothing of the last try stays but its number and what it was charged. */
static void forget_try(struct job *job)
{
	struct job_row *row = &job->row;

	sf_copy(job->forgotten, sizeof(job->forgotten), row->task_id ? row->task_id : "");
	job_set(&row->request, NULL);
	job_set(&row->task_id, NULL);
	job_set(&row->az, NULL);
	job_set(&row->last_status, NULL);
	job_set(&row->abandon, NULL);
	row->sent = row->stop_accepted = row->has_exit = row->exit_code = row->ended_at = row->verdict = 0;
	if (job->have_task)
		ecs_task_free(&job->task);
	job->have_task = job->ended = false;
	job->ended_seen = 0;
	job->run_failures = 0;
	follow_reset(job);
}

static void try_again(struct job *job, enum sf_phase phase, int64_t delay_ms, const char *words)
{
	int64_t now = agent_now_ms(job->agent);
	char text[SF_COMMENT_MAX];

	forget_try(job);
	job->row.stage = STAGE_DEFINE;
	job->row.doubt = now;
	job->row.retry_at = now + delay_ms;
	job_set(&job->row.provider, retry_provider(job));
	job_set(&job->row.reason, words);
	snprintf(text, sizeof(text), "%s; tried again in %s, %s", words, retry_provider(job), retry_subnet(job));
	sf_log_info("job %" PRId64 ": %s", job->row.job_id, text);
	job_save(job);
	job_comment(job, phase, text);
}

/* n-th failure: RetryInterval * RetryBackoffRate^(n-1), full jitter. */
static int64_t delay_of(const struct job *job)
{
	int64_t most = (int64_t)job->line->retry_interval * 1000, n;

	for (n = 1; n < job->row.attempts && most < DELAY_MOST_MS; n++)
		most *= job->line->retry_backoff_rate;
	if (most > DELAY_MOST_MS)
		most = DELAY_MOST_MS;
	return agent_jitter(job->agent, most) - agent_now_ms(job->agent);
}

/* The budget is used up: back to Slurm with a growing delay, and after RetryMaxRequeues held. */
static void give_back(struct job *job, enum sf_class c, const char *words)
{
	if (job->tally.launches < (int64_t)job->line->retry_max_requeues)
		job_end(job, c, SF_ACT_REQUEUE, words);
	else
		job_end(job, c, SF_ACT_HOLD, words);
}

static void charge(struct job *job, enum sf_class c, const char *words)
{
	job->row.attempts++;
	if (job->row.attempts > (int64_t)job->line->retry_max_attempts)
		give_back(job, c, words);
	else
		try_again(job, SF_PHASE_RETRY, delay_of(job), words);
}

static void on_capacity(struct job *job, enum sf_class c, const char *words)
{
	if (next_rung(job))
		try_again(job, SF_PHASE_RETRY, 0, words);
	else
		charge(job, c, words);
}

static void on_stuck(struct job *job, enum sf_class c, const char *words)
{
	if (++job->row.stuck >= STUCK_MOST)
		job_end(job, c, SF_ACT_HOLD, words);
	else
		charge(job, c, words);
}

/* Nothing is spent: it asks again when a task of ours has ended, and now and then because others use the quota too. */
static void on_quota(struct job *job, enum sf_class c, const char *words)
{
	int64_t most = QUOTA_FIRST_MS << (job->quota_waits < 4 ? job->quota_waits : 4);

	(void)c;
	job->quota_waits++;
	try_again(job, SF_PHASE_QUOTA, (most < QUOTA_MOST_MS ? most : QUOTA_MOST_MS), words);
}

/* A task of an earlier try, or of several: the next try is as free as if it had not been. */
static void on_ghost(struct job *job, enum sf_class c, const char *words)
{
	(void)c;
	try_again(job, SF_PHASE_RETRY, 0, words);
}

static const struct {
	enum sf_class class;
	void (*act)(struct job *job, enum sf_class c, const char *words);
} answers[] = {
	{ SF_CLASS_CAPACITY, on_capacity }, { SF_CLASS_START_TRANSIENT, charge }, { SF_CLASS_STUCK, on_stuck },
	{ SF_CLASS_QUOTA, on_quota },	    { SF_CLASS_LAUNCHED, on_ghost },
};

bool retry_class(enum sf_class c)
{
	size_t i;

	for (i = 0; i < SF_COUNT(answers); i++)
		if (answers[i].class == c)
			return true;
	return false;
}

void retry_failed(struct job *job, enum sf_class c, const char *words)
{
	char text[SF_ERROR_MAX];
	size_t i;

	/* `words` may be the row's own, which the next try does not keep. */
	sf_copy(text, sizeof(text), words ? words : "AWS gave no reason");
	if (job->row.stop_reason || job->row.telling != TELL_NOTHING)
		return;
	if (!job_has_line(job)) {
		job_decide(job, SF_CLASS_CONFIG, text);
		return;
	}
	for (i = 0; i < SF_COUNT(answers); i++)
		if (answers[i].class == c) {
			answers[i].act(job, c, text);
			return;
		}
	job_decide(job, c, text);
}

void retry_paused(struct job *job, const char *words)
{
	try_again(job, SF_PHASE_RETRY, 0, words);
}

/* --- before a new try: does AWS show a task all the same? --------------------------------------------------------------- */
static void found_task(struct job *job, const char *id, bool several)
{
	sf_log_warn("job %" PRId64 ": AWS shows task %s although it had said no", job->row.job_id, id);
	job->row.doubt = 0;
	job->row.stage = STAGE_TASK;
	job->row.request_at = agent_now(job->agent);
	job->describe_at = 0;
	job_set(&job->row.task_id, id);
	job_save(job);
	if (several)
		job_abandon(job, SF_CLASS_LAUNCHED, "AWS shows several tasks of this job");
}

static void on_cleared(void *arg, const struct aws_reply *reply)
{
	struct job *job = arg;
	sf_auto_strv char **arns = NULL;
	sf_auto_free char *next = NULL;
	struct sf_error err = { "" };
	int64_t now;

	if (!job_landed(job))
		return;
	job->list_flying = false;
	now = agent_now_ms(job->agent);
	job->clear_at = agent_jitter(job->agent, CLEAR_AGAIN_MS) + CLEAR_AGAIN_MS;
	if (!reply->ok || ecs_list_tasks_parse(reply->body, &arns, &next, &err) != 0) {
		if (!reply->ok)
			watch_refused(job, reply);
		return;
	}
	if (job->row.stop_reason || job->row.telling != TELL_NOTHING || !job->row.doubt)
		return;
	job_answer(job, reply->op, "ok", arns && arns[0] ? ecs_id_of(arns[0]) : "no task");
	if (!arns || !arns[0]) {
		/* Slurm's record and fargate.conf may have changed while it waited: they are looked at again. */
		job->row.doubt = 0;
		job->row.stage = STAGE_FACTS;
		job->facts_at = 0;
		job_save(job);
		job_tick(job, now);
	} else if (arns[1] || strcmp(ecs_id_of(arns[0]), job->forgotten) != 0) {
		/* (The list may still show the one that was stopped just now.) */
		found_task(job, ecs_id_of(arns[0]), arns[1] != NULL);
	}
}

bool retry_clear(struct job *job, int64_t now)
{
	if (!job->row.doubt)
		return true;
	if (job->list_flying || job->committing || now < job->clear_at || now < job->row.retry_at || now < job->row.doubt + CLEAR_AFTER_MS)
		return false;
	job->clear_at = now + CLEAR_AGAIN_MS;
	job_list_own(job, on_cleared);
	return false;
}

/* --- a vCPU came free ------------------------------------------------------------------------------------------------------ */
static bool waits_for(const struct job *job, const struct quota_pool *pool)
{
	return job->row.stage == STAGE_DEFINE && job->row.doubt && job->phase == SF_PHASE_QUOTA && quota_job_pool(job) == pool;
}

void retry_wake(struct quota_pool *pool, int64_t quarters)
{
	struct job *job, *oldest;
	int64_t used = 0;

	/* The oldest first, as many as fit into what came free, and one at least: nobody knows what was free before. */
	do {
		oldest = NULL;
		for (job = pool ? pool->agent->jobs : NULL; job; job = job->next)
			if (waits_for(job, pool) && job->row.retry_at > agent_now_ms(job->agent) &&
			    (!oldest || quota_by_age(&job, &oldest) < 0))
				oldest = job;
		if (!oldest)
			return;
		oldest->row.retry_at = agent_now_ms(oldest->agent);
		used += quota_quarters(oldest);
	} while (used < quarters);
}

/* --- a start that does not come about ------------------------------------------------------------------------------------- */
void retry_stuck(struct job *job)
{
	const struct ecs_task *t = &job->task;
	double asked = (double)job->row.request_at, since;
	char words[160];
	bool pulls = t->pull_started_at > 0;
	uint32_t most;

	if (job->row.started || job->row.abandon || job->row.stop_reason || job->ended || job->row.telling != TELL_NOTHING ||
	    !job_has_line(job))
		return;
	/* Where the clocks differ, a try is not older than its request. */
	since = pulls ? t->pull_started_at : t->created_at;
	since = since > asked ? since : asked;
	most = pulls ? job->line->pull_timeout : job->line->start_timeout;
	if ((double)agent_now(job->agent) - since <= most)
		return;
	if (pulls)
		snprintf(words, sizeof(words), "not RUNNING %u s (PullTimeout) after its image's pull began", most);
	else
		snprintf(words, sizeof(words), "no pull of its image %u s (StartTimeout) after it was made", most);
	job_abandon(job, SF_CLASS_STUCK, words);
}
