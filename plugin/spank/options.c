/* The options fargate.so gives sbatch, and what the user said with them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/spank/options.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

static bool on;
static const char *first_other;
static struct sf_options said;

static int set_mode(const char *value, struct sf_error *err)
{
	if (value && strcmp(value, "always") != 0)
		return sf_err(err, "no such mode; use --fargate or --fargate=always");
	on = true;
	return 0;
}

static int set_cpu(const char *value, struct sf_error *err)
{
	return sf_parse_vcpu(value, &said.cpu_units, err);
}

static int set_mem(const char *value, struct sf_error *err)
{
	return sf_parse_mem(value, &said.mem_mib, err);
}

static int set_storage(const char *value, struct sf_error *err)
{
	return sf_parse_storage(value, &said.storage_gib, err);
}

/* Alone it is the way that lets a job run whatever AWS has to spare. */
static int set_spot(const char *value, struct sf_error *err)
{
	return sf_parse_spot(value ? value : "prefer", &said.spot, err);
}

static int set_definition(const char *value, struct sf_error *err)
{
	char *copy;

	if (sf_definition_check(value, err) != 0)
		return -1;
	copy = strdup(value);
	if (!copy)
		return sf_err(err, "out of memory");
	free(said.task_definition);
	said.task_definition = copy;
	return 0;
}

/* NAME takes its value here, on the login node, where the user's environment is. */
static int add_variable(const char *item, struct sf_error *err)
{
	sf_auto_buf struct sf_buf assignment = SF_BUF_INIT;
	bool bare = !strchr(item, '=');
	const char *value;

	sf_buf_printf(&assignment, "%s%s", item, bare ? "=" : "");
	/* The name first: that a name which no variable can have is not set would be no help. */
	if (!assignment.failed && sf_env_check(assignment.data, err) != 0)
		return -1;
	if (bare) {
		value = getenv(item);
		if (!value)
			return sf_err(err, "variable %s is not set in your environment; set it or give --fargate-env=%s=VALUE", item, item);
		sf_buf_puts(&assignment, value);
	}
	if (assignment.failed)
		return sf_err(err, "out of memory");
	if (sf_env_check(assignment.data, err) != 0)
		return -1;
	return sf_strv_add(&said.env, assignment.data) == 0 ? 0 : sf_err(err, "out of memory");
}

static int set_env(const char *value, struct sf_error *err)
{
	sf_auto_free char *copy = strdup(value);
	char *item, *rest = copy;

	if (!copy)
		return sf_err(err, "out of memory");
	while ((item = strsep(&rest, ",")))
		if (add_variable(item, err) != 0)
			return -1;
	return 0;
}

static const struct {
	const char *name;
	const char *arginfo;
	const char *usage;
	int has_arg; /* 0 none, 1 required, 2 optional */
	int (*set)(const char *value, struct sf_error *err);
} table[] = {
	{ "fargate", "MODE", "[fargate] run this batch job as an AWS Fargate task (MODE: always)", 2, set_mode },
	{ "fargate-cpu", "VCPU", "[fargate] vCPUs of the task, 0.25 to 16 (default: ntasks x cpus-per-task)", 1, set_cpu },
	{ "fargate-mem", "SIZE", "[fargate] memory of the task, such as 512M or 8G (default: --mem)", 1, set_mem },
	{ "fargate-storage", "GiB", "[fargate] ephemeral storage of the task in GiB, 1 to 200 (default: --tmp, else Fargate's own 20)", 1, set_storage },
	{ "fargate-spot", "only|prefer", "[fargate] Fargate Spot: prefer, the default, tries it before On-Demand; only is nothing else", 2, set_spot },
	{ "fargate-task-definition", "FAMILY[:REV]", "[fargate] task definition, one the partition's TaskDefinitions= allows", 1, set_definition },
	{ "fargate-env", "NAME[=VALUE],...", "[fargate] variables for the task; NAME alone takes the value from your environment", 1, set_env },
};

static int on_option(int val, const char *value, int remote)
{
	sf_auto_free char *given = NULL;
	struct sf_error err = { "" };

	(void)remote;
	if (val < 0 || (size_t)val >= SF_COUNT(table))
		return -1;
	if (val != 0 && !first_other)
		first_other = table[val].name;
	/* Some versions hand the absence of an optional value over as this text (slurm-wlm 22.05: sbatch/opt.c). */
	if (value && (value[0] == '\0' || strcmp(value, "(null)") == 0) && table[val].has_arg == 2)
		value = NULL;
	if (table[val].set(value, &err) == 0)
		return 0;
	given = strdup(value ? value : "");
	if (given)
		sf_text_clean(given);
	sf_text_clean(err.text);
	slurm_error("fargate: --%s%s%s: %s", table[val].name, value ? "=" : "", given ? given : "", err.text);
	return -1;
}

int options_register(spank_t sp)
{
	size_t i;

	for (i = 0; i < SF_COUNT(table); i++) {
		struct spank_option o = {
			.name = (char *)table[i].name, .arginfo = (char *)table[i].arginfo, .usage = (char *)table[i].usage,
			.has_arg = table[i].has_arg, .val = (int)i, .cb = on_option,
		};

		if (spank_option_register(sp, &o) != ESPANK_SUCCESS) {
			slurm_error("fargate: option --%s could not be registered; is another plugin using that name?", table[i].name);
			return -1;
		}
	}
	return 0;
}

bool options_on(void)
{
	return on;
}

const char *options_first_other(void)
{
	return first_other;
}

const struct sf_options *options_said(void)
{
	return &said;
}
