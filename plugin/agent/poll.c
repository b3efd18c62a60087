/* What Slurm says: the periodic look at all jobs, the quick look at one, and what a job's state means for its task. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"
#include "plugin/agent/compat.h"
#include "plugin/agent/hold.h"

#define CLUSTER_RETRY_MS 2000
#define CLUSTER_REFRESH_MS 60000
#define CHECK_EVERY_MS 500
#define CONFIRM_AFTER_S 10 /* slurmctld saves its state every 5 s at most (design section 4) */
#define RETELL_AFTER_S 20
#define PROLOG_MOST_S 15 /* a second prolog of a start that has ended waits so long for slurmctld to say so */

void agent_slurm_problem(struct agent *a, const char *text)
{
	if (a->slurm_down == (text != NULL))
		return;
	a->slurm_down = text != NULL;
	if (text)
		sf_log_warn("slurmctld does not answer (%s); tasks run on", text);
	else
		sf_log_info("slurmctld answers again");
}

const char *conf_misfit(const struct slurm_cluster *cluster, const struct sf_conf *conf)
{
	/* fargate-attach must be gone before slurmd's SIGKILL. */
	if (conf->stop_grace + 5 > cluster->kill_wait)
		return "StopGrace in fargate.conf must be at least 5 s below KillWait in slurm.conf";
	return NULL;
}

static const char *prolog_problem(const struct agent *a)
{
	if (a->cluster.has_prolog && a->cluster.prolog_timeout)
		return COMPAT_PROLOG_KEYS " is set in slurm.conf: it would kill a waiting fargate-prolog; remove it, or PrologSlurmctld";
	return conf_misfit(&a->cluster, a->conf);
}

static void cluster_refused(struct agent *a, const char *text)
{
	if (strcmp(a->cluster_problem, text) != 0)
		sf_log_error("%s; no job is taken until that is mended", text);
	sf_copy(a->cluster_problem, sizeof(a->cluster_problem), text);
	a->cluster_known = false;
	a->cluster_at = agent_now_ms(a) + CLUSTER_RETRY_MS;
}

static void on_cluster(struct work *w, void *ctx)
{
	struct agent *a = ctx;
	const char *problem;

	a->cluster_flying = false;
	if (w->cluster.name[0] == '\0') {
		/* Not even the configuration: slurmctld is away. What was known before stays good. */
		agent_slurm_problem(a, w->err.text);
		a->cluster_at = agent_now_ms(a) + CLUSTER_RETRY_MS;
		return;
	}
	agent_slurm_problem(a, NULL);
	a->cluster = w->cluster;
	if (w->conf != a->conf) {
		/* Another one came into force meanwhile: that one counts. */
		a->cluster_at = agent_now_ms(a);
		return;
	}
	problem = w->rc != 0 ? w->err.text : prolog_problem(a);
	if (problem) {
		cluster_refused(a, problem);
		return;
	}
	if (!a->cluster_known)
		sf_log_info("cluster %s, instance %s, %s", a->cluster.name, a->instance,
			    a->cluster.has_prolog ? "launching from PrologSlurmctld" : "launching from the batch step");
	a->cluster_problem[0] = '\0';
	a->cluster_known = true;
	a->cluster_at = agent_now_ms(a) + CLUSTER_REFRESH_MS;
}

static void ask_cluster(struct agent *a)
{
	struct work *w = work_new(WORK_CLUSTER, 0, on_cluster, a);

	if (!w)
		return;
	w->conf = sf_conf_hold(a->conf);
	a->cluster_flying = worker_submit(a->worker, w);
}

/* Jobs the list did not hold are asked about one by one: absence from a list alone ends nothing. */
static void look_closer(struct agent *a)
{
	struct job *job;

	for (job = a->jobs; job; job = job->next)
		if (job->poll_seen != a->poll_count)
			job_check(job, 0);
}

static void apply_list(struct agent *a, const struct work *w)
{
	struct job *job, *next;
	size_t i;

	a->poll_count++;
	for (i = 0; i < w->n_briefs; i++)
		for (job = a->table[w->briefs[i].job_id % JOB_BUCKETS]; job; job = next) {
			next = job->hash_next;
			if (job->row.job_id == w->briefs[i].job_id && job->born != a->polls_sent) {
				job->poll_seen = a->poll_count;
				job->slurm = w->briefs[i];
			}
		}
	look_closer(a);
}

static void on_jobs(struct work *w, void *ctx)
{
	struct agent *a = ctx;
	struct job *job, *next;

	a->poll_flying = false;
	a->poll_at = agent_now_ms(a) + (int64_t)a->conf->slurm_poll * 1000;
	agent_slurm_problem(a, w->rc == 0 ? NULL : w->err.text);
	if (w->rc != 0)
		return;
	if (w->changed) {
		apply_list(a, w);
		fleet_update(a, w->briefs, w->n_briefs);
		quota_pending(a, w->briefs, w->n_briefs);
		hold_jobs(a, w->briefs, w->n_briefs);
	}
	for (job = a->jobs; job; job = next) {
		next = job->next;
		if (job->slurm.life != LIFE_UNKNOWN && job->poll_seen == a->poll_count)
			job_on_slurm(job, &job->slurm);
	}
}

void poll_tick(struct agent *a, int64_t now)
{
	struct work *w;

	if (!a->cluster_flying && now >= a->cluster_at)
		ask_cluster(a);
	/*
	 * Jobs that run are followed even while a mismatch of the configurations keeps new ones away; and with none running,
	 * slurmctld's plugin still has to know which of the waiting ones are ours.
	 */
	if (!a->cluster.name[0] || a->poll_flying || now < a->poll_at)
		return;
	w = work_new(WORK_JOBS, 0, on_jobs, a);
	if (w)
		a->poll_flying = worker_submit(a->worker, w);
	if (a->poll_flying)
		a->polls_sent++;
}

static bool live(const struct job *job, const struct slurm_brief *brief)
{
	return brief->life == LIFE_ACTIVE && brief->restart == (uint32_t)job->row.restart;
}

/*
 * Every requeue raises the restart count as it is asked for, so a job of ours that is PENDING with the count it was started with
 * was not requeued: slurmctld was killed and has come back with an older state (it saves every 5 s). It will start the same
 * incarnation again; neither its task nor its verdict is touched.
 */
static bool rolled_back(const struct job *job, const struct slurm_brief *brief)
{
	return brief->life == LIFE_PENDING && brief->restart == (uint32_t)job->row.restart;
}

static void on_user_hold(struct work *w, void *ctx)
{
	struct job *job = ctx;

	if (job_landed(job) && w->rc != 0)
		sf_log_warn("job %" PRId64 ": is held, but only an administrator can release it: %s", job->row.job_id, w->err.text);
}

/*
 * A scheduler's pass between our hold and the prolog's end replaces the reason "launch failed requeued held" by Cleaning and then
 * JobHeldAdmin (slurmctld/job_scheduler.c, _job_runnable_test1), which the job's user could not release.
 */
static void mend_hold(struct job *job)
{
	struct work *w;

	if (job->hold_mended || job->row.telling != TELL_TOLD || job_act(job) != SF_ACT_HOLD)
		return;
	w = work_new(WORK_USER_HOLD, (uint32_t)job->row.job_id, on_user_hold, job);
	job->hold_mended = w && worker_submit(job->agent->worker, w);
	if (job->hold_mended)
		job_fly(job);
}

static void told_and_seen(struct job *job, bool alive, bool suspended)
{
	int64_t since = agent_now(job->agent) - job->row.told_at;

	if (job->row.telling == TELL_DECIDED && !alive && !job->attach && !job->tell_flying) {
		/* Slurm ended (or requeued) this start by itself: there is nobody left to tell, and a hold would bring it back. */
		job->row.telling = TELL_CONFIRMED;
		job_save(job);
		job_release_prologs(job);
	}
	if (job->row.telling != TELL_TOLD)
		return;
	if (!alive || since >= PROLOG_MOST_S)
		job_release_prologs(job);
	if (!alive && since >= CONFIRM_AFTER_S) {
		job->row.telling = TELL_CONFIRMED;
		job_save(job);
	} else if (alive && !suspended && since >= RETELL_AFTER_S && !job->attach) {
		/* (A suspended fargate-attach leaves with its exit code when it is resumed.) */
		sf_log_warn("job %" PRId64 ": slurmctld shows it running again; the verdict is told once more", job->row.job_id);
		job->row.telling = TELL_DECIDED;
		job->row.attach_seen = 0;
		job_save(job);
	}
}

/* scontrol suspend stops fargate-attach, nothing else: no call of AWS suspends a task. */
static void say_suspended(struct job *job, const struct slurm_brief *brief)
{
	if (brief->suspended != brief->says_suspended && job->row.started && !job->ended && !job->row.stop_reason)
		job_comment(job, job->phase, brief->suspended ? SLURM_SUSPENDED_NOTE : NULL);
}

/* Slurm says of a requeue only that it happened; whether the node failed is one look more, from the job's own check. */
static void stop_for(struct job *job, const struct slurm_brief *brief)
{
	if (brief->why == WHY_REQUEUED && !brief->why_final)
		job_check(job, 0);
	else
		job_stop(job, slurm_why_name(brief->why));
}

/*
 * SIGTERM, and Slurm goes on showing this start as running: `--signal=B:TERM@60` or `scancel -b -s TERM`. The one signal that AWS
 * delivers would end the task, so the task is left alone.
 */
static void say_term(struct job *job)
{
	if (!job->term_unsaid || job->check_at || !job->attach || !live(job, &job->slurm) || job->row.telling != TELL_NOTHING)
		return;
	job->term_unsaid = false;
	job->term_said = true;
	conn_note(job->attach, "signal TERM cannot be delivered to the Fargate task without ending it, and Slurm has not ended the job; "
			       "the job goes on");
}

void job_on_slurm(struct job *job, const struct slurm_brief *brief)
{
	bool alive = live(job, brief);

	job->slurm = *brief;
	if ((job->untrusted && !job->have_facts) || rolled_back(job, brief))
		return; /* on_facts() judges the former first */
	if (job->row.telling != TELL_NOTHING) {
		if (brief->admin_held)
			mend_hold(job);
		told_and_seen(job, alive, brief->suspended);
		return;
	}
	if (!alive) {
		stop_for(job, brief);
		return;
	}
	sf_copy(job->node, sizeof(job->node), brief->node);
	say_suspended(job, brief);
}

void job_check(struct job *job, int64_t for_ms)
{
	int64_t now = agent_now_ms(job->agent);

	job->check_at = now;
	if (job->check_until < now + for_ms)
		job->check_until = now + for_ms;
	check_tick(job, now);
}

static void on_check(struct work *w, void *ctx)
{
	struct job *job = ctx;
	int64_t now;

	if (!job_landed(job))
		return;
	job->check_flying = false;
	agent_slurm_problem(job->agent, w->rc == 0 ? NULL : w->err.text);
	now = agent_now_ms(job->agent);
	job->check_at = w->rc != 0 || now < job->check_until ? now + CHECK_EVERY_MS : 0;
	if (w->rc != 0)
		return;
	job_on_slurm(job, &w->job.brief);
	say_term(job);
	job_tick(job, now);
}

void check_tick(struct job *job, int64_t now)
{
	struct work *w;

	if (job->check_at == 0 || now < job->check_at || job->check_flying)
		return;
	w = work_new(WORK_JOB, (uint32_t)job->row.job_id, on_check, job);
	if (!w)
		return;
	w->restart = (uint32_t)job->row.restart;
	sf_copy(w->node, sizeof(w->node), job->node);
	if (!worker_submit(job->agent->worker, w))
		return;
	job->check_flying = true;
	job_fly(job);
}
