/* Builds the environment a container sees from Slurm's record and the spec. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/jobenv.h"

#include <inttypes.h>
#include <string.h>

#include "common/base/text.h"

#define XS16 "xxxxxxxxxxxxxxxx"
#define XS32 XS16 XS16
#define XS64 XS32 XS32

static int add(char ***env, const char *name, const char *value)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;

	sf_buf_printf(&b, "%s=%s", name, value);
	if (b.failed)
		return -1;
	sf_text_clean(b.data);
	return sf_strv_add(env, b.data);
}

static int add_strings(char ***env, const struct sf_job_facts *f, const struct sf_spec *spec)
{
	const char *const rows[][2] = {
		{ "SLURM_JOB_NAME", f->name },
		{ "SLURM_JOB_USER", f->user },
		{ "SLURM_JOB_ACCOUNT", f->account },
		{ "SLURM_JOB_PARTITION", f->partition ? f->partition : spec->partition },
		{ "SLURM_JOB_QOS", f->qos },
		{ "SLURM_CLUSTER_NAME", f->cluster },
		{ "SLURM_JOB_NODELIST", f->nodelist },
		{ "SLURM_SUBMIT_DIR", f->submit_dir },
		{ "SLURM_SUBMIT_HOST", f->submit_host },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(rows); i++)
		if (rows[i][1] && rows[i][1][0] && add(env, rows[i][0], rows[i][1]))
			return -1;
	return 0;
}

static int add_numbers(char ***env, const struct sf_job_facts *f, const struct sf_spec *spec)
{
	const bool range = f->array && spec->array.count;
	const struct {
		const char *name;
		bool present;
		uint64_t value;
	} rows[] = {
		{ "SLURM_JOB_ID", true, f->job_id },
		{ "SLURM_JOBID", true, f->job_id },
		{ "SLURM_JOB_UID", true, f->uid },
		{ "SLURM_ARRAY_JOB_ID", f->array, f->array_job_id },
		{ "SLURM_ARRAY_TASK_ID", f->array, f->array_task_id },
		{ "SLURM_ARRAY_TASK_COUNT", range, spec->array.count },
		{ "SLURM_ARRAY_TASK_MIN", range, spec->array.min },
		{ "SLURM_ARRAY_TASK_MAX", range, spec->array.max },
		{ "SLURM_ARRAY_TASK_STEP", range, spec->array.step },
		{ "SLURM_CPUS_PER_TASK", spec->cpus_per_task > 0, spec->cpus_per_task },
		{ "SLURM_NTASKS", f->num_tasks > 0, f->num_tasks },
		{ "SLURM_NPROCS", f->num_tasks > 0, f->num_tasks },
		{ "SLURM_CPUS_ON_NODE", true, spec->cpus_asked },
		{ "SLURM_JOB_CPUS_PER_NODE", true, spec->cpus_asked },
		{ "SLURM_MEM_PER_NODE", spec->mem_asked_mib && !spec->mem_per_cpu, spec->mem_asked_mib },
		{ "SLURM_MEM_PER_CPU", spec->mem_asked_mib && spec->mem_per_cpu, spec->mem_asked_mib },
		{ "SLURM_JOB_NUM_NODES", true, 1 },
		{ "SLURM_NNODES", true, 1 },
		{ "SLURM_PROCID", true, 0 },
		{ "SLURM_LOCALID", true, 0 },
		{ "SLURM_NODEID", true, 0 },
		{ "SLURM_RESTART_COUNT", f->restart > 0, f->restart },
	};
	char text[24];
	size_t i;

	for (i = 0; i < SF_COUNT(rows); i++) {
		if (!rows[i].present)
			continue;
		snprintf(text, sizeof(text), "%" PRIu64, rows[i].value);
		if (add(env, rows[i].name, text))
			return -1;
	}
	return 0;
}

static int add_user(char ***env, char *const *user)
{
	for (; user && *user; user++)
		if (strncmp(*user, "SLURM_", 6) != 0 && sf_strv_add(env, *user) != 0)
			return -1;
	return 0;
}

int sf_job_env_build(const struct sf_job_facts *facts, const struct sf_spec *spec, char ***env, struct sf_error *err)
{
	sf_auto_strv char **out = NULL;

	*env = NULL;
	if (add_strings(&out, facts, spec) || add_numbers(&out, facts, spec) || add_user(&out, spec->env))
		return sf_err(err, "out of memory");
	*env = sf_steal(out);
	return 0;
}

void sf_job_facts_worst(struct sf_job_facts *facts)
{
	uint32_t *const numbers[] = {
		&facts->job_id, &facts->restart, &facts->uid,
		&facts->array_job_id, &facts->array_task_id,
	};
	/* useradd(8) ends at 32; the others are generous: Slurm names no limit that all versions share. */
	const struct {
		const char **member;
		const char *longest;
	} strings[] = {
		{ &facts->user, XS32 },
		{ &facts->account, XS64 },
		{ &facts->qos, XS64 },
		{ &facts->cluster, XS64 },
		{ &facts->nodelist, XS64 },
		{ &facts->submit_host, XS64 },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(numbers); i++)
		if (!*numbers[i])
			*numbers[i] = UINT32_MAX;
	for (i = 0; i < SF_COUNT(strings); i++)
		if (!*strings[i].member)
			*strings[i].member = strings[i].longest;
}
