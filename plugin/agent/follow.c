/* Following a task's log: CloudWatch's pages become output frames, each with the cursor that continues behind it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/logs.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

/* GetLogEvents has a rate of 10/s in some Regions, not adjustable (aws-facts section 7). */
#define LOG_CALLS_PER_S 9.0
#define LOG_CALLS_BURST 9.0
#define LOG_CALLS_RESERVE 4 /* kept for the jobs' own output */
#define LOG_SPARE_MS 1000
#define FAILED_LOOKS 3 /* in a row are as good as a look: the stream may never come */
#define AGAIN_SOON_MS 100
#define AGAIN_QUIET_MS 1000
#define AGAIN_QUIET_MOST_MS 3000
#define AGAIN_ENDED_MS 300
#define FRAME_BYTES (96 * 1024)
#define CURSOR_MAX (SF_CURSOR_MAX - 32)

void follow_reset(struct job *job)
{
	struct follow *f = &job->follow;

	sf_framing_init(&f->framing, job->row.nonce ? job->row.nonce : "", job->row.framing);
	free(f->token);
	*f = (struct follow){ .framing = f->framing, .life = f->life + 1 };
}

/* A cursor is `<framing state><index in the page>:<page token>`; empty = from the head. */
static size_t cursor_write(const struct follow *f, char out[SF_CURSOR_MAX])
{
	int n = snprintf(out, SF_CURSOR_MAX, "%c%zu:%s", sf_framing_save(&f->framing), f->index, f->token ? f->token : "");

	return n > 0 && n < SF_CURSOR_MAX ? (size_t)n : 0;
}

static int cursor_read(struct follow *f, const char *cursor, size_t n)
{
	char text[SF_CURSOR_MAX + 1], *end = NULL;
	unsigned long index;

	if (n < 3 || n > SF_CURSOR_MAX)
		return -1;
	memcpy(text, cursor, n);
	text[n] = '\0';
	index = strtoul(text + 1, &end, 10);
	if (end == text + 1 || *end != ':' || strlen(end + 1) > CURSOR_MAX || sf_framing_load(&f->framing, text[0]) != 0)
		return -1;
	f->index = index;
	if (end[1])
		job_set(&f->token, end + 1);
	return 0;
}

void follow_start(struct job *job, const char *cursor, size_t n)
{
	follow_reset(job);
	if (n && cursor_read(&job->follow, cursor, n) != 0) {
		/* From the head again: lines twice rather than lines lost. */
		sf_log_warn("job %" PRId64 ": an attach came with a cursor that is not ours", job->row.job_id);
		follow_reset(job);
	}
}

struct outgoing {
	struct job *job;
	struct sf_buf bytes;
	int stream;
};

static void send_outgoing(struct outgoing *o)
{
	char cursor[SF_CURSOR_MAX];
	size_t n = cursor_write(&o->job->follow, cursor);

	if (o->bytes.len)
		conn_send_output(o->job->attach, o->stream, cursor, n, o->bytes.data, o->bytes.len);
	sf_buf_free(&o->bytes);
}

/* The cursor of a frame stands behind its last event, so a frame goes out before an event of another stream is taken. */
static int take_events(struct job *job, const struct logs_page *page, struct sf_error *err)
{
	struct outgoing o = { .job = job, .bytes = SF_BUF_INIT };
	struct follow *f = &job->follow;
	struct sf_buf line = SF_BUF_INIT;
	struct logs_event ev;
	struct sf_framing before;
	int stream, rc = 0;

	while (f->index < page->n && rc == 0) {
		rc = logs_page_event(page, f->index, &ev, err);
		if (rc != 0)
			break;
		before = f->framing;
		stream = sf_framing_event(&f->framing, ev.message, ev.n, &line);
		if (stream && o.bytes.len && (stream != o.stream || o.bytes.len + line.len > FRAME_BYTES)) {
			struct sf_framing after = f->framing;

			f->framing = before;
			send_outgoing(&o);
			f->framing = after;
		}
		f->index++;
		if (stream) {
			o.stream = stream;
			sf_buf_add(&o.bytes, line.data, line.len);
		}
		sf_buf_free(&line);
	}
	send_outgoing(&o);
	return rc;
}

static int64_t next_poll(const struct job *job, bool moved, int64_t now)
{
	int64_t quiet = now - job->follow.quiet_since;

	if (moved)
		return now + AGAIN_SOON_MS;
	if (job->ended || job->row.stop_reason)
		return now + AGAIN_ENDED_MS;
	return now + (quiet > 10000 ? AGAIN_QUIET_MOST_MS : AGAIN_QUIET_MS);
}

/* An answer that cannot be used is no reason to wait for ever: after some of them the job ends without its log's end. */
static void failed_look(struct follow *f, int64_t next_at)
{
	f->failures++;
	if (f->failures >= FAILED_LOOKS)
		f->looked_at = f->asked_at;
	f->next_at = next_at;
}

static void take_page(struct job *job, const struct aws_reply *reply)
{
	struct follow *f = &job->follow;
	struct logs_page page;
	struct sf_error err = { "" };
	int64_t now = agent_now_ms(job->agent);
	bool moved;

	if (logs_page_parse(reply->body, &page, &err) != 0 || take_events(job, &page, &err) != 0) {
		sf_log_warn("job %" PRId64 ": GetLogEvents: %s", job->row.job_id, err.text);
		failed_look(f, now + AGAIN_QUIET_MOST_MS);
		return;
	}
	moved = !f->token || strcmp(f->token, page.next_token) != 0;
	if (moved && strlen(page.next_token) > CURSOR_MAX) {
		sf_log_error("job %" PRId64 ": CloudWatch's page token has %zu bytes, more than fit a cursor", job->row.job_id,
			     strlen(page.next_token));
		failed_look(f, now + AGAIN_QUIET_MOST_MS);
		return;
	}
	if (moved) {
		job_set(&f->token, page.next_token);
		f->index = 0;
		f->quiet_since = 0;
	}
	if (page.n == 0 && f->quiet_since == 0)
		f->quiet_since = now;
	if (page.n == 0 && !moved)
		f->looked_at = f->asked_at;
	f->failures = 0;
	f->next_at = next_poll(job, page.n > 0, now);
}

struct log_call {
	struct job *job;
	unsigned life;
};

static void on_page(void *arg, const struct aws_reply *reply)
{
	struct log_call *call = arg;
	struct job *job = call->job;
	bool current = job->follow.life == call->life;
	int64_t now;

	free(call);
	if (!job_landed(job))
		return;
	if (!current)
		return;
	job->follow.flying = false;
	now = agent_now_ms(job->agent);
	if (!job->attach)
		return;
	if (reply->ok) {
		take_page(job, reply);
	} else {
		/* The stream does not exist before the first line; throttling and absence are waited out alike. */
		failed_look(&job->follow, agent_jitter(job->agent, 500) + (job->ended ? 500 : 1000));
		if (job->follow.failures == 30)
			sf_log_warn("job %" PRId64 ": its log cannot be read: %s", job->row.job_id,
				    reply->transport_failed ? reply->error : reply->message ? reply->message : "HTTP error");
	}
	job_tick(job, now);
}

static void refill_log_tokens(struct agent *a, int64_t now)
{
	a->log_tokens += (double)(now - a->log_tokens_at) / 1000 * LOG_CALLS_PER_S;
	if (a->log_tokens > LOG_CALLS_BURST)
		a->log_tokens = LOG_CALLS_BURST;
	a->log_tokens_at = now;
}

static bool take_log_token(struct agent *a, int64_t now)
{
	refill_log_tokens(a, now);
	if (a->log_tokens < 1)
		return false;
	a->log_tokens -= 1;
	return true;
}

bool follow_spare_token(struct agent *a, int64_t now)
{
	refill_log_tokens(a, now);
	if (a->log_tokens < LOG_CALLS_RESERVE && now - a->log_spare_at < LOG_SPARE_MS)
		return false;
	a->log_tokens -= 1;
	a->log_spare_at = now;
	return true;
}

static bool send_call(struct job *job)
{
	struct ecs_definition def = { .container = job->row.container, .log_prefix = job->row.log_prefix };
	sf_auto_free char *stream = ecs_log_stream(&def, job->row.task_id);
	struct log_call *call = malloc(sizeof(*call));
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	if (!stream || !call || logs_get_events_body(job->row.log_group, stream, job->follow.token, 0, &body, &err) != 0) {
		free(call);
		return false;
	}
	*call = (struct log_call){ job, job->follow.life };
	job_fly(job);
	if (agent_call(job, AWS_OP_GET_LOG_EVENTS, body, on_page, call))
		return true;
	free(call);
	job_landed(job);
	return false;
}

static bool is_due(const struct job *job, int64_t now)
{
	const struct follow *f = &job->follow;

	if (job->closed || !job->attach || !job->row.task_id || !job->row.started || f->flying || now < f->next_at)
		return false;
	return job->row.telling < TELL_DECIDED && !sf_framing_complete(&f->framing) &&
	       conn_pending(job->attach) <= OUTPUT_PENDING_MAX;
}

/* Calls are fewer than jobs want: in any other order those at the end of the list would never be read. */
static struct job *longest_due(const struct agent *a, int64_t now)
{
	struct job *job, *first = NULL;

	for (job = a->jobs; job; job = job->next)
		if (is_due(job, now) && (!first || job->follow.next_at < first->follow.next_at))
			first = job;
	return first;
}

void follow_tick(struct agent *a, int64_t now)
{
	struct job *job;

	while ((job = longest_due(a, now)) && take_log_token(a, now)) {
		job->follow.next_at = now + AGAIN_QUIET_MOST_MS;
		job->follow.asked_at = now;
		job->follow.flying = send_call(job);
		if (!job->follow.flying)
			job->follow.looked_at = now;
	}
}

static int64_t grace_of(const struct job *job)
{
	return (int64_t)job->line->log_grace * 1000;
}

bool follow_waits(const struct job *job, int64_t since, int64_t now)
{
	int64_t until = since + grace_of(job);

	/* Without end marks every line that comes late begins the time anew. */
	if (!job->row.framing && job->follow.quiet_since + grace_of(job) > until)
		until = job->follow.quiet_since + grace_of(job);
	return now < until || job->follow.looked_at < until;
}

bool follow_complete(const struct job *job)
{
	const struct follow *f = &job->follow;

	if (sf_framing_complete(&f->framing))
		return true;
	/* Without framing only silence tells: looks found the token where it was for LogGrace since the exit. */
	return !job->row.framing && f->quiet_since && f->looked_at - f->quiet_since >= grace_of(job) &&
	       f->looked_at - job->ended_seen >= grace_of(job);
}
