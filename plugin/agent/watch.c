/* Watching tasks: batched DescribeTasks, and what each description means. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

/* How often a task is described, by what is expected of it next (ms). */
#define EVERY_LAUNCHING_MS 1500
#define EVERY_RUNNING_MS 2500
#define EVERY_STOPPING_MS 5000
#define BATCHES_PER_TICK 2 /* 10 calls a second, half of what AWS refills (aws-facts 4.1: 20/s shared) */
#define MISSING_GRACE_S 120 /* design section 4: MISSING right after RunTask is normal */

struct batch {
	struct agent *agent;
	size_t n;
	struct job *jobs[ECS_DESCRIBE_MAX];
};

static int64_t describe_interval(const struct job *job)
{
	if (job->ended || job->row.telling >= TELL_DECIDED)
		return quota_wanted(job) ? EVERY_LAUNCHING_MS : EVERY_STOPPING_MS;
	if (job->row.stop_reason || job->row.abandon || job->phase == SF_PHASE_STOPPING)
		return DESCRIBE_URGENT_MS;
	return job->row.started ? EVERY_RUNNING_MS : EVERY_LAUNCHING_MS;
}

void task_over(struct job *job)
{
	if (job->row.stage == STAGE_OVER)
		return;
	job->row.stage = STAGE_OVER;
	job_save(job);
	retry_wake(job->pool, quota_quarters(job));
}

/* Its last description says so, or AWS knows it no more: what was to be stopped for another try, or failed to start. */
static bool try_over(struct job *job)
{
	enum sf_class c = (enum sf_class)job->row.verdict;

	if (job->row.stop_reason || job->row.telling != TELL_NOTHING || (!job->row.abandon && (job->row.started || !retry_class(c))))
		return false;
	retry_wake(job->pool, quota_quarters(job));
	retry_failed(job, c, job->row.reason);
	return true;
}

/* Its group says which try it was made by, and nothing but this try's output can be told from strangers'. */
static void check_try(struct job *job, const struct ecs_task *task)
{
	char group[SF_GROUP_MAX];

	sf_group(job->spec.submit, (uint32_t)job->row.restart, (uint32_t)job->row.try_no, group);
	if (task->group && strcmp(task->group, group) != 0)
		job_abandon(job, SF_CLASS_LAUNCHED, "AWS started a task of an earlier try");
}

static void take_facts(struct job *job, const struct ecs_task *task)
{
	bool changed = !job->row.last_status || !task->last_status || strcmp(job->row.last_status, task->last_status) != 0;

	if (task->last_status)
		job_set(&job->row.last_status, task->last_status);
	if (task->az)
		job_set(&job->row.az, task->az);
	if (task->provider)
		job_set(&job->row.provider, task->provider);
	if (!changed)
		return;
	job_event(job, EVENT_STATUS, task->last_status, task->az);
	job_save(job);
}

static enum sf_class classify(const struct job *job, const struct ecs_task *task, bool started)
{
	struct sf_task_signal s = {
		.last_status = task->last_status,
		.desired_status = task->desired_status,
		.stop_code = task->stop_code,
		.stopped_reason = task->stopped_reason,
		.started = started,
		.own_stop = job->row.stop_accepted,
		.has_exit_code = task->container.has_exit_code,
		.exit_code = task->container.exit_code,
		.container_reason = task->container.reason,
		.bootstrap_error = job->follow.framing.bootstrap[0] ? job->follow.framing.bootstrap : NULL,
		.rules = job->agent->conf->rules,
		.n_rules = job->agent->conf->n_rules,
	};

	return sf_verdict_task(&s);
}

static void note_exit(struct job *job, enum sf_class c, const struct ecs_task *task)
{
	char code[32] = "no exit code", text[SF_ERROR_MAX];

	if (task->container.has_exit_code)
		snprintf(code, sizeof(code), "exit code %d", task->container.exit_code);
	snprintf(text, sizeof(text), "%s%s%s%s%s%s%s", code, task->stop_code ? "; " : "", task->stop_code ? task->stop_code : "",
		 task->stopped_reason ? ": " : "", task->stopped_reason ? task->stopped_reason : "",
		 task->container.reason ? "; container: " : "", task->container.reason ? task->container.reason : "");
	job_event(job, EVENT_EXIT, sf_class_name(c), text);
}

static void task_ended(struct job *job, enum sf_class c, const struct ecs_task *task)
{
	if (!job->ended) {
		job->ended = true;
		job->ended_seen = agent_now_ms(job->agent);
		job->row.ended_at = job->ended_seen / 1000;
		job->follow.next_at = 0;
		sf_log_info("job %" PRId64 ": task %s ended: %s%s%s", job->row.job_id, job->row.task_id, sf_class_name(c),
			    task->stopped_reason ? ", " : "", task->stopped_reason ? task->stopped_reason : "");
	}
	job->row.has_exit = task->container.has_exit_code;
	job->row.exit_code = task->container.exit_code;
	job->row.verdict = c;
	note_exit(job, c, task);
	/* An ordinary end needs no words; one with a word of warning ("OutOfMemoryError" of a child) has it from the container. */
	if (task->container.reason || sf_class_action(c) == SF_ACT_EXIT)
		job_set(&job->row.reason, task->container.reason);
	else
		job_set(&job->row.reason, task->stopped_reason);
	job_save(job);
}

static void take_state(struct job *job, enum sf_class c, enum sf_phase phase)
{
	bool open = job->row.telling == TELL_NOTHING && !job->row.abandon;

	if (sf_class_is_end(c) && open)
		task_ended(job, c, &job->task);
	else if (phase != job->phase && open && !job->row.stop_reason)
		job_comment(job, phase, NULL);
	if (phase == SF_PHASE_DONE && !try_over(job))
		task_over(job);
}

void watch_task(struct job *job, struct ecs_task *task)
{
	enum sf_phase phase = sf_phase_of_status(task->last_status, job->phase);
	bool started = job->row.started || task->started_at > 0 || phase == SF_PHASE_RUNNING || task->container.has_exit_code;
	enum sf_class c;

	if (job->have_task)
		ecs_task_free(&job->task);
	job->task = *task;
	job->have_task = true;
	*task = (struct ecs_task){ 0 };
	task = &job->task;
	take_facts(job, task);
	c = classify(job, task, started);
	check_try(job, task);
	retry_stuck(job);
	if (started && !job->row.started && !job->row.abandon) {
		job_event(job, EVENT_RUNNING, NULL, NULL);
		job_started(job);
	}
	take_state(job, c, phase);
	job->describe_at = agent_now_ms(job->agent) + describe_interval(job);
	job_tick(job, agent_now_ms(job->agent));
}

static void watch_missing(struct job *job)
{
	if (agent_now(job->agent) - job->row.request_at < MISSING_GRACE_S)
		return;
	if (job->row.abandon && try_over(job))
		return;
	if (job->row.telling == TELL_NOTHING && !job->row.stop_reason && !job->ended)
		job_decide(job, SF_CLASS_INFRA, "DescribeTasks: MISSING; AWS no longer knows the task");
	job_answer(job, AWS_OP_DESCRIBE_TASKS, sf_class_name(SF_CLASS_INFRA), "MISSING");
	task_over(job);
}

static struct job *job_of_id(const struct batch *b, const char *id)
{
	size_t i;

	for (i = 0; i < b->n; i++)
		if (b->jobs[i] && b->jobs[i]->row.task_id && strcmp(b->jobs[i]->row.task_id, id) == 0)
			return b->jobs[i];
	return NULL;
}

static void read_tasks(const struct batch *b, const sf_json *body)
{
	const sf_json *tasks = sf_json_array(body, "tasks");
	struct sf_error err = { "" };
	struct ecs_task task;
	struct job *job;
	const char *arn;
	size_t i;

	for (i = 0; i < sf_json_len(tasks); i++) {
		arn = sf_json_str(sf_json_at(tasks, i), "taskArn");
		job = arn ? job_of_id(b, ecs_id_of(arn)) : NULL;
		if (!job || job->closed)
			continue;
		task = (struct ecs_task){ 0 };
		if (ecs_task_parse(sf_json_at(tasks, i), job->row.container, &task, &err) == 0)
			watch_task(job, &task);
		else
			sf_log_warn("job %" PRId64 ": DescribeTasks: %s", job->row.job_id, err.text);
	}
}

static void read_failures(const struct batch *b, const sf_json *body)
{
	const sf_json *failures = sf_json_array(body, "failures");
	struct sf_api_signal s = { .read_only = true, .http = 200 };
	struct job *job;
	const char *arn;
	size_t i;

	for (i = 0; i < sf_json_len(failures); i++) {
		arn = sf_json_str(sf_json_at(failures, i), "arn");
		job = arn ? job_of_id(b, ecs_id_of(arn)) : NULL;
		if (!job || job->closed)
			continue;
		s.failure = sf_json_str(sf_json_at(failures, i), "reason");
		/* Any other refusal says nothing about the task: it is asked about again. */
		if (sf_verdict_api(&s) == SF_CLASS_UNKNOWN)
			watch_missing(job);
	}
}

/* A job closed inside the loops above is freed only by its own landing below: `flying` keeps it. */
static void on_described(void *arg, const struct aws_reply *reply)
{
	struct batch *b = arg;
	char text[SF_ERROR_MAX];
	size_t i;

	for (i = 0; i < b->n; i++)
		b->jobs[i]->describe_flying = false;
	if (reply->ok) {
		agent_aws_problem(b->agent, NULL);
		read_tasks(b, reply->body);
		read_failures(b, reply->body);
	} else {
		snprintf(text, sizeof(text), "DescribeTasks: %s", reply->transport_failed ? reply->error : reply->message ? reply->message : "HTTP error");
		agent_aws_problem(b->agent, text);
		b->agent->describe_not_before = agent_jitter(b->agent, 3000) + 500;
		for (i = 0; i < b->n; i++)
			if (!b->jobs[i]->closed)
				watch_refused(b->jobs[i], reply);
	}
	for (i = 0; i < b->n; i++)
		job_landed(b->jobs[i]);
	free(b);
}

static void send_batch(struct batch *b)
{
	const char *ids[ECS_DESCRIBE_MAX];
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };
	size_t i;

	for (i = 0; i < b->n; i++) {
		ids[i] = b->jobs[i]->row.task_id;
		b->jobs[i]->describe_flying = true;
		b->jobs[i]->describe_at = agent_now_ms(b->agent) + describe_interval(b->jobs[i]);
		job_fly(b->jobs[i]);
	}
	if (ecs_describe_tasks_body(b->jobs[0]->row.cluster, ids, b->n, &body, &err) == 0 &&
	    agent_call(b->jobs[0], AWS_OP_DESCRIBE_TASKS, body, on_described, b))
		return;
	for (i = 0; i < b->n; i++) {
		b->jobs[i]->describe_flying = false;
		b->jobs[i]->describe_at = agent_now_ms(b->agent) + 5000;
		job_landed(b->jobs[i]);
	}
	free(b);
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool belongs(const struct batch *b, const struct job *job)
{
	const struct job_row *first;

	if (b->n == 0)
		return true;
	first = &b->jobs[0]->row;
	return same(first->cluster, job->row.cluster) && same(first->profile, job->row.profile) &&
	       same(first->region, job->row.region);
}

static bool due(const struct job *job, int64_t now)
{
	return job->row.stage == STAGE_TASK && job->row.task_id && !job->describe_flying && now >= job->describe_at;
}

/* One batch of one (profile, region, cluster): everything that is due there, at most ECS_DESCRIBE_MAX. */
static bool collect_batch(struct agent *a, int64_t now)
{
	struct batch *b = calloc(1, sizeof(*b));
	struct job *job;

	if (!b)
		return false;
	b->agent = a;
	for (job = a->jobs; job && b->n < ECS_DESCRIBE_MAX; job = job->next)
		if (due(job, now) && belongs(b, job))
			b->jobs[b->n++] = job;
	if (b->n == 0) {
		free(b);
		return false;
	}
	send_batch(b);
	return true;
}

void watch_tick(struct agent *a, int64_t now)
{
	int sent;

	if (now < a->describe_not_before)
		return;
	for (sent = 0; sent < BATCHES_PER_TICK; sent++)
		if (!collect_batch(a, now))
			return;
}
