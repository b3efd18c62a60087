/* The helper thread: watches fargate.conf, asks the agent, and publishes what it found for job_submit to copy. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/job_submit/snapshot.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>

#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/proto.h"
#include "common/base/text.h"
#include "plugin/job_submit/fleet.h"
#include "plugin/job_submit/groups.h"
#include "plugin/job_submit/quotas.h"

#define TICK_MS 1000
#define ASK_EVERY 2 /* ticks */
#define ASK_MS 1000 /* bounds one question altogether */
#define ANSWER_MAX (SF_FRAME_HEAD + SF_FRAME_BODY_MAX)
#define GROUPS_EVERY 300 /* ticks; Slurm's own GroupUpdateTime is 600 s */
#define GROUPS_AGAIN 10	 /* after the name service did not answer */

struct js_shared {
	atomic_uint holders;
	struct sf_conf *conf;
	struct sf_error error; /* when conf is NULL */
	struct js_groups *groups;
	struct js_fleet *fleet;
	struct js_quotas *quotas;
	int64_t asked_ms; /* when the agent was asked for quotas */
};

/* Shared with slurmctld's threads, under the lock. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct js_shared *current[JS_SHARES];
static enum js_agent agent;
static char default_partition[JS_PARTITION_MAX];

/* The helper thread's own, but for start and stop. */
static struct {
	pthread_t thread;
	bool running;
	int stop_fd;
	char *path;
	uid_t owner;
	struct sf_conf_stamp seen;  /* at the last look */
	struct sf_conf_stamp tried; /* of the file that was read last, good or bad */
	unsigned groups_at;	    /* ticks until the groups are looked up again */
	bool bad;		    /* the last load failed: try again each tick, the cause may lie in a directory above */
	char logged[SF_ERROR_MAX];
} self = { .stop_fd = -1 };

static struct js_shared *shared_new(void)
{
	struct js_shared *s = calloc(1, sizeof(*s));

	if (s)
		atomic_init(&s->holders, 1);
	return s;
}

static void shared_drop(struct js_shared *s)
{
	if (!s || atomic_fetch_sub(&s->holders, 1) > 1)
		return;
	sf_conf_free(s->conf);
	js_groups_free(s->groups);
	js_fleet_free(s->fleet);
	js_quotas_free(s->quotas);
	free(s);
}

/* Goes on while the machine sleeps: a quota ages then too. */
static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_BOOTTIME, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void js_snapshot_get(struct js_snapshot *out)
{
	struct js_shared **s = out->shares;
	int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < JS_SHARES; i++) {
		s[i] = current[i];
		if (s[i])
			atomic_fetch_add(&s[i]->holders, 1);
	}
	out->agent = agent;
	memcpy(out->default_partition, default_partition, sizeof(default_partition));
	pthread_mutex_unlock(&lock);
	out->conf = s[JS_SHARE_CONF] ? s[JS_SHARE_CONF]->conf : NULL;
	out->conf_error = s[JS_SHARE_CONF] ? s[JS_SHARE_CONF]->error.text : "out of memory";
	out->groups = s[JS_SHARE_GROUPS] ? s[JS_SHARE_GROUPS]->groups : NULL;
	out->fleet = s[JS_SHARE_FLEET] ? s[JS_SHARE_FLEET]->fleet : NULL;
	out->quotas = s[JS_SHARE_QUOTAS] ? s[JS_SHARE_QUOTAS]->quotas : NULL;
	out->quotas_age = s[JS_SHARE_QUOTAS] ? (now_ms() - s[JS_SHARE_QUOTAS]->asked_ms + 999) / 1000 : 0;
}

void js_snapshot_put(struct js_snapshot *s)
{
	int i;

	for (i = 0; i < JS_SHARES; i++)
		shared_drop(s->shares[i]);
	memset(s, 0, sizeof(*s));
}

static void publish(enum js_share which, struct js_shared *s)
{
	struct js_shared *old;

	pthread_mutex_lock(&lock);
	old = current[which];
	current[which] = s;
	pthread_mutex_unlock(&lock);
	shared_drop(old);
}

/* With the agent dead the default partition stays as last known: it is Slurm's and does not depend on the agent. */
static void publish_agent(enum js_agent state, const char *partition)
{
	pthread_mutex_lock(&lock);
	agent = state;
	if (partition)
		sf_copy(default_partition, sizeof(default_partition), partition);
	pthread_mutex_unlock(&lock);
}

static bool have_conf(void)
{
	/* Only this thread writes `current`, so reading it here needs no lock. */
	return current[JS_SHARE_CONF] && current[JS_SHARE_CONF]->conf;
}

/* A bad file is said once, not each second; what was in force stays in force. */
static void conf_failed(const struct sf_error *err)
{
	if (strcmp(self.logged, err->text) != 0) {
		sf_copy(self.logged, sizeof(self.logged), err->text);
		sf_log_error("job_submit/fargate: %s (%s)", err->text,
			     have_conf() ? "the configuration loaded before stays in force" : "every --fargate job is refused");
	}
	self.bad = true;
}

static void groups_load(const struct sf_conf *conf)
{
	const struct js_shared *before = current[JS_SHARE_GROUPS];
	struct js_shared *s = shared_new();
	bool again = true;

	if (s)
		s->groups = js_groups_resolve(conf, before ? before->groups : NULL, &again);
	self.groups_at = again ? GROUPS_AGAIN : GROUPS_EVERY;
	if (s && s->groups)
		publish(JS_SHARE_GROUPS, s);
	else
		shared_drop(s);
}

static void say_warnings(const struct sf_conf *conf)
{
	size_t i;

	for (i = 0; conf->warnings && conf->warnings[i]; i++)
		sf_log_warn("job_submit/fargate: %s", conf->warnings[i]);
}

static void conf_load(void)
{
	struct js_shared *ref = shared_new();

	if (!ref)
		return;
	self.tried = self.seen;
	if (!sf_conf_load(self.path, self.owner, &ref->conf, &ref->error)) {
		sf_log_info("job_submit/fargate: %s loaded", self.path);
		say_warnings(ref->conf);
		self.logged[0] = '\0';
		self.bad = false;
		/* Before the conf, so that nobody is refused for a group that is still being looked up. */
		groups_load(ref->conf);
		publish(JS_SHARE_CONF, ref);
		return;
	}
	ref->conf = NULL;
	conf_failed(&ref->error);
	if (have_conf())
		shared_drop(ref);
	else
		publish(JS_SHARE_CONF, ref);
}

/* A changed file is read when two looks see the same: an editor may still be writing, and half a conf may look good. */
static void conf_watch(void)
{
	const struct sf_conf_stamp now = sf_conf_stamp(self.path);
	const bool settled = sf_conf_stamp_same(&now, &self.seen);

	self.seen = now;
	if (settled && (self.bad || !sf_conf_stamp_same(&now, &self.tried)))
		conf_load();
	else if (have_conf() && self.groups_at-- == 0)
		groups_load(current[JS_SHARE_CONF]->conf);
}

/* Wait until fd can be read; false when time is up or we are to stop. */
static bool wait_readable(int fd, int64_t deadline)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = self.stop_fd, .events = POLLIN } };
	int64_t left;

	while ((left = deadline - now_ms()) > 0) {
		if (poll(p, 2, (int)left) < 0 && errno != EINTR)
			return false;
		if (p[1].revents)
			return false;
		if (p[0].revents)
			return true;
	}
	return false;
}

/* One frame from fd within the deadline. */
static bool receive(int fd, unsigned char *buf, int64_t deadline, struct sf_frame *frame)
{
	size_t have = 0;
	ssize_t n, whole;

	while (have < ANSWER_MAX && wait_readable(fd, deadline)) {
		n = recv(fd, buf + have, ANSWER_MAX - have, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
		whole = sf_frame_parse(buf, have, frame, NULL);
		if (whole)
			return whole > 0;
	}
	return false;
}

/* An answer without the jobs (the agent has not asked Slurm yet) leaves those of before. */
static void take_fleet(const sf_json *array)
{
	struct js_shared *s = array ? shared_new() : NULL;

	if (s)
		s->fleet = js_fleet_parse(array);
	if (s && s->fleet)
		publish(JS_SHARE_FLEET, s);
	else
		shared_drop(s);
}

/* What cannot be read leaves the quotas of before too: they grow old. */
static void take_quotas(const sf_json *array, int64_t asked_ms)
{
	struct js_shared *s = array ? shared_new() : NULL;

	if (s) {
		s->quotas = js_quotas_parse(array);
		s->asked_ms = asked_ms;
	}
	if (s && s->quotas)
		publish(JS_SHARE_QUOTAS, s);
	else
		shared_drop(s);
}

/* An agent that answers anything is alive; only TEXT carries the partition, the jobs and the quotas. */
static void take_answer(const struct sf_frame *frame, int64_t asked_ms)
{
	sf_auto_free char *text = sf_frame_dup(frame, SF_FIELD_TEXT, ANSWER_MAX);
	sf_auto_json sf_json *json = NULL;
	struct sf_error err;

	if (frame->type == SF_FRAME_TEXT && text && sf_json_parse(text, strlen(text), &json, &err))
		sf_log_debug("job_submit/fargate: the agent's snapshot: %s", err.text);
	publish_agent(JS_AGENT_ALIVE, sf_json_str(json, "default_partition"));
	take_fleet(sf_json_array(json, "fleet"));
	take_quotas(sf_json_array(json, "quotas"), asked_ms);
}

static void ask_agent(const char *path)
{
	const int64_t asked_ms = now_ms(), deadline = asked_ms + ASK_MS;
	sf_auto_free unsigned char *buf = malloc(ANSWER_MAX);
	struct sf_frame_out request;
	struct sf_frame answer;
	sf_auto_close int fd = -1;

	if (!buf)
		return;
	sf_frame_begin(&request, buf, ANSWER_MAX, SF_FRAME_SNAPSHOT);
	fd = sf_proto_connect(path, ASK_MS);
	if (fd >= 0 && !sf_proto_send(fd, buf, sf_frame_end(&request)) && receive(fd, buf, deadline, &answer))
		take_answer(&answer, asked_ms);
	else
		publish_agent(JS_AGENT_DEAD, NULL);
}

static bool told_to_stop(void)
{
	struct pollfd p = { .fd = self.stop_fd, .events = POLLIN };

	return poll(&p, 1, TICK_MS) > 0;
}

static void *helper(void *unused)
{
	unsigned tick = 0;

	(void)unused;
	do {
		if (tick)
			conf_watch();
		if (tick % ASK_EVERY == 0 && have_conf())
			ask_agent(current[JS_SHARE_CONF]->conf->socket);
		tick++;
	} while (!told_to_stop());
	return NULL;
}

static int start_thread(void)
{
	sigset_t all, before;
	int rc;

	self.stop_fd = eventfd(0, EFD_CLOEXEC);
	if (self.stop_fd < 0)
		return -1;
	/* The new thread inherits the mask: slurmctld's signals stay with slurmctld's own threads. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&self.thread, NULL, helper, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	self.running = rc == 0;
	return rc ? -1 : 0;
}

int js_snapshot_start(const char *path, uid_t owner)
{
	self.path = strdup(path);
	self.owner = owner;
	if (!self.path)
		return -1;
	self.seen = sf_conf_stamp(path);
	conf_load();
	return start_thread();
}

void js_snapshot_stop(void)
{
	if (self.running) {
		eventfd_write(self.stop_fd, 1);
		pthread_join(self.thread, NULL);
	}
	if (self.stop_fd >= 0)
		close(self.stop_fd);
	free(self.path);
	memset(&self, 0, sizeof(self));
	self.stop_fd = -1;
	publish(JS_SHARE_CONF, NULL);
	publish(JS_SHARE_GROUPS, NULL);
	publish(JS_SHARE_FLEET, NULL);
	publish(JS_SHARE_QUOTAS, NULL);
	pthread_mutex_lock(&lock);
	agent = JS_AGENT_UNKNOWN;
	default_partition[0] = '\0';
	pthread_mutex_unlock(&lock);
}
