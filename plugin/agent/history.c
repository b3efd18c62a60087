/* What happened to a job, for `sfargate show`: events while it lives, a summary when its record goes. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define TEXT_MAX_BYTES 480
#define AGAIN_MS 60000 /* an event that repeats is counted in memory, and written once a minute */
#define PRUNE_MS 60000

static const char *const names[] = {
	[EVENT_TRY] = "try",           [EVENT_ANSWER] = "answer",     [EVENT_STATUS] = "status",
	[EVENT_RUNNING] = "running",   [EVENT_EXIT] = "exit",         [EVENT_STOP] = "stop",
	[EVENT_ATTACHED] = "attached", [EVENT_ATTACH_LOST] = "attach-lost", [EVENT_VERDICT] = "verdict",
	[EVENT_TOLD] = "told",
};

bool job_trusted(const struct job *job)
{
	return !job->untrusted || job->have_facts;
}

static struct store_key key_of(const struct job *job)
{
	return (struct store_key){ job->row.job_id, job->row.restart, job->row.sid };
}

/* FNV-1a over the parts; equal hashes of neighbours count as equal events. */
static uint64_t hash(uint64_t h, const char *text)
{
	for (; text && *text; text++)
		h = (h ^ (unsigned char)*text) * 1099511628211u;
	return (h ^ 0xff) * 1099511628211u;
}

/* As for a row: the store is tried again by the tick, and nothing new is launched until then. */
static void failed(struct agent *a, const struct sf_error *err)
{
	sf_log_error("%s; nothing new is launched until it can be written", err->text);
	a->store_down = true;
}

static int make_room(struct job *job, const struct store_key *key, struct sf_error *err)
{
	struct job_history *h = &job->history;

	if (!h->counted && store_event_count(job->agent->store, key, &h->n, err) != 0)
		return -1;
	h->counted = true;
	if (h->n >= STORE_EVENTS_PER_JOB && store_event_trim(job->agent->store, key, err) != 0)
		return -1;
	h->n += h->n < STORE_EVENTS_PER_JOB;
	return 0;
}

static int write_event(struct job *job, struct store_event *e)
{
	struct store_key key = key_of(job);
	struct sf_error err = { "" };

	if ((e->id == 0 && make_room(job, &key, &err) != 0) || store_event(job->agent->store, &key, e, &err) != 0) {
		failed(job->agent, &err);
		return -1;
	}
	job->history.written = e->last;
	job->history.unwritten = false;
	event_active(job->agent->flush, EV_TIMEOUT, 0);
	return 0;
}

void job_history_write(struct job *job)
{
	struct store_event e = { .id = job->history.id, .count = job->history.count, .last = job->history.last };

	if (job->history.unwritten && !job->agent->store_down)
		write_event(job, &e);
}

void job_history_lost(struct job *job)
{
	job->history.id = 0;
	job->history.unwritten = false;
	job->history.counted = false;
}

static void note(struct job *job, const char *what, const char *op, const char *outcome, const char *text)
{
	struct job_history *h = &job->history;
	struct store_event e = { .time = agent_now_ms(job->agent), .count = 1, .try_no = job->row.try_no,
				 .what = what, .op = op, .outcome = outcome, .text = text };
	uint64_t same = hash(hash(hash(hash((uint64_t)e.try_no + 1469598103934665603u, what), op), outcome), text);

	if (job->agent->store_down || !job_trusted(job))
		return;
	e.last = e.time;
	if (h->id && h->same == same) {
		h->count++;
		h->last = e.time;
		h->unwritten = true;
		if (e.time - h->written >= AGAIN_MS)
			job_history_write(job);
		return;
	}
	job_history_write(job);
	if (write_event(job, &e) != 0)
		return;
	h->id = e.id;
	h->count = 1;
	h->last = e.last;
	h->same = same;
}

static const char *cleaned(const char *text, char out[TEXT_MAX_BYTES + 1])
{
	if (!text)
		return NULL;
	/* Cut in the middle of a character, its rest is no UTF-8 and becomes '?'. */
	sf_copy(out, TEXT_MAX_BYTES + 1, text);
	sf_text_clean(out);
	return out;
}

void job_event(struct job *job, enum job_event what, const char *outcome, const char *text)
{
	char clean[TEXT_MAX_BYTES + 1];

	note(job, names[what], NULL, outcome, cleaned(text, clean));
}

void job_answer(struct job *job, enum aws_op op, const char *outcome, const char *text)
{
	char clean[TEXT_MAX_BYTES + 1];
	const char *name = aws_op_name(op);
	size_t n = strlen(name);

	if (text && strncmp(text, name, n) == 0 && strncmp(text + n, ": ", 2) == 0)
		text += n + 2;
	text = cleaned(text, clean);
	if (strcmp(outcome, "ok") == 0)
		job->history.words[0] = '\0';
	else
		snprintf(job->history.words, sizeof(job->history.words), "%s: %s", name, text ? text : outcome);
	note(job, names[EVENT_ANSWER], name, outcome, text);
}

void job_remember(struct job *job)
{
	job_set(&job->row.user, job->facts.user);
	job->row.array_job = job->facts.array_job_id;
	job->row.array_task = job->facts.array_job_id ? job->facts.array_task_id : 0;
}

void job_keep(struct job *job)
{
	sf_auto_free char *summary = NULL, *place = NULL;
	struct store_ended e = {
		.key = key_of(job), .uid = job->row.uid, .array_job = job->row.array_job, .array_task = job->row.array_task,
		.ended = agent_now(job->agent),
	};
	struct sf_error err = { "" };

	if (job->agent->store_down || !job_trusted(job))
		return;
	job_history_write(job);
	summary = query_summary(job);
	place = query_place(job);
	if (!summary || !place)
		return;
	e.summary = summary;
	e.place = place;
	if (store_end(job->agent->store, &e, &err) != 0)
		failed(job->agent, &err);
}

void history_tick(struct agent *a, int64_t now)
{
	struct sf_error err = { "" };
	int n;

	if (a->store_down || now < a->prune_at)
		return;
	a->prune_at = now + PRUNE_MS;
	n = store_prune(a->store, now / 1000, &err);
	if (n < 0)
		failed(a, &err);
	else if (n == STORE_PRUNE_STEP)
		a->prune_at = now; /* more of it in the next turn */
	if (n > 0)
		event_active(a->flush, EV_TIMEOUT, 0);
}
