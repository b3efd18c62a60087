/* Which jobs are on Fargate, and in which partition: what job_modify has to go by, for it cannot look into Slurm's record. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_JOB_SUBMIT_FLEET_H
#define PLUGIN_JOB_SUBMIT_FLEET_H

#include "common/base/json.h"

struct js_fleet;

/*
 * From the agent's snapshot: [{"partition":"fargate","jobs":"3-7,12"},{"partition":"spot","jobs":"9"}]. NULL when an
 * element is no such thing, or out of memory. Free with js_fleet_free().
 */
struct js_fleet *js_fleet_parse(const sf_json *array);
void js_fleet_free(struct js_fleet *fleet);

/*
 * The partition of the first job of ours that `ids` names: "12", "12_3", "12_[1-3]", "12+0", several with commas. NULL when none
 * is (or fleet is NULL). An array counts as ours through its first id.
 */
const char *js_fleet_partition(const struct js_fleet *fleet, const char *ids);

#endif
