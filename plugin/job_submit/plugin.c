/* job_submit_fargate.so: the symbols slurmctld looks for. It runs under slurmctld's locks: no I/O, no waiting. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <time.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/job_submit/compat.h"
#include "plugin/job_submit/desc.h"
#include "plugin/job_submit/snapshot.h"

#define SF_EXPORT __attribute__((visibility("default")))

/* Slurm loads a job_submit plugin only when all three parts of the version are its own (src/common/plugin.c). */
SF_EXPORT extern const char plugin_name[];
SF_EXPORT extern const char plugin_type[];
SF_EXPORT extern const uint32_t plugin_version;
const char plugin_name[] = "Runs batch jobs submitted with --fargate on AWS Fargate";
const char plugin_type[] = "job_submit/fargate";
const uint32_t plugin_version = SLURM_VERSION_NUMBER;

SF_EXPORT int init(void);
SF_EXPORT void fini(void);
SF_EXPORT int job_submit(job_desc_msg_t *desc, uint32_t uid, char **err_msg);
SF_EXPORT int job_modify(SF_JOB_MODIFY_PARAMS);

/* The number decides what sbatch adds to our sentence. */
static const int slurm_errors[JS_WHY_COUNT] = {
	[JS_WHY_NONE] = SLURM_ERROR,
	[JS_WHY_UNSUPPORTED] = ESLURM_NOT_SUPPORTED,
	[JS_WHY_PARTITION] = ESLURM_INVALID_PARTITION_NAME,
	[JS_WHY_NODES] = ESLURM_INVALID_NODE_COUNT,
	[JS_WHY_SIZE] = ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE,
	[JS_WHY_GRES] = ESLURM_INVALID_GRES,
	[JS_WHY_SCRIPT] = ESLURM_NOT_SUPPORTED,
	[JS_WHY_CONF] = ESLURM_NOT_SUPPORTED,
	[JS_WHY_RIGHTS] = ESLURM_ACCESS_DENIED,
	[JS_WHY_ACCOUNT] = ESLURM_INVALID_ACCOUNT,
	[JS_WHY_FEATURES] = ESLURM_INVALID_FEATURE,
	[JS_WHY_LICENSE] = ESLURM_INVALID_LICENSES,
	[JS_WHY_MEMORY] = SLURM_ERROR,
};

static uid_t slurm_user = (uid_t)-1;

static void to_slurm_log(enum sf_log_level level, const char *line)
{
	switch (level) {
	case SF_LOG_ERROR:
		slurm_error("%s", line);
		break;
	case SF_LOG_WARN:
	case SF_LOG_INFO:
		slurm_info("%s", line);
		break;
	case SF_LOG_DEBUG:
		slurm_debug("%s", line);
		break;
	}
}

/* Always succeeds: an init() that fails is fatal for slurmctld. Here, and only here, I/O in slurmctld's own thread is allowed. */
int init(void)
{
	sf_auto_free char *path = sf_conf_default_path();

	sf_log_to(to_slurm_log);
	/* slurmctld runs as SlurmUser by now. */
	slurm_user = geteuid();
	if (!path || js_snapshot_start(path, slurm_user))
		sf_log_error("job_submit/fargate: the helper thread could not be started: "
			     "changes of fargate.conf need a restart of slurmctld");
	return SLURM_SUCCESS;
}

void fini(void)
{
	js_snapshot_stop();
}

/* Another job_submit plugin may have left a message before us: ours goes below it. */
static void tell_user(char **err_msg, const char *text)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;

	if (!err_msg || !text[0])
		return;
	if (*err_msg)
		sf_buf_printf(&b, "%s\n", *err_msg);
	sf_buf_puts(&b, text);
	if (b.failed)
		return;
	slurm_xfree((void **)err_msg);
	*err_msg = slurm_xstrdup(b.data);
}

static bool is_privileged(uint32_t uid)
{
	return uid == 0 || uid == slurm_user;
}

static void see_known(const struct js_snapshot *s, struct js_world *w)
{
	memset(w, 0, sizeof(*w));
	w->conf = s->conf;
	w->conf_error = s->conf_error;
	w->agent = s->agent;
	w->groups = s->groups;
	w->fleet = s->fleet;
	w->quotas = s->quotas;
	w->quotas_age = s->quotas_age;
	w->default_partition = s->default_partition[0] ? s->default_partition : NULL;
}

/* Time and chance are drawn here so that js_check() depends on nothing else. */
static int see_world(const struct js_snapshot *s, struct js_world *w)
{
	unsigned char random[8];

	see_known(s, w);
	w->now = (int64_t)time(NULL);
	if (sf_random(random, sizeof(random)))
		return -1;
	sf_hex(random, sizeof(random), w->sid);
	return 0;
}

static int apply(const struct js_outcome *out, job_desc_msg_t *desc, char **err_msg)
{
	if (out->verdict == JS_OFFLOAD)
		js_encode(out, desc);
	if (out->verdict == JS_PASS)
		js_strip(desc);
	tell_user(err_msg, out->text);
	return out->verdict == JS_REFUSE ? slurm_errors[out->why] : SLURM_SUCCESS;
}

int job_submit(job_desc_msg_t *desc, uint32_t uid, char **err_msg)
{
	struct js_snapshot snapshot;
	struct js_outcome out;
	struct js_world world;
	struct js_job job;
	int rc = SLURM_ERROR;

	js_snapshot_get(&snapshot);
	if (!see_world(&snapshot, &world)) {
		js_decode(desc, &job);
		job.privileged = is_privileged(uid);
		js_check(&job, &world, &out);
		rc = apply(&out, desc, err_msg);
		js_outcome_free(&out);
	}
	js_snapshot_put(&snapshot);
	return rc;
}

/*
 * An update must not make of a job what sbatch would have refused. The agent updates jobs as SlurmUser, as admins may. Before
 * 23.02 the user gets the error number alone, so the sentence goes to the log too.
 */
int job_modify(SF_JOB_MODIFY_PARAMS)
{
	struct js_snapshot snapshot;
	struct js_outcome out;
	struct js_world world;
	struct js_job update;
	char number[16];
	int rc = SLURM_SUCCESS;

	(void)job;
	if (is_privileged(uid))
		return SLURM_SUCCESS;
	snprintf(number, sizeof(number), "%u", sf_desc_job_id(job_desc));
	js_snapshot_get(&snapshot);
	see_known(&snapshot, &world);
	js_decode_update(job_desc, &update);
	js_check_update(&update, job_desc->job_id_str ? job_desc->job_id_str : number, &world, &out);
	if (out.verdict == JS_REFUSE) {
		sf_log_info("job_submit/fargate: update of job %s by uid %u refused: %s",
			    job_desc->job_id_str ? job_desc->job_id_str : number, uid, out.text);
		tell_user(SF_JOB_MODIFY_ERR_MSG, out.text);
		rc = slurm_errors[out.why];
	}
	js_snapshot_put(&snapshot);
	return rc;
}
