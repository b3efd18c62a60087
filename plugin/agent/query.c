/* What the agent answers to sfargate and to slurmctld's plugin, as JSON. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "plugin/agent/agent.h"
#include "plugin/agent/hold.h"

#define NAMES_MAX 200 /* of environment variables shown */
#define PAGE_MAX 200
#define SHOW_PAGE 4   /* starts with all their events: each below 200 KB, and a frame holds 1 MiB */

static const char *const stage_names[] = {
	[STAGE_FACTS] = "reading", [STAGE_DEFINE] = "defining", [STAGE_LAUNCH] = "launching",
	[STAGE_TASK] = "task",     [STAGE_OVER] = "over",
};
static const char *const telling_names[] = {
	[TELL_NOTHING] = "none", [TELL_DECIDED] = "decided", [TELL_TOLD] = "told", [TELL_CONFIRMED] = "confirmed",
};

static sf_json *phase_counts(const struct agent *a)
{
	size_t counts[SF_PHASE_COUNT] = { 0 };
	sf_json *out = sf_json_new_object();
	const struct job *job;
	int p;

	for (job = a->jobs; job; job = job->next)
		counts[job->phase]++;
	for (p = 0; p < SF_PHASE_COUNT; p++)
		if (counts[p])
			sf_json_set_int(out, sf_phase_name((enum sf_phase)p), (int64_t)counts[p]);
	return out;
}

static sf_json *paused(const struct agent *a)
{
	sf_json *out = sf_json_new_array(), *one;
	const struct pause *p;

	for (p = a->pauses; p; p = p->next) {
		if (!p->since)
			continue;
		one = sf_json_new_object();
		sf_json_set_str(one, "partition", p->partition);
		sf_json_set_int(one, "since", p->since);
		sf_json_set_str(one, "reason", p->words);
		sf_json_add(out, one);
	}
	return out;
}

char *query_status(struct agent *a)
{
	sf_auto_json sf_json *out = sf_json_new_object();
	char licenses[SF_ERROR_MAX];

	hold_problem(a, licenses);
	sf_json_set_str(out, "cluster", a->cluster_known ? a->cluster.name : NULL);
	sf_json_set_str(out, "instance", a->instance);
	sf_json_set_int(out, "started", a->started);
	sf_json_set_str(out, "conf", a->conf->path);
	sf_json_set_str(out, "launch", a->cluster.has_prolog ? "prolog" : "step");
	sf_json_set_str(out, "slurmctld", a->slurm_down ? "no answer" : a->cluster_known ? "ok" : "not asked yet");
	sf_json_set_str(out, "problem", a->cluster_problem[0] ? a->cluster_problem : NULL);
	sf_json_set_str(out, "conf_refused", a->reload.refused[0] ? a->reload.refused : NULL);
	sf_json_set_str(out, "license_problem", licenses[0] ? licenses : NULL);
	sf_json_set_str(out, "aws", a->aws_problem[0] ? a->aws_problem : "ok");
	sf_json_set_str(out, "store", a->store_down ? "cannot be written" : "ok");
	alerts_status(a, out);
	sf_json_set_int(out, "jobs", (int64_t)a->n_jobs);
	sf_json_set(out, "phases", phase_counts(a));
	sf_json_set(out, "paused", paused(a));
	return sf_json_text(out);
}

static sf_json *names_of(char *const *env)
{
	sf_json *out = sf_json_new_array();
	char name[256];
	size_t n;

	/* Names, never values: what users export is theirs (design section 5.7). */
	for (n = 0; env && *env && n < NAMES_MAX; env++, n++) {
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(*env, "="), *env);
		sf_json_add_str(out, name);
	}
	return out;
}

/* arn:aws:ecs:REGION:… says where the task is, even when fargate.conf leaves that to AWS's own variables. */
const char *query_region(const struct job_row *row, char room[64])
{
	const char *p = row->definition;
	int colon;

	for (colon = 0; p && colon < 3; colon++) {
		p = strchr(p, ':');
		p = p ? p + 1 : NULL;
	}
	if (row->region || !p)
		return row->region;
	snprintf(room, 64, "%.*s", (int)strcspn(p, ":"), p);
	return room;
}

static char *stream_of(const struct job_row *row)
{
	struct ecs_definition def = { .container = row->container, .log_prefix = row->log_prefix };

	return row->task_id && row->container && row->log_prefix ? ecs_log_stream(&def, row->task_id) : NULL;
}

static void set_identity(sf_json *out, const struct job *job)
{
	const struct job_row *row = &job->row;

	sf_json_set_int(out, "job", row->job_id);
	if (row->array_job) {
		sf_json_set_int(out, "array_job", row->array_job);
		sf_json_set_int(out, "array_task", row->array_task);
	}
	sf_json_set_int(out, "restart", row->restart);
	sf_json_set_int(out, "uid", row->uid);
	sf_json_set_str(out, "user", row->user);
	sf_json_set_str(out, "partition", job->spec.partition);
	sf_json_set_int(out, "cpu_units", job->spec.size.cpu_units);
	sf_json_set_int(out, "mem_mib", job->spec.size.mem_mib);
}

static void set_task(sf_json *out, const struct job_row *row)
{
	sf_auto_free char *stream = stream_of(row);
	char region[64];

	sf_json_set_str(out, "task", row->task_id);
	sf_json_set_str(out, "cluster", row->cluster);
	sf_json_set_str(out, "region", query_region(row, region));
	sf_json_set_str(out, "definition", row->definition);
	sf_json_set_str(out, "container", row->container);
	sf_json_set_str(out, "provider", row->provider);
	sf_json_set_str(out, "az", row->az);
	sf_json_set_str(out, "last_status", row->last_status);
	sf_json_set_str(out, "log_group", row->log_group);
	sf_json_set_str(out, "log_stream", stream);
}

static const char *last_reason(const struct job *job)
{
	if (job->row.reason)
		return job->row.reason;
	if (job->row.stop_reason)
		return job->row.stop_reason;
	return job->history.words[0] ? job->history.words : NULL;
}

static sf_json *show_one(const struct job *job)
{
	const struct job_row *row = &job->row;
	sf_json *out = sf_json_new_object();

	set_identity(out, job);
	sf_json_set_str(out, "phase", sf_phase_name(job->phase));
	sf_json_set_str(out, "stage", stage_names[row->stage]);
	sf_json_set_str(out, "verdict", row->telling == TELL_NOTHING ? NULL : sf_class_name((enum sf_class)row->verdict));
	sf_json_set_str(out, "telling", telling_names[row->telling]);
	set_task(out, row);
	sf_json_set_str(out, "reason", last_reason(job));
	sf_json_set_str(out, "stop_reason", row->stop_reason);
	sf_json_set_int(out, "try", row->try_no);
	sf_json_set_int(out, "submitted", job->spec.submit);
	sf_json_set_int(out, "taken", row->created);
	sf_json_set_int(out, "requested", row->request_at);
	sf_json_set_int(out, "running", row->started);
	sf_json_set_int(out, "ended", row->ended_at);
	if (row->has_exit)
		sf_json_set_int(out, "exit_code", row->exit_code);
	sf_json_set_bool(out, "attached", job->attach != NULL);
	sf_json_set(out, "environment", names_of(job->spec.env));
	return out;
}

char *query_summary(const struct job *job)
{
	sf_auto_json sf_json *out = show_one(job);

	sf_json_set_int(out, "closed", agent_now(job->agent));
	return sf_json_text(out);
}

char *query_place(const struct job *job)
{
	sf_auto_json sf_json *out = sf_json_new_object();
	sf_auto_free char *stream = stream_of(&job->row);

	sf_json_set_str(out, "profile", job->row.profile);
	sf_json_set_str(out, "region", job->row.region);
	sf_json_set_str(out, "group", job->row.log_group);
	sf_json_set_str(out, "stream", stream);
	sf_json_set_str(out, "nonce", job->row.nonce);
	sf_json_set_bool(out, "framing", job->row.framing);
	return sf_json_text(out);
}

static void add_event(void *ctx, const struct store_event *e)
{
	sf_json *one = sf_json_new_object();

	sf_json_set_int(one, "time", e->time);
	if (e->count > 1) {
		sf_json_set_int(one, "last", e->last);
		sf_json_set_int(one, "count", e->count);
	}
	sf_json_set_int(one, "try", e->try_no);
	sf_json_set_str(one, "what", e->what);
	sf_json_set_str(one, "op", e->op);
	sf_json_set_str(one, "outcome", e->outcome);
	sf_json_set_str(one, "text", e->text);
	sf_json_add(ctx, one);
}

static void set_events(struct agent *a, sf_json *out, const struct store_key *key)
{
	sf_json *events = sf_json_new_array();
	struct sf_error err = { "" };

	if (store_events(a->store, key, add_event, events, &err) != 0)
		sf_log_error("%s", err.text);
	sf_json_set(out, "events", events);
}

/* An answer under construction: `most` starts, living ones first, each by what `shape` makes of its summary. */
struct page {
	struct agent *agent;
	struct question *q;
	sf_json *list;
	size_t most;
	bool events;
};

static void add_start(struct page *p, sf_json *one, const struct store_key *key)
{
	if (p->events)
		set_events(p->agent, one, key);
	sf_json_add(p->list, one);
	p->q->found++;
}

static int by_key(const struct store_key *a, const struct store_key *b)
{
	if (a->job_id != b->job_id)
		return a->job_id < b->job_id ? -1 : 1;
	if (a->restart != b->restart)
		return a->restart < b->restart ? -1 : 1;
	return strcmp(a->sid, b->sid);
}

static struct store_key key_of(const struct job *job)
{
	return (struct store_key){ job->row.job_id, job->row.restart, job->row.sid };
}

static bool asked_for(const struct question *q, const struct job *job)
{
	const struct job_row *row = &job->row;

	if (!job_trusted(job) || (!q->admin && row->uid != (int64_t)q->uid))
		return false;
	if (q->job_id == 0)
		return true;
	if (q->array_task >= 0)
		return row->array_job == q->job_id && row->array_task == q->array_task;
	return row->job_id == q->job_id || row->array_job == q->job_id;
}

/* The first p->most living starts behind `after`, in the order of their keys. */
static size_t pick(struct page *p, const struct store_key *after, struct job **picked)
{
	struct store_key key, other;
	struct job *job;
	size_t n = 0, at;

	for (job = p->agent->jobs; job; job = job->next) {
		key = key_of(job);
		if (!asked_for(p->q, job) || by_key(&key, after) <= 0)
			continue;
		for (at = n; at > 0; at--) {
			other = key_of(picked[at - 1]);
			if (by_key(&other, &key) < 0)
				break;
		}
		if (at == p->most)
			continue;
		memmove(&picked[at + 1], &picked[at], (n - at - (n == p->most)) * sizeof(*picked));
		picked[at] = job;
		n += n < p->most;
	}
	return n;
}

/* False when there are more living ones than fit. */
static bool add_living(struct page *p, const struct store_key *after)
{
	struct job *picked[PAGE_MAX] = { NULL };
	size_t n = pick(p, after, picked), i;
	struct store_key key = *after;

	for (i = 0; i < n; i++) {
		key = key_of(picked[i]);
		job_history_write(picked[i]);
		add_start(p, show_one(picked[i]), &key);
	}
	if (n < p->most)
		return true;
	snprintf(p->q->next, sizeof(p->q->next), "l%" PRId64 ":%" PRId64 ":%s", key.job_id, key.restart, key.sid);
	return false;
}

static bool add_ended(void *ctx, const struct store_ended *e)
{
	struct page *p = ctx;
	sf_json *one = NULL;
	struct sf_error err = { "" };

	/* It lives again: slurmctld came back with an older state. */
	if (job_find(p->agent, (uint32_t)e->key.job_id, e->key.sid, (uint32_t)e->key.restart))
		return true;
	if (e->summary && sf_json_parse(e->summary, strlen(e->summary), &one, &err) == 0)
		add_start(p, one, &e->key);
	snprintf(p->q->next, sizeof(p->q->next), "e%" PRId64, e->id);
	return p->q->found < p->most;
}

static void add_kept(struct page *p, int64_t after)
{
	const struct question *q = p->q;
	struct store_find f = {
		.after = after, .uid = q->admin ? -1 : (int64_t)q->uid, .since = agent_now(p->agent) - q->within,
		.job = q->job_id, .array_task = q->array_task, .most = PAGE_MAX,
	};
	struct sf_error err = { "" };

	if (q->job_id == 0 && q->within == 0)
		return;
	if (store_find_ended(p->agent->store, &f, add_ended, p, &err) != 0)
		sf_log_error("%s", err.text);
	if (q->found < p->most)
		p->q->next[0] = '\0';
}

/* A whole number that ends with `last`; *at moves behind that. */
static bool take_number(const char **at, char last, int64_t *out)
{
	char *end;

	errno = 0;
	*out = strtoll(*at, &end, 10);
	if (end == *at || *end != last || errno)
		return false;
	*at = end + 1;
	return true;
}

/* What add_ended() or add_living() wrote; it comes back through the user's hands. */
static bool read_cursor(const char *cursor, int64_t *id, struct store_key *after)
{
	const char *at = cursor + 1;

	if (cursor[0] == 'e')
		return take_number(&at, '\0', id);
	if (cursor[0] != 'l' || !take_number(&at, ':', &after->job_id) || !take_number(&at, ':', &after->restart))
		return false;
	after->sid = at;
	return *at != '\0';
}

static int build(struct page *p)
{
	struct store_key after = { -1, -1, "" };
	int64_t id = 0;

	if (p->q->cursor[0] && !read_cursor(p->q->cursor, &id, &after))
		return -1;
	p->q->next[0] = '\0';
	p->q->found = 0;
	p->list = sf_json_new_array();
	if (id || add_living(p, &after))
		add_kept(p, id);
	return 0;
}

char *query_show(struct agent *a, struct question *q)
{
	struct page p = { .agent = a, .q = q, .most = SHOW_PAGE, .events = true };
	sf_auto_json sf_json *out = sf_json_new_object();

	if (build(&p) != 0)
		return NULL;
	sf_json_set(out, "starts", p.list);
	return sf_json_text(out);
}

/* A row is the part of a start that fits a line. */
static sf_json *row_of(const sf_json *start)
{
	static const char *const texts[] = { "user", "partition", "phase", "task", "provider", "az", "reason" };
	static const char *const numbers[] = { "job", "array_job", "array_task", "restart", "uid", "cpu_units",
					       "mem_mib", "taken", "ended", "closed", "exit_code" };
	sf_json *out = sf_json_new_object();
	int64_t n;
	size_t i;

	for (i = 0; i < SF_COUNT(texts); i++)
		sf_json_set_str(out, texts[i], sf_json_str(start, texts[i]));
	for (i = 0; i < SF_COUNT(numbers); i++)
		if (sf_json_int(start, numbers[i], &n))
			sf_json_set_int(out, numbers[i], n);
	return out;
}

char *query_tasks(struct agent *a, struct question *q)
{
	struct page p = { .agent = a, .q = q, .most = PAGE_MAX };
	sf_auto_json sf_json *out = sf_json_new_object();
	sf_json *rows;
	size_t i;

	if (build(&p) != 0)
		return NULL;
	rows = sf_json_new_array();
	for (i = 0; i < sf_json_len(p.list); i++)
		sf_json_add(rows, row_of(sf_json_at(p.list, i)));
	sf_json_free(p.list);
	sf_json_set(out, "tasks", rows);
	return sf_json_text(out);
}

char *query_snapshot(struct agent *a)
{
	sf_auto_json sf_json *out = sf_json_new_object();
	sf_json *fleet = NULL;
	struct sf_error err;

	if (a->cluster_known && a->cluster.default_partition[0])
		sf_json_set_str(out, "default_partition", a->cluster.default_partition);
	if (a->fleet && sf_json_parse(a->fleet, strlen(a->fleet), &fleet, &err) == 0)
		sf_json_set(out, "fleet", fleet);
	sf_json_set(out, "quotas", query_quota_snapshot(a));
	return sf_json_text(out);
}
