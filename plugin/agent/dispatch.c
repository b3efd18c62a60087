/* What the frames of prolog, stepd, attach, slurmctld and sfargate mean, and who may send them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define SPEC_MAX (256 * 1024)
#define ATTACH_RETURNS_MS 10000 /* after a start of the agent: attaches come back within some 2 s */
#define BATCH_COMES_MS 20000 /* the batch step of a start whose prolog was let go before; slurmd may be busy */
#define SIGNAL_LOOK_MS 5000 /* design section 1, step 7: SIGTERM while Slurm still says RUNNING */

bool conn_is_admin(const struct conn *c)
{
	/* What root opened and handed over belongs to a process of the job's user. */
	if (c->role == CONN_HANDED || c->role == CONN_ATTACH)
		return false;
	return c->uid == 0 || c->uid == geteuid() || (c->agent->cluster_known && c->uid == c->agent->cluster.slurm_user);
}

static bool read_job(const struct sf_frame *f, uint32_t *job_id)
{
	uint64_t n = 0;

	if (!sf_frame_number(f, SF_FIELD_JOB, &n) || n == 0 || n > UINT32_MAX)
		return false;
	*job_id = (uint32_t)n;
	return true;
}

struct start {
	uint32_t job_id;
	uint32_t restart;
	char *spec;
	char sid[17];
};

/* JOB, RESTART and SPEC, checked; the spec must be freed. */
static int read_start(const struct sf_frame *f, struct start *s, struct sf_error *err)
{
	struct sf_spec spec = { 0 };
	uint64_t restart = 0;
	int rc = -1;

	*s = (struct start){ 0 };
	if (!read_job(f, &s->job_id) || !sf_frame_number(f, SF_FIELD_RESTART, &restart) || restart > UINT16_MAX)
		return sf_err(err, "the frame names no job and restart count");
	s->restart = (uint32_t)restart;
	s->spec = sf_frame_dup(f, SF_FIELD_SPEC, SPEC_MAX);
	if (!s->spec)
		return sf_err(err, "the frame carries no spec");
	if (sf_spec_decode(s->spec, &spec, err) == 0) {
		sf_copy(s->sid, sizeof(s->sid), spec.sid);
		rc = 0;
	}
	sf_spec_free(&spec);
	if (rc != 0) {
		free(s->spec);
		s->spec = NULL;
	}
	return rc;
}

/* Not ready to take jobs: the text says why, NULL when ready. */
static const char *not_ready(const struct agent *a)
{
	if (a->cluster_known)
		return NULL;
	return a->cluster_problem[0] ? a->cluster_problem : "the agent is still asking slurmctld for its configuration";
}

/*
 * Let the prolog of a running task go, unless its batch step may still be there: then this is slurmctld's second run of the same
 * start, and a second batch step would drain the gateway ("Duplicate jobid"). It is held until that step's attach has ended.
 */
void prolog_tick(struct job *job, int64_t now)
{
	bool may_return = job->row.attach_seen && !job->attach_lost && now - job->agent->started * 1000 < ATTACH_RETURNS_MS;
	bool may_come = job->row.released && !job->row.attach_seen && now - job->prolog_at < BATCH_COMES_MS;

	if (!job->prologs || !job->row.started || job->row.telling != TELL_NOTHING || job->attach || may_return || may_come)
		return;
	if (!job->row.released) {
		job->row.released = 1;
		job_save(job);
	}
	job_release_prologs(job);
}

static void take_prolog(struct conn *c, struct job *job)
{
	c->role = CONN_PROLOG;
	c->job = job;
	job->prologs++;
	job->prolog_at = agent_now_ms(job->agent);
	if (job->row.telling >= TELL_TOLD) {
		/* Slurm knew the end and forgot it: it is told by the API, and nothing is started a second time. */
		job->row.telling = TELL_DECIDED;
		job_save(job);
	} else if (job->row.stop_reason) {
		job_release_prologs(job);
	} else {
		prolog_tick(job, agent_now_ms(job->agent));
	}
}

/* The record of that start. What only a user has named so far makes room for what root brings. */
static struct job *known_record(struct agent *a, const struct start *s, bool from_root)
{
	struct job *job = job_find(a, s->job_id, s->sid, s->restart);

	if (!job || !from_root || !job->untrusted || job->have_facts)
		return job;
	job_drop(job, "the job is being started by slurmctld itself");
	return NULL;
}

static void on_launch(struct conn *c, const struct sf_frame *f)
{
	struct agent *a = c->agent;
	struct sf_error err = { "" };
	struct start s;
	struct job *job;

	if (c->role != CONN_NEW) {
		conn_refuse(c, "this connection already has a part", false);
		return;
	}
	if (!conn_is_admin(c)) {
		conn_refuse(c, "only root and SlurmUser may launch jobs", false);
		return;
	}
	if (not_ready(a)) {
		conn_refuse(c, not_ready(a), true);
		return;
	}
	if (read_start(f, &s, &err) != 0) {
		conn_refuse(c, err.text, false);
		return;
	}
	job = known_record(a, &s, true);
	if (!job)
		job = job_create(a, s.job_id, s.restart, s.spec, &err);
	else if (!admit_same_spec(job, s.spec))
		sf_log_warn("job %u: fargate-prolog brings another spec than the one it was taken with; that one stays", s.job_id);
	free(s.spec);
	if (!job) {
		sf_log_warn("job %u: %s", s.job_id, err.text);
		conn_refuse(c, err.text, false);
		return;
	}
	job->row.prolog_seen = 1;
	job_save(job);
	take_prolog(c, job);
}

static void on_handover(struct conn *c, const struct sf_frame *f)
{
	uint64_t uid = 0;

	if (c->role != CONN_NEW) {
		conn_refuse(c, "this connection already has a part", false);
		return;
	}
	if (c->uid != 0) {
		conn_refuse(c, "only root may hand a job over", false);
		return;
	}
	if (!read_job(f, &c->handed_job) || !sf_frame_number(f, SF_FIELD_UID, &uid) || uid >= UINT32_MAX ||
	    !sf_frame_string(f, SF_FIELD_TOKEN, c->handed_token, sizeof(c->handed_token)) ||
	    strlen(c->handed_token) != SF_TOKEN_HEX) {
		conn_refuse(c, "the hand-over names no job, user and token", false);
		return;
	}
	c->handed_spec = sf_frame_dup(f, SF_FIELD_SPEC, SPEC_MAX);
	if (!c->handed_spec) {
		conn_refuse(c, "the hand-over carries no spec", false);
		return;
	}
	c->handed_uid = (uid_t)uid;
	c->role = CONN_HANDED;
	conn_accept(c);
}

/* Time depends on nothing but the length, so that a token cannot be guessed byte by byte. */
static bool same_token(const char *a, const char *b)
{
	size_t n = strlen(a), i;
	unsigned char diff = 0;

	if (n != strlen(b))
		return false;
	for (i = 0; i < n; i++)
		diff |= (unsigned char)(a[i] ^ b[i]);
	return diff == 0;
}

/* May this connection attach to that record? NULL = yes; *retry = ask again later. */
static const char *attach_refusal(const struct conn *c, const struct job *job, const char *token, bool *retry)
{
	*retry = false;
	if (c->role == CONN_HANDED)
		return NULL;
	if (job->row.uid < 0) {
		*retry = true;
		return "the agent is still asking Slurm whose job this is";
	}
	if (job->row.uid != (int64_t)c->uid && !conn_is_admin(c))
		return "the job belongs to another user";
	if (job->row.attach_token)
		return same_token(job->row.attach_token, token) ? NULL : "the token is not the one this job attached with";
	if (job->slurm.life != LIFE_ACTIVE || job->slurm.restart != (uint32_t)job->row.restart) {
		*retry = job->slurm.life == LIFE_UNKNOWN;
		return "Slurm does not show this start of the job as running";
	}
	return NULL;
}

static struct job *attach_record(struct conn *c, const struct start *s, struct sf_error *err)
{
	struct job *job = known_record(c->agent, s, c->role == CONN_HANDED);

	if (job && !admit_same_spec(job, s->spec)) {
		sf_err(err, "the spec is not the one slurmctld gave the job");
		return NULL;
	}
	if (job)
		return job;
	job = job_create(c->agent, s->job_id, s->restart, s->spec, err);
	if (job) {
		job->untrusted = c->role != CONN_HANDED;
		job->row.uid = c->role == CONN_HANDED ? c->handed_uid : c->uid;
		job->slurm.life = LIFE_ACTIVE; /* until Slurm's own record, asked for next, says otherwise */
		job->slurm.restart = s->restart;
	}
	return job;
}

/*
 * The verdict was told already, but this attach has not heard it: it lost the answer, or slurmctld came back with an older state
 * and started the same incarnation again with new output files. The whole log goes to it, then the verdict.
 */
static void tell_again(struct job *job)
{
	if (job->row.telling != TELL_TOLD && job->row.telling != TELL_CONFIRMED)
		return;
	job->row.telling = job->ended ? TELL_NOTHING : TELL_DECIDED;
	job_save(job);
}

static void attach_to(struct conn *c, struct job *job, const char *token, const struct sf_field *cursor)
{
	if (job->attach) {
		job->attach->job = NULL;
		conn_refuse(job->attach, "another attach of this job has taken over", false);
	}
	c->role = CONN_ATTACH;
	c->job = job;
	job->attach = c;
	job->attach_lost = false;
	job->attached_at = agent_now_ms(job->agent);
	job->row.attach_seen = 1;
	job_set(&job->row.attach_token, token);
	job_save(job);
	job_event(job, EVENT_ATTACHED, NULL, cursor ? "again" : NULL);
	follow_start(job, cursor ? (const char *)cursor->bytes : NULL, cursor ? cursor->len : 0);
	conn_accept(c);
	job_note_lossy(job);
	tell_again(job);
}

static void on_attach(struct conn *c, const struct sf_frame *f)
{
	struct sf_error err = { "" };
	char token[SF_TOKEN_HEX + 1];
	struct start s;
	struct job *job;
	const char *refusal;
	bool retry = false;

	if (c->role != CONN_NEW && c->role != CONN_HANDED) {
		conn_refuse(c, "this connection already has a part", false);
		return;
	}
	if (not_ready(c->agent)) {
		conn_refuse(c, not_ready(c->agent), true);
		return;
	}
	if (!sf_frame_string(f, SF_FIELD_TOKEN, token, sizeof(token)) || strlen(token) != SF_TOKEN_HEX ||
	    read_start(f, &s, &err) != 0) {
		conn_refuse(c, err.text[0] ? err.text : "the frame carries no token", false);
		return;
	}
	if (c->role == CONN_HANDED && (s.job_id != c->handed_job || !same_token(token, c->handed_token)))
		sf_err(&err, "the token is not the one the job was handed over with");
	else if (c->role == CONN_HANDED && strcmp(s.spec, c->handed_spec) != 0)
		sf_err(&err, "the spec is not the one the job was handed over with");
	job = err.text[0] ? NULL : attach_record(c, &s, &err);
	free(s.spec);
	if (!job) {
		sf_log_warn("job %u: attach refused: %s", s.job_id, err.text);
		conn_refuse(c, err.text, false);
		return;
	}
	refusal = attach_refusal(c, job, token, &retry);
	if (refusal) {
		if (!retry)
			sf_log_warn("job %u: attach of uid %u refused: %s", s.job_id, (unsigned)c->uid, refusal);
		conn_refuse(c, refusal, retry);
		return;
	}
	attach_to(c, job, token, sf_frame_field(f, SF_FIELD_CURSOR));
}

static void on_signal(struct conn *c, const struct sf_frame *f)
{
	uint64_t number = 0;

	if (!c->job || !sf_frame_number(f, SF_FIELD_NUMBER, &number))
		return;
	sf_log_debug("job %" PRId64 ": its attach caught signal %" PRIu64, c->job->row.job_id, number);
	c->job->term_unsaid = c->job->term_unsaid || (number == SIGTERM && !c->job->term_said);
	job_check(c->job, SIGNAL_LOOK_MS);
}

void dispatch_frame(struct conn *c, const struct sf_frame *f)
{
	static const struct {
		uint8_t type;
		void (*handle)(struct conn *c, const struct sf_frame *f);
	} handlers[] = {
		{ SF_FRAME_LAUNCH, on_launch }, { SF_FRAME_HANDOVER, on_handover },
		{ SF_FRAME_ATTACH, on_attach }, { SF_FRAME_SIGNAL, on_signal },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(handlers); i++)
		if (handlers[i].type == f->type) {
			handlers[i].handle(c, f);
			return;
		}
	if (!question_frame(c, f))
		conn_refuse(c, "a frame of an unknown type: the two ends are of different versions", false);
}

void dispatch_gone(struct conn *c)
{
	struct job *job = c->job;

	reader_gone(c);
	if (!job)
		return;
	c->job = NULL;
	if (c->role == CONN_PROLOG)
		job->prologs--;
	if (job->attach == c) {
		job->attach = NULL;
		follow_reset(job);
		job->attach_lost = true;
		job_event(job, EVENT_ATTACH_LOST, NULL, NULL);
	}
	/* End of file alone never stops a task (design section 1, step 7): Slurm is asked what it means. */
	job_check(job, job->row.telling >= TELL_TOLD ? 0 : SIGNAL_LOOK_MS);
}
