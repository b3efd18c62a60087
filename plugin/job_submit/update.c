/* The decision about `scontrol update`: it must not make of a job what sbatch would have refused. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "plugin/job_submit/check.h"
#include "plugin/job_submit/fleet.h"

/* The spec of a job belongs to the partition it was checked against, and a job without a spec must never reach a gateway. */
static bool stays(const struct js_job *job, const char *ours, const struct js_world *world, struct js_outcome *out)
{
	const struct sf_conf_line *line = js_line_in_list(world->conf, job->partition);

	if (!job->partition || (ours && !strcmp(ours, job->partition)))
		return true;
	if (ours)
		js_refuse(out, JS_WHY_PARTITION,
			  "a Fargate job cannot be moved from partition '%s' to another: cancel it and submit it again", ours);
	else if (line)
		js_refuse(out, JS_WHY_PARTITION, "a job cannot be moved to partition '%s': submit it again with sbatch --fargate",
			  line->name);
	return out->verdict == JS_PASS;
}

static bool keeps_size(const struct js_job *job, struct js_outcome *out)
{
	if (job->resized)
		js_refuse(out, JS_WHY_SIZE,
			  "CPUs, tasks, memory and disk of a Fargate job are fixed when it is submitted: cancel it and submit it "
			  "again");
	return !job->resized;
}

void js_check_update(const struct js_job *job, const char *ids, const struct js_world *world, struct js_outcome *out)
{
	const char *ours = js_fleet_partition(world->fleet, ids);
	const struct sf_conf_line *line = ours && world->conf ? sf_conf_find(world->conf, ours) : NULL;

	memset(out, 0, sizeof(*out));
	out->verdict = JS_PASS;
	if (job->privileged || !stays(job, ours, world, out) || !js_licenses_stay(job, line, world->conf, out) || !ours)
		return;
	if (js_shape_ok(job, true, out) && keeps_size(job, out) && line)
		js_allow_account(job, line, out);
}
