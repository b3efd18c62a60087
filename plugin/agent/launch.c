/* From an accepted job to a task: Slurm's record, the task definition, a stored try, RunTask. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/sigv4.h"
#include "common/base/jobenv.h"
#include "common/base/log.h"
#include "common/base/request.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define RETRY_FACTS_MS 1000
#define RETRY_NAMES_MS 5000
#define RETRY_CALL_MS 10000
#define BACKOFF_FIRST_MS 1000
#define BACKOFF_MOST_MS 30000
#define UNKNOWN_OUTCOME_S (45 * 60) /* design section 5.1: older is never launched again */

static void draw_try(struct job *job)
{
	struct job_row *row = &job->row;
	unsigned char raw[SF_NONCE_HEX / 2];
	char nonce[SF_NONCE_HEX + 1], token[65], text[512];

	row->try_no++;
	if (sf_random(raw, sizeof(raw)) != 0)
		abort(); /* getrandom(2) cannot fail on a kernel that runs Slurm 22.05; a guessable nonce is worse than an end */
	sf_hex(raw, sizeof(raw), nonce);
	job_set(&row->nonce, nonce);
	snprintf(text, sizeof(text), "%s %" PRId64 " %s %" PRId64 " %" PRId64, job->agent->cluster.name, row->job_id, row->sid,
		 row->restart, row->try_no);
	aws_sha256_hex(text, strlen(text), token);
	job_set(&row->client_token, token);
	follow_reset(job); /* an attach that came first waits for this try's marks */
}

static struct sf_job_facts facts_of(const struct job *job)
{
	const struct slurm_job *f = &job->facts;

	return (struct sf_job_facts){
		.job_id = (uint32_t)job->row.job_id,
		.restart = (uint32_t)job->row.restart,
		.uid = f->uid,
		.num_tasks = f->num_tasks,
		.user = f->user,
		.name = f->name,
		.account = f->account,
		.partition = f->partition,
		.qos = f->qos,
		.cluster = job->agent->cluster.name,
		.nodelist = f->nodes,
		.submit_dir = f->work_dir,
		.submit_host = f->submit_host,
		.array = f->array_job_id != 0,
		.array_job_id = f->array_job_id,
		.array_task_id = f->array_task_id,
	};
}

#define N_TAGS 6
struct tags {
	char values[N_TAGS][257];
	const char *pairs[N_TAGS][2];
};

static void fill_tags(const struct job *job, struct tags *t)
{
	static const char *const names[N_TAGS] = { "slurm:jobid", "slurm:user", "slurm:account", "slurm:partition",
						   "slurm:cluster", "slurm:jobname" };
	const struct slurm_job *f = &job->facts;
	char id[16];
	const char *const values[N_TAGS] = { id, f->user, f->account, f->partition, job->agent->cluster.name, f->name };
	size_t i;

	snprintf(id, sizeof(id), "%" PRId64, job->row.job_id);
	for (i = 0; i < N_TAGS; i++) {
		sf_tag_clean(values[i], t->values[i]);
		t->pairs[i][0] = names[i];
		t->pairs[i][1] = t->values[i];
	}
}

/* The container's own limits are raised to what the task has left beside the other containers. */
static int raise_limits(const struct ecs_definition *d, struct sf_overrides *o, struct sf_error *err)
{
	if (d->others_cpu >= o->size.cpu_units)
		return sf_err(err, "the other containers of %s take %u CPU units, the job's size has %u", d->arn, d->others_cpu,
			      o->size.cpu_units);
	if (d->others_mem_mib >= o->size.mem_mib)
		return sf_err(err, "the other containers of %s take %u MiB, the job's size has %u", d->arn, d->others_mem_mib,
			      o->size.mem_mib);
	o->container_cpu = d->container_cpu ? o->size.cpu_units - d->others_cpu : 0;
	o->container_mem_mib = d->container_mem_mib ? o->size.mem_mib - d->others_mem_mib : 0;
	return 0;
}

static int build_request(struct job *job, const struct ecs_definition *def, char **body, struct sf_error *err)
{
	const struct sf_conf_line *line = job->line;
	struct sf_job_facts facts = facts_of(job);
	char started_by[SF_STARTED_BY_MAX], group[SF_GROUP_MAX];
	sf_auto_strv char **env = NULL;
	struct tags tags;
	struct sf_run_task r = {
		.overrides = {
			.container = job->row.container, .shell_entrypoint = def->shell_entrypoint,
			.size = job->spec.size, .nonce = job->row.nonce, .framing = job->row.framing,
			/* A definition that has more keeps it. */
			.storage_gib = job->spec.storage_gib > def->storage_gib ? job->spec.storage_gib : 0,
			.script = job->facts.script, .script_len = strlen(job->facts.script), .args = job->spec.args,
		},
		.cluster = job->row.cluster, .task_definition = job->row.definition, .subnet = retry_subnet(job),
		.security_groups = line->security_groups, .assign_public_ip = line->assign_public_ip,
		.provider = job->row.provider, .started_by = started_by, .group = group,
		.client_token = job->row.client_token, .tags = tags.pairs, .n_tags = N_TAGS,
	};

	if (sf_job_env_build(&facts, &job->spec, &env, err) != 0 || raise_limits(def, &r.overrides, err) != 0)
		return -1;
	r.overrides.env = env;
	fill_tags(job, &tags);
	sf_started_by(job->agent->cluster.name, job->agent->instance, facts.job_id, started_by);
	sf_group(job->spec.submit, facts.restart, (uint32_t)job->row.try_no, group);
	return sf_run_task_build(&r, body, err);
}

/* A try is on disk, byte for byte, before RunTask is called with it (design section 5.1). */
static void prepare_try(struct job *job, const struct ecs_definition *def)
{
	struct sf_error err = { "" };
	char *body = NULL;

	if (!job->have_facts || !job->facts.script) {
		job->row.stage = STAGE_FACTS;
		return;
	}
	draw_try(job);
	job_set(&job->row.provider, retry_provider(job));
	job->unsure = false;
	if (build_request(job, def, &body, &err) != 0) {
		job_decide(job, SF_CLASS_CONFIG, err.text);
		return;
	}
	free(job->row.request);
	job->row.request = body;
	job->row.request_at = agent_now(job->agent);
	job->row.sent = 1;
	job->row.log_lossy = !def->log_mode || strcmp(def->log_mode, "blocking") != 0;
	job_event(job, EVENT_TRY, job->row.provider, job->row.definition);
	job_save(job);
}

/* AWS's definitive "no": another try, waiting, or the end of this start. */
static void refused(struct job *job, enum sf_class c, const char *words)
{
	char text[SF_ERROR_MAX];

	sf_copy(text, sizeof(text), words);
	if (c == SF_CLASS_CONFIG && pause_refused(job, text))
		retry_paused(job, text);
	else if (retry_class(c))
		retry_failed(job, c, text);
	else
		job_decide(job, c, text);
}

static void define_tick(struct job *job, int64_t now)
{
	const struct definition_answer *answer;
	char text[SF_ERROR_MAX];

	if (!job_has_line(job)) {
		snprintf(text, sizeof(text), "partition '%s' has no line in %s: put it back, then release the job", job->spec.partition,
			 job->agent->conf->path);
		job_decide(job, SF_CLASS_CONFIG, text);
		return;
	}
	if (!retry_clear(job, now))
		return;
	if (quota_never(job, text)) {
		job_decide(job, SF_CLASS_QUOTA_SIZE, text);
		return;
	}
	if (!pause_asks(job, now) || !lane_ask(job, now)) {
		quota_leave(job);
		return;
	}
	answer = definition_ask(job, now);
	if (!answer)
		return;
	if (answer->def && quota_ask(job)) {
		job_set(&job->row.definition, answer->def->arn);
		job_set(&job->row.container, answer->def->container);
		job_set(&job->row.log_group, answer->def->log_group);
		job_set(&job->row.log_prefix, answer->def->log_prefix);
		job->row.stage = STAGE_LAUNCH;
		prepare_try(job, answer->def);
	} else if (!answer->def && sf_class_action(answer->problem) != SF_ACT_WAIT) {
		refused(job, answer->problem, answer->text);
	}
}

static void request_done(struct job *job)
{
	job_set(&job->row.request, NULL);
	job->row.sent = 0;
	job->run_failures = 0;
}

static void have_task_id(struct job *job, const char *arn)
{
	request_done(job);
	job_set(&job->row.task_id, ecs_id_of(arn));
	job->row.stage = STAGE_TASK;
	job_answer(job, AWS_OP_RUN_TASK, "ok", job->row.task_id);
	pause_taken(job);
	job->row.request_at = agent_now(job->agent);
	job->describe_at = agent_now_ms(job->agent) + 1000;
	job_save(job);
	sf_log_info("job %" PRId64 ": task %s, try %" PRId64, job->row.job_id, job->row.task_id, job->row.try_no);
	job_comment(job, SF_PHASE_PROVISIONING, NULL);
}

/* Throttled, unreachable or credentials: nothing decided; the same bytes again, so AWS makes one task at most. */
static void send_again(struct job *job, const char *text)
{
	static const int64_t most_shift = 5;
	int64_t most = BACKOFF_FIRST_MS << (job->run_failures < most_shift ? job->run_failures : most_shift);

	job->run_failures++;
	job->launch_at = agent_jitter(job->agent, most < BACKOFF_MOST_MS ? most : BACKOFF_MOST_MS) + 200;
	agent_aws_problem(job->agent, text);
	if (job->unsure)
		return;
	/* Every answer so far was a definite "no": it may be asked for as long as it takes. */
	job->row.request_at = agent_now(job->agent);
	job_save(job);
}

static void launch_refused(struct job *job, enum sf_class c, const char *text)
{
	job_answer(job, AWS_OP_RUN_TASK, sf_class_name(c), text);
	if (sf_class_action(c) == SF_ACT_WAIT && c != SF_CLASS_QUOTA) {
		send_again(job, text);
		return;
	}
	if (c == SF_CLASS_QUOTA || c == SF_CLASS_QUOTA_SIZE)
		quota_refused(job);
	request_done(job);
	if (job->row.stop_reason) {
		/* Slurm has ended this start already: there is no task, and nothing to tell. */
		job->row.stage = STAGE_OVER;
		job_save(job);
		return;
	}
	refused(job, c, text);
}

static void adopt_conflict(struct job *job, const struct aws_reply *reply)
{
	const char *arn = sf_json_string(sf_json_at(sf_json_array(reply->body, "resourceIds"), 0));

	if (arn)
		have_task_id(job, arn);
	else
		launch_refused(job, SF_CLASS_UNKNOWN_LAUNCH, "RunTask: ConflictException names no task");
}

static void read_answer(struct job *job, const struct aws_reply *reply)
{
	sf_json *task = sf_json_at(sf_json_array(reply->body, "tasks"), 0);
	sf_json *failure = sf_json_at(sf_json_array(reply->body, "failures"), 0);
	struct ecs_task parsed = { 0 };
	sf_auto_ecs_failure struct ecs_failure f = { 0 };
	struct sf_api_signal s = { 0 };
	struct sf_error err = { "" };
	char text[SF_ERROR_MAX];

	agent_aws_problem(job->agent, NULL);
	if (task) {
		if (ecs_task_parse(task, job->row.container, &parsed, &err) != 0) {
			/* Whatever else is wrong with the answer: there is a task, and it is followed. */
			if (sf_json_str(task, "taskArn"))
				have_task_id(job, sf_json_str(task, "taskArn"));
			else
				launch_refused(job, SF_CLASS_UNKNOWN_LAUNCH, err.text);
			return;
		}
		have_task_id(job, parsed.arn);
		watch_task(job, &parsed);
		return;
	}
	if (!failure || ecs_failure_parse(failure, &f, &err) != 0 || !f.reason) {
		launch_refused(job, SF_CLASS_UNKNOWN_LAUNCH, "RunTask: AWS answered with neither a task nor a failure");
		return;
	}
	s.http = reply->http;
	s.failure = f.reason;
	s.operation = aws_op_name(reply->op);
	s.rules = job->agent->conf->rules;
	s.n_rules = job->agent->conf->n_rules;
	snprintf(text, sizeof(text), "RunTask: %s%s%s", f.reason, f.detail ? ": " : "", f.detail ? f.detail : "");
	launch_refused(job, sf_verdict_api(&s), text);
}

static void on_run_task(void *arg, const struct aws_reply *reply)
{
	struct job *job = arg;
	char text[SF_ERROR_MAX];
	enum sf_class c;

	job->agent->launches_flying--;
	if (!job_landed(job))
		return;
	job->run_flying = false;
	if (reply->ok) {
		read_answer(job, reply);
		return;
	}
	/* A 5xx may come from behind the point where the task was made. */
	if (reply->transport_failed ? reply->sent : reply->http >= 500)
		job->unsure = true;
	c = reply_class(job->agent, reply, aws_op_read_only(reply->op), text);
	if (c == SF_CLASS_LAUNCHED)
		adopt_conflict(job, reply);
	else
		launch_refused(job, c, text);
}

void launch_send(struct job *job)
{
	struct agent *a = job->agent;
	int64_t now = agent_now_ms(a);

	if (a->launches_flying >= LAUNCHES_FLYING_MAX)
		return;
	if (now / 1000 - job->row.request_at > UNKNOWN_OUTCOME_S && job->unsure) {
		request_done(job);
		job_decide(job, SF_CLASS_UNKNOWN_LAUNCH, "launch outcome unknown; see sfargate show");
		return;
	}
	job_fly(job);
	job->sent_at = now;
	job->run_flying = true;
	a->launches_flying++;
	if (agent_call(job, AWS_OP_RUN_TASK, job->row.request, on_run_task, job))
		return;
	a->launches_flying--;
	job->run_flying = false;
	job_landed(job);
	job->launch_at = now + RETRY_CALL_MS;
}

/* Somebody named a job that is not his, or not as slurmctld accepted it: nothing of that job may change. */
void job_drop(struct job *job, const char *why)
{
	struct conn *c = job->attach;

	sf_log_warn("job %" PRId64 ": attach refused: %s", job->row.job_id, why);
	job->attach = NULL;
	if (c) {
		c->job = NULL;
		conn_refuse(c, why, false);
	}
	job_close(job);
}

/* A spec from the job's own user is taken only where slurmctld's own cannot come any more: while the batch step runs. */
static int check_untrusted(struct job *job, char *const *groups, struct sf_error *err)
{
	const struct slurm_brief *b = &job->facts.brief;

	if (b->life != LIFE_ACTIVE || b->restart != (uint32_t)job->row.restart || b->configuring)
		return sf_err(err, "Slurm does not show this start of the job as running");
	if (job_rival(job))
		return sf_err(err, "the spec is not the one slurmctld gave the job");
	return admit_check(job, groups, err);
}

/* The name service does not answer: whether the user may use the partition is not known, so the job waits. */
static bool names_fail(struct job *job, const struct work *w)
{
	struct agent *a = job->agent;

	if (w->groups_failed && !a->names_down)
		sf_log_warn("%s; jobs of partitions with AllowGroups wait", w->err.text);
	else if (!w->groups_failed && w->with_groups && a->names_down)
		sf_log_info("the name service answers again");
	if (w->with_groups)
		a->names_down = w->groups_failed;
	if (w->groups_failed)
		job->facts_at = agent_now_ms(a) + RETRY_NAMES_MS;
	return w->groups_failed;
}

static bool groups_matter(const struct sf_conf *conf)
{
	size_t i;

	for (i = 0; i < conf->n_lines; i++)
		if (conf->lines[i].allow_groups)
			return true;
	return false;
}

static void on_facts(struct work *w, void *ctx)
{
	struct job *job = ctx;
	struct sf_error err = { "" };

	if (!job_landed(job))
		return;
	job->facts_flying = false;
	agent_slurm_problem(job->agent, w->rc == 0 ? NULL : w->err.text);
	if (w->rc != 0) {
		job->facts_at = agent_now_ms(job->agent) + RETRY_FACTS_MS;
		return;
	}
	/* AllowGroups may have come into force meanwhile: then the groups are asked for too. */
	if (names_fail(job, w) || (!w->with_groups && groups_matter(job->agent->conf)))
		return;
	slurm_job_free(&job->facts);
	job->facts = w->job;
	w->job = (struct slurm_job){ 0 };
	if (job->untrusted && check_untrusted(job, w->groups, &err) != 0) {
		job_drop(job, err.text);
		return;
	}
	job->have_facts = job->facts.brief.life != LIFE_GONE;
	job_on_slurm(job, &job->facts.brief);
	if (job->row.stop_reason || !job->have_facts)
		return;
	if (admit_check(job, w->groups, &err) != 0) {
		job_decide(job, SF_CLASS_CONFIG, err.text);
		return;
	}
	job->row.uid = job->facts.uid;
	job_remember(job);
	job->row.time_limit = job->facts.time_limit == UINT32_MAX ? 0 : job->facts.time_limit;
	job->row.stage = STAGE_DEFINE;
	job_tick(job, agent_now_ms(job->agent));
}

static void facts_tick(struct job *job, int64_t now)
{
	struct work *w;

	if (job->facts_flying || now < job->facts_at)
		return;
	w = work_new(WORK_SCRIPT, (uint32_t)job->row.job_id, on_facts, job);
	if (!w)
		return;
	w->with_groups = groups_matter(job->agent->conf);
	job->facts_at = now + RETRY_FACTS_MS;
	if (!worker_submit(job->agent->worker, w))
		return;
	job->facts_flying = true;
	job_fly(job);
}

void launch_tick(struct job *job, int64_t now)
{
	if (job->row.stage >= STAGE_TASK || job->row.telling != TELL_NOTHING || job->row.stop_reason || !job->agent->cluster.name[0])
		return;
	/* A spec nobody vouches for yet supersedes nothing. */
	if (!(job->untrusted && !job->have_facts) && job_superseding(job))
		return;
	switch (job->row.stage) {
	case STAGE_FACTS:
		facts_tick(job, now);
		break;
	case STAGE_DEFINE:
		define_tick(job, now);
		break;
	case STAGE_LAUNCH:
		/* A stored try always has its request; without one (it was answered) the definition is asked for again. */
		if (!job->row.request)
			job->row.stage = STAGE_DEFINE;
		else if (job->slurm.life == LIFE_ACTIVE && !job->run_flying && !job->committing && !job->agent->store_down && now >= job->launch_at)
			launch_send(job);
		break;
	}
}
