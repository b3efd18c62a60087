/* Slurm's blocking API, wrapped once: plain structs in and out, called on the worker thread only. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/slurm_api.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "plugin/agent/compat.h"

#define SCRIPT_MAX (4 * 1024 * 1024)
#define NAME_MEMORY 65536 /* a group's entry lists its members */
#define GROUPS_MAX 65536  /* Linux: NGROUPS_MAX */

static int slurm_error_text(struct sf_error *err, const char *what)
{
	return sf_err(err, "%s: %s", what, slurm_strerror(compat_errno()));
}

/* Half a number would be another number. */
static void copy_licenses(struct slurm_brief *brief, const char *list)
{
	char *end;

	if (!list || sf_copy(brief->licenses, sizeof(brief->licenses), list))
		return;
	end = strrchr(brief->licenses, ',');
	*(end ? end : brief->licenses) = '\0';
}

static struct slurm_brief brief_of(const job_info_t *info)
{
	struct slurm_brief brief = {
		.job_id = info->job_id,
		.restart = info->restart_cnt,
		.life = slurm_life_of(info->job_state),
		.why = slurm_why_of(&(struct slurm_seen){ info->job_state, info->preempt_time, info->end_time, info->deadline }),
		.configuring = info->job_state & JOB_CONFIGURING,
		.admin_held = (info->job_state & JOB_STATE_BASE) == JOB_PENDING && info->priority == 0 && info->state_reason == WAIT_HELD,
		.suspended = (info->job_state & JOB_STATE_BASE) == JOB_SUSPENDED,
		.says_suspended = info->admin_comment && strstr(info->admin_comment, SLURM_SUSPENDED_NOTE),
		.waits_license = (info->job_state & JOB_STATE_BASE) == JOB_PENDING && info->state_reason == WAIT_LICENSES,
		.waits_untold = (info->job_state & JOB_STATE_BASE) == JOB_PENDING && info->priority &&
				(info->state_reason == WAIT_NO_REASON || info->state_reason == WAIT_PRIORITY),
		.priority = info->priority,
		.start = info->start_time,
		.array_job_id = info->array_job_id,
	};

	sf_copy(brief.partition, sizeof(brief.partition), info->partition ? info->partition : "");
	sf_copy(brief.node, sizeof(brief.node), info->batch_host ? info->batch_host : "");
	copy_licenses(&brief, info->licenses);
	if (brief.life == LIFE_PENDING && info->admin_comment)
		sf_copy(brief.comment, sizeof(brief.comment), info->admin_comment);
	return brief;
}

void slurm_job_free(struct slurm_job *job)
{
	if (!job)
		return;
	free(job->name);
	free(job->account);
	free(job->user);
	free(job->qos);
	free(job->partition);
	free(job->work_dir);
	free(job->submit_host);
	free(job->nodes);
	free(job->admin_comment);
	free(job->script);
	*job = (struct slurm_job){ 0 };
}

void slurm_api_init(void)
{
	slurm_init(NULL);
}

static int find_default_partition(struct slurm_cluster *out, struct sf_error *err)
{
	partition_info_msg_t *parts = NULL;
	uint32_t i;

	if (slurm_load_partitions(0, &parts, SHOW_ALL) != SLURM_SUCCESS)
		return slurm_error_text(err, "Slurm's partitions");
	for (i = 0; i < parts->record_count; i++)
		if (parts->partition_array[i].flags & PART_FLAG_DEFAULT)
			sf_copy(out->default_partition, sizeof(out->default_partition), parts->partition_array[i].name);
	slurm_free_partition_info_msg(parts);
	return 0;
}

int slurm_api_cluster(struct slurm_cluster *out, struct sf_error *err)
{
	slurm_conf_t *conf = NULL;

	*out = (struct slurm_cluster){ 0 };
	if (slurm_load_ctl_conf(0, &conf) != SLURM_SUCCESS)
		return slurm_error_text(err, "Slurm's configuration");
	sf_copy(out->name, sizeof(out->name), conf->cluster_name ? conf->cluster_name : "");
	out->slurm_user = conf->slurm_user_id;
	out->has_prolog = conf->prolog_slurmctld && conf->prolog_slurmctld[0];
	out->prolog_timeout = compat_prolog_timeout(conf) == NO_VAL16 ? 0 : compat_prolog_timeout(conf);
	out->kill_wait = conf->kill_wait;
	out->boot_time = conf->boot_time;
	compat_free_conf(conf);
	return find_default_partition(out, err);
}

static int copy_text(char **out, const char *text)
{
	*out = strdup(text ? text : "");
	return *out ? 0 : -1;
}

/* Slurm does not always send the user's name; the worker thread may look it up. */
static int copy_user(char **out, const job_info_t *info)
{
	struct passwd pw, *found = NULL;
	char memory[4096];

	if (info->user_name && info->user_name[0])
		return copy_text(out, info->user_name);
	if (getpwuid_r(info->user_id, &pw, memory, sizeof(memory), &found) != 0)
		found = NULL;
	return copy_text(out, found ? found->pw_name : "");
}

/* The number of "cpu=" in a list of TRES such as "cpu=2,mem=4G,node=1". */
static uint32_t tres_cpus(const char *tres)
{
	const char *at = tres ? strstr(tres, "cpu=") : NULL;

	return (at && (at == tres || at[-1] == ',')) ? (uint32_t)strtoul(at + 4, NULL, 10) : 0;
}

static uint64_t asked_memory(const job_info_t *info)
{
	uint64_t mib = info->pn_min_memory;
	uint32_t cpus = tres_cpus(info->tres_req_str);

	if (!(info->bitflags & JOB_MEM_SET) || mib == NO_VAL64)
		return 0;
	return (mib & MEM_PER_CPU) ? (mib & ~MEM_PER_CPU) * (cpus ? cpus : info->num_cpus) : mib;
}

static int copy_job(struct slurm_job *out, const job_info_t *info)
{
	out->brief = brief_of(info);
	out->uid = info->user_id;
	out->time_limit = info->time_limit >= NO_VAL ? UINT32_MAX : info->time_limit;
	out->array_job_id = info->array_task_id == NO_VAL ? 0 : info->array_job_id;
	out->array_task_id = info->array_task_id;
	out->num_cpus = info->num_cpus;
	out->cpus_asked = tres_cpus(info->tres_req_str);
	out->mem_mib = asked_memory(info);
	out->num_tasks = (info->bitflags & JOB_NTASKS_SET) ? info->num_tasks : 0;
	if (copy_text(&out->name, info->name) != 0 || copy_text(&out->account, info->account) != 0 ||
	    copy_text(&out->qos, info->qos) != 0 || copy_text(&out->partition, info->partition) != 0 ||
	    copy_text(&out->work_dir, info->work_dir) != 0 || copy_text(&out->submit_host, info->alloc_node) != 0 ||
	    copy_text(&out->nodes, info->nodes) != 0 || copy_text(&out->admin_comment, info->admin_comment) != 0 ||
	    copy_user(&out->user, info) != 0)
		return -1;
	return 0;
}

static int fetch_script(uint32_t job_id, char **out, struct sf_error *err)
{
	char *text = NULL;
	size_t len = 0;
	FILE *memory = open_memstream(&text, &len);
	int rc = -1, got;

	if (!memory)
		return sf_err(err, "out of memory");
	got = slurm_job_batch_script(memory, job_id);
	if (fclose(memory) != 0)
		sf_err(err, "out of memory");
	else if (got != SLURM_SUCCESS)
		slurm_error_text(err, "the batch script");
	else if (len > SCRIPT_MAX)
		sf_err(err, "the batch script has %zu bytes, more than %d", len, SCRIPT_MAX);
	else
		rc = 0;
	if (rc == 0)
		*out = sf_steal(text);
	free(text);
	return rc;
}

/* Asked for an array's first id Slurm sends every element (seen on 22.05.8); only the one with this id is meant. */
static const job_info_t *find_record(const job_info_msg_t *msg, uint32_t job_id)
{
	uint32_t i;

	for (i = 0; i < msg->record_count; i++)
		if (msg->job_array[i].job_id == job_id)
			return &msg->job_array[i];
	return NULL;
}

int slurm_api_job(uint32_t job_id, bool with_script, struct slurm_job *out, struct sf_error *err)
{
	job_info_msg_t *msg = NULL;
	const job_info_t *info;
	int rc = -1;

	*out = (struct slurm_job){ .brief = { .job_id = job_id, .life = LIFE_GONE, .why = WHY_GONE } };
	if (slurm_load_job(&msg, job_id, SHOW_ALL | SHOW_DETAIL) != SLURM_SUCCESS) {
		if (compat_errno() == ESLURM_INVALID_JOB_ID)
			return 0;
		return slurm_error_text(err, "the job's record");
	}
	info = find_record(msg, job_id);
	if (info && copy_job(out, info) != 0)
		sf_err(err, "out of memory");
	else if (!info || !with_script || fetch_script(job_id, &out->script, err) == 0)
		rc = 0;
	compat_free_jobs(msg);
	if (rc != 0)
		slurm_job_free(out);
	return rc;
}

void slurm_api_requeued(struct slurm_brief *brief, const char *node)
{
	node_info_msg_t *msg = NULL;

	if (brief->why != WHY_REQUEUED || !node[0] || slurm_load_node_single(&msg, (char *)node, SHOW_ALL) != SLURM_SUCCESS)
		return;
	if (msg->record_count && (msg->node_array[0].node_state & NODE_STATE_BASE) == NODE_STATE_DOWN)
		brief->why = WHY_NODE_FAIL;
	slurm_free_node_info_msg(msg);
}

int slurm_api_jobs(time_t *since, struct slurm_brief **out, size_t *n, bool *changed, struct sf_error *err)
{
	job_info_msg_t *msg = NULL;
	struct slurm_brief *briefs;
	uint32_t i;

	*out = NULL;
	*n = 0;
	*changed = false;
	if (slurm_load_jobs(*since, &msg, SHOW_ALL) != SLURM_SUCCESS)
		return compat_errno() == SLURM_NO_CHANGE_IN_DATA ? 0 : slurm_error_text(err, "Slurm's jobs");
	briefs = calloc(msg->record_count + 1, sizeof(*briefs));
	if (!briefs) {
		compat_free_jobs(msg);
		return sf_err(err, "out of memory");
	}
	for (i = 0; i < msg->record_count; i++)
		briefs[i] = brief_of(&msg->job_array[i]);
	*out = briefs;
	*n = msg->record_count;
	*since = msg->last_update;
	*changed = true;
	compat_free_jobs(msg);
	return 0;
}

static int add_group(gid_t gid, char ***names, struct sf_error *err)
{
	sf_auto_free char *memory = malloc(NAME_MEMORY);
	struct group entry, *found = NULL;
	int rc = memory ? getgrgid_r(gid, &entry, memory, NAME_MEMORY, &found) : ENOMEM;

	/* A group without a name, or with more members than fit, is none that fargate.conf can name. */
	if (rc != 0 && rc != ENOENT && rc != ERANGE)
		return sf_err(err, "group %u cannot be looked up: %s", (unsigned)gid, strerror(rc));
	return !found || sf_strv_add(names, found->gr_name) == 0 ? 0 : sf_err(err, "out of memory");
}

int slurm_api_groups(uid_t uid, char ***names, struct sf_error *err)
{
	sf_auto_free char *memory = malloc(NAME_MEMORY);
	sf_auto_free gid_t *gids = calloc(GROUPS_MAX, sizeof(gid_t));
	sf_auto_strv char **out = NULL;
	struct passwd entry, *user = NULL;
	int n = GROUPS_MAX, rc, i;

	*names = NULL;
	rc = memory && gids ? getpwuid_r(uid, &entry, memory, NAME_MEMORY, &user) : ENOMEM;
	if (rc != 0 && rc != ENOENT)
		return sf_err(err, "user %u cannot be looked up: %s", (unsigned)uid, strerror(rc));
	if (!user || getgrouplist(user->pw_name, user->pw_gid, gids, &n) < 0)
		return 0;
	for (i = 0; i < n; i++)
		if (add_group(gids[i], &out, err) != 0)
			return -1;
	*names = sf_steal(out);
	return 0;
}

static int update(job_desc_msg_t *desc, uint32_t job_id, const char *what, struct sf_error *err)
{
	compat_desc_job_id(desc) = job_id;
	if (slurm_update_job(desc) != SLURM_SUCCESS)
		return slurm_error_text(err, what);
	return 0;
}

int slurm_api_comment(uint32_t job_id, const char *admin_comment, struct sf_error *err)
{
	job_desc_msg_t desc;

	slurm_init_job_desc_msg(&desc);
	desc.admin_comment = (char *)admin_comment;
	return update(&desc, job_id, "AdminComment", err);
}

int slurm_api_end_time(uint32_t job_id, time_t end_time, struct sf_error *err)
{
	job_desc_msg_t desc;

	slurm_init_job_desc_msg(&desc);
	desc.end_time = end_time;
	return update(&desc, job_id, "EndTime", err);
}

int slurm_api_complete(uint32_t job_id, uint32_t code, struct sf_error *err)
{
	if (compat_complete(job_id, code) == SLURM_SUCCESS || compat_errno() == ESLURM_ALREADY_DONE)
		return 0;
	return slurm_error_text(err, "slurm_complete_job");
}

static int requeue(uint32_t job_id, uint32_t flags, bool *may_not, struct sf_error *err)
{
	*may_not = false;
	if (slurm_requeue(job_id, flags) == SLURM_SUCCESS || compat_errno() == ESLURM_ALREADY_DONE)
		return 0;
	*may_not = compat_errno() == ESLURM_DISABLED;
	return *may_not ? 0 : slurm_error_text(err, "slurm_requeue");
}

int slurm_api_requeue(uint32_t job_id, bool *may_not, struct sf_error *err)
{
	return requeue(job_id, 0, may_not, err);
}

int slurm_api_boot_fail(uint32_t job_id, struct sf_error *err)
{
	bool ignored;

	/* Of a job that may not be requeued the call answers ESLURM_DISABLED, and ends it as BOOT_FAIL all the same. */
	return requeue(job_id, JOB_RECONFIG_FAIL, &ignored, err);
}

int slurm_api_hold(uint32_t job_id, struct sf_error *err)
{
	bool may_not;

	if (requeue(job_id, JOB_REQUEUE_HOLD | JOB_LAUNCH_FAILED, &may_not, err) != 0)
		return -1;
	return may_not ? slurm_api_boot_fail(job_id, err) : 0;
}

int slurm_api_begin(uint32_t job_id, time_t begin, const char *admin_comment, struct sf_error *err)
{
	job_desc_msg_t desc;

	slurm_init_job_desc_msg(&desc);
	desc.begin_time = begin;
	desc.admin_comment = (char *)admin_comment;
	return update(&desc, job_id, "BeginTime", err);
}

int slurm_api_user_hold(uint32_t job_id, struct sf_error *err)
{
	job_desc_msg_t desc;

	slurm_init_job_desc_msg(&desc);
	desc.priority = 0;
	desc.alloc_sid = ALLOC_SID_USER_HOLD;
	return update(&desc, job_id, "the user's hold", err);
}
