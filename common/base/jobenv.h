/* The environment a container sees: Slurm's variables for the job, then what the user exports. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_JOBENV_H
#define SF_BASE_JOBENV_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/spec.h"

/* What Slurm's record says of a job. Strings are borrowed; NULL or "" = unknown, the variable is left out. */
struct sf_job_facts {
	uint32_t job_id;
	uint32_t restart; /* restart count */
	uint32_t uid;
	uint32_t num_tasks; /* -n, 0 = not given */
	const char *user;
	const char *name;
	const char *account;
	const char *partition; /* NULL: the spec's */
	const char *qos;
	const char *cluster;
	const char *nodelist;
	const char *submit_dir;
	const char *submit_host;
	bool array; /* an array element: the two ids are set */
	uint32_t array_job_id, array_task_id;
};

/*
 * Build the NAME=VALUE list of a job's container: SLURM_* as sbatch(1) "OUTPUT ENVIRONMENT VARIABLES" names them, CPUs
 * and memory as the user asked, then spec->env (SLURM_* names in it are skipped: Slurm's own win). Values from Slurm's
 * record are cleaned with sf_text_clean(). Free *env with sf_strv_free(). Fails only when out of memory.
 */
int sf_job_env_build(const struct sf_job_facts *facts, const struct sf_spec *spec, char ***env, struct sf_error *err);

/*
 * Fill every member of *facts that is unknown (0, NULL) with the longest value it can have, so that a request built
 * with them is never shorter than the real one. qos, nodelist and the rest point to constants: nothing to free.
 */
void sf_job_facts_worst(struct sf_job_facts *facts);

#endif
