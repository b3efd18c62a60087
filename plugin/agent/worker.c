/* The Slurm worker: one thread, a bounded queue with two priorities, answers back on the event loop. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/worker.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/base/log.h"
#include "common/base/text.h"

#define QUEUE_MAX 20000
#define LEAVE_AFTER_S 2
#define BEGIN_TRIES 10

struct queue {
	struct work *head, **tail;
	size_t n;
};

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct queue high, low, answers;
	bool stop;
	int fd;
	time_t jobs_since; /* the thread's own: when WORK_JOBS last answered */
};

static void queue_init(struct queue *q)
{
	*q = (struct queue){ .tail = &q->head };
}

static void queue_push(struct queue *q, struct work *w)
{
	w->next = NULL;
	*q->tail = w;
	q->tail = &w->next;
	q->n++;
}

static struct work *queue_pop(struct queue *q)
{
	struct work *w = q->head;

	if (!w)
		return NULL;
	q->head = w->next;
	if (!q->head)
		q->tail = &q->head;
	q->n--;
	return w;
}

static void work_free(struct work *w)
{
	free(w->comment);
	free(w->refused_comment);
	free(w->briefs);
	free(w->holds);
	sf_conf_free(w->conf);
	slurm_job_free(&w->job);
	sf_strv_free(w->groups);
	free(w);
}

/* 1 when Slurm still runs that start of the job, 0 when not, -1 with err. */
static int still_runs(struct work *w)
{
	struct slurm_job job = { 0 };
	int runs;

	if (slurm_api_job(w->job_id, false, &job, &w->err) != 0)
		return -1;
	runs = job.brief.life == LIFE_ACTIVE && job.brief.restart == w->restart;
	slurm_job_free(&job);
	return runs;
}

/*
 * The job waits for Slurm's own 121 s anyway (slurm-wlm: job_mgr.c, batch_requeue_fini), so that these arrive in time; Slurm
 * refuses an update while it waits for the accounting's index (ESLURM_JOB_SETTING_DB_INX).
 */
static void set_begin(struct work *w)
{
	static const struct timespec pause = { .tv_nsec = 300000000 };
	struct sf_error err = { "" };
	int tries;

	for (tries = 0; tries < BEGIN_TRIES; tries++) {
		if (slurm_api_begin(w->job_id, time(NULL) + w->delay, w->comment, &err) == 0)
			return;
		nanosleep(&pause, NULL);
	}
	sf_log_warn("job %u: was requeued, and starts when Slurm's own delay is over: %s", w->job_id, err.text);
}

static int tell_requeue(struct work *w)
{
	struct sf_error ignored;

	/* What stands there at the requeue is what sacct keeps of this start. */
	slurm_api_comment(w->job_id, w->comment, &ignored);
	if (slurm_api_requeue(w->job_id, &w->not_requeued, &w->err) != 0)
		return -1;
	if (!w->not_requeued) {
		set_begin(w);
		return 0;
	}
	if (w->refused_comment)
		slurm_api_comment(w->job_id, w->refused_comment, &ignored);
	return w->boot_fail ? slurm_api_boot_fail(w->job_id, &w->err) : 0;
}

static int tell(struct work *w)
{
	struct sf_error ignored;
	int runs = w->tell == WORK_TELL_NOTHING ? 1 : still_runs(w);

	/* A hold would bring back what the user cancelled. */
	if (runs <= 0)
		return runs;
	if (w->tell == WORK_TELL_REQUEUE)
		return tell_requeue(w);
	/* The comment is for people; the state is what counts, so a refused comment must not keep it back. */
	if (w->comment)
		slurm_api_comment(w->job_id, w->comment, &ignored);
	switch (w->tell) {
	case WORK_TELL_HOLD:
		return slurm_api_hold(w->job_id, &w->err);
	case WORK_TELL_COMPLETE:
		return slurm_api_complete(w->job_id, w->code, &w->err);
	case WORK_TELL_REQUEUE:
	case WORK_TELL_NOTHING:
		return 0;
	}
	return sf_err(&w->err, "unknown verdict %d", (int)w->tell);
}

static int ask_cluster(struct work *w)
{
	if (slurm_api_cluster(&w->cluster, &w->err) != 0)
		return -1;
	return slurm_api_check_conf(w->conf, &w->err);
}

static int ask_job(struct work *w)
{
	if (slurm_api_job(w->job_id, false, &w->job, &w->err) != 0)
		return -1;
	if (w->job.brief.restart != w->restart)
		slurm_api_requeued(&w->job.brief, w->node);
	w->job.brief.why_final = true;
	return 0;
}

static int ask_script(struct work *w)
{
	if (slurm_api_job(w->job_id, true, &w->job, &w->err) != 0)
		return -1;
	if (w->with_groups && w->job.brief.life != LIFE_GONE)
		w->groups_failed = slurm_api_groups(w->job.uid, &w->groups, &w->err) != 0;
	return 0;
}

/* In this order: a slurmctld that was started in between shows in its boot time. */
static int review(struct work *w)
{
	time_t since = 0;

	if (slurm_api_jobs(&since, &w->briefs, &w->n_briefs, &w->changed, &w->err) != 0)
		return -1;
	return slurm_api_cluster(&w->cluster, &w->err);
}

static int perform(struct worker *worker, struct work *w)
{
	switch (w->kind) {
	case WORK_CLUSTER:
		return ask_cluster(w);
	case WORK_JOBS:
		return slurm_api_jobs(&worker->jobs_since, &w->briefs, &w->n_briefs, &w->changed, &w->err);
	case WORK_REVIEW:
		return review(w);
	case WORK_JOB:
		return ask_job(w);
	case WORK_SCRIPT:
		return ask_script(w);
	case WORK_COMMENT:
		return slurm_api_comment(w->job_id, w->comment, &w->err);
	case WORK_END_TIME:
		return slurm_api_end_time(w->job_id, w->when, &w->err);
	case WORK_USER_HOLD:
		return slurm_api_user_hold(w->job_id, &w->err);
	case WORK_HOLDS:
		return slurm_api_holds(w->holds, w->n_holds, &w->err);
	case WORK_TELL:
		return tell(w);
	}
	return sf_err(&w->err, "unknown work %d", (int)w->kind);
}

static struct work *take(struct worker *worker)
{
	struct work *w = NULL;

	pthread_mutex_lock(&worker->lock);
	while (!worker->stop) {
		w = queue_pop(&worker->high);
		if (!w)
			w = queue_pop(&worker->low);
		if (w)
			break;
		pthread_cond_wait(&worker->wake, &worker->lock);
	}
	pthread_mutex_unlock(&worker->lock);
	return w;
}

static void answer(struct worker *worker, struct work *w)
{
	uint64_t one = 1;

	pthread_mutex_lock(&worker->lock);
	queue_push(&worker->answers, w);
	pthread_mutex_unlock(&worker->lock);
	/* The counter cannot overflow: the loop resets it long before 2^64 answers. */
	if (write(worker->fd, &one, sizeof(one)) < 0)
		abort();
}

static void *thread_main(void *arg)
{
	struct worker *worker = arg;
	struct work *w;

	while ((w = take(worker))) {
		w->rc = perform(worker, w);
		answer(worker, w);
	}
	return NULL;
}

static int start_thread(struct worker *w)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&w->thread, NULL, thread_main, w);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return rc;
}

struct worker *worker_new(int *fd, struct sf_error *err)
{
	struct worker *w = calloc(1, sizeof(*w));
	int rc;

	if (!w) {
		sf_err(err, "out of memory");
		return NULL;
	}
	queue_init(&w->high);
	queue_init(&w->low);
	queue_init(&w->answers);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->wake, NULL);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	rc = w->fd < 0 ? errno : start_thread(w);
	if (rc != 0) {
		sf_err(err, "the Slurm worker cannot start: %s", strerror(rc));
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return NULL;
	}
	*fd = w->fd;
	return w;
}

static void queue_drop(struct queue *q)
{
	struct work *w;

	while ((w = queue_pop(q)))
		work_free(w);
}

void worker_free(struct worker *w)
{
	struct timespec until;

	if (!w)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	/* A call that slurmctld does not answer can last MessageTimeout; the process is leaving, so it is left behind. */
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += LEAVE_AFTER_S;
	if (pthread_timedjoin_np(w->thread, NULL, &until) != 0)
		return;
	queue_drop(&w->high);
	queue_drop(&w->low);
	queue_drop(&w->answers);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	close(w->fd);
	free(w);
}

struct work *work_new(enum work_kind kind, uint32_t job_id, void (*done)(struct work *, void *), void *ctx)
{
	struct work *w = calloc(1, sizeof(*w));

	if (w) {
		w->kind = kind;
		w->job_id = job_id;
		w->done = done;
		w->ctx = ctx;
		w->rc = -1;
	}
	return w;
}

void work_drop(struct work *w)
{
	work_free(w);
}

/* A comment already waiting for this job takes the new text; true when there was one. */
static bool replace_comment(struct queue *low, struct work *w)
{
	struct work *waiting;
	char *text;

	for (waiting = low->head; waiting; waiting = waiting->next)
		if (waiting->job_id == w->job_id) {
			text = waiting->comment;
			waiting->comment = w->comment;
			w->comment = text;
			return true;
		}
	return false;
}

/* The verdict's comment is the last word: what still waits for the job is answered as if done. With the lock held. */
static void drop_comment(struct worker *w, uint32_t job_id)
{
	struct work **p = &w->low.head, *gone;

	for (gone = *p; gone && gone->job_id != job_id; gone = *p)
		p = &gone->next;
	if (!gone)
		return;
	*p = gone->next;
	if (w->low.tail == &gone->next)
		w->low.tail = p;
	w->low.n--;
	gone->rc = 0;
	queue_push(&w->answers, gone);
}

bool worker_submit(struct worker *w, struct work *work)
{
	bool taken = true;
	uint64_t one = 1;

	pthread_mutex_lock(&w->lock);
	if (work->kind == WORK_COMMENT && replace_comment(&w->low, work)) {
		work->rc = 0;
		queue_push(&w->answers, work);
		if (write(w->fd, &one, sizeof(one)) < 0)
			abort();
	} else if (w->high.n + w->low.n >= QUEUE_MAX) {
		taken = false;
	} else {
		if (work->kind == WORK_TELL)
			drop_comment(w, work->job_id);
		queue_push(work->kind == WORK_COMMENT ? &w->low : &w->high, work);
		pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
	if (!taken)
		work_free(work);
	return taken;
}

void worker_drain(struct worker *w)
{
	struct queue got;
	struct work *work;
	uint64_t count;

	if (read(w->fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	queue_init(&got);
	pthread_mutex_lock(&w->lock);
	while ((work = queue_pop(&w->answers)))
		queue_push(&got, work);
	pthread_mutex_unlock(&w->lock);
	while ((work = queue_pop(&got))) {
		work->done(work, work->ctx);
		work_free(work);
	}
}
