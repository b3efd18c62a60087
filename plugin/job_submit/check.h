/* What the files behind js_check() and js_check_update() share. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_CHECK_H
#define PLUGIN_JOB_SUBMIT_CHECK_H

#include "plugin/job_submit/job.h"

/* Refuse with "fargate: " and the sentence, cleaned of control bytes. */
void js_refuse(struct js_outcome *out, enum js_why why, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* One more line of information for a job that is taken. */
void js_inform(struct js_outcome *out, const char *line);

/* The first partition of the list (NULL = none) that has a line in conf, or NULL. */
const struct sf_conf_line *js_line_in_list(const struct sf_conf *conf, const char *list);

/* shapes.c: what can never run on Fargate; false after a refusal. An update is judged by what it asks for alone. */
bool js_shape_ok(const struct js_job *job, bool update, struct js_outcome *out);
/* What is taken, but without the effect it has on a node: a line of information each. */
void js_shape_inform(const struct js_job *job, const struct sf_conf_line *line, struct js_outcome *out);

/* allow.c: who and what may use the line; false after a refusal. */
bool js_allow_user(const struct js_job *job, const struct sf_conf_line *line, const struct js_world *world,
		   struct js_outcome *out);
bool js_allow_account(const struct js_job *job, const struct sf_conf_line *line, struct js_outcome *out);
bool js_allow_definition(const struct sf_options *o, const struct sf_conf_line *line, struct js_outcome *out);
bool js_allow_spot(const struct sf_options *o, const struct sf_conf *conf, const struct sf_conf_line *line,
		   struct js_outcome *out);
bool js_allow_size(const struct js_job *job, const struct sf_options *o, const struct sf_conf_line *line, struct js_outcome *out);

/*
 * quota.c: false after a refusal, when no provider of the job's ladder has a quota that holds it. Else out->provider is the
 * first that may, and what its user should know of it is told: not free now, not known now, an array that is larger.
 */
bool js_quota_ok(const struct js_job *job, const struct sf_options *o, const struct sf_conf_line *line,
		 const struct js_world *world, struct js_outcome *out);
/* "use fewer CPUs (-c)": how the user makes the job smaller, by what made it as large as it is. */
const char *js_cure(const struct js_job *job, const struct sf_options *o, const struct sf_spec *spec);

/* licenses.c. Does the user leave the licenses of fargate.conf alone? `ours`: it is a --fargate job. False after a refusal. */
bool js_licenses_ok(const struct js_job *job, bool ours, const struct sf_conf *conf, struct js_outcome *out);
/* The same for an update; line is that of the job, NULL when it is none of ours. */
bool js_licenses_stay(const struct js_job *job, const struct sf_conf_line *line, const struct sf_conf *conf,
		      struct js_outcome *out);
/* The line's license for the provider, one for each quarter vCPU, into out->licenses behind what the user asked for. */
bool js_licenses_add(const struct js_job *job, const struct sf_conf_line *line, bool spot, struct js_outcome *out);

#endif
