/* What a user exports into the container: --export as sbatch left it, then --fargate-env. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <strings.h>

#include "common/base/text.h"
#include "plugin/job_submit/job.h"

/* The NAME=VALUE entry of name[n] in the submission's environment, or NULL. */
static const char *env_entry(const struct js_job *job, const char *name, size_t n)
{
	uint32_t i;

	for (i = 0; i < job->env_size; i++)
		if (job->env[i] && !strncmp(job->env[i], name, n) && job->env[i][n] == '=')
			return job->env[i];
	return NULL;
}

/* Replace the entry of the same name, or append. */
static int put(char ***env, const char *assignment, struct sf_error *err)
{
	const size_t n = strcspn(assignment, "=") + 1;
	char **at, *copy;

	if (sf_env_check(assignment, err))
		return -1;
	for (at = *env; at && *at; at++) {
		if (strncmp(*at, assignment, n) != 0)
			continue;
		copy = strdup(assignment);
		if (!copy)
			return sf_err(err, "out of memory");
		free(*at);
		*at = copy;
		return 0;
	}
	return sf_strv_add(env, assignment) ? sf_err(err, "out of memory") : 0;
}

/*
 * Cut the next element off a --export list: commas inside quotes do not part, and quotes around a whole element fall
 * away (Slurm's find_quote_token()). Returns NULL at the end.
 */
static char *next_element(char **rest)
{
	char *start = *rest, *at;
	char quote = 0;
	size_t n;

	if (!*start)
		return NULL;
	for (at = start; *at && (quote || *at != ','); at++) {
		if (quote)
			quote = *at == quote ? 0 : quote;
		else if (*at == '\'' || *at == '"')
			quote = *at;
	}
	*rest = *at ? at + 1 : at;
	*at = '\0';
	n = (size_t)(at - start);
	if (n >= 2 && (start[0] == '\'' || start[0] == '"') && start[n - 1] == start[0]) {
		start[n - 1] = '\0';
		start++;
	}
	return start;
}

static int put_element(const struct js_job *job, const char *element, char ***env, struct sf_error *err)
{
	const size_t n = strcspn(element, "=");
	const char *entry;

	if (!n || !strcasecmp(element, "ALL") || !strcasecmp(element, "NONE") || !strcasecmp(element, "NIL"))
		return 0;
	/* sbatch has put NAME=VALUE into the environment already; a NAME the user has not set is not exported. */
	entry = env_entry(job, element, n);
	if (!entry && element[n] == '=')
		entry = element;
	return entry ? put(env, entry, err) : 0;
}

int js_export(const struct js_job *job, char *const *more, char ***env, struct sf_error *err)
{
	static const char name[] = "SLURM_EXPORT_ENV";
	const char *entry = env_entry(job, name, sizeof(name) - 1);
	sf_auto_strv char **out = NULL;
	sf_auto_free char *list = NULL;
	char *rest, *element;

	*env = NULL;
	list = strdup(entry ? entry + sizeof(name) : "");
	if (!list)
		return sf_err(err, "out of memory");
	rest = list;
	while ((element = next_element(&rest)))
		if (put_element(job, element, &out, err))
			return sf_err_wrap(err, "--export");
	for (; more && *more; more++)
		if (put(&out, *more, err))
			return sf_err_wrap(err, "--fargate-env");
	*env = sf_steal(out);
	return 0;
}
