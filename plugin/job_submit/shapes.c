/* What can never run on Fargate whatever the configuration says: one table of requests and their sentences. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/request.h"
#include "common/base/text.h"
#include "plugin/job_submit/check.h"

#define VALUE_MAX 128

/* Each says whether it holds for a job, and writes the value at fault into value[VALUE_MAX] where there is one. */
/* NOLINTBEGIN(readability-non-const-parameter): the table has one signature for all */
static bool given(const char *text, char *value)
{
	if (text)
		sf_copy(value, VALUE_MAX, text);
	return text;
}

static bool is_not_batch(const struct js_job *j, char *value)
{
	(void)value;
	return !j->script;
}

static bool is_cron(const struct js_job *j, char *value)
{
	(void)value;
	return j->cron;
}

static bool is_het(const struct js_job *j, char *value)
{
	(void)value;
	return j->het;
}

static bool is_list(const struct js_job *j, char *value)
{
	return j->partition && strchr(j->partition, ',') && given(j->partition, value);
}

static bool has_clusters(const struct js_job *j, char *value)
{
	return given(j->clusters, value);
}

static bool has_container(const struct js_job *j, char *value)
{
	return given(j->container, value);
}

static bool has_gres(const struct js_job *j, char *value)
{
	return given(j->gres, value);
}

static bool is_wide(const struct js_job *j, char *value)
{
	snprintf(value, VALUE_MAX, "%u nodes", j->min_nodes);
	return j->min_nodes > 1;
}

static bool is_exclusive(const struct js_job *j, char *value)
{
	(void)value;
	return j->exclusive;
}

static bool has_mem_whole(const struct js_job *j, char *value)
{
	(void)value;
	return j->mem_whole;
}

static bool has_nodes(const struct js_job *j, char *value)
{
	return given(j->req_nodes, value);
}

static bool has_features(const struct js_job *j, char *value)
{
	return given(j->features, value);
}

static bool has_core_spec(const struct js_job *j, char *value)
{
	(void)value;
	return j->core_spec;
}

static bool has_burst_buffer(const struct js_job *j, char *value)
{
	return given(j->burst_buffer, value);
}

static bool has_stdin(const struct js_job *j, char *value)
{
	return given(j->std_in, value);
}

static bool is_reboot(const struct js_job *j, char *value)
{
	(void)value;
	return j->reboot;
}

static bool is_huge(const struct js_job *j, char *value)
{
	const size_t n = strlen(j->script);

	snprintf(value, VALUE_MAX, "%zu bytes", n);
	return n > SF_SCRIPT_MAX;
}

/* NOLINTEND(readability-non-const-parameter) */

enum when { SUBMISSION, ALWAYS };

/* The first that holds is told, with its value in parentheses. */
static const struct {
	bool (*hit)(const struct js_job *j, char *value);
	enum when when;
	enum js_why why;
	const char *text;
} shapes[] = {
	{ is_not_batch, SUBMISSION, JS_WHY_UNSUPPORTED, "--fargate is for batch scripts: use sbatch, not srun or salloc" },
	{ is_cron, SUBMISSION, JS_WHY_UNSUPPORTED, "a scrontab job cannot run on Fargate: let it call sbatch --fargate" },
	{ is_het, SUBMISSION, JS_WHY_UNSUPPORTED,
	  "a heterogeneous job cannot run on Fargate: submit its components as separate jobs" },
	{ is_list, SUBMISSION, JS_WHY_PARTITION, "--fargate takes one partition, not a list: name one with -p" },
	{ has_clusters, ALWAYS, JS_WHY_UNSUPPORTED,
	  "a Fargate job stays in the cluster it is submitted to: remove -M and --cluster-constraint" },
	{ has_container, ALWAYS, JS_WHY_UNSUPPORTED,
	  "--container cannot be used with --fargate: the image comes from the partition's task definition" },
	{ has_gres, ALWAYS, JS_WHY_GRES, "Fargate has no generic resources: remove --gres and --gpus" },
	{ is_wide, ALWAYS, JS_WHY_NODES, "a Fargate job runs on one node: remove -N or use -N 1" },
	{ is_exclusive, ALWAYS, JS_WHY_UNSUPPORTED,
	  "--exclusive would take a whole gateway, while a Fargate task has a machine of its own anyway: remove it" },
	{ has_mem_whole, SUBMISSION, JS_WHY_SIZE,
	  "--mem=0 means all memory of a node: say how much the task needs with --mem or --fargate-mem" },
	{ has_nodes, ALWAYS, JS_WHY_NODES, "a Fargate job runs on none of the cluster's nodes: remove -w and -F" },
	{ has_features, ALWAYS, JS_WHY_FEATURES, "Fargate has none of the nodes' features: remove -C and --batch" },
	{ has_core_spec, ALWAYS, JS_WHY_UNSUPPORTED, "Fargate keeps no cores for the system: remove -S and --thread-spec" },
	{ has_burst_buffer, ALWAYS, JS_WHY_UNSUPPORTED, "Fargate has no burst buffers: remove --bb" },
	{ has_stdin, SUBMISSION, JS_WHY_UNSUPPORTED,
	  "standard input does not reach a Fargate task: remove -i, or use -i /dev/null" },
	{ is_reboot, ALWAYS, JS_WHY_UNSUPPORTED, "--reboot would reboot a gateway: remove it" },
	{ is_huge, SUBMISSION, JS_WHY_SCRIPT,
	  "the script is larger than 64 KiB: put the program into the image or a shared directory and let a short "
	  "script start it" },
};

bool js_shape_ok(const struct js_job *job, bool update, struct js_outcome *out)
{
	char value[VALUE_MAX] = "";
	size_t i;

	for (i = 0; i < SF_COUNT(shapes); i++) {
		if ((!update || shapes[i].when == ALWAYS) && shapes[i].hit(job, value)) {
			js_refuse(out, shapes[i].why, value[0] ? "%s (%s)" : "%s", shapes[i].text, value);
			return false;
		}
		value[0] = '\0';
	}
	return true;
}

static bool has_signal(const struct js_job *j, const struct sf_conf_line *line)
{
	(void)line;
	return j->warned;
}

static bool has_one_stream(const struct js_job *j, const struct sf_conf_line *line)
{
	return j->std_err && !line->log_framing;
}

static const struct {
	bool (*hit)(const struct js_job *j, const struct sf_conf_line *line);
	const char *text;
} infos[] = {
	{ has_signal, "--signal does not reach the task: the script gets SIGTERM at its time limit, and SIGKILL after the "
		      "task definition's stopTimeout" },
	{ has_one_stream, "-e has no effect in this partition: what the script writes to stderr goes where stdout goes" },
};

void js_shape_inform(const struct js_job *job, const struct sf_conf_line *line, struct js_outcome *out)
{
	size_t i;

	for (i = 0; i < SF_COUNT(infos); i++)
		if (infos[i].hit(job, line))
			js_inform(out, infos[i].text);
}
