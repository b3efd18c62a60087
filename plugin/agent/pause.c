/* A partition whose configuration AWS refuses: after three refusals in a row its jobs wait rather than fail one by one. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define REFUSALS 3
#define PROBE_FIRST_MS 60000
#define PROBE_MOST_MS 900000

static struct pause *find(const struct agent *a, const char *partition)
{
	struct pause *p;

	for (p = a->pauses; p && strcmp(p->partition, partition) != 0; p = p->next)
		;
	return p;
}

static struct pause *find_or_make(struct agent *a, const char *partition)
{
	struct pause *p = find(a, partition);

	if (p)
		return p;
	p = calloc(1, sizeof(*p));
	if (p)
		p->partition = strdup(partition);
	if (!p || !p->partition) {
		free(p);
		return NULL;
	}
	p->next = a->pauses;
	a->pauses = p;
	return p;
}

void pauses_free(struct agent *a)
{
	struct pause *p;

	while ((p = a->pauses)) {
		a->pauses = p->next;
		free(p->partition);
		free(p);
	}
}

/* What a user chose for one job says nothing about the partition. */
static bool counts(const struct job *job)
{
	return job_has_line(job) && !job->spec.task_definition;
}

static bool is_probe(const struct pause *p, const struct job *job)
{
	return p->probe_job == job->row.job_id && p->probe_restart == job->row.restart;
}

static bool waits(const struct job *job, const struct pause *p)
{
	return job->row.stage == STAGE_DEFINE && !job->row.doubt && job->row.telling == TELL_NOTHING && !job->row.stop_reason && counts(job) &&
	       strcmp(job->spec.partition, p->partition) == 0;
}

static bool is_oldest(const struct job *job, const struct pause *p)
{
	const struct job *other;

	for (other = job->agent->jobs; other; other = other->next)
		if (other != job && waits(other, p) &&
		    (other->row.created < job->row.created || (other->row.created == job->row.created && other->row.job_id < job->row.job_id)))
			return false;
	return true;
}

static void say_paused(struct job *job, const struct pause *p)
{
	char text[SF_COMMENT_MAX];

	snprintf(text, sizeof(text), "partition %s is paused since AWS refused %d of its jobs in a row (%s); tried again every now and then; "
		 "when it is mended: sfargate resume %s", p->partition, REFUSALS, p->words, p->partition);
	job_comment(job, SF_PHASE_RETRY, text);
}

bool pause_asks(struct job *job, int64_t now)
{
	struct pause *p = find(job->agent, job->spec.partition);

	if (!p || !p->since || !counts(job) || (is_probe(p, job) && now < p->probe_at))
		return true;
	if (now >= p->probe_at && is_oldest(job, p)) {
		p->probe_job = job->row.job_id;
		p->probe_restart = job->row.restart;
		p->probe_wait = p->probe_wait * 2 < PROBE_MOST_MS ? p->probe_wait * 2 : PROBE_MOST_MS;
		p->probe_at = now + p->probe_wait;
		sf_log_info("partition %s is paused: job %" PRId64 " probes whether AWS takes it now", p->partition, job->row.job_id);
		return true;
	}
	say_paused(job, p);
	return false;
}

bool pause_refused(struct job *job, const char *words)
{
	struct pause *p = counts(job) ? find_or_make(job->agent, job->spec.partition) : NULL;

	if (!p)
		return false;
	sf_copy(p->words, sizeof(p->words), words);
	if (p->since) {
		p->probe_job = 0;
		return true;
	}
	if (++p->refusals < REFUSALS)
		return false;
	p->since = agent_now(job->agent);
	p->probe_wait = PROBE_FIRST_MS;
	p->probe_at = agent_now_ms(job->agent) + p->probe_wait;
	p->probe_job = 0;
	sf_log_error("partition %s is paused, AWS refused %d of its jobs in a row: %s; its other jobs wait until one is taken, or `sfargate "
		     "resume %s`", p->partition, REFUSALS, words, p->partition);
	return false;
}

static void reopen(struct pause *p, const char *why)
{
	sf_log_info("partition %s is open again: %s", p->partition, why);
	p->since = 0;
	p->refusals = 0;
	p->probe_job = 0;
	p->words[0] = '\0';
}

void pause_taken(const struct job *job)
{
	struct pause *p = counts(job) ? find(job->agent, job->spec.partition) : NULL;

	if (!p)
		return;
	if (p->since)
		reopen(p, "AWS took a job of it");
	p->refusals = 0;
}

bool pause_resume(struct agent *a, const char *partition)
{
	struct pause *p = find(a, partition);

	if (!p || !p->since)
		return false;
	reopen(p, "sfargate resume");
	return true;
}
