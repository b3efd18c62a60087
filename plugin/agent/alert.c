/* SNS messages about jobs that failed for good: one per start at most, and never in the way of the job itself. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/aws/sns.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define WAITING_MAX 200
#define FLYING_MAX 4      /* a topic that hangs takes no more of the agent's connections */
#define RETRIES_MAX 5
#define RETRY_MS 500      /* the first wait; each further one may be twice as long */
#define REASON_MAX 1024   /* bytes of AWS's words */

/* A message on its way; the job may be gone by now. */
struct alert {
	struct alert *next;
	struct agent *agent;
	int64_t job_id;
	char *topic, *profile, *body;
	char region[SNS_REGION_MAX]; /* the topic's own */
	unsigned tries;
	bool flying;
	int64_t at; /* ms: not before */
};

struct alerts {
	struct alert *head;
	size_t n, flying;
	int64_t sent, failed;
	bool full;               /* said once, until there is room again */
	char problem[SF_ERROR_MAX]; /* why the last one failed, "" after a success */
};

static struct alerts *alerts_of(struct agent *a)
{
	if (!a->alerts)
		a->alerts = calloc(1, sizeof(*a->alerts));
	return a->alerts;
}

static void alert_free(struct alert *alert)
{
	free(alert->topic);
	free(alert->profile);
	free(alert->body);
	free(alert);
}

void alerts_free(struct agent *a)
{
	struct alert *alert;

	if (!a->alerts)
		return;
	if (a->alerts->n)
		sf_log_warn("%zu alerts were not published before the agent left", a->alerts->n);
	while ((alert = a->alerts->head)) {
		a->alerts->head = alert->next;
		alert_free(alert);
	}
	free(sf_steal(a->alerts));
}

void alerts_status(const struct agent *a, sf_json *out)
{
	const struct alerts *all = a->alerts;

	sf_json_set_int(out, "alerts_sent", all ? all->sent : 0);
	sf_json_set_int(out, "alerts_failed", all ? all->failed : 0);
	sf_json_set_int(out, "alerts_waiting", all ? (int64_t)all->n : 0);
	sf_json_set_str(out, "alert_problem", all && all->problem[0] ? all->problem : NULL);
}

/* It will not be published; said once for each. */
static void give_up(struct alerts *all, int64_t job_id, const char *why)
{
	all->failed++;
	sf_copy(all->problem, sizeof(all->problem), why);
	sf_text_clean(all->problem);
	sf_log_warn("job %" PRId64 ": its alert was not published: %s", job_id, all->problem);
}

/* No room; said once, until there is again. */
static void drop(struct alerts *all)
{
	all->failed++;
	snprintf(all->problem, sizeof(all->problem), "%d alerts wait for SNS: those of further jobs are dropped", WAITING_MAX);
	if (!all->full)
		sf_log_warn("%s", all->problem);
	all->full = true;
}

/* --- what it says --------------------------------------------------------------------------------------------------- */

/* 17, or 12_3 */
static void name_of(const struct job_row *row, char out[48])
{
	if (row->array_job)
		snprintf(out, 48, "%" PRId64 "_%" PRId64, row->array_job, row->array_task);
	else
		snprintf(out, 48, "%" PRId64, row->job_id);
}

static void make_subject(const struct job *job, enum alert_kind kind, char out[SF_ERROR_MAX])
{
	const struct job_row *row = &job->row;
	char name[48], why[64];

	name_of(row, name);
	if (row->verdict == SF_CLASS_EXITED && row->has_exit)
		snprintf(why, sizeof(why), "exit code %" PRId64, row->exit_code);
	else
		snprintf(why, sizeof(why), "%s", sf_class_name((enum sf_class)row->verdict));
	snprintf(out, SF_ERROR_MAX, "slurm job %s on %.40s: %s (%s)", name, job->agent->cluster.name,
		 kind == ALERT_LAUNCH ? "launch failed" : "failed", why);
}

static void set_time(sf_json *out, const char *key, int64_t seconds)
{
	time_t t = (time_t)seconds;
	char text[32];
	struct tm tm;

	if (seconds > 0 && gmtime_r(&t, &tm) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		sf_json_set_str(out, key, text);
}

static void set_clean(sf_json *out, const char *key, const char *value)
{
	char text[REASON_MAX];

	if (!value)
		return;
	sf_copy(text, sizeof(text), value);
	sf_text_clean(text); /* also what a cut has left of a character */
	sf_json_set_str(out, key, text);
}

static char *make_message(const struct job *job)
{
	sf_auto_json sf_json *out = sf_json_new_object();
	const struct job_row *row = &job->row;
	char region[64];

	sf_json_set_int(out, "version", 1);
	sf_json_set_int(out, "job_id", row->job_id);
	if (row->array_job) {
		sf_json_set_int(out, "array_job_id", row->array_job);
		sf_json_set_int(out, "array_task_id", row->array_task);
	}
	set_clean(out, "user", row->user);
	set_clean(out, "cluster", job->agent->cluster.name);
	set_clean(out, "partition", job->spec.partition);
	set_clean(out, "ecs_cluster", row->cluster);
	set_clean(out, "region", query_region(row, region));
	sf_json_set_str(out, "class", sf_class_name((enum sf_class)row->verdict));
	set_clean(out, "reason", row->reason);
	if (row->has_exit)
		sf_json_set_int(out, "exit_code", row->exit_code);
	set_clean(out, "task", row->task_id);
	sf_json_set_int(out, "try", row->try_no);
	set_time(out, "submitted", job->spec.submit);
	set_time(out, "launched", row->request_at);
	set_time(out, "started", row->started);
	set_time(out, "ended", row->ended_at);
	return sf_json_text(out);
}

/* --- the queue ------------------------------------------------------------------------------------------------------ */

static void unlink_alert(struct alerts *all, const struct alert *alert)
{
	struct alert **p = &all->head;

	while (*p != alert)
		p = &(*p)->next;
	*p = alert->next;
	all->n--;
}

static void done(struct alert *alert)
{
	unlink_alert(alert->agent->alerts, alert);
	alert_free(alert);
}

/* Why; true: certainly not taken by SNS, but perhaps the next time. What may have been taken is not sent twice. */
static bool worth_a_retry(const struct agent *a, const struct aws_reply *reply, char why[SF_ERROR_MAX])
{
	enum sf_class c = reply_class(a, reply, false, why);

	return reply->transport_failed ? !reply->sent : c == SF_CLASS_THROTTLE;
}

static void failed(struct alert *alert, bool again, const char *why)
{
	if (!again || alert->tries > RETRIES_MAX) {
		give_up(alert->agent->alerts, alert->job_id, why);
		done(alert);
		return;
	}
	alert->at = agent_jitter(alert->agent, (int64_t)RETRY_MS << alert->tries) + RETRY_MS;
}

static void on_published(void *arg, const struct aws_reply *reply)
{
	struct alert *alert = arg;
	struct alerts *all = alert->agent->alerts;
	char why[SF_ERROR_MAX];
	bool again;

	alert->flying = false;
	all->flying--;
	if (!reply->ok) {
		again = worth_a_retry(alert->agent, reply, why);
		failed(alert, again, why);
		return;
	}
	all->sent++;
	all->problem[0] = '\0';
	sf_log_info("job %" PRId64 ": alert published to %s", alert->job_id, alert->topic);
	done(alert);
}

static void publish(struct alert *alert)
{
	struct agent *a = alert->agent;
	struct sf_error err = { "" };

	alert->tries++;
	if (a->aws.call(a->aws.ctx, alert->profile, alert->region, AWS_OP_PUBLISH, alert->body, on_published, alert, &err) == 0) {
		alert->flying = true;
		a->alerts->flying++;
		return;
	}
	failed(alert, true, err.text);
}

void alerts_tick(struct agent *a, int64_t now)
{
	struct alert *alert, *next;

	/* The rows say that they were published before they are: else a restart would do it again. */
	if (!a->alerts || a->store_down || store_dirty(a->store))
		return;
	for (alert = a->alerts->head; alert && a->alerts->flying < FLYING_MAX; alert = next) {
		next = alert->next;
		if (!alert->flying && now >= alert->at)
			publish(alert);
	}
	a->alerts->full = a->alerts->full && a->alerts->n >= WAITING_MAX;
}

static struct alert *alert_new(struct job *job, enum alert_kind kind, struct sf_error *err)
{
	struct alert *alert = calloc(1, sizeof(*alert));
	sf_auto_free char *message = make_message(job);
	char subject[SF_ERROR_MAX];

	if (!alert || !message) {
		sf_err(err, "out of memory");
		goto error;
	}
	alert->agent = job->agent;
	alert->job_id = job->row.job_id;
	job_set(&alert->topic, job->line->alert_topic);
	job_set(&alert->profile, job->line->profile);
	make_subject(job, kind, subject);
	if (!alert->topic || (job->line->profile && !alert->profile)) {
		sf_err(err, "out of memory");
		goto error;
	}
	if (!sns_topic_region(alert->topic, alert->region)) {
		sf_err(err, "'%s' is not the ARN of an SNS topic", alert->topic);
		goto error;
	}
	if (sns_publish_body(alert->topic, subject, message, &alert->body, err) == 0)
		return alert;
error:
	if (alert)
		alert_free(alert);
	return NULL;
}

static void enqueue(struct job *job, enum alert_kind kind)
{
	struct alerts *all = alerts_of(job->agent);
	struct sf_error err = { "" };
	struct alert *alert, **p;

	if (!all)
		return;
	if (all->n >= WAITING_MAX) {
		drop(all);
		return;
	}
	alert = alert_new(job, kind, &err);
	if (!alert) {
		give_up(all, job->row.job_id, err.text);
		return;
	}
	for (p = &all->head; *p; p = &(*p)->next)
		;
	*p = alert;
	all->n++;
}

void job_alert(struct job *job, enum alert_kind kind)
{
	const struct sf_conf_line *line = job->line;

	if (!job_has_line(job) || !line->alert_topic || (kind == ALERT_FAILED && line->alert_on != SF_ALERT_FAILED))
		return;
	/* Ended by Slurm's own decision, or a record that nobody but the job's user vouches for. */
	if (job->row.alerted || job->row.stop_reason || !job_trusted(job))
		return;
	job->row.alerted = 1;
	job_save(job);
	enqueue(job, kind);
}
