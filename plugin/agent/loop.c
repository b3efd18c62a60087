/* The event loop: libevent under AWS, sockets and the Slurm worker; collect, commit, then send. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"
#include "plugin/agent/hold.h"

#define PRIORITY_NORMAL 0
#define PRIORITY_FLUSH 1 /* after everything of this turn */
#define PRIORITIES 2

static int64_t clock_ms(void *ctx)
{
	struct timespec ts;

	(void)ctx;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t agent_now_ms(const struct agent *a)
{
	return a->aws.now_ms(a->aws.ctx);
}

int64_t agent_jitter(const struct agent *a, int64_t most)
{
	uint32_t r = 0;

	if (most <= 0 || sf_random(&r, sizeof(r)) != 0)
		return agent_now_ms(a) + most;
	return agent_now_ms(a) + (int64_t)((double)r / UINT32_MAX * (double)most);
}

void agent_aws_problem(struct agent *a, const char *text)
{
	if (strncmp(a->aws_problem, text ? text : "", sizeof(a->aws_problem) - 1) == 0)
		return;
	if (text)
		sf_log_warn("AWS: %s", text);
	else
		sf_log_info("AWS answers again");
	sf_copy(a->aws_problem, sizeof(a->aws_problem), text ? text : "");
}

bool agent_call(struct job *job, enum aws_op op, const char *body, aws_reply_cb cb, void *arg)
{
	struct agent *a = job->agent;
	struct sf_error err = { "" };

	if (a->aws.call(a->aws.ctx, job->row.profile, job->row.region, op, body, cb, arg, &err) == 0)
		return true;
	agent_aws_problem(a, err.text);
	return false;
}

static void on_fd(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	aws_http_socket(a->http, fd, ((what & EV_READ) ? AWS_WATCH_IN : 0) | ((what & EV_WRITE) ? AWS_WATCH_OUT : 0));
}

static void loop_watch(void *ctx, int fd, int what, void **slot)
{
	struct agent *a = ctx;
	short events = EV_PERSIST;

	if (*slot) {
		event_free(*slot);
		*slot = NULL;
	}
	if (what == 0)
		return;
	events |= (what & AWS_WATCH_IN ? EV_READ : 0) | (what & AWS_WATCH_OUT ? EV_WRITE : 0);
	*slot = event_new(a->base, fd, events, on_fd, a);
	if (!*slot || event_add(*slot, NULL) != 0)
		sf_log_error("the event loop cannot watch a connection to AWS");
}

static void on_aws_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	aws_http_timeout(((struct agent *)arg)->http);
}

static void loop_timer(void *ctx, long ms)
{
	struct agent *a = ctx;
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };

	if (ms < 0)
		evtimer_del(a->aws_timer);
	else
		evtimer_add(a->aws_timer, &tv);
}

/* Everything of this turn is on disk before any of it is sent; a store that cannot be written sends nothing. */
static void on_flush(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	struct sf_error err = { "" };
	struct job *job, *next;

	(void)fd;
	(void)what;
	if (a->store_down)
		return;
	if (store_commit(a->store, &err) != 0) {
		sf_log_error("%s; nothing new is launched until it can be written", err.text);
		a->store_down = true;
		return;
	}
	alerts_tick(a, agent_now_ms(a));
	for (job = a->jobs; job; job = next) {
		next = job->next;
		if (job->committing) {
			job->committing = false;
			job_tick(job, agent_now_ms(a));
		}
	}
}

static void retry_store(struct agent *a)
{
	struct sf_error err = { "" };
	struct job *job;

	if (!a->store_down)
		return;
	for (job = a->jobs; job; job = job->next)
		if (!(job->untrusted && !job->have_facts) && store_put(a->store, &job->row, &err) != 0)
			return;
	if (store_commit(a->store, &err) != 0)
		return;
	for (job = a->jobs; job; job = job->next)
		job_history_lost(job);
	a->store_down = false;
	sf_log_info("jobs.db can be written again");
	event_active(a->flush, EV_TIMEOUT, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;
	int64_t now = agent_now_ms(a);
	struct job *job, *next;

	(void)fd;
	(void)what;
	retry_store(a);
	poll_tick(a, now);
	reload_tick(a, now);
	quota_tick(a, now);
	hold_tick(a, now);
	for (job = a->jobs; job; job = next) {
		next = job->next;
		job_tick(job, now);
	}
	follow_tick(a, now);
	watch_tick(a, now);
	sweep_tick(a, now);
	readers_tick(a, now);
	server_tick(a, now);
	history_tick(a, now);
	alerts_tick(a, now);
}

static void on_worker(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	worker_drain(((struct agent *)arg)->worker);
}

static void on_signal(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	(void)what;
	sf_log_info("signal %d: leaving; tasks run on and are found again at the next start", (int)fd);
	if (!hold_leave(a))
		event_base_loopbreak(a->base);
}

static int make_events(struct agent *a, int worker_fd, struct sf_error *err)
{
	static const struct timeval tick = { 0, TICK_MS * 1000 };

	a->aws_timer = evtimer_new(a->base, on_aws_timer, a);
	a->tick = event_new(a->base, -1, EV_PERSIST, on_tick, a);
	a->flush = event_new(a->base, -1, 0, on_flush, a);
	a->worker_ready = event_new(a->base, worker_fd, EV_READ | EV_PERSIST, on_worker, a);
	a->sigterm = evsignal_new(a->base, SIGTERM, on_signal, a);
	a->sigint = evsignal_new(a->base, SIGINT, on_signal, a);
	if (!a->aws_timer || !a->tick || !a->flush || !a->worker_ready || !a->sigterm || !a->sigint)
		return sf_err(err, "the event loop is out of memory");
	event_priority_set(a->flush, PRIORITY_FLUSH);
	if (event_add(a->tick, &tick) != 0 || event_add(a->worker_ready, NULL) != 0 || evsignal_add(a->sigterm, NULL) != 0 ||
	    evsignal_add(a->sigint, NULL) != 0)
		return sf_err(err, "the event loop cannot start");
	return 0;
}

static int make_aws(struct agent *a, struct sf_error *err)
{
	struct aws_loop loop = { .ctx = a, .watch = loop_watch, .timer = loop_timer, .now_ms = clock_ms };

	a->http = aws_http_new(&loop, err);
	if (!a->http)
		return -1;
	return aws_api_real(a->http, &a->aws, err);
}

int agent_start(struct agent *a, struct sf_error *err)
{
	int worker_fd = -1;

	signal(SIGPIPE, SIG_IGN);
	a->base = event_base_new();
	if (!a->base || event_base_priority_init(a->base, PRIORITIES) != 0)
		return sf_err(err, "the event loop cannot start");
	a->worker = worker_new(&worker_fd, err);
	if (!a->worker || make_events(a, worker_fd, err) != 0 || make_aws(a, err) != 0)
		return -1;
	if (store_open(a->conf->state_dir, a->conf->instance, a->instance, &a->store, err) != 0)
		return -1;
	a->definitions = definitions_new();
	if (!a->definitions)
		return sf_err(err, "out of memory");
	a->started = agent_now(a);
	quota_lines(a);
	if (reload_start(a, err) != 0 || jobs_load(a, err) != 0)
		return -1;
	return server_start(a, err);
}

void agent_run(struct agent *a)
{
	event_base_dispatch(a->base);
}

void agent_stop(struct agent *a)
{
	struct sf_error err = { "" };
	struct event **events[] = { &a->aws_timer, &a->tick, &a->flush, &a->worker_ready, &a->sigterm, &a->sigint };
	size_t i;

	server_stop(a);
	reload_stop(a);
	if (a->store && store_commit(a->store, &err) != 0)
		sf_log_error("%s", err.text);
	worker_free(a->worker);
	aws_api_real_free(&a->aws);
	aws_http_free(a->http);
	readers_free(a);
	alerts_free(a);
	hold_free(a);
	sweep_free(a);
	jobs_free(a);
	definitions_free(a->definitions);
	pauses_free(a);
	quota_free(a);
	store_close(a->store);
	for (i = 0; i < SF_COUNT(events); i++)
		if (*events[i])
			event_free(*events[i]);
	if (a->base)
		event_base_free(a->base);
	free(a->fleet);
	sf_conf_free(a->conf);
	a->conf = NULL;
}
