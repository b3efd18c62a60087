/* The sweep: tasks of ours that no job claims are found at the start and every ReconcileInterval, and stopped. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/sweep.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"

#define REASON "slurm-fargate: no job of this cluster claims it (sweep)"
#define SEEN_KEPT_MS (3600 * 1000)
#define RECORDS_MAX 64 /* of one job; more are never there at once */
#define ANSWER_MAX (SF_FRAME_BODY_MAX - 4096)
#define ANSWER_ROWS 2000 /* fit ANSWER_MAX */

/* --- calls and trouble ------------------------------------------------------------------------------------------------ */
void sweep_trouble(struct sweep *s, const char *text)
{
	if (!s->trouble[0])
		sf_copy(s->trouble, sizeof(s->trouble), text);
}

/* Once per change, not per sweep. */
static void say_trouble(struct sweep *s)
{
	if (strcmp(s->trouble, s->problem) == 0)
		return;
	if (s->trouble[0])
		sf_log_warn("sweep: %s; tried again in %u s", s->trouble, s->agent->conf->reconcile_interval);
	else
		sf_log_info("sweep: AWS answers all of it again");
	sf_copy(s->problem, sizeof(s->problem), s->trouble);
}

bool sweep_call(struct sweep *s, size_t place, enum aws_op op, const char *body, aws_reply_cb cb)
{
	const struct sweep_place *p = &s->places[place];
	struct sf_error err = { "" };

	if (s->agent->aws.call(s->agent->aws.ctx, p->profile, p->region, op, body, cb, s, &err) == 0) {
		s->flying = true;
		return true;
	}
	sweep_trouble(s, err.text);
	return false;
}

static void finish(struct sweep *s);

bool sweep_refused(struct sweep *s, const struct aws_reply *reply)
{
	char text[SF_ERROR_MAX];
	enum sf_class c = reply_class(s->agent, reply, false, text);

	sweep_trouble(s, text);
	if (c != SF_CLASS_THROTTLE)
		return true;
	finish(s);
	return false;
}

/* --- deciding --------------------------------------------------------------------------------------------------------- */
static size_t starts_of(const struct agent *a, uint32_t job_id, struct sweep_start out[RECORDS_MAX])
{
	const struct job *job;
	size_t n = 0;

	for (job = a->table[job_id % JOB_BUCKETS]; job && n < RECORDS_MAX; job = job->hash_next)
		if (job->row.job_id == job_id)
			out[n++] = (struct sweep_start){ job->spec.submit, (uint32_t)job->row.restart, (uint32_t)job->row.try_no };
	return n;
}

/* A record has taken it since it was listed. */
static bool claimed(const struct agent *a, const struct sweep_task *t)
{
	const struct job *job;

	for (job = a->table[t->job_id % JOB_BUCKETS]; job; job = job->hash_next)
		if (job->row.task_id && strcmp(job->row.task_id, t->id) == 0)
			return true;
	return false;
}

static void ask_slurm(const struct sweep *s, struct sweep_facts *f, uint32_t job_id)
{
	size_t i;

	f->life = s->answered ? LIFE_GONE : LIFE_UNKNOWN;
	for (i = 0; i < s->n_briefs; i++)
		if (s->briefs[i].job_id == job_id) {
			f->life = s->briefs[i].life;
			f->restart = s->briefs[i].restart;
		}
}

static void decide(const struct sweep *s, struct sweep_task *t)
{
	struct sweep_start starts[RECORDS_MAX];
	struct sweep_facts f = { .stopping = t->stopping, .has_start = t->has_start, .start = t->start, .seen = t->seen,
				 .guard = s->guard, .force = s->force, .age = -1 };
	struct sweep_answer a;

	f.records = starts_of(s->agent, t->job_id, starts);
	f.record = claimed(s->agent, t) ? SWEEP_CURRENT : sweep_record_of(&t->start, starts, f.records);
	if (t->created)
		f.age = agent_now(s->agent) - t->created;
	ask_slurm(s, &f, t->job_id);
	a = sweep_decide(&f);
	t->stop = a.stop;
	sf_copy(t->why, sizeof(t->why), a.why);
}

/* --- how often a task was seen ------------------------------------------------------------------------------------------ */
static struct sweep_seen *seen_of(struct sweep *s, const char *id)
{
	struct sweep_seen *more;
	size_t i;

	for (i = 0; i < s->n_seen; i++)
		if (strcmp(s->seen[i].id, id) == 0)
			return &s->seen[i];
	more = realloc(s->seen, (s->n_seen + 1) * sizeof(*more));
	if (!more)
		return NULL;
	s->seen = more;
	s->seen[s->n_seen] = (struct sweep_seen){ .times = 0 };
	sf_copy(s->seen[s->n_seen].id, SWEEP_ID_MAX, id);
	return &s->seen[s->n_seen++];
}

static void forget_old(struct sweep *s, int64_t now)
{
	int64_t kept = SEEN_KEPT_MS + (int64_t)s->agent->conf->reconcile_interval * 2000;
	size_t i, n = 0;

	for (i = 0; i < s->n_seen; i++)
		if (now - s->seen[i].at <= kept)
			s->seen[n++] = s->seen[i];
	s->n_seen = n;
}

static void count_seen(struct sweep *s, struct sweep_task *t, int64_t now)
{
	struct sweep_seen *seen = seen_of(s, t->id);

	if (!seen)
		return;
	/* A dry run changes nothing, not even this. */
	if (!s->dry)
		seen->times++;
	seen->at = now;
	t->seen = seen->times;
}

/* --- Slurm's side ------------------------------------------------------------------------------------------------------- */
/* Where the clocks differ, a start that was noticed is not older than that. */
static void take_boot(struct sweep *s, time_t boot, int64_t now)
{
	if (boot == s->boot)
		return;
	s->boot_since = s->boot || boot > now ? now : boot;
	s->boot = boot;
}

static void say_guard(struct sweep *s)
{
	if (s->guard == s->guarding)
		return;
	if (s->guard)
		sf_log_warn("sweep: %s: no task is stopped meanwhile", s->guard);
	else
		sf_log_info("sweep: tasks that no job claims are stopped again");
	s->guarding = s->guard;
}

static void on_review(struct work *w, void *ctx)
{
	struct sweep *s = ctx;
	struct agent *a = s->agent;
	int64_t now = agent_now(a);
	struct sweep_world world = { .answered = w->rc == 0, .polled = a->poll_count > 0, .jobs = w->n_briefs, .records = a->n_jobs };
	size_t i;

	s->flying = false;
	s->answered = w->rc == 0;
	if (s->answered) {
		s->briefs = sf_steal(w->briefs);
		s->n_briefs = w->n_briefs;
		take_boot(s, w->cluster.boot_time, now);
	}
	world.up = now - s->boot_since;
	s->guard = sweep_guard(&world);
	say_guard(s);
	forget_old(s, agent_now_ms(a));
	for (i = 0; i < s->n_tasks; i++) {
		count_seen(s, &s->tasks[i], agent_now_ms(a));
		decide(s, &s->tasks[i]);
	}
	s->at = 0;
	s->phase = SWEEP_STOP;
}

static void review_step(struct sweep *s)
{
	struct work *w = work_new(WORK_REVIEW, 0, on_review, s);

	s->flying = w && worker_submit(s->agent->worker, w);
}

/* --- StopTask ----------------------------------------------------------------------------------------------------------- */
static void on_stopped(void *arg, const struct aws_reply *reply)
{
	struct sweep *s = arg;
	struct sweep_task *t = &s->tasks[s->at++];
	char text[SF_ERROR_MAX];

	s->flying = false;
	if (!reply->ok) {
		reply_class(s->agent, reply, false, text);
		sf_copy(t->why, sizeof(t->why), text);
		sweep_refused(s, reply);
		return;
	}
	t->stopped = true;
	sf_log_warn("sweep: job %u: task %s is stopped: no job claims it: %s", t->job_id, t->id, t->why);
}

static void stop_step(struct sweep *s)
{
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };
	struct sweep_task *t;

	for (; s->at < s->n_tasks && !s->dry; s->at++) {
		t = &s->tasks[s->at];
		/* A record may have come since. */
		if (t->stop)
			decide(s, t);
		if (!t->stop)
			continue;
		if (ecs_stop_task_body(s->places[t->place].cluster, t->id, REASON, &body, &err) == 0 &&
		    sweep_call(s, t->place, AWS_OP_STOP_TASK, body, on_stopped))
			return;
		sf_copy(t->why, sizeof(t->why), err.text[0] ? err.text : s->trouble);
		free(sf_steal(body));
	}
	finish(s);
}

/* --- sfargate reap -------------------------------------------------------------------------------------------------------- */
static const char *word_of(const struct sweep *s, const struct sweep_task *t)
{
	if (t->stopped)
		return "stopped";
	if (!t->stop)
		return "wait";
	return s->dry ? "stop" : "not stopped";
}

static sf_json *task_json(const struct sweep *s, const struct sweep_task *t)
{
	sf_json *out = sf_json_new_object();

	sf_json_set_str(out, "task", t->id);
	sf_json_set_int(out, "job", t->job_id);
	sf_json_set_str(out, "cluster", s->places[t->place].cluster);
	if (t->created)
		sf_json_set_int(out, "age", agent_now(s->agent) - t->created);
	sf_json_set_int(out, "seen", t->seen);
	sf_json_set_str(out, "decision", word_of(s, t));
	sf_json_set_str(out, "why", t->why);
	return out;
}

static char *answer_text(const struct sweep *s)
{
	sf_auto_json sf_json *out = sf_json_new_object();
	sf_json *list = sf_json_new_array();
	size_t i;

	for (i = 0; i < s->n_tasks && i < ANSWER_ROWS; i++)
		sf_json_add(list, task_json(s, &s->tasks[i]));
	sf_json_set(out, "tasks", list);
	sf_json_set_int(out, "more", (int64_t)(s->n_tasks - i));
	sf_json_set_int(out, "others", (int64_t)s->others);
	sf_json_set_str(out, "instance", s->agent->instance);
	sf_json_set_str(out, "guard", s->guard);
	sf_json_set_str(out, "trouble", s->trouble[0] ? s->trouble : NULL);
	return sf_json_text(out);
}

static void answer(const struct sweep *s)
{
	struct conn *c;

	for (c = s->agent->conns; c; c = c->next) {
		sf_auto_free char *text = NULL;

		if (c->reap != REAP_RUNS)
			continue;
		c->reap = REAP_NONE;
		text = s->phase == SWEEP_STOP ? answer_text(s) : NULL;
		if (text && strlen(text) <= ANSWER_MAX)
			conn_answer(c, text, "");
		else
			conn_refuse(c, s->trouble[0] ? s->trouble : "the agent is out of memory", true);
	}
}

/* --- one after the other ---------------------------------------------------------------------------------------------------- */
static void clear(struct sweep *s)
{
	sweep_places_free(s);
	free(s->page);
	free(s->tasks);
	free(s->briefs);
	s->page = NULL;
	s->tasks = NULL;
	s->briefs = NULL;
	s->place = s->pages = s->n_tasks = s->at = s->others = s->n_briefs = 0;
	s->guard = NULL;
	s->trouble[0] = '\0';
	s->answered = s->dry = s->force = false;
	s->phase = SWEEP_IDLE;
}

static void finish(struct sweep *s)
{
	say_trouble(s);
	answer(s);
	if (!s->dry)
		s->agent->sweep_at = agent_now_ms(s->agent) + (int64_t)s->agent->conf->reconcile_interval * 1000;
	clear(s);
}

/* The first who asked; a sweep answers him alone, since another one may want something else. */
static bool take_asker(struct sweep *s)
{
	struct conn *c, *first = NULL;

	for (c = s->agent->conns; c; c = c->next)
		if (c->reap == REAP_WAITS)
			first = c;
	if (!first)
		return false;
	first->reap = REAP_RUNS;
	s->dry = first->reap_how & SF_REAP_DRY_RUN;
	s->force = first->reap_how & SF_REAP_FORCE;
	return true;
}

static void begin(struct sweep *s, int64_t now)
{
	const struct agent *a = s->agent;
	bool due = now >= a->sweep_at && a->poll_count && a->cluster.name[0];

	/* Its own goes first: whoever asks for dry runs one after the other keeps it from nothing. */
	if (!due && !take_asker(s))
		return;
	s->phase = SWEEP_LIST;
	if (sweep_places(s) == 0)
		return;
	sweep_trouble(s, "out of memory");
	finish(s);
}

void sweep_tick(struct agent *a, int64_t now)
{
	static void (*const steps[])(struct sweep *s) = {
		[SWEEP_LIST] = sweep_list_step,
		[SWEEP_DESCRIBE] = sweep_describe_step,
		[SWEEP_REVIEW] = review_step,
		[SWEEP_STOP] = stop_step,
	};

	if (!a->sweep)
		a->sweep = calloc(1, sizeof(*a->sweep));
	if (!a->sweep || a->sweep->flying)
		return;
	a->sweep->agent = a;
	if (a->sweep->phase == SWEEP_IDLE)
		begin(a->sweep, now);
	else
		steps[a->sweep->phase](a->sweep);
}

void sweep_free(struct agent *a)
{
	if (!a->sweep)
		return;
	clear(a->sweep);
	free(a->sweep->seen);
	free(sf_steal(a->sweep));
}
