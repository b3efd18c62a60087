/* What sfargate and slurmctld's plugin ask, and who gets an answer: a user about his own jobs, root and SlurmUser about all. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/json.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

/* One sentence for the unknown and for what belongs to others: the answer does not tell which it is. */
#define NO_SUCH_JOB "no job %s of yours is known to the agent: it was not sent to Fargate, or it ended more than a week ago"

static void answer(struct conn *c, char *text, const char *cursor)
{
	if (text)
		conn_answer(c, text, cursor);
	else
		conn_refuse(c, "the agent is out of memory", true);
	free(text);
}

/* JOB, ARRAY, NUMBER and CURSOR as they are, JOB only when it must be there; false = refused. */
static bool read_question(struct conn *c, const struct sf_frame *f, bool need_job, struct question *q)
{
	uint64_t job = 0, element = 0, within = 0;

	*q = (struct question){ .admin = conn_is_admin(c), .uid = c->uid, .array_task = -1 };
	if (need_job && (!sf_frame_number(f, SF_FIELD_JOB, &job) || job == 0 || job > UINT32_MAX)) {
		conn_refuse(c, "no job id was given", false);
		return false;
	}
	q->job_id = (uint32_t)job;
	if (sf_frame_field(f, SF_FIELD_ARRAY)) {
		if (!sf_frame_number(f, SF_FIELD_ARRAY, &element) || element >= UINT32_MAX) {
			conn_refuse(c, "the number of the array's element is none", false);
			return false;
		}
		q->array_task = (int64_t)element;
	}
	if (sf_frame_number(f, SF_FIELD_NUMBER, &within))
		q->within = within < STORE_ENDED_S ? (int64_t)within : STORE_ENDED_S;
	if (sf_frame_field(f, SF_FIELD_CURSOR) && !sf_frame_string(f, SF_FIELD_CURSOR, q->cursor, sizeof(q->cursor))) {
		conn_refuse(c, "the cursor is not one of the agent's", false);
		return false;
	}
	return true;
}

static void name_of(const struct question *q, char out[32])
{
	if (q->array_task >= 0)
		snprintf(out, 32, "%u_%lld", q->job_id, (long long)q->array_task);
	else
		snprintf(out, 32, "%u", q->job_id);
}

static void refuse_unknown(struct conn *c, const struct question *q)
{
	char name[32], text[256];

	name_of(q, name);
	snprintf(text, sizeof(text), NO_SUCH_JOB, name);
	conn_refuse(c, text, false);
}

static void on_status(struct conn *c, const struct sf_frame *f)
{
	(void)f;
	answer(c, query_status(c->agent), "");
}

static void on_show(struct conn *c, const struct sf_frame *f)
{
	sf_auto_free char *text = NULL;
	struct question q;

	if (!read_question(c, f, true, &q))
		return;
	text = query_show(c->agent, &q);
	if (!text)
		conn_refuse(c, "the cursor is not one of the agent's", false);
	else if (q.found == 0 && !q.cursor[0])
		refuse_unknown(c, &q);
	else
		conn_answer(c, text, q.next);
}

static void on_tasks(struct conn *c, const struct sf_frame *f)
{
	sf_auto_free char *text = NULL;
	struct question q;

	if (!read_question(c, f, false, &q))
		return;
	text = query_tasks(c->agent, &q);
	if (text)
		conn_answer(c, text, q.next);
	else
		conn_refuse(c, "the cursor is not one of the agent's", false);
}

static void on_snapshot(struct conn *c, const struct sf_frame *f)
{
	(void)f;
	if (conn_is_admin(c))
		answer(c, query_snapshot(c->agent), "");
	else
		conn_refuse(c, "only root and SlurmUser may ask for the snapshot", false);
}

/* Everybody may read it: fargate.conf names partitions, limits and AWS resources, and never holds a key. */
static void on_conf(struct conn *c, const struct sf_frame *f)
{
	(void)f;
	answer(c, query_conf(c->agent), "");
}

/* Numbers of the account, no job of anybody's: whoever waits may know what for. */
static void on_quota(struct conn *c, const struct sf_frame *f)
{
	(void)f;
	answer(c, query_quota(c->agent), "");
}

/* A partition that pause.c keeps closed. */
static void on_resume(struct conn *c, const struct sf_frame *f)
{
	char partition[64], text[256];

	if (!conn_is_admin(c)) {
		conn_refuse(c, "only root and SlurmUser may resume a partition", false);
	} else if (!sf_frame_string(f, SF_FIELD_TEXT, partition, sizeof(partition))) {
		conn_refuse(c, "no partition was given", false);
	} else if (!pause_resume(c->agent, partition)) {
		snprintf(text, sizeof(text), "partition '%s' is not paused; sfargate status names those that are", partition);
		conn_refuse(c, text, false);
	} else {
		conn_answer(c, "{\"resumed\":true}", "");
	}
}

/* Answered by the sweep that it starts (sweep.c). */
static void on_reap(struct conn *c, const struct sf_frame *f)
{
	uint64_t how = 0;

	sf_frame_number(f, SF_FIELD_NUMBER, &how);
	if (!conn_is_admin(c)) {
		conn_refuse(c, "only root and SlurmUser may reap tasks", false);
	} else if (!c->agent->cluster.name[0]) {
		conn_refuse(c, "the agent is still asking slurmctld for its configuration", true);
	} else {
		c->reap = REAP_WAITS;
		c->reap_how = (unsigned)(how & (SF_REAP_DRY_RUN | SF_REAP_FORCE));
	}
}

/* The newest start of the one job that was named. */
struct found {
	struct job *live;
	int64_t id, restart;
	uint32_t job_id; /* of all found; two different ones mean an array */
	bool several;
	sf_json *place; /* of the ended one */
	char sid[17];
};

static bool counts(struct found *n, int64_t job_id, int64_t restart)
{
	n->several = n->several || (n->job_id && n->job_id != (uint32_t)job_id);
	if (n->job_id && restart < n->restart)
		return false;
	n->job_id = (uint32_t)job_id;
	n->restart = restart;
	return true;
}

static bool take_ended(void *ctx, const struct store_ended *e)
{
	struct found *n = ctx;
	struct sf_error err = { "" };
	sf_json *place = NULL;

	if (!counts(n, e->key.job_id, e->key.restart) || !e->place ||
	    sf_json_parse(e->place, strlen(e->place), &place, &err) != 0)
		return !n->several;
	sf_json_free(n->place);
	n->place = place;
	sf_copy(n->sid, sizeof(n->sid), e->key.sid);
	return !n->several;
}

/* The same test as the one for show: whose job it is, and whether somebody vouches for its record. */
static bool his(const struct question *q, const struct job *job)
{
	const struct job_row *row = &job->row;

	if (!job_trusted(job) || (!q->admin && row->uid != (int64_t)q->uid))
		return false;
	if (q->array_task >= 0)
		return row->array_job == q->job_id && row->array_task == q->array_task;
	return row->job_id == q->job_id || row->array_job == q->job_id;
}

static void find_start(struct agent *a, const struct question *q, struct found *n)
{
	struct store_find find = { .uid = q->admin ? -1 : (int64_t)q->uid, .job = q->job_id, .array_task = q->array_task, .most = 1000 };
	struct sf_error err = { "" };
	struct job *job;

	store_find_ended(a->store, &find, take_ended, n, &err);
	for (job = a->jobs; job && !n->several; job = job->next)
		if (his(q, job) && counts(n, job->row.job_id, job->row.restart)) {
			n->live = job;
			sf_copy(n->sid, sizeof(n->sid), job->row.sid);
		}
}

static void start_reading(struct conn *c, const struct found *n, bool follow)
{
	struct log_place place = { .key = { n->job_id, n->restart, n->sid } };

	/* A living start's place is looked up by the reader itself, every time anew. */
	if (!n->live) {
		place.profile = sf_json_str(n->place, "profile");
		place.region = sf_json_str(n->place, "region");
		place.group = sf_json_str(n->place, "group");
		place.stream = place.group ? sf_json_str(n->place, "stream") : NULL;
		place.nonce = sf_json_str(n->place, "nonce");
		place.framing = sf_json_bool(n->place, "framing", true);
	}
	if (reader_start(c, &place, follow))
		readers_tick(c->agent, agent_now_ms(c->agent));
	else
		conn_refuse(c, "the agent is out of memory", true);
}

static void on_logs(struct conn *c, const struct sf_frame *f)
{
	struct found n = { 0 };
	struct question q;
	uint64_t follow = 0;
	char text[128];

	if (!read_question(c, f, true, &q))
		return;
	sf_frame_number(f, SF_FIELD_FOLLOW, &follow);
	find_start(c->agent, &q, &n);
	if (n.several) {
		snprintf(text, sizeof(text), "job %u is an array: name one of its elements, such as %u_1", q.job_id, q.job_id);
		conn_refuse(c, text, false);
	} else if (n.job_id == 0) {
		refuse_unknown(c, &q);
	} else {
		start_reading(c, &n, follow == 1);
	}
	sf_json_free(n.place);
}

/* False when the connection was refused: a user must not use up the agent's descriptors and memory. */
static bool admitted(struct conn *c)
{
	const struct conn *other;
	char text[128];
	unsigned n = 0;

	if (c->role == CONN_QUERY)
		return true;
	if (c->role != CONN_NEW) {
		conn_refuse(c, "this connection already has a part", false);
		return false;
	}
	for (other = c->agent->conns; other; other = other->next)
		n += other->role == CONN_QUERY && other->uid == c->uid && (!other->closing || conn_pending(other));
	if (n >= QUERY_CONNS_MAX && !conn_is_admin(c)) {
		snprintf(text, sizeof(text), "%u of your commands are asking the agent already, and more are not served; end one of them", n);
		conn_refuse(c, text, true);
		return false;
	}
	c->role = CONN_QUERY;
	return true;
}

bool question_frame(struct conn *c, const struct sf_frame *f)
{
	static const struct {
		uint8_t type;
		void (*handle)(struct conn *c, const struct sf_frame *f);
	} handlers[] = {
		{ SF_FRAME_STATUS, on_status }, { SF_FRAME_SHOW, on_show }, { SF_FRAME_SNAPSHOT, on_snapshot },
		{ SF_FRAME_TASKS, on_tasks },   { SF_FRAME_LOGS, on_logs }, { SF_FRAME_CONF, on_conf },
		{ SF_FRAME_RESUME, on_resume }, { SF_FRAME_QUOTA, on_quota }, { SF_FRAME_REAP, on_reap },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(handlers); i++)
		if (handlers[i].type == f->type) {
			if (admitted(c))
				handlers[i].handle(c, f);
			return true;
		}
	return false;
}
