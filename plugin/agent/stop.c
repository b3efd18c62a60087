/* Ending a task of ours: StopTask, and ListTasks where nobody knows whether there is one. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define RETRY_STOP_MS 1000
#define LIST_AFTER_S 5

void watch_refused(struct job *job, const struct aws_reply *reply)
{
	char text[SF_ERROR_MAX];
	enum sf_class c = reply_class(job->agent, reply, aws_op_read_only(reply->op), text);

	job_answer(job, reply->op, sf_class_name(c), text);
}

void job_stop(struct job *job, const char *why)
{
	char reason[ECS_REASON_MAX + 1];

	if (job->row.stop_reason || job->row.telling != TELL_NOTHING)
		return;
	snprintf(reason, sizeof(reason), "Slurm job %" PRId64 ": %s", job->row.job_id, why);
	job_set(&job->row.stop_reason, reason);
	job_event(job, EVENT_STOP, NULL, why);
	job->stop_deadline = agent_now_ms(job->agent) + (int64_t)job->agent->conf->stop_grace * 1000;
	sf_log_info("job %" PRId64 ": %s: stopping", job->row.job_id, why);
	if (job->row.stage < STAGE_LAUNCH && job->row.doubt)
		job->row.stage = STAGE_LAUNCH; /* AWS is asked whether an earlier try left a task after all */
	else if (job->row.stage < STAGE_LAUNCH || (job->row.stage == STAGE_LAUNCH && !job->row.request))
		job->row.stage = STAGE_OVER;
	job_save(job);
	job_release_prologs(job);
	job_comment(job, SF_PHASE_STOPPING, why);
}

void job_abandon(struct job *job, enum sf_class why, const char *words)
{
	char reason[ECS_REASON_MAX + 1];

	if (job->row.stop_reason || job->row.abandon || job->row.telling != TELL_NOTHING)
		return;
	snprintf(reason, sizeof(reason), "Slurm job %" PRId64 ": %s", job->row.job_id, words);
	job_set(&job->row.abandon, reason);
	job->row.verdict = why;
	job_set(&job->row.reason, words);
	job_event(job, EVENT_STOP, sf_class_name(why), words);
	sf_log_warn("job %" PRId64 ": %s: its task %s is stopped", job->row.job_id, words, job->row.task_id);
	job_save(job);
	job_comment(job, SF_PHASE_RETRY, words);
}

static void on_stopped(void *arg, const struct aws_reply *reply)
{
	struct job *job = arg;
	struct sf_error err = { "" };
	struct ecs_task task = { 0 };

	if (!job_landed(job))
		return;
	job->stop_flying = false;
	if (!reply->ok) {
		watch_refused(job, reply);
		agent_aws_problem(job->agent, reply->transport_failed ? reply->error : reply->message ? reply->message : "StopTask: HTTP error");
		job->stop_at = agent_jitter(job->agent, 2000) + RETRY_STOP_MS;
		job->describe_at = 0;
		return;
	}
	agent_aws_problem(job->agent, NULL);
	job->row.stop_accepted = 1;
	job_answer(job, AWS_OP_STOP_TASK, "ok", NULL);
	job_save(job);
	job->describe_at = agent_now_ms(job->agent) + DESCRIBE_URGENT_MS;
	if (ecs_task_parse(sf_json_object(reply->body, "task"), job->row.container, &task, &err) == 0)
		watch_task(job, &task);
}

static void send_stop(struct job *job, int64_t now)
{
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	job->stop_at = now + 5000;
	if (ecs_stop_task_body(job->row.cluster, job->row.task_id, job->row.stop_reason ? job->row.stop_reason : job->row.abandon, &body,
			       &err) != 0) {
		sf_log_error("job %" PRId64 ": %s", job->row.job_id, err.text);
		return;
	}
	job->stop_flying = true;
	job_fly(job);
	if (!agent_call(job, AWS_OP_STOP_TASK, body, on_stopped, job)) {
		job->stop_flying = false;
		job_landed(job);
	}
}

static void on_listed(void *arg, const struct aws_reply *reply)
{
	struct job *job = arg;
	sf_auto_strv char **arns = NULL;
	sf_auto_free char *next = NULL;
	struct sf_error err = { "" };

	if (!job_landed(job))
		return;
	job->list_flying = false;
	if (!reply->ok || ecs_list_tasks_parse(reply->body, &arns, &next, &err) != 0) {
		job->stop_at = agent_jitter(job->agent, 3000) + RETRY_STOP_MS;
		if (!reply->ok)
			watch_refused(job, reply);
		return;
	}
	job_answer(job, reply->op, "ok", arns && arns[0] ? ecs_id_of(arns[0]) : "no task");
	job_set(&job->row.request, NULL);
	if (!arns || !arns[0]) {
		task_over(job);
		return;
	}
	job_set(&job->row.task_id, ecs_id_of(arns[0]));
	job->row.stage = STAGE_TASK;
	job->stop_at = 0;
	job_save(job);
}

bool job_list_own(struct job *job, aws_reply_cb cb)
{
	struct ecs_list list = { .cluster = job->row.cluster };
	char started_by[SF_STARTED_BY_MAX];
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	sf_started_by(job->agent->cluster.name, job->agent->instance, (uint32_t)job->row.job_id, started_by);
	list.started_by = started_by;
	if (ecs_list_tasks_body(&list, &body, &err) != 0)
		return false;
	job->list_flying = true;
	job_fly(job);
	if (agent_call(job, AWS_OP_LIST_TASKS, body, cb, job))
		return true;
	job->list_flying = false;
	job_landed(job);
	return false;
}

/* Cancelled with RunTask's outcome unknown: AWS is asked whether there is a task, rather than called to make one. */
static void find_unknown(struct job *job, int64_t now)
{
	if (job->run_flying || job->list_flying || !job->agent->cluster.name[0] || now - job->sent_at < LIST_AFTER_S * 1000)
		return;
	job->stop_at = now + 5000;
	job_list_own(job, on_listed);
}

void stop_tick(struct job *job, int64_t now)
{
	if ((!job->row.stop_reason && !job->row.abandon) || job->row.stop_accepted || job->committing || now < job->stop_at)
		return;
	if (job->row.stage == STAGE_LAUNCH && job->row.stop_reason)
		find_unknown(job, now);
	else if (job->row.stage == STAGE_TASK && !job->stop_flying)
		send_stop(job, now);
}
