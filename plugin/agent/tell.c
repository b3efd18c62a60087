/* Verdicts: decided once, stored, told to Slurm, and only then the exit code for the attach (design section 4). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define RETRY_TELL_MS 2000
#define BATCH_ENDS_MS 10000 /* slurmctld has the step's end long before */
#define PUSH_MOST_MS 300000
/* Design section 3: min(60 * 2^k, 3600) s after the k-th requeue. */
#define REQUEUE_FIRST_S 60
#define REQUEUE_MOST_S 3600
#define REQUEUE_SHIFT_MOST 6

static void fill_comment(const struct job *job, enum sf_phase phase, const char *reason, char out[SF_COMMENT_MAX])
{
	struct sf_comment c = {
		.phase = phase,
		.task_id = job->row.task_id,
		.size = job->spec.size,
		.provider = job->row.provider,
		.az = job->row.az,
		.reason = reason,
	};

	sf_comment_format(&c, out);
}

static void on_comment(struct work *w, void *ctx)
{
	(void)ctx;
	if (w->rc != 0)
		sf_log_debug("job %u: %s", w->job_id, w->err.text);
}

/* In prolog mode the job shows CF while it launches, so the phases between are not worth a write lock in slurmctld. */
static bool worth_a_comment(const struct job *job, enum sf_phase phase)
{
	return !job->row.prolog_seen || (phase != SF_PHASE_PENDING && phase != SF_PHASE_ACTIVATING);
}

void job_comment(struct job *job, enum sf_phase phase, const char *reason)
{
	char text[SF_COMMENT_MAX];
	struct work *w;

	job->phase = phase;
	fill_comment(job, phase, reason, text);
	if (strcmp(text, job->commented) == 0 || !worth_a_comment(job, phase))
		return;
	w = work_new(WORK_COMMENT, (uint32_t)job->row.job_id, on_comment, NULL);
	if (!w)
		return;
	w->comment = strdup(text);
	if (w->comment && worker_submit(job->agent->worker, w))
		sf_copy(job->commented, sizeof(job->commented), text);
}

static void on_end_time(struct work *w, void *ctx)
{
	struct job *job = ctx;

	if (!job_landed(job))
		return;
	job->end_time_flying = false;
	if (w->rc != 0) {
		/* Slurm refuses while it waits for the accounting's index (ESLURM_JOB_SETTING_DB_INX): the tick asks again. */
		sf_log_debug("job %" PRId64 ": %s", job->row.job_id, w->err.text);
		return;
	}
	if (!job->row.started || w->when < job->row.started + job->row.time_limit * 60)
		return; /* only pushed on */
	job->row.end_time_moved = 1;
	job_save(job);
}

/* ms between two pushes of a job that still starts. */
static int64_t push_every(const struct job *job)
{
	int64_t third = job->row.time_limit * 60000 / 3;

	return third < PUSH_MOST_MS ? third : PUSH_MOST_MS;
}

/*
 * Without PrologSlurmctld the time limit runs while the task starts, and it may wait for capacity or the quota for long: the end
 * is pushed on until the task runs, and set when it does.
 */
static void end_time_tick(struct job *job, int64_t now)
{
	int64_t from = job->row.started ? job->row.started : now / 1000;
	struct work *w;

	if (job->row.end_time_moved || job->row.prolog_seen || !job->row.time_limit || job->end_time_flying || job->ended ||
	    job->row.stop_reason || job->row.telling != TELL_NOTHING)
		return;
	if (!job->row.started && now < job->born_at + push_every(job))
		return;
	if (now < job->end_time_at)
		return;
	job->end_time_at = now + (job->row.started ? RETRY_TELL_MS : push_every(job));
	w = work_new(WORK_END_TIME, (uint32_t)job->row.job_id, on_end_time, job);
	if (!w)
		return;
	w->when = from + job->row.time_limit * 60;
	if (!worker_submit(job->agent->worker, w))
		return;
	job->end_time_flying = true;
	job_fly(job);
}

void job_note_lossy(struct job *job)
{
	if (!job->row.log_lossy || !job->row.started || !job->attach)
		return;
	conn_note(job->attach, "the task definition's awslogs is not in mode=blocking: lines may be lost under load");
	job->row.log_lossy = 0;
	job_save(job);
}

void job_started(struct job *job)
{
	job->row.started = agent_now(job->agent);
	job_save(job);
	job->end_time_at = 0;
	sf_log_info("job %" PRId64 ": task %s runs", job->row.job_id, job->row.task_id);
	job_comment(job, SF_PHASE_RUNNING, NULL);
	prolog_tick(job, agent_now_ms(job->agent));
	job_note_lossy(job);
}

/* How Slurm is told, by what it is to see. */
static const struct {
	enum work_tell tell;
	enum sf_phase phase;
} tellings[] = {
	[SF_ACT_NONE] = { WORK_TELL_HOLD, SF_PHASE_HELD },       [SF_ACT_EXIT] = { WORK_TELL_NOTHING, SF_PHASE_DONE },
	[SF_ACT_OOM] = { WORK_TELL_COMPLETE, SF_PHASE_DONE },    [SF_ACT_REQUEUE] = { WORK_TELL_REQUEUE, SF_PHASE_RETRY },
	[SF_ACT_FAIL] = { WORK_TELL_NOTHING, SF_PHASE_DONE },    [SF_ACT_HOLD] = { WORK_TELL_HOLD, SF_PHASE_HELD },
	[SF_ACT_LEAVE] = { WORK_TELL_NOTHING, SF_PHASE_DONE },   [SF_ACT_WAIT] = { WORK_TELL_HOLD, SF_PHASE_HELD },
	[SF_ACT_RELAUNCH] = { WORK_TELL_HOLD, SF_PHASE_HELD },
};

enum sf_action job_act(const struct job *job)
{
	return (size_t)job->row.act < SF_COUNT(tellings) ? (enum sf_action)job->row.act : SF_ACT_HOLD;
}

/* The status the attach leaves with. Never 0 unless AWS said 0 for our own container. */
static unsigned exit_status(const struct job *job)
{
	unsigned low = (unsigned)job->row.exit_code & 0xff;

	if (job_act(job) != SF_ACT_EXIT || !job->row.has_exit)
		return 1;
	return job->row.exit_code != 0 && low == 0 ? 1 : low;
}

void job_decide(struct job *job, enum sf_class verdict, const char *reason)
{
	enum sf_action act = sf_class_action(verdict);

	/* A class that another try would follow, where none can: its container ran already. */
	job_end(job, verdict, act == SF_ACT_RELAUNCH || act == SF_ACT_WAIT ? SF_ACT_REQUEUE : act, reason);
}

/* Back to Slurm: the delay doubles with each time; all of it is in the turn's transaction with the row. */
static void count_requeue(struct job *job)
{
	struct store_tally *t = &job->tally;
	struct sf_error err = { "" };
	int64_t shift = t->requeues < REQUEUE_SHIFT_MOST ? t->requeues : REQUEUE_SHIFT_MOST;

	job->row.delay = REQUEUE_FIRST_S << shift;
	if (job->row.delay > REQUEUE_MOST_S)
		job->row.delay = REQUEUE_MOST_S;
	t->requeues++;
	t->launches += !job->row.started;
	t->interruptions += job->row.verdict == SF_CLASS_PREEMPTED;
	if (store_tally_put(job->agent->store, job->row.job_id, job->row.sid, t, &err) != 0)
		sf_log_error("job %" PRId64 ": %s", job->row.job_id, err.text);
}

void job_end(struct job *job, enum sf_class verdict, enum sf_action act, const char *reason)
{
	if (job->row.telling != TELL_NOTHING)
		return;
	job->row.verdict = verdict;
	job->row.act = act;
	if (reason != job->row.reason)
		job_set(&job->row.reason, reason);
	job->row.telling = TELL_DECIDED;
	if (act == SF_ACT_REQUEUE)
		count_requeue(job);
	if (job->row.stage < STAGE_TASK)
		job->row.stage = STAGE_OVER;
	job_event(job, EVENT_VERDICT, sf_class_name(verdict), reason);
	job_save(job);
	sf_log_info("job %" PRId64 ": verdict %s%s%s", job->row.job_id, sf_class_name(verdict), reason ? ": " : "",
		    reason ? reason : "");
}

static void release_attach(struct job *job, unsigned status)
{
	char note[SF_ERROR_MAX + 64];
	enum sf_action act = job_act(job);

	if (!job->attach)
		return;
	if (act != SF_ACT_EXIT && act != SF_ACT_LEAVE) {
		snprintf(note, sizeof(note), "the task ended as %s: %s", sf_class_name((enum sf_class)job->row.verdict),
			 job->row.reason ? job->row.reason : "AWS gave no reason");
		conn_note(job->attach, note);
	}
	conn_exit(job->attach, status);
}

static void on_told(struct work *w, void *ctx)
{
	struct job *job = ctx;

	if (!job_landed(job))
		return;
	job->tell_flying = false;
	if (w->rc != 0) {
		sf_log_warn("job %" PRId64 ": Slurm did not take the verdict: %s; asked again", job->row.job_id, w->err.text);
		job_event(job, EVENT_TOLD, "refused", w->err.text);
		job->tell_at = agent_now_ms(job->agent) + RETRY_TELL_MS;
		job_check(job, 0);
		return;
	}
	if (w->not_requeued) {
		job->row.act = w->boot_fail ? SF_ACT_HOLD : SF_ACT_FAIL;
		job->phase = SF_PHASE_DONE;
	}
	job->row.telling = TELL_TOLD;
	job->row.told_at = agent_now(job->agent);
	job_event(job, EVENT_TOLD, "ok", w->not_requeued ? "the job may not be requeued" : NULL);
	job_save(job);
	if (w->tell == WORK_TELL_HOLD || (w->not_requeued && w->boot_fail))
		job_alert(job, ALERT_LAUNCH);
	else if (w->tell != WORK_TELL_REQUEUE ? exit_status(job) != 0 : w->not_requeued)
		job_alert(job, ALERT_FAILED);
	release_attach(job, exit_status(job));
	/* A prolog beside a batch step is slurmctld's second run of this start: let go now, it would launch the batch again. */
	if (job->row.attach_seen && job->prologs)
		job_check(job, BATCH_ENDS_MS);
	else
		job_release_prologs(job);
}

/* Told again because slurmctld forgot (it saves its state every 5 s): nobody is left to exit, so the API says it all. */
static void tell_without_attach(const struct job *job, struct work *w)
{
	if (w->tell == WORK_TELL_NOTHING && job->row.told_at && !job->attach) {
		w->tell = WORK_TELL_COMPLETE;
		w->code = exit_status(job) << 8;
	}
}

/* What `retry` says beside AWS's words: when the job may start again. */
static void requeue_words(const struct job *job, char out[SF_COMMENT_MAX])
{
	snprintf(out, SF_COMMENT_MAX, "%s%srequeued, not before %" PRId64 " s from then", job->row.reason ? job->row.reason : "",
		 job->row.reason ? "; " : "", job->row.delay);
}

static bool fill_tell(struct job *job, struct work *w)
{
	enum sf_phase phase = tellings[job_act(job)].phase;
	char text[SF_COMMENT_MAX], words[SF_COMMENT_MAX];

	w->tell = tellings[job_act(job)].tell;
	w->restart = (uint32_t)job->row.restart;
	w->code = ((uint32_t)job->row.exit_code & 0xff) << 8 | 253; /* slurm-facts 3.5: the only way to OUT_OF_MEMORY */
	tell_without_attach(job, w);
	if (w->tell == WORK_TELL_REQUEUE) {
		w->delay = job->row.delay;
		w->boot_fail = !job->row.started;
		fill_comment(job, w->boot_fail ? SF_PHASE_HELD : SF_PHASE_DONE, job->row.reason, text);
		w->refused_comment = strdup(text);
		requeue_words(job, words);
	}
	fill_comment(job, phase, w->tell == WORK_TELL_REQUEUE ? words : job->row.reason, text);
	w->comment = strdup(text);
	job->phase = phase;
	sf_copy(job->commented, sizeof(job->commented), text);
	return w->comment && (w->tell != WORK_TELL_REQUEUE || w->refused_comment);
}

static void send_tell(struct job *job)
{
	struct work *w = work_new(WORK_TELL, (uint32_t)job->row.job_id, on_told, job);

	if (!w)
		return;
	if (!fill_tell(job, w)) {
		work_drop(w);
		return;
	}
	if (!worker_submit(job->agent->worker, w))
		return;
	job->tell_flying = true;
	job_fly(job);
}

/* An exit code needs somebody to exit with it; it is told when the attach is there. */
static bool needs_attach(const struct job *job)
{
	return job_act(job) != SF_ACT_HOLD && job->row.started && !job->row.told_at;
}

void tell_tick(struct job *job, int64_t now)
{
	end_time_tick(job, now);
	if (job->row.telling != TELL_DECIDED || job->committing || job->tell_flying || now < job->tell_at)
		return;
	if (needs_attach(job) && !job->attach)
		return;
	send_tell(job);
}

static void note_log_place(struct job *job, const char *what)
{
	char note[SF_ERROR_MAX];

	snprintf(note, sizeof(note), "%s; see CloudWatch log group %s, stream %s/%s/%s", what, job->row.log_group,
		 job->row.log_prefix, job->row.container, job->row.task_id);
	if (job->attach)
		conn_note(job->attach, note);
}

/* Stopped because of Slurm: the attach copies until the log is complete, at most StopGrace. */
static void stopping_tick(struct job *job, int64_t now)
{
	if (!job->attach || (!(job->ended && follow_complete(job)) && now < job->stop_deadline))
		return;
	if (job->row.started && !follow_complete(job))
		note_log_place(job, "the job was ended by Slurm; later output stays in CloudWatch");
	conn_exit(job->attach, job->row.has_exit && job->row.exit_code & 0xff ? (unsigned)job->row.exit_code & 0xff : 143);
}

static bool log_waits(struct job *job, int64_t now)
{
	int64_t since = job->ended_seen > job->attached_at ? job->ended_seen : job->attached_at;

	if (!job->row.started)
		return false; /* the container never ran: there is no log */
	if (!job->attach)
		return true;
	/* The bootstrap's own failure is the log's last word. */
	if (follow_complete(job) || job->follow.framing.bootstrap[0])
		return false;
	return follow_waits(job, since, now);
}

void ending_tick(struct job *job, int64_t now)
{
	enum sf_class verdict = (enum sf_class)job->row.verdict;
	char reason[SF_ERROR_MAX];

	if (job->row.stop_reason) {
		stopping_tick(job, now);
		return;
	}
	if (!job->ended || job->row.telling != TELL_NOTHING || job->row.abandon || log_waits(job, now))
		return;
	sf_copy(reason, sizeof(reason), job->row.reason ? job->row.reason : "");
	if (job->follow.framing.bootstrap[0]) {
		verdict = SF_CLASS_START_PERMANENT;
		snprintf(reason, sizeof(reason), "bootstrap: %s", job->follow.framing.bootstrap);
	} else if (job->row.started && job->row.framing && !follow_complete(job)) {
		note_log_place(job, "the end of the task's log did not arrive in time; output may be incomplete");
		snprintf(reason, sizeof(reason), "%s%soutput may be incomplete", job->row.reason ? job->row.reason : "",
			 job->row.reason ? "; " : "");
	}
	job_decide(job, verdict, reason[0] ? reason : NULL);
}
