/* Writes a decision back into job_desc_msg_t: partition, CPUs, memory, licenses, the spec in both environments, AdminComment. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "plugin/job_submit/desc.h"

/* slurmd would load the user's login environment on the gateway, by running his shell there (slurmd/req.c, _get_user_env). */
#define GET_USER_ENV "SLURM_GET_USER_ENV"

static void set_string(char **member, const char *value)
{
	sf_xfree(*member);
	*member = slurm_xstrdup(value);
}

/* Remove every NAME= entry; the array stays NULL-terminated and *count right. */
static void env_remove(char **env, uint32_t *count, const char *name)
{
	const size_t n = strlen(name);
	uint32_t from, to = 0;

	if (!env)
		return;
	for (from = 0; from < *count; from++) {
		if (env[from] && !strncmp(env[from], name, n) && env[from][n] == '=')
			sf_xfree(env[from]);
		else
			env[to++] = env[from];
	}
	/* Every slot from here on was moved down or freed. */
	for (from = to; from < *count; from++)
		env[from] = NULL;
	*count = to;
}

/* Replace or add NAME=VALUE. */
static void env_set(char ***env, uint32_t *count, const char *name, const char *value)
{
	const size_t size = strlen(name) + strlen(value) + 2;
	char *entry = slurm_xcalloc(size, 1, true, false, __FILE__, __LINE__, __func__);

	snprintf(entry, size, "%s=%s", name, value);
	env_remove(*env, count, name);
	if (!*env)
		*count = 0;
	sf_xrecalloc(*env, *count + 2);
	(*env)[(*count)++] = entry;
	(*env)[*count] = NULL;
}

/*
 * Slurm's record holds max(1, vCPU) CPUs on one node. The task count stays what the user said as long as that many CPUs
 * exist, and the tasks share them; the layout of a real node means nothing on a gateway.
 */
static void encode_cpus(uint32_t cpus, job_desc_msg_t *desc)
{
	uint32_t tasks = 1;

	if (desc->num_tasks == NO_VAL && desc->ntasks_per_node != NO_VAL16)
		desc->num_tasks = desc->ntasks_per_node;
	if (desc->num_tasks != NO_VAL && desc->num_tasks > 0) {
		if (desc->num_tasks > cpus)
			desc->num_tasks = cpus;
		tasks = desc->num_tasks;
	}
	if (cpus / tasks > 1 || desc->cpus_per_task != NO_VAL16)
		desc->cpus_per_task = (uint16_t)(cpus / tasks);
	desc->min_cpus = cpus;
	desc->pn_min_cpus = (uint16_t)cpus;
	desc->max_cpus = NO_VAL;
	sf_xfree(desc->tres_per_task); /* what passed js_check() repeats -c (23.11 and later) */
	desc->min_nodes = 1;
	desc->max_nodes = 1;
	desc->overcommit = NO_VAL8;
	desc->ntasks_per_node = NO_VAL16;
	desc->ntasks_per_socket = NO_VAL16;
	desc->ntasks_per_core = NO_VAL16;
	desc->ntasks_per_board = NO_VAL16;
}

/* Wishes that mean nothing to a task, and could only keep the job from being scheduled or touch the gateway itself. */
static void encode_layout(job_desc_msg_t *desc)
{
	desc->boards_per_node = NO_VAL16;
	desc->sockets_per_board = NO_VAL16;
	desc->sockets_per_node = NO_VAL16;
	desc->cores_per_socket = NO_VAL16;
	desc->threads_per_core = NO_VAL16;
	desc->contiguous = NO_VAL16;
	desc->shared = NO_VAL16;
	desc->cpu_freq_min = NO_VAL;
	desc->cpu_freq_max = NO_VAL;
	desc->cpu_freq_gov = NO_VAL;
	/* --tmp is the task's disk (the spec has it), not the gateway's TmpDisk. */
	desc->pn_min_tmp_disk = NO_VAL;
	sf_xfree(desc->prefer);
	sf_xfree(desc->network);
}

void js_encode(const struct js_outcome *outcome, job_desc_msg_t *desc)
{
	set_string(&desc->partition, outcome->spec.partition);
	set_string(&desc->admin_comment, outcome->comment);
	if (outcome->licenses)
		set_string(&desc->licenses, outcome->licenses);
	encode_cpus(outcome->cpus, desc);
	encode_layout(desc);
	desc->pn_min_memory = outcome->mem_mib ? outcome->mem_mib : NO_VAL64;
	env_remove(desc->environment, &desc->env_size, GET_USER_ENV);
	env_set(&desc->environment, &desc->env_size, SF_SPEC_JOB_VAR, outcome->spec_text);
	env_set(&desc->spank_job_env, &desc->spank_job_env_size, SF_SPEC_VAR, outcome->spec_text);
}

void js_strip(job_desc_msg_t *desc)
{
	env_remove(desc->environment, &desc->env_size, SF_SPEC_JOB_VAR);
	env_remove(desc->spank_job_env, &desc->spank_job_env_size, SF_SPEC_VAR);
}
