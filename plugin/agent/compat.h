/* What differs between Slurm versions for the agent; no #if on the version stands anywhere else in this room. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_COMPAT_H
#define PLUGIN_AGENT_COMPAT_H

/* 26.05 wants a slurm_step_id_t where it took a job id; slurm.h then accepts both. Before its first inclusion. */
#define SLURM_BACKWARD_COMPAT

#include <errno.h>
#include <slurm/slurm.h>
#include <slurm/slurm_errno.h>

/* slurm_get_errno() is gone from newer headers, where errno itself carries the code. */
#if SLURM_VERSION_NUMBER < SLURM_VERSION_NUM(23, 11, 0)
#define compat_errno() slurm_get_errno()
#else
#define compat_errno() errno
#endif

/* job_desc_msg_t.job_id became step_id.job_id, and slurm_complete_job() takes a step id, in 25.11. */
#if SLURM_VERSION_NUMBER < SLURM_VERSION_NUM(25, 11, 0)
#define compat_desc_job_id(desc) ((desc)->job_id)
static inline int compat_complete(uint32_t job_id, uint32_t code)
{
	return slurm_complete_job(job_id, code);
}
#else
#define compat_desc_job_id(desc) ((desc)->step_id.job_id)
static inline int compat_complete(uint32_t job_id, uint32_t code)
{
	slurm_step_id_t id = SLURM_STEP_ID_INITIALIZER;

	id.job_id = job_id;
	id.step_id = NO_VAL;
	id.step_het_comp = NO_VAL;
	return slurm_complete_job(&id, code);
}
#endif

/* hostlist_t, a pointer so far, became the structure itself in 23.11. */
#if SLURM_VERSION_NUMBER < SLURM_VERSION_NUM(23, 11, 0)
typedef hostlist_t compat_hostlist;
#else
typedef hostlist_t *compat_hostlist;
#endif

/* 25.05 split PrologEpilogTimeout in two; the old key still sets both. COMPAT_PROLOG_KEYS are what an administrator looks for. */
#if SLURM_VERSION_NUMBER < SLURM_VERSION_NUM(25, 5, 0)
#define COMPAT_PROLOG_KEYS "PrologEpilogTimeout"
#define compat_prolog_timeout(conf) ((conf)->prolog_epilog_timeout)
#else
#define COMPAT_PROLOG_KEYS "PrologTimeout or PrologEpilogTimeout"
#define compat_prolog_timeout(conf) ((conf)->prolog_timeout)
#endif

/* slurm_free_ctl_conf() is slurm_free_conf() since 26.05. */
#if SLURM_VERSION_NUMBER < SLURM_VERSION_NUM(26, 5, 0)
#define compat_free_conf(conf) slurm_free_ctl_conf(conf)
#else
#define compat_free_conf(conf) slurm_free_conf(conf)
#endif

/*
 * slurm_free_job_info_msg() of 22.05 and the first 23.02 forgets these strings (seen by LeakSanitizer; 60 bytes and more per
 * job and poll). slurm_xfree() is exported by libslurm, missing from its headers, and leaves NULL behind.
 */
#if SLURM_VERSION_NUMBER < SLURM_VERSION_NUM(23, 11, 0)
extern void slurm_xfree(void **item);
static inline void compat_free_jobs(job_info_msg_t *msg)
{
	uint32_t i;

	for (i = 0; i < msg->record_count; i++) {
		slurm_xfree((void **)&msg->job_array[i].admin_comment);
		slurm_xfree((void **)&msg->job_array[i].cluster_features);
		slurm_xfree((void **)&msg->job_array[i].cronspec);
		slurm_xfree((void **)&msg->job_array[i].prefer);
		slurm_xfree((void **)&msg->job_array[i].system_comment);
	}
	slurm_free_job_info_msg(msg);
}
#else
#define compat_free_jobs(msg) slurm_free_job_info_msg(msg)
#endif

#endif
