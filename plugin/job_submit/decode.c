/* From job_desc_msg_t to plain values, Slurm's NO_VALs removed. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "plugin/job_submit/desc.h"

static uint32_t given32(uint32_t v)
{
	return v == NO_VAL ? 0 : v;
}

static uint16_t given16(uint16_t v)
{
	return v == NO_VAL16 ? 0 : v;
}

static const char *text_or_null(const char *s)
{
	return s && s[0] ? s : NULL;
}

static const char *packed_options(const job_desc_msg_t *desc)
{
	static const char prefix[] = SF_SPEC_VAR "=";
	uint32_t i;

	for (i = 0; desc->spank_job_env && i < desc->spank_job_env_size; i++)
		if (desc->spank_job_env[i] && !strncmp(desc->spank_job_env[i], prefix, sizeof(prefix) - 1))
			return desc->spank_job_env[i] + sizeof(prefix) - 1;
	return NULL;
}

/*
 * --gres=none asks for nothing. From 23.11 on sbatch also writes -c into tres_per_task as "cpu:N" or "cpu=N": that alone is no
 * generic resource either.
 */
static bool asks_gres(const char *list)
{
	const char *at = list;

	while (at && *at) {
		if (strncmp(at, "cpu:", 4) != 0 && strncmp(at, "cpu=", 4) != 0 && strcmp(at, "gres:none") != 0 &&
		    strcmp(at, "none") != 0)
			return true;
		at = strchr(at, ',');
		at = at ? at + 1 : NULL;
	}
	return false;
}

static const char *first_gres(const job_desc_msg_t *desc)
{
	const char *const lists[] = { desc->tres_per_node, desc->tres_per_job,  desc->tres_per_socket, desc->tres_per_task,
				      desc->cpus_per_tres, desc->mem_per_tres, desc->tres_bind,	      desc->tres_freq };
	size_t i;

	for (i = 0; i < SF_COUNT(lists); i++)
		if (asks_gres(lists[i]))
			return lists[i];
	return given16(desc->ntasks_per_tres) ? "--ntasks-per-gpu" : NULL;
}

static void decode_size(const job_desc_msg_t *desc, struct js_job *job)
{
	uint32_t least = given16(desc->pn_min_cpus);

	job->min_nodes = given32(desc->min_nodes);
	job->num_tasks = given32(desc->num_tasks);
	if (!job->num_tasks)
		job->num_tasks = given16(desc->ntasks_per_node);
	job->cpus_per_task = given16(desc->cpus_per_task);
	job->min_cpus = given32(desc->min_cpus);
	if (job->min_cpus < least)
		job->min_cpus = least;
	job->tmp_mib = given32(desc->pn_min_tmp_disk);
	if (desc->pn_min_memory != NO_VAL64) {
		job->mem_per_cpu = desc->pn_min_memory & MEM_PER_CPU;
		job->mem_mib = desc->pn_min_memory & ~(uint64_t)MEM_PER_CPU;
	}
}

/* sbatch itself fills in /dev/null, and makes it of "none". */
static const char *decode_stdin(const char *path)
{
	return (path && path[0] && strcmp(path, "/dev/null") != 0) ? path : NULL;
}

static void decode_wishes(const job_desc_msg_t *desc, struct js_job *job)
{
	job->container = text_or_null(desc->container);
	job->gres = first_gres(desc);
	job->clusters = text_or_null(desc->clusters);
	if (!job->clusters)
		job->clusters = text_or_null(desc->cluster_features);
	job->req_nodes = text_or_null(desc->req_nodes);
	job->features = text_or_null(desc->features);
	if (!job->features)
		job->features = text_or_null(desc->batch_features);
	job->licenses = desc->licenses;
	job->burst_buffer = text_or_null(desc->burst_buffer);
	job->std_in = decode_stdin(desc->std_in);
	job->std_err = text_or_null(desc->std_err);
	job->het = desc->het_job_offset != NO_VAL;
	job->cron = desc->bitflags & CRON_JOB;
	job->exclusive = desc->shared != NO_VAL16 && desc->shared != JOB_SHARED_OK;
	job->core_spec = desc->core_spec != NO_VAL16;
	job->reboot = given16(desc->reboot);
	job->mem_whole = desc->pn_min_memory != NO_VAL64 && !(desc->pn_min_memory & ~(uint64_t)MEM_PER_CPU);
	job->warned = given16(desc->warn_signal);
}

void js_decode(const job_desc_msg_t *desc, struct js_job *job)
{
	memset(job, 0, sizeof(*job));
	job->uid = desc->user_id;
	job->gid = desc->group_id;
	job->packed = packed_options(desc);
	job->partition = text_or_null(desc->partition);
	job->script = desc->script;
	job->array = text_or_null(desc->array_inx);
	decode_wishes(desc, job);
	decode_size(desc, job);
	job->name = desc->name;
	job->account = text_or_null(desc->account);
	job->qos = text_or_null(desc->qos);
	job->work_dir = desc->work_dir;
	job->submit_host = text_or_null(desc->alloc_node);
	job->argv = desc->argv;
	job->argc = desc->argv ? desc->argc : 0;
	job->env = desc->environment;
	job->env_size = desc->environment ? desc->env_size : 0;
}

void js_decode_update(const job_desc_msg_t *desc, struct js_job *job)
{
	const uint32_t numbers[] = { desc->num_tasks, desc->min_cpus, desc->max_cpus, desc->pn_min_tmp_disk };
	const uint16_t small[] = { desc->cpus_per_task,	   desc->pn_min_cpus,	   desc->ntasks_per_node,
				   desc->sockets_per_node, desc->cores_per_socket, desc->threads_per_core };
	size_t i;

	js_decode(desc, job);
	/* sbatch's -N 1-2 is made 1; here nobody makes it anything. */
	if (given32(desc->max_nodes) > job->min_nodes)
		job->min_nodes = desc->max_nodes;
	job->resized = desc->pn_min_memory != NO_VAL64;
	for (i = 0; i < SF_COUNT(numbers); i++)
		job->resized |= numbers[i] != NO_VAL;
	for (i = 0; i < SF_COUNT(small); i++)
		job->resized |= small[i] != NO_VAL16;
}
