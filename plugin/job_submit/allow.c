/* Who and what may use a partition: AllowGroups, AllowAccounts, TaskDefinitions, Providers, MaxVcpu. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/ladder.h"
#include "common/base/text.h"
#include "plugin/job_submit/check.h"
#include "plugin/job_submit/groups.h"

#define LIST_MAX 200

/* "a, b, c" into out[LIST_MAX]; what does not fit is "...". */
static void join(char *const *names, char *out)
{
	static const char more[] = ", ...";
	size_t n = 0, need;

	out[0] = '\0';
	for (; names && *names; names++) {
		need = strlen(*names) + 2;
		if (n + need + sizeof(more) > LIST_MAX) {
			memcpy(out + n, more, sizeof(more));
			return;
		}
		n += (size_t)snprintf(out + n, LIST_MAX - n, "%s%s", n ? ", " : "", *names);
	}
}

bool js_allow_user(const struct js_job *job, const struct sf_conf_line *line, const struct js_world *world,
		   struct js_outcome *out)
{
	char list[LIST_MAX];

	if (!line->allow_groups || job->privileged)
		return true;
	if (js_groups_has(world->groups, line->allow_groups, job->uid, job->gid))
		return true;
	if (js_groups_unsure(world->groups, line->allow_groups)) {
		js_refuse(out, JS_WHY_RIGHTS, "the groups of partition '%s' are still being looked up: try again in a moment",
			  line->name);
		return false;
	}
	join(line->allow_groups, list);
	js_refuse(out, JS_WHY_RIGHTS,
		  "partition '%s' is only for the groups %s: choose another partition with -p or ask your administrator",
		  line->name, list);
	return false;
}

/*
 * Without -A the account is the user's default one, which slurmctld looks up only after this plugin: such a job passes, and
 * the agent holds the account of Slurm's record against the line before it launches.
 */
bool js_allow_account(const struct js_job *job, const struct sf_conf_line *line, struct js_outcome *out)
{
	char list[LIST_MAX];

	if (!line->allow_accounts || !job->account || sf_strv_has(line->allow_accounts, job->account))
		return true;
	join(line->allow_accounts, list);
	js_refuse(out, JS_WHY_ACCOUNT, "partition '%s' is only for the accounts %s, not for '%s': name one of them with -A",
		  line->name, list, job->account);
	return false;
}

bool js_allow_definition(const struct sf_options *o, const struct sf_conf_line *line, struct js_outcome *out)
{
	char list[LIST_MAX];

	if (!o->task_definition)
		return true;
	if (!sf_definition_allowed(line, o->task_definition)) {
		join(line->task_definitions, list);
		js_refuse(out, JS_WHY_RIGHTS, "--fargate-task-definition=%s: partition '%s' allows only %s%s%s",
			  o->task_definition, line->name, line->task_definition, list[0] ? ", " : "", list);
		return false;
	}
	if (!strcmp(o->task_definition, line->task_definition))
		return true;
	out->spec.task_definition = strdup(o->task_definition);
	if (!out->spec.task_definition)
		js_refuse(out, JS_WHY_MEMORY, "out of memory");
	return out->spec.task_definition;
}

/* What can never be is refused here; what only AWS knows, whether it has any Spot to give, is the agent's. */
bool js_allow_spot(const struct sf_options *o, const struct sf_conf *conf, const struct sf_conf_line *line,
		   struct js_outcome *out)
{
	sf_auto_strv char **names = NULL;
	char list[LIST_MAX];
	size_t i;

	out->spec.spot = o->spot;
	if (sf_spot_allowed(line, o->spot))
		return true;
	for (i = 0; i < conf->n_lines; i++)
		if (sf_spot_allowed(&conf->lines[i], o->spot) && sf_strv_add(&names, conf->lines[i].name) != 0) {
			js_refuse(out, JS_WHY_MEMORY, "out of memory");
			return false;
		}
	join(names, list);
	js_refuse(out, JS_WHY_PARTITION, "partition '%s' has no Fargate Spot: remove --fargate-spot%s (%s)", line->name,
		  names ? " or use a partition that has it" : "", names ? list : "no partition has it");
	return false;
}

bool js_allow_size(const struct js_job *job, const struct sf_options *o, const struct sf_conf_line *line, struct js_outcome *out)
{
	char vcpu[16];

	if (!line->max_vcpu || out->spec.size.cpu_units <= (uint64_t)line->max_vcpu * 1024)
		return true;
	sf_size_vcpu_text(out->spec.size.cpu_units, vcpu);
	js_refuse(out, JS_WHY_SIZE, "job needs %s vCPU, MaxVcpu of partition '%s' is %u; %s or another partition (-p)", vcpu,
		  line->name, line->max_vcpu, js_cure(job, o, &out->spec));
	return false;
}
