/* The vCPU quotas as the agent last told them: what a submission is judged by. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_QUOTAS_H
#define PLUGIN_JOB_SUBMIT_QUOTAS_H

#include <stdint.h>

#include "common/base/json.h"

struct js_quotas;

/* One quota. Numbers are -1 when the agent does not know them; texts are clean. */
struct js_quota {
	char *region;	     /* NULL = not told */
	char *why;	     /* why the limit is not known, or not renewed; NULL = not told */
	int64_t limit, free; /* quarter vCPUs */
	int64_t age;	     /* seconds since the limit was read, when the agent answered */
};

/*
 * From the agent's snapshot: [{"partitions":["fargate"],"provider":"FARGATE","region":"eu-west-1","limit":24,"free":8,"age":3,
 * "why":"..."}]. One element that is no such thing makes all of it worthless: NULL then, or when out of memory. Free with
 * js_quotas_free().
 */
struct js_quotas *js_quotas_parse(const sf_json *array);
void js_quotas_free(struct js_quotas *quotas);

/* The quota that a partition's tasks on a provider count against, or NULL. */
const struct js_quota *js_quotas_find(const struct js_quotas *quotas, const char *partition, const char *provider);

#endif
