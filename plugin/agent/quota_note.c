/* What jobs that wait for a vCPU quota are told: AdminComment of the first of them, those that are PENDING (Licenses) too. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/quota.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define LOOK_MS 5000
#define AGAIN_MS 30000 /* between two comments of one job: each is a write lock in slurmctld */

void quota_words(const struct agent *a, const struct quota_pool *pool, char out[SF_ERROR_MAX])
{
	char limit[SF_QUARTERS_TEXT_MAX], ours[SF_QUARTERS_TEXT_MAX], others[SF_QUARTERS_TEXT_MAX];
	char rest[96] = "";
	size_t at = 0;

	if (pool->usage_known)
		at = (size_t)snprintf(rest, sizeof(rest), ", %s by others", sf_quarters_text(quota_others(a, pool), others));
	if (a->conf->reserve_vcpu)
		snprintf(rest + at, sizeof(rest) - at, ", %u kept back", a->conf->reserve_vcpu);
	snprintf(out, SF_ERROR_MAX, "waits for the %s quota %s%s%s (%s%s, %s in use by us%s)", sf_quota_title(pool->spot),
		 sf_quota_code(pool->spot), pool->place[0] ? " in " : "", pool->place,
		 quota_fresh(a, pool) ? sf_quarters_text(pool->limit, limit) : "limit not known",
		 quota_fresh(a, pool) ? " vCPU" : "", sf_quarters_text(pool->ours, ours), rest);
}

/* --- jobs of ours ----------------------------------------------------------------------------------------------------- */
static void note(struct job *job)
{
	char text[SF_ERROR_MAX];

	quota_words(job->agent, job->pool, text);
	job_comment(job, SF_PHASE_QUOTA, text);
	job->noted_at = agent_now_ms(job->agent);
}

void quota_waits(struct job *job)
{
	char text[SF_ERROR_MAX];

	job->phase = SF_PHASE_QUOTA;
	if (job->pool->waiting > QUOTA_NOTES)
		return;
	quota_words(job->agent, job->pool, text);
	sf_log_info("job %" PRId64 ": %s", job->row.job_id, text);
	note(job);
}

void quota_goes_on(struct job *job)
{
	static const char said[] = "fargate: quota ";

	if (job->phase != SF_PHASE_QUOTA)
		return;
	if (strncmp(job->commented, said, strlen(said)) == 0)
		job_comment(job, SF_PHASE_LAUNCHING, NULL);
	job->phase = SF_PHASE_LAUNCHING;
}

/* The first of those that wait in CF; how many there were. */
static size_t note_ours(struct agent *a, int64_t now)
{
	struct job *job, **list;
	size_t n = 0, i;

	for (job = a->jobs; job; job = job->next)
		n += job->pool && job->held == 0;
	list = n ? calloc(n, sizeof(*list)) : NULL;
	if (!list)
		return 0;
	for (job = a->jobs, i = 0; job && i < n; job = job->next)
		if (job->pool && job->held == 0)
			list[i++] = job;
	qsort(list, n, sizeof(*list), quota_by_age);
	if (n > QUOTA_NOTES)
		n = QUOTA_NOTES;
	for (i = 0; i < n; i++)
		if (now >= list[i]->noted_at + AGAIN_MS)
			note(list[i]);
	free(list);
	return n;
}

/* --- jobs that are PENDING -------------------------------------------------------------------------------------------- */
/* A job that waits, in the words of its AdminComment: `fargate: <phase> <task> <size> <provider> …` (slurmctld's plugin began
 * it). */
struct waiter {
	struct quota_pool *pool;
	int64_t quarters;
	char size[32], provider[16];
};

static bool read_waiter(const struct agent *a, const struct slurm_brief *brief, struct waiter *w)
{
	const struct sf_conf_line *line = fleet_line(a->conf, brief);
	char vcpu[16] = "";

	if (!line || sscanf(brief->comment, "fargate: %*s %*s %31s %15[A-Z_]", w->size, w->provider) != 2 ||
	    sscanf(w->size, "%15[0-9.]vCPU/", vcpu) != 1 || !sf_quarters_parse(vcpu, &w->quarters))
		return false;
	w->pool = quota_line_pool(a, line, w->provider);
	return w->pool != NULL;
}

static int by_priority(const void *a, const void *b)
{
	const struct slurm_brief *x = *(const struct slurm_brief *const *)a, *y = *(const struct slurm_brief *const *)b;

	if (x->priority != y->priority)
		return x->priority > y->priority ? -1 : 1;
	return (x->job_id > y->job_id) - (x->job_id < y->job_id);
}

/* What was written last of a job stays known while it is among the first. */
static void keep(struct quota_note *fresh, const struct quota_note *before, const struct slurm_brief *brief, int64_t now)
{
	size_t i;

	for (i = 0; i < QUOTA_NOTES; i++)
		if (before[i].job_id == fresh->job_id) {
			fresh->at = before[i].at;
			sf_copy(fresh->text, sizeof(fresh->text), before[i].text);
			return;
		}
	if (strncmp(brief->comment, "fargate: quota ", 15) == 0)
		fresh->at = now;
}

void quota_pending(struct agent *a, const struct slurm_brief *briefs, size_t n)
{
	sf_auto_free const struct slurm_brief **list = calloc(n + 1, sizeof(*list));
	struct quota_note before[QUOTA_NOTES];
	struct quota_pool *pool;
	struct waiter w;
	size_t found = 0, i;

	if (!list)
		return;
	for (pool = a->pools; pool; pool = pool->next)
		pool->pending_quarters = pool->pending = 0;
	for (i = 0; i < n; i++) {
		if (!briefs[i].waits_license || !read_waiter(a, &briefs[i], &w))
			continue;
		w.pool->pending++;
		w.pool->pending_quarters += w.quarters;
		list[found++] = &briefs[i];
	}
	if (found)
		qsort(list, found, sizeof(*list), by_priority);
	memcpy(before, a->quota_notes, sizeof(before));
	memset(a->quota_notes, 0, sizeof(a->quota_notes));
	for (i = 0; i < found && i < QUOTA_NOTES; i++) {
		if (!read_waiter(a, list[i], &w))
			continue;
		a->quota_notes[i] = (struct quota_note){.job_id = list[i]->job_id, .pool = w.pool};
		snprintf(a->quota_notes[i].head, sizeof(a->quota_notes[i].head), "fargate: quota - %s %s -", w.size, w.provider);
		keep(&a->quota_notes[i], before, list[i], agent_now_ms(a));
	}
}

static void on_note(struct work *w, void *ctx)
{
	(void)ctx;
	if (w->rc != 0)
		sf_log_debug("job %u: %s", w->job_id, w->err.text);
}

static void note_pending(struct agent *a, struct quota_note *n, int64_t now)
{
	char words[SF_ERROR_MAX], text[SF_COMMENT_MAX];
	struct work *w;

	quota_words(a, n->pool, words);
	snprintf(text, sizeof(text), "%s: %s", n->head, words);
	sf_text_clean(text);
	if (strcmp(text, n->text) == 0 || (n->at && now < n->at + AGAIN_MS))
		return;
	w = work_new(WORK_COMMENT, n->job_id, on_note, NULL);
	if (!w)
		return;
	w->comment = strdup(text);
	if (!w->comment) {
		work_drop(w);
	} else if (worker_submit(a->worker, w)) {
		n->at = now;
		sf_copy(n->text, sizeof(n->text), text);
	}
}

void quota_note_tick(struct agent *a, int64_t now)
{
	size_t n, i;

	if (now < a->quota_note_at)
		return;
	a->quota_note_at = now + LOOK_MS;
	n = note_ours(a, now);
	for (i = 0; i + n < QUOTA_NOTES && a->quota_notes[i].job_id; i++)
		note_pending(a, &a->quota_notes[i], now);
}
