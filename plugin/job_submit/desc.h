/* Between Slurm's job_desc_msg_t and the plain structs of job.h. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_DESC_H
#define PLUGIN_JOB_SUBMIT_DESC_H

#include "plugin/job_submit/compat.h"
#include "plugin/job_submit/job.h"

/* Look at a submission; *job borrows from desc. */
void js_decode(const job_desc_msg_t *desc, struct js_job *job);
/* The same for an update, where what is not changed is NO_VAL. */
void js_decode_update(const job_desc_msg_t *desc, struct js_job *job);

/* Write the decision for a job of ours back (JS_OFFLOAD). */
void js_encode(const struct js_outcome *outcome, job_desc_msg_t *desc);

/* Take away every spec and packed options a job that is not ours carries (JS_PASS). */
void js_strip(job_desc_msg_t *desc);

#endif
