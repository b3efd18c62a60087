/* The table of incarnations: making, finding, storing and closing their records. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

/* A plain chained table, ours because neither libevent nor json-c offers one keyed by number; walked in full every tick anyway. */
static struct job **bucket(struct agent *a, uint32_t job_id)
{
	return &a->table[job_id % JOB_BUCKETS];
}

struct job *job_find(struct agent *a, uint32_t job_id, const char *sid, uint32_t restart)
{
	struct job *job;

	for (job = *bucket(a, job_id); job; job = job->hash_next)
		if (job->row.job_id == job_id && job->row.restart == restart && (!sid || strcmp(job->row.sid, sid) == 0))
			return job;
	return NULL;
}

bool job_rival(const struct job *job)
{
	const struct job *other;

	for (other = *bucket(job->agent, (uint32_t)job->row.job_id); other; other = other->hash_next)
		if (other != job && other->row.job_id == job->row.job_id && other->row.restart == job->row.restart &&
		    !(other->untrusted && !other->have_facts))
			return true;
	return false;
}

void job_set(char **field, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	/* Out of memory: the old value stays, so that a row never loses what it had. */
	if (value && !copy)
		return;
	free(*field);
	*field = copy;
}

static void job_insert(struct agent *a, struct job *job)
{
	struct job **head = bucket(a, (uint32_t)job->row.job_id);

	job->agent = a;
	job->phase = job->row.started ? SF_PHASE_RUNNING : SF_PHASE_LAUNCHING;
	job->born = a->polls_sent;
	job->born_at = agent_now_ms(a);
	job->sent_at = agent_now_ms(a);
	job->ended = job->row.ended_at != 0;
	job->ended_seen = job->row.ended_at * 1000;
	job->hash_next = *head;
	*head = job;
	job->next = a->jobs;
	if (a->jobs)
		a->jobs->prev = job;
	a->jobs = job;
	a->n_jobs++;
}

static void job_remove(struct job *job)
{
	struct agent *a = job->agent;
	struct job **p = bucket(a, (uint32_t)job->row.job_id);

	while (*p != job)
		p = &(*p)->hash_next;
	*p = job->hash_next;
	if (job->prev)
		job->prev->next = job->next;
	else
		a->jobs = job->next;
	if (job->next)
		job->next->prev = job->prev;
	a->n_jobs--;
}

static void job_free(struct job *job)
{
	job_row_free(&job->row);
	sf_spec_free(&job->spec);
	slurm_job_free(&job->facts);
	if (job->have_task)
		ecs_task_free(&job->task);
	free(job->follow.token);
	free(job);
}

/* Read it, and what is kept under its id. */
static int adopt_spec(struct job *job, struct sf_error *err)
{
	struct sf_error ignored;

	if (sf_spec_decode(job->row.spec, &job->spec, err) != 0)
		return sf_err_wrap(err, "the job's spec");
	if (store_tally(job->agent->store, job->row.job_id, job->spec.sid, &job->tally, &ignored) != 0)
		sf_log_error("job %lld: %s", (long long)job->row.job_id, ignored.text);
	job_find_line(job);
	return 0;
}

static int set_new_row(struct job *job, uint32_t job_id, uint32_t restart, const char *spec)
{
	job->row.job_id = job_id;
	job->row.restart = restart;
	job->row.uid = -1;
	job->row.created = agent_now(job->agent);
	job_set(&job->row.spec, spec);
	return job->row.spec ? 0 : -1;
}

void job_copy_line(struct job *job)
{
	const struct sf_conf_line *line = job->line;

	job_set(&job->row.sid, job->spec.sid);
	if (!job_has_line(job))
		return; /* held before anything is launched (launch.c) */
	job_set(&job->row.profile, line->profile);
	job_set(&job->row.region, line->region);
	job_set(&job->row.cluster, line->cluster);
	job_set(&job->row.provider, retry_provider(job));
	job->row.framing = line->log_framing;
}

int job_move(struct job *job, const struct sf_conf_line *line, struct sf_error *err)
{
	char *partition = strdup(line->name), *before = job->spec.partition;
	char *text;

	if (!partition)
		return sf_err(err, "out of memory");
	job->spec.partition = partition;
	text = sf_spec_encode(&job->spec);
	if (!text) {
		job->spec.partition = before;
		free(partition);
		return sf_err(err, "out of memory");
	}
	free(before);
	free(job->row.spec);
	job->row.spec = text;
	job->line = line;
	job_copy_line(job);
	return 0;
}

struct job *job_create(struct agent *a, uint32_t job_id, uint32_t restart, const char *spec, struct sf_error *err)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		sf_err(err, "out of memory");
		return NULL;
	}
	job->agent = a;
	if (set_new_row(job, job_id, restart, spec) != 0) {
		sf_err(err, "out of memory");
		goto error;
	}
	if (adopt_spec(job, err) != 0)
		goto error;
	job_copy_line(job);
	job_insert(a, job);
	sf_log_info("job %u: taken, restart %u, partition %s", job_id, restart, job->spec.partition);
	return job;
error:
	job_free(job);
	return NULL;
}

static void load_one(void *ctx, struct job_row *row)
{
	struct agent *a = ctx;
	struct sf_error err = { "" };
	struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		sf_log_error("job %lld: out of memory, its record is left alone", (long long)row->job_id);
		job_row_free(row);
		return;
	}
	job->row = *row;
	job->agent = a;
	if (adopt_spec(job, &err) != 0) {
		sf_log_error("job %lld: %s; it is not followed until that is mended", (long long)row->job_id, err.text);
		job_free(job);
		return;
	}
	/* What has no try yet goes where fargate.conf says now. */
	if (job->row.try_no == 0)
		job_copy_line(job);
	/* Decided by a version that held whatever could not be launched. */
	if (job->row.telling != TELL_NOTHING && job->row.act == SF_ACT_NONE)
		job->row.act = retry_class((enum sf_class)job->row.verdict) ? SF_ACT_HOLD : sf_class_action((enum sf_class)job->row.verdict);
	job_insert(a, job);
	job->unsure = job->row.request != NULL;
	follow_reset(job);
	quota_sync(job);
	sf_log_info("job %lld: found in jobs.db, task %s", (long long)row->job_id, row->task_id ? row->task_id : "-");
}

int jobs_load(struct agent *a, struct sf_error *err)
{
	return store_load(a->store, load_one, a, err);
}

void jobs_free(struct agent *a)
{
	struct job *job;

	while ((job = a->jobs)) {
		job_remove(job);
		job_free(job);
	}
}

void job_save(struct job *job)
{
	struct agent *a = job->agent;
	struct sf_error err = { "" };

	job->committing = true;
	if (!(job->untrusted && !job->have_facts) && !a->store_down && store_put(a->store, &job->row, &err) != 0) {
		sf_log_error("%s; nothing new is launched until it can be written", err.text);
		a->store_down = true;
	}
	event_active(a->flush, EV_TIMEOUT, 0);
}

void job_fly(struct job *job)
{
	job->flying++;
}

bool job_landed(struct job *job)
{
	job->flying--;
	if (!job->closed)
		return true;
	if (job->flying == 0)
		job_free(job);
	return false;
}

void job_close(struct job *job)
{
	struct agent *a = job->agent;
	struct sf_error err = { "" };

	job_keep(job);
	if (store_delete(a->store, &job->row, &err) != 0) {
		/* With its transaction every row of this turn was lost. */
		sf_log_error("job %lld: %s; nothing new is launched until it can be written", (long long)job->row.job_id, err.text);
		a->store_down = true;
	}
	event_active(a->flush, EV_TIMEOUT, 0);
	sf_log_info("job %lld: closed", (long long)job->row.job_id);
	job_release_prologs(job);
	if (job->attach)
		job->attach->job = NULL;
	job_remove(job);
	job->line = NULL; /* no reload looks after it any more */
	job->closed = true;
	quota_sync(job);
	if (job->flying == 0)
		job_free(job);
}

/* Still a task that AWS has not been told to stop, or may have. */
static bool may_run(const struct job *job)
{
	return job->row.stage == STAGE_LAUNCH || (job->row.stage == STAGE_TASK && !job->row.stop_accepted && !job->row.has_exit);
}

bool job_superseding(const struct job *job)
{
	struct job *other;
	bool waits = false;

	for (other = *bucket(job->agent, (uint32_t)job->row.job_id); other; other = other->hash_next) {
		if (other == job || other->row.job_id != job->row.job_id || other->row.created > job->row.created)
			continue;
		if (other->row.restart >= job->row.restart && strcmp(other->row.sid, job->row.sid) == 0)
			continue;
		if (other->row.telling == TELL_NOTHING)
			job_stop(other, "a newer start of the job");
		waits = waits || may_run(other);
	}
	return waits;
}

/* A record is done with when AWS has no task of it and Slurm knows how it ended, or was the one who ended it. */
static bool finished(const struct job *job)
{
	if (job->row.stage != STAGE_OVER || job->attach)
		return false;
	return job->row.telling == TELL_CONFIRMED || (job->row.telling == TELL_NOTHING && job->row.stop_reason);
}

void job_tick(struct job *job, int64_t now)
{
	if (job->closed)
		return;
	check_tick(job, now);
	launch_tick(job, now);
	stop_tick(job, now);
	prolog_tick(job, now);
	ending_tick(job, now);
	tell_tick(job, now);
	lane_tick(job);
	quota_sync(job);
	if (finished(job) && !job->committing && !job->agent->store_down)
		job_close(job);
}
