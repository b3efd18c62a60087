/* Stands for slurmctld: loads the real job_submit plugin and keeps strict books of xmalloc memory. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_JOB_SUBMIT_HOST_H
#define TESTS_UNIT_JOB_SUBMIT_HOST_H

#include <stddef.h>

#include "plugin/job_submit/compat.h"

struct plugin {
	void *handle;
	int (*init)(void);
	void (*fini)(void);
	int (*submit)(job_desc_msg_t *desc, uint32_t uid, char **err_msg);
	int (*modify)(SF_JOB_MODIFY_PARAMS);
};

/* A private directory with fargate.conf (text may be NULL: none) that SLURM_CONF points to; returned path is static. */
const char *host_dir(const char *conf_text);
/* Write fargate.conf anew, atomically. */
void host_write_conf(const char *text);
/* Remove what host_dir() made. */
void host_clean(void);

/* dlopen() with every symbol bound, then init(). */
void host_load(struct plugin *p);
/* job_modify() as slurmctld calls it, without a job record; err_msg where the version has one. */
int host_modify(const struct plugin *p, job_desc_msg_t *desc, uint32_t uid, char **err_msg);
/* fini() and dlclose(). */
void host_unload(struct plugin *p);
/* The last line the plugin gave to slurm_error(), "" when none. */
const char *host_last_error(void);

/* Every number "not given", as slurm_init_job_desc_msg() leaves it. */
void host_desc_blank(job_desc_msg_t *desc);
/* A job_desc as slurm_init_job_desc_msg() and sbatch leave it, all xmalloc memory; --fargate when `options` is not NULL. */
job_desc_msg_t *host_desc(const char *partition, const char *options);
/* Append to environment or spank_job_env as slurmctld holds them: NULL-terminated, counted. */
void host_env_add(char ***env, uint32_t *count, const char *entry);
/* The value of NAME in a counted, NULL-terminated array; NULL when absent. Dies on a second entry, a hole, or a wrong count. */
const char *host_env_get(char **env, uint32_t count, const char *name);
/* xfree() all as slurmctld does; dies on memory that is not xmalloc's. */
void host_desc_free(job_desc_msg_t *desc);
char *host_xstrdup(const char *s);
void host_xfree(char **s);
/* Blocks of xmalloc memory now in use. */
size_t host_blocks(void);

/* True once done() is; asks every 10 ms for at most 15 s. */
int host_wait(int (*done)(void *arg), void *arg);

#endif
