/* What differs between Slurm's versions, and the libslurmfull symbols its public headers leave out. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_COMPAT_H
#define PLUGIN_JOB_SUBMIT_COMPAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>
#include <slurm/spank.h>

/*
 * slurmctld xfree()s every string of a job_desc_msg_t and *err_msg, so they must be xmalloc memory (16-byte header).
 * Prototypes as in Slurm's src/common/xmalloc.h and xstring.c, unchanged from 22.05 to 26.05.
 */
extern char *slurm_xstrdup(const char *str);
extern void slurm_xfree(void **item);
extern void *slurm_xcalloc(size_t count, size_t size, bool clear, bool try, const char *file, int line, const char *func);
extern void *slurm_xrecalloc(void **item, size_t count, size_t size, bool clear, bool try, const char *file, int line,
			     const char *func);

#define sf_xfree(p) slurm_xfree((void **)&(p))
#define sf_xrecalloc(p, count) slurm_xrecalloc((void **)&(p), (count), sizeof(*(p)), true, false, __FILE__, __LINE__, __func__)

/* slurmctld's own record of a job: opaque here. */
struct job_record;

/* 23.02 gave job_modify() the err_msg that job_submit() always had. The arguments are for a caller. */
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(23, 2, 0)
#define SF_JOB_MODIFY_PARAMS job_desc_msg_t *job_desc, struct job_record *job, uint32_t uid, char **err_msg
#define SF_JOB_MODIFY_ARGS(job_desc, job, uid, err_msg) (job_desc), (job), (uid), (err_msg)
#define SF_JOB_MODIFY_ERR_MSG err_msg
#else
#define SF_JOB_MODIFY_PARAMS job_desc_msg_t *job_desc, struct job_record *job, uint32_t uid
#define SF_JOB_MODIFY_ARGS(job_desc, job, uid, err_msg) (job_desc), (job), (uid)
#define SF_JOB_MODIFY_ERR_MSG NULL
#endif

/* 25.11 moved the job id of an update into a step id. */
#if SLURM_VERSION_NUMBER >= SLURM_VERSION_NUM(25, 11, 0)
#define sf_desc_job_id(desc) ((desc)->step_id.job_id)
#else
#define sf_desc_job_id(desc) ((desc)->job_id)
#endif

#endif
