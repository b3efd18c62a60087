/* What slurm gives a SPANK plugin, as spank.h documents it: context, items, environments, options, messages. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <slurm/slurm_errno.h>

#include "tests/host/spank_host.h"

#define OPTIONS_MAX 64

struct spank_handle {
	int unused;
};

static struct spank_handle handle;
static const sf_json *items;
static enum spank_context context;
static const char *phase = "";
static char **job_env, **control_env;
static sf_json *messages;
static struct spank_option options[OPTIONS_MAX];
static size_t n_options;

static enum spank_context context_of(const char *name)
{
	static const struct {
		const char *name;
		enum spank_context context;
	} names[] = {
		{"local", S_CTX_LOCAL},	  {"remote", S_CTX_REMOTE},	    {"allocator", S_CTX_ALLOCATOR},
		{"slurmd", S_CTX_SLURMD}, {"job_script", S_CTX_JOB_SCRIPT}, {"error", S_CTX_ERROR},
	};
	size_t i;

	for (i = 0; name && i < SF_COUNT(names); i++)
		if (strcmp(names[i].name, name) == 0)
			return names[i].context;
	host_die("the plan's context is unknown");
}

void host_setup(const sf_json *plan)
{
	context = context_of(sf_json_str(plan, "context"));
	items = sf_json_object(plan, "items");
	if (sf_json_strv(plan, "job_env", &job_env, NULL) != 0)
		host_die("job_env must be a list of strings");
}

spank_t host_spank(void)
{
	return &handle;
}

void host_phase(const char *hook)
{
	phase = hook;
}

int host_option(const char *name, const char *value)
{
	size_t i;

	for (i = 0; i < n_options; i++)
		if (name && strcmp(options[i].name, name) == 0)
			return options[i].cb(options[i].val, value, context == S_CTX_REMOTE);
	return -2;
}

sf_json *host_messages(void)
{
	return messages ? sf_steal(messages) : sf_json_new_array();
}

void host_put_state(sf_json *line)
{
	sf_json *list = sf_json_new_array(), *o;
	size_t i;

	for (i = 0; i < n_options; i++) {
		o = sf_json_new_object();
		sf_json_set_str(o, "name", options[i].name);
		sf_json_set_str(o, "arginfo", options[i].arginfo);
		sf_json_set_str(o, "usage", options[i].usage);
		sf_json_set_int(o, "has_arg", options[i].has_arg);
		sf_json_add(list, o);
	}
	sf_json_set(line, "options", list);
	sf_json_set_strv(line, "job_env", job_env);
	sf_json_set_strv(line, "control_env", control_env);
}

static void remember(const char *level, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
static void remember(const char *level, const char *fmt, va_list ap)
{
	static char text[128 * 1024], line[sizeof(text) + 16];

	vsnprintf(text, sizeof(text), fmt, ap);
	snprintf(line, sizeof(line), "%s: %s", level, text);
	if (!messages)
		messages = sf_json_new_array();
	sf_json_add_str(messages, line);
}

#define VERB(function, level)                                                                                                    \
	void function(const char *format, ...)                                                                                   \
	{                                                                                                                        \
		va_list ap;                                                                                                      \
                                                                                                                                 \
		va_start(ap, format);                                                                                            \
		remember(level, format, ap);                                                                                     \
		va_end(ap);                                                                                                      \
	}
VERB(slurm_error, "error")
VERB(slurm_info, "info")
VERB(slurm_verbose, "verbose")
VERB(slurm_debug, "debug")
VERB(slurm_debug2, "debug2")
VERB(slurm_debug3, "debug3")
VERB(slurm_spank_log, "log")

spank_context_t spank_context(void)
{
	return context;
}

int spank_remote(spank_t spank)
{
	return spank == &handle ? context == S_CTX_REMOTE : -1;
}

spank_err_t spank_option_register(spank_t spank, struct spank_option *opt)
{
	if (spank != &handle || !opt || !opt->name || !opt->cb || strcmp(phase, "init") != 0 || n_options == OPTIONS_MAX ||
	    strlen(opt->name) > SPANK_OPTION_MAXLEN)
		return ESPANK_BAD_ARG;
	options[n_options++] = *opt;
	return ESPANK_SUCCESS;
}

spank_err_t spank_get_item(spank_t spank, spank_item_t item, ...)
{
	static const struct {
		spank_item_t item;
		const char *name;
	} known[] = {
		{S_JOB_UID, "uid"},
		{S_JOB_GID, "gid"},
		{S_JOB_ID, "job_id"},
		{S_JOB_STEPID, "step"},
		{S_SLURM_RESTART_COUNT, "restart"},
	};
	int64_t value = 0;
	va_list ap;
	size_t i;

	if (spank != &handle)
		return ESPANK_BAD_ARG;
	if (context != S_CTX_REMOTE)
		return ESPANK_NOT_REMOTE;
	if (item == S_JOB_ENV) {
		va_start(ap, item);
		*va_arg(ap, char ***) = job_env;
		va_end(ap);
		return ESPANK_SUCCESS;
	}
	for (i = 0; i < SF_COUNT(known); i++)
		if (known[i].item == item && sf_json_int(items, known[i].name, &value)) {
			va_start(ap, item);
			*va_arg(ap, uint32_t *) = (uint32_t)value; /* uid_t and gid_t are as wide */
			va_end(ap);
			return ESPANK_SUCCESS;
		}
	return ESPANK_BAD_ARG;
}

static char **find_variable(char **env, const char *name)
{
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return env;
	return NULL;
}

static void drop_variable(char **env, const char *name)
{
	char **at = find_variable(env, name);

	if (!at)
		return;
	free(*at);
	for (; *at; at++)
		*at = at[1];
}

static spank_err_t set_variable(char ***env, const char *name, const char *value, int overwrite)
{
	struct sf_buf b = SF_BUF_INIT;
	spank_err_t rc = ESPANK_SUCCESS;

	if (!name || !value)
		return ESPANK_BAD_ARG;
	if (find_variable(*env, name) && !overwrite)
		return ESPANK_ENV_EXISTS;
	drop_variable(*env, name);
	sf_buf_printf(&b, "%s=%s", name, value);
	if (b.failed || sf_strv_add(env, b.data) != 0)
		rc = ESPANK_ERROR;
	sf_buf_free(&b);
	return rc;
}

void host_add_variable(const char *assignment)
{
	sf_auto_free char *name = strdup(assignment);
	char *equals = name ? strchr(name, '=') : NULL;

	if (!equals)
		host_die("a variable is no NAME=VALUE");
	*equals = '\0';
	if (set_variable(&job_env, name, equals + 1, 1) != ESPANK_SUCCESS)
		host_die("a variable cannot be set");
}

spank_err_t spank_getenv(spank_t spank, const char *var, char *buf, int len)
{
	char **at;

	if (spank != &handle || !var || len < 0)
		return ESPANK_BAD_ARG;
	if (context != S_CTX_REMOTE)
		return ESPANK_NOT_REMOTE;
	at = find_variable(job_env, var);
	if (!at)
		return ESPANK_ENV_NOEXIST;
	return sf_copy(buf, (size_t)len, strchr(*at, '=') + 1) ? ESPANK_SUCCESS : ESPANK_NOSPACE;
}

spank_err_t spank_setenv(spank_t spank, const char *var, const char *val, int overwrite)
{
	if (spank != &handle)
		return ESPANK_BAD_ARG;
	return context == S_CTX_REMOTE ? set_variable(&job_env, var, val, overwrite) : ESPANK_NOT_REMOTE;
}

spank_err_t spank_unsetenv(spank_t spank, const char *var)
{
	if (spank != &handle || !var)
		return ESPANK_BAD_ARG;
	if (context != S_CTX_REMOTE)
		return ESPANK_NOT_REMOTE;
	drop_variable(job_env, var);
	return ESPANK_SUCCESS;
}

static bool has_control_env(void)
{
	return context == S_CTX_ALLOCATOR || context == S_CTX_LOCAL;
}

spank_err_t spank_job_control_setenv(spank_t spank, const char *name, const char *value, int overwrite)
{
	if (spank != &handle)
		return ESPANK_BAD_ARG;
	return has_control_env() ? set_variable(&control_env, name, value, overwrite) : ESPANK_NOT_LOCAL;
}

spank_err_t spank_job_control_unsetenv(spank_t spank, const char *name)
{
	if (spank != &handle || !name)
		return ESPANK_BAD_ARG;
	if (!has_control_env())
		return ESPANK_NOT_LOCAL;
	drop_variable(control_env, name);
	return ESPANK_SUCCESS;
}
