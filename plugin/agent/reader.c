/* `sfargate logs`: a task's log for somebody who asked by hand, a page at a time, within GetLogEvents' rate. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/logs.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define FRAME_BYTES (96 * 1024)
#define QUIET_MS 1500
#define AGAIN_MS 2000
#define FAILURES_MAX 5

struct reader {
	struct reader *next;
	struct agent *agent;
	struct conn *conn; /* NULL: gone; freed when its call has come back */
	uint32_t job_id, restart;
	char sid[17];
	char *profile, *region, *group, *stream; /* stream NULL: no task yet */
	bool follow, flying;
	bool noted;  /* that there is no output yet */
	bool any;    /* something was sent */
	struct sf_framing framing;
	char *token; /* CloudWatch's, NULL = from the head */
	unsigned failures;
	int64_t next_at, asked_at; /* ms */
};

static void reader_free(struct reader *r)
{
	free(r->profile);
	free(r->region);
	free(r->group);
	free(r->stream);
	free(r->token);
	free(r);
}

static void unlink_reader(struct reader *r)
{
	struct reader **p = &r->agent->readers;

	while (*p != r)
		p = &(*p)->next;
	*p = r->next;
}

/* The connection has its last word; the reader goes as soon as nothing points to it. */
static void release(struct reader *r)
{
	if (r->conn)
		r->conn->reader = NULL;
	r->conn = NULL;
	if (r->flying)
		return;
	unlink_reader(r);
	reader_free(r);
}

static void finish(struct reader *r)
{
	conn_exit(r->conn, 0);
	release(r);
}

static void no_output(struct reader *r, const char *why)
{
	char text[256];

	if (r->noted || r->any)
		return;
	r->noted = true;
	snprintf(text, sizeof(text), "job %u: no output yet: %s", r->job_id, why);
	conn_note(r->conn, text);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* A place that is new to the reader is read from its head: the next try's, or the first. */
static void go_to(struct reader *r, const struct log_place *place)
{
	if (!place->stream || (same(r->stream, place->stream) && same(r->group, place->group)))
		return;
	job_set(&r->profile, place->profile);
	job_set(&r->region, place->region);
	job_set(&r->group, place->group);
	job_set(&r->stream, place->stream);
	job_set(&r->token, NULL);
	sf_framing_init(&r->framing, place->nonce ? place->nonce : "", place->framing);
	r->failures = 0;
}

bool reader_start(struct conn *c, const struct log_place *place, bool follow)
{
	struct reader *r = calloc(1, sizeof(*r));

	if (!r)
		return false;
	r->agent = c->agent;
	r->conn = c;
	r->job_id = (uint32_t)place->key.job_id;
	r->restart = (uint32_t)place->key.restart;
	sf_copy(r->sid, sizeof(r->sid), place->key.sid);
	r->follow = follow;
	go_to(r, place);
	r->next = c->agent->readers;
	c->agent->readers = r;
	c->reader = r;
	return true;
}

void reader_gone(struct conn *c)
{
	if (c->reader)
		release(c->reader);
}

void readers_free(struct agent *a)
{
	struct reader *r;

	while ((r = a->readers)) {
		a->readers = r->next;
		if (r->conn)
			r->conn->reader = NULL;
		reader_free(r);
	}
}

struct chunk {
	struct sf_buf bytes;
	int stream;
};

static void send_chunk(struct reader *r, struct chunk *out)
{
	if (out->bytes.len) {
		conn_send_output(r->conn, out->stream, "", 0, out->bytes.data, out->bytes.len);
		r->any = true;
	}
	sf_buf_free(&out->bytes);
}

static int take_events(struct reader *r, const struct logs_page *page, struct sf_error *err)
{
	struct chunk out = { SF_BUF_INIT, 0 };
	struct sf_buf line = SF_BUF_INIT;
	struct logs_event ev;
	int stream, rc = 0;
	size_t i;

	for (i = 0; i < page->n && rc == 0; i++) {
		rc = logs_page_event(page, i, &ev, err);
		if (rc != 0)
			break;
		stream = sf_framing_event(&r->framing, ev.message, ev.n, &line);
		if (out.bytes.len && (stream != out.stream || out.bytes.len + line.len > FRAME_BYTES))
			send_chunk(r, &out);
		out.stream = stream;
		sf_buf_add(&out.bytes, line.data, line.len);
		sf_buf_free(&line);
	}
	send_chunk(r, &out);
	return rc;
}

static struct job *live_job(const struct reader *r)
{
	return job_find(r->agent, r->job_id, r->sid, r->restart);
}

/* Nothing more can come: the record is gone, or its task has ended and what came late had its LogGrace. */
static bool nothing_follows(const struct reader *r, int64_t now)
{
	const struct job *job = live_job(r);

	if (!job)
		return true;
	if (job->row.stage == STAGE_OVER && !job->row.task_id)
		return true;
	return job->ended && now - job->ended_seen >= (int64_t)job->line->log_grace * 1000;
}

static void take_page(struct reader *r, const struct aws_reply *reply, int64_t now)
{
	struct logs_page page;
	struct sf_error err = { "" };
	bool moved;

	if (logs_page_parse(reply->body, &page, &err) != 0 || take_events(r, &page, &err) != 0) {
		conn_refuse(r->conn, err.text, false);
		release(r);
		return;
	}
	r->failures = 0;
	moved = !same(r->token, page.next_token);
	job_set(&r->token, page.next_token);
	r->next_at = moved ? now : now + QUIET_MS;
	if (sf_framing_complete(&r->framing)) {
		finish(r);
	} else if (!moved && (!r->follow || nothing_follows(r, now))) {
		no_output(r, "the task has written nothing");
		finish(r);
	}
}

static void take_failure(struct reader *r, const struct aws_reply *reply, int64_t now)
{
	char text[SF_ERROR_MAX], words[SF_ERROR_MAX + 64];

	r->next_at = now + AGAIN_MS;
	if (logs_absent(reply->code)) {
		no_output(r, "CloudWatch has no log stream of its task");
		if (!r->follow || nothing_follows(r, now))
			finish(r);
		return;
	}
	if (++r->failures < FAILURES_MAX)
		return;
	reply_class(r->agent, reply, true, text);
	snprintf(words, sizeof(words), "the log cannot be read: %s", text);
	conn_refuse(r->conn, words, false);
	release(r);
}

static void on_page(void *arg, const struct aws_reply *reply)
{
	struct reader *r = arg;
	int64_t now = agent_now_ms(r->agent);

	r->flying = false;
	if (!r->conn)
		release(r);
	else if (reply->ok)
		take_page(r, reply, now);
	else
		take_failure(r, reply, now);
}

static void send_call(struct reader *r, int64_t now)
{
	struct agent *a = r->agent;
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	r->asked_at = now;
	r->next_at = now + AGAIN_MS;
	if (logs_get_events_body(r->group, r->stream, r->token, 0, &body, &err) != 0 ||
	    a->aws.call(a->aws.ctx, r->profile, r->region, AWS_OP_GET_LOG_EVENTS, body, on_page, r, &err) != 0) {
		conn_refuse(r->conn, err.text, false);
		release(r);
		return;
	}
	r->flying = true;
}

/* Where the job's log is by now; false when the reader has ended. */
static bool look_at_job(struct reader *r, int64_t now)
{
	struct ecs_definition def = { 0 };
	sf_auto_free char *stream = NULL;
	struct log_place place = { 0 };
	const struct job *job = live_job(r);

	if (job && job->row.task_id && job->row.log_group) {
		def.container = job->row.container;
		def.log_prefix = job->row.log_prefix;
		stream = ecs_log_stream(&def, job->row.task_id);
		place = (struct log_place){ .profile = job->row.profile, .region = job->row.region, .group = job->row.log_group,
					    .stream = stream, .nonce = job->row.nonce, .framing = job->row.framing };
		go_to(r, &place);
	}
	if (r->stream)
		return true;
	no_output(r, "it has no task");
	if (!r->follow || nothing_follows(r, now)) {
		finish(r);
		return false;
	}
	return true;
}

static bool due(const struct reader *r, int64_t now)
{
	return r->conn && !r->flying && r->stream && now >= r->next_at && conn_pending(r->conn) == 0;
}

/* A page is at most 1 MB, and the next one is asked for when the last has been written: no more than that is ever held. */
void readers_tick(struct agent *a, int64_t now)
{
	struct reader *r, *next, *first;

	for (r = a->readers; r; r = next) {
		next = r->next;
		if (r->conn && !r->flying)
			look_at_job(r, now);
	}
	for (;;) {
		first = NULL;
		for (r = a->readers; r; r = r->next)
			if (due(r, now) && (!first || r->asked_at < first->asked_at))
				first = r;
		if (!first || !follow_spare_token(a, now))
			return;
		send_call(first, now);
	}
}
