/* The world's Slurm: jobs in memory behind the functions of slurm_api.h, and a record of what was asked of it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/agent_world.h"

#define CALLS_MAX 25000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t moved = PTHREAD_COND_INITIALIZER;
static struct fake_job *jobs;
static time_t version = 1;
static bool down, gate, gate_after, waiting;
static const char *node_down = "-";
static bool has_prolog = true;
static uint32_t prolog_timeout;
time_t slurm_boot = 1699000000;
static char *calls[CALLS_MAX];
static size_t n_calls;
static struct {
	char call[16];
	int times;
} refusal;

static struct fake_job *find(uint32_t id)
{
	struct fake_job *j;

	for (j = jobs; j && j->id != id; j = j->next)
		;
	return j;
}

struct fake_job *slurm_add(uint32_t id, uid_t uid)
{
	struct fake_job *j = calloc(1, sizeof(*j));

	j->id = id;
	j->uid = uid;
	j->life = LIFE_ACTIVE;
	j->configuring = true;
	j->cpus = j->cpus_asked = 1;
	j->time_limit = 60;
	sf_copy(j->partition, sizeof(j->partition), "fargate");
	sf_copy(j->comment, sizeof(j->comment), "fargate: submitted - 1vCPU/2GB FARGATE -");
	pthread_mutex_lock(&lock);
	j->next = jobs;
	jobs = j;
	version++;
	pthread_mutex_unlock(&lock);
	return j;
}

struct fake_job *slurm_job(uint32_t id)
{
	return find(id);
}

void slurm_restart(uint32_t id, uint32_t restart, enum slurm_life life)
{
	struct fake_job *j;

	pthread_mutex_lock(&lock);
	j = find(id);
	j->restart = restart;
	j->life = life;
	j->configuring = life == LIFE_ACTIVE;
	version++;
	pthread_mutex_unlock(&lock);
}

void slurm_set(uint32_t id, enum slurm_life life)
{
	pthread_mutex_lock(&lock);
	find(id)->life = life;
	find(id)->configuring = false;
	version++;
	pthread_mutex_unlock(&lock);
}

void slurm_running(uint32_t id)
{
	slurm_set(id, LIFE_ACTIVE);
}

void slurm_forget(uint32_t id)
{
	struct fake_job **p, *gone;

	pthread_mutex_lock(&lock);
	for (p = &jobs; (*p)->id != id; p = &(*p)->next)
		;
	gone = *p;
	*p = gone->next;
	free(gone);
	version++;
	pthread_mutex_unlock(&lock);
}

void slurm_node_down(const char *name)
{
	pthread_mutex_lock(&lock);
	node_down = name;
	pthread_mutex_unlock(&lock);
}

static void set_flag(bool *flag, bool value)
{
	pthread_mutex_lock(&lock);
	*flag = value;
	pthread_cond_broadcast(&moved);
	pthread_mutex_unlock(&lock);
}

void slurm_down(bool is_down)
{
	set_flag(&down, is_down);
}

void slurm_gate(bool shut)
{
	set_flag(&gate, shut);
}

void slurm_gate_after(bool shut)
{
	set_flag(&gate_after, shut);
}

bool slurm_waiting(void)
{
	bool w;

	pthread_mutex_lock(&lock);
	w = waiting;
	pthread_mutex_unlock(&lock);
	return w;
}

void slurm_prolog(bool has, uint32_t timeout)
{
	has_prolog = has;
	prolog_timeout = timeout;
}

void slurm_refuse(const char *call, int times)
{
	pthread_mutex_lock(&lock);
	sf_copy(refusal.call, sizeof(refusal.call), call);
	refusal.times = times;
	pthread_mutex_unlock(&lock);
}

/* With the lock held. */
static void wait_while(const bool *flag)
{
	waiting = *flag;
	while (*flag)
		pthread_cond_wait(&moved, &lock);
	waiting = false;
}

/* Every call comes through here; returns with the lock held, -1 when slurmctld does not answer. */
static int enter(struct sf_error *err)
{
	pthread_mutex_lock(&lock);
	wait_while(&gate);
	if (!down)
		return 0;
	pthread_mutex_unlock(&lock);
	return sf_err(err, "Unable to contact slurm controller (connect failure)");
}

static int leave(int rc)
{
	pthread_mutex_unlock(&lock);
	return rc;
}

static int record(const char *name, struct sf_error *err, const char *text)
{
	if (strcmp(refusal.call, name) == 0 && refusal.times > 0) {
		refusal.times--;
		return sf_err(err, "%s refused", name);
	}
	if (n_calls < CALLS_MAX)
		calls[n_calls++] = strdup(text);
	return 0;
}

size_t slurm_count(const char *prefix)
{
	size_t i, n = 0;

	pthread_mutex_lock(&lock);
	for (i = 0; i < n_calls; i++)
		n += strncmp(calls[i], prefix, strlen(prefix)) == 0;
	pthread_mutex_unlock(&lock);
	return n;
}

const char *slurm_nth(const char *prefix, size_t n)
{
	const char *found = NULL;
	size_t i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < n_calls && !found; i++)
		if (strncmp(calls[i], prefix, strlen(prefix)) == 0 && n-- == 0)
			found = calls[i];
	pthread_mutex_unlock(&lock);
	ck_assert_msg(found != NULL, "Slurm was never asked: %s", prefix);
	return found;
}

void slurm_comment_of(uint32_t id, char out[SF_COMMENT_MAX])
{
	pthread_mutex_lock(&lock);
	sf_copy(out, SF_COMMENT_MAX, find(id) ? find(id)->comment : "");
	pthread_mutex_unlock(&lock);
}

/* --- slurm_api.h ------------------------------------------------------------------------------------------------- */
void slurm_job_free(struct slurm_job *job)
{
	char **texts[] = { &job->name,	   &job->account,     &job->user,  &job->qos,		&job->partition,
			   &job->work_dir, &job->submit_host, &job->nodes, &job->admin_comment, &job->script };
	size_t i;

	for (i = 0; i < SF_COUNT(texts); i++)
		free(*texts[i]);
	*job = (struct slurm_job){ 0 };
}

int slurm_api_cluster(struct slurm_cluster *out, struct sf_error *err)
{
	*out = (struct slurm_cluster){ 0 };
	if (enter(err) != 0)
		return -1;
	*out = (struct slurm_cluster){ .name = "test",
				       .slurm_user = 64030,
				       .has_prolog = has_prolog,
				       .prolog_timeout = prolog_timeout,
				       .kill_wait = 30,
				       .default_partition = "local",
				       .boot_time = slurm_boot };
	return leave(0);
}

int slurm_api_check_conf(const struct sf_conf *conf, struct sf_error *err)
{
	(void)conf;
	(void)err;
	return 0;
}

static const enum slurm_why whys[] = {
	[LIFE_UNKNOWN] = WHY_UNKNOWN,     [LIFE_ACTIVE] = WHY_REQUEUED, [LIFE_PENDING] = WHY_REQUEUED, [LIFE_CANCELLED] = WHY_CANCELLED,
	[LIFE_TIMEOUT] = WHY_TIMEOUT, [LIFE_ENDED] = WHY_ENDED,     [LIFE_GONE] = WHY_GONE,
};

static struct slurm_brief brief_of(const struct fake_job *j)
{
	struct slurm_brief brief = { .job_id = j->id, .restart = j->restart, .life = j->life, .configuring = j->configuring };

	brief.why = j->why ? j->why : whys[j->life];
	sf_copy(brief.node, sizeof(brief.node), j->life == LIFE_ACTIVE ? "gw1" : "");
	brief.suspended = j->suspended;
	brief.admin_held = j->admin_held;
	brief.says_suspended = strstr(j->comment, SLURM_SUSPENDED_NOTE) != NULL;
	brief.waits_license = j->waits_license;
	brief.priority = j->priority;
	brief.start = j->start;
	sf_copy(brief.partition, sizeof(brief.partition), j->partition);
	sf_copy(brief.licenses, sizeof(brief.licenses), j->licenses ? j->licenses : "");
	sf_copy(brief.comment, sizeof(brief.comment), j->life == LIFE_PENDING ? j->comment : "");
	return brief;
}

int slurm_api_job(uint32_t job_id, bool with_script, struct slurm_job *out, struct sf_error *err)
{
	struct fake_job *j;

	*out = (struct slurm_job){ .brief = { .job_id = job_id, .life = LIFE_GONE, .why = WHY_GONE } };
	if (enter(err) != 0)
		return -1;
	j = find(job_id);
	if (!j)
		return leave(0);
	*out = (struct slurm_job){
		.brief = brief_of(j),
		.uid = j->uid,
		.time_limit = j->time_limit,
		.num_cpus = j->cpus,
		.cpus_asked = j->cpus_asked,
		.mem_mib = j->mem_mib,
		.num_tasks = 1,
		.name = strdup(j->name ? j->name : "job.sh"),
		.account = strdup(j->account ? j->account : "acct"),
		.user = strdup("alice"),
		.qos = strdup("normal"),
		.partition = strdup(j->partition),
		.work_dir = strdup("/home/alice"),
		.submit_host = strdup("login"),
		.nodes = strdup("gw1"),
		.admin_comment = strdup(j->comment),
		.script = with_script ? strdup(SCRIPT) : NULL,
	};
	return leave(0);
}

void slurm_api_requeued(struct slurm_brief *brief, const char *node)
{
	struct sf_error ignored;

	if (enter(&ignored) != 0)
		return;
	if (brief->why == WHY_REQUEUED && strcmp(node, node_down) == 0)
		brief->why = WHY_NODE_FAIL;
	leave(0);
}

int slurm_api_groups(uid_t uid, char ***names, struct sf_error *err)
{
	*names = NULL;
	if (enter(err) != 0)
		return -1;
	if (record("groups", err, "groups") != 0)
		return leave(-1);
	if (uid == ALICE && (sf_strv_add(names, "alice") != 0 || sf_strv_add(names, "bio") != 0))
		abort();
	return leave(0);
}

int slurm_api_jobs(time_t *since, struct slurm_brief **out, size_t *n, bool *changed, struct sf_error *err)
{
	struct fake_job *j;
	size_t count = 0;

	*out = NULL;
	*n = 0;
	*changed = false;
	if (enter(err) != 0)
		return -1;
	if (*since == version)
		return leave(0);
	for (j = jobs; j; j = j->next)
		count++;
	*out = calloc(count + 1, sizeof(**out));
	for (j = jobs; j; j = j->next)
		(*out)[(*n)++] = brief_of(j);
	*since = version;
	*changed = true;
	wait_while(&gate_after);
	return leave(0);
}

int slurm_api_comment(uint32_t job_id, const char *admin_comment, struct sf_error *err)
{
	char text[SF_COMMENT_MAX + 64];
	struct fake_job *j;
	int rc;

	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "comment %u %s", job_id, admin_comment);
	rc = record("comment", err, text);
	j = find(job_id);
	if (rc == 0 && j)
		sf_copy(j->comment, sizeof(j->comment), admin_comment);
	return leave(rc);
}

int slurm_api_end_time(uint32_t job_id, time_t end_time, struct sf_error *err)
{
	char text[64];

	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "end_time %u %lld", job_id, (long long)end_time);
	return leave(record("end_time", err, text));
}

int slurm_api_complete(uint32_t job_id, uint32_t code, struct sf_error *err)
{
	char text[64];
	struct fake_job *j;
	int rc;

	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "complete %u %u", job_id, code);
	rc = record("complete", err, text);
	j = find(job_id);
	if (rc == 0 && j) {
		j->life = LIFE_ENDED;
		version++;
	}
	return leave(rc);
}

/* With the lock held. */
static void back_into_the_queue(struct fake_job *j)
{
	j->life = LIFE_PENDING;
	j->configuring = false;
	j->restart++;
	version++;
}

int slurm_api_hold(uint32_t job_id, struct sf_error *err)
{
	char text[64];
	struct fake_job *j;
	int rc;

	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "hold %u", job_id);
	rc = record("hold", err, text);
	j = find(job_id);
	if (rc == 0 && j)
		back_into_the_queue(j);
	return leave(rc);
}

int slurm_api_requeue(uint32_t job_id, bool *may_not, struct sf_error *err)
{
	char text[64];
	struct fake_job *j;
	int rc;

	*may_not = false;
	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "requeue %u", job_id);
	rc = record("requeue", err, text);
	j = find(job_id);
	if (rc == 0 && j && j->no_requeue)
		*may_not = true;
	else if (rc == 0 && j)
		back_into_the_queue(j);
	return leave(rc);
}

int slurm_api_boot_fail(uint32_t job_id, struct sf_error *err)
{
	char text[64];
	struct fake_job *j;
	int rc;

	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "boot_fail %u", job_id);
	rc = record("boot_fail", err, text);
	j = find(job_id);
	if (rc == 0 && j) {
		j->life = LIFE_ENDED;
		version++;
	}
	return leave(rc);
}

int slurm_api_begin(uint32_t job_id, time_t begin, const char *admin_comment, struct sf_error *err)
{
	char text[SF_COMMENT_MAX + 64];
	struct fake_job *j;
	int rc;

	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "begin %u %lld %s", job_id, (long long)(begin - time(NULL)), admin_comment);
	rc = record("begin", err, text);
	j = find(job_id);
	if (rc == 0 && j)
		sf_copy(j->comment, sizeof(j->comment), admin_comment);
	return leave(rc);
}

int slurm_api_user_hold(uint32_t job_id, struct sf_error *err)
{
	char text[64];
	struct fake_job *j;
	int rc;

	if (enter(err) != 0)
		return -1;
	snprintf(text, sizeof(text), "user_hold %u", job_id);
	rc = record("user_hold", err, text);
	j = find(job_id);
	if (rc == 0 && j)
		j->admin_held = false;
	return leave(rc);
}
