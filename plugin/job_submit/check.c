/* The decision about a submission: pass, refuse with a sentence, or offload with a spec. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/jobenv.h"
#include "common/base/ladder.h"
#include "common/base/request.h"
#include "common/base/text.h"
#include "plugin/job_submit/check.h"

/* ECS: a container name has at most 255 characters (RegisterTaskDefinition, containerDefinitions.name). */
#define CONTAINER_NAME_MAX 255

void js_refuse(struct js_outcome *out, enum js_why why, const char *fmt, ...)
{
	struct sf_error e;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(e.text, sizeof(e.text), fmt, ap);
	va_end(ap);
	sf_err_wrap(&e, "fargate");
	/* Partition names, arguments and the like are the user's own text. */
	sf_text_clean(e.text);
	sf_copy(out->text, sizeof(out->text), e.text);
	out->verdict = JS_REFUSE;
	out->why = why;
}

void js_inform(struct js_outcome *out, const char *line)
{
	const size_t n = strlen(out->text);

	snprintf(out->text + n, sizeof(out->text) - n, "%sfargate: %s", n ? "\n" : "", line);
}

const struct sf_conf_line *js_line_in_list(const struct sf_conf *conf, const char *list)
{
	const struct sf_conf_line *line = NULL;
	char name[256];
	size_t n;

	while (conf && list && *list && !line) {
		n = strcspn(list, ",");
		if (n < sizeof(name)) {
			memcpy(name, list, n);
			name[n] = '\0';
			line = sf_conf_find(conf, name);
		}
		list += n + (list[n] == ',');
	}
	return line;
}

static void refuse_other(const struct sf_conf_line *line, struct js_outcome *out)
{
	js_refuse(out, JS_WHY_PARTITION,
		  "partition '%s' runs only jobs submitted with sbatch --fargate: "
		  "add --fargate or choose another partition with -p",
		  line->name);
}

static const struct sf_conf_line *check_partition(const struct js_job *job, const struct js_world *world, struct js_outcome *out)
{
	const struct sf_conf_line *line;
	sf_auto_free char *names = NULL;

	if (!world->conf) {
		js_refuse(out, JS_WHY_CONF, "no --fargate job can be taken, ask your administrator: %s", world->conf_error);
		return NULL;
	}
	line = job->partition ? sf_conf_find(world->conf, job->partition) : world->conf->default_line;
	if (line)
		return line;
	names = sf_conf_names(world->conf);
	if (job->partition)
		js_refuse(out, JS_WHY_PARTITION, "partition '%s' has no line in fargate.conf: --fargate jobs can go to %s",
			  job->partition, names ? names : "");
	else
		js_refuse(out, JS_WHY_PARTITION,
			  "no partition was given and fargate.conf names no default: choose one with -p: %s", names ? names : "");
	return NULL;
}

/* CPUs as asked: --fargate-cpu, else what -n, -c and --mincpus come to; 0 units = nothing asked. */
static void asked_cpus(const struct js_job *job, const struct sf_options *o, uint32_t *units, uint32_t *cpus)
{
	uint64_t n = (uint64_t)(job->num_tasks ? job->num_tasks : 1) * (job->cpus_per_task ? job->cpus_per_task : 1);

	if (o->cpu_units) {
		*units = o->cpu_units;
		*cpus = (o->cpu_units + 1023) / 1024;
		return;
	}
	if (n < job->min_cpus)
		n = job->min_cpus;
	if (n > UINT32_MAX / 1024)
		n = UINT32_MAX / 1024;
	*cpus = (uint32_t)n;
	*units = *cpus * 1024;
}

static bool check_size(const struct js_job *job, const struct sf_options *o, const struct sf_conf_line *line,
		       struct js_outcome *out)
{
	struct sf_size_request req = { .allow_32vcpu = line->allow_32vcpu };
	char note[SF_SIZE_NOTE_MAX] = "";
	struct sf_error err;

	asked_cpus(job, o, &req.cpu_units, &out->spec.cpus_asked);
	/* Programs size their thread pools by SLURM_CPUS_PER_TASK: never more than --fargate-cpu gives. */
	out->spec.cpus_per_task = job->cpus_per_task;
	if (o->cpu_units && out->spec.cpus_per_task > out->spec.cpus_asked)
		out->spec.cpus_per_task = out->spec.cpus_asked;
	out->spec.mem_asked_mib = o->mem_mib ? o->mem_mib : job->mem_mib;
	out->spec.mem_per_cpu = !o->mem_mib && job->mem_mib && job->mem_per_cpu;
	req.mem_mib = out->spec.mem_asked_mib;
	if (out->spec.mem_per_cpu && __builtin_mul_overflow(req.mem_mib, out->spec.cpus_asked, &req.mem_mib))
		req.mem_mib = UINT64_MAX;
	if (sf_size_fit(&req, &out->spec.size, note, &err)) {
		js_refuse(out, JS_WHY_SIZE, "%s", err.text);
		return false;
	}
	out->mem_mib = req.mem_mib;
	out->cpus = out->spec.size.cpu_units <= 1024 ? 1 : out->spec.size.cpu_units / 1024;
	if (note[0])
		js_inform(out, note);
	return js_allow_size(job, o, line, out);
}

/* --fargate-storage, else --tmp, in whole GiB. */
static bool check_storage(const struct js_job *job, const struct sf_options *o, struct js_outcome *out)
{
	const uint32_t gib = o->storage_gib ? o->storage_gib : (uint32_t)(((uint64_t)job->tmp_mib + 1023) / 1024);

	if (gib > SF_STORAGE_MAX_GIB) {
		js_refuse(out, JS_WHY_SIZE,
			  "%u GiB is more than the largest disk of a Fargate task, %d GiB: ask for less with "
			  "--tmp or --fargate-storage",
			  gib, SF_STORAGE_MAX_GIB);
		return false;
	}
	out->spec.storage_gib = sf_storage_to_ask(gib);
	return true;
}

static bool check_args(const struct js_job *job, struct js_outcome *out)
{
	uint32_t i;

	for (i = 1; i < job->argc; i++) {
		if (!job->argv[i])
			continue;
		if (!sf_utf8_valid(job->argv[i], strlen(job->argv[i]))) {
			js_refuse(out, JS_WHY_SCRIPT, "argument %u of the script is not valid UTF-8: AWS takes nothing else", i);
			return false;
		}
		if (sf_strv_add(&out->spec.args, job->argv[i])) {
			js_refuse(out, JS_WHY_MEMORY, "out of memory");
			return false;
		}
	}
	return true;
}

static bool check_env(const struct js_job *job, const struct sf_options *o, struct js_outcome *out)
{
	struct sf_error err;

	if (!js_export(job, o->env, &out->spec.env, &err))
		return true;
	js_refuse(out, JS_WHY_SCRIPT, "%s", err.text);
	return false;
}

/* Build the overrides the agent would build, with the longest values it may have to put in, to see that they fit. */
static bool check_fits(const struct js_job *job, const struct sf_conf_line *line, struct js_outcome *out)
{
	struct sf_job_facts facts = {
		.num_tasks = job->num_tasks,
		.name = job->name,
		.account = job->account,
		.partition = line->name,
		.qos = job->qos,
		.submit_dir = job->work_dir,
		.submit_host = job->submit_host,
		.array = job->array != NULL,
	};
	char container[CONTAINER_NAME_MAX + 1], nonce[SF_NONCE_HEX + 1];
	struct sf_overrides o = {
		.container = line->container ? line->container : container,
		.size = out->spec.size,
		.container_cpu = out->spec.size.cpu_units,
		.container_mem_mib = out->spec.size.mem_mib,
		.nonce = nonce,
		.framing = line->log_framing,
		.script = job->script,
		.script_len = strlen(job->script),
		.args = out->spec.args,
		.storage_gib = out->spec.storage_gib,
	};
	sf_auto_strv char **env = NULL;
	sf_auto_free char *text = NULL;
	struct sf_error err;

	memset(container, 'x', CONTAINER_NAME_MAX);
	container[CONTAINER_NAME_MAX] = '\0';
	memset(nonce, 'f', SF_NONCE_HEX);
	nonce[SF_NONCE_HEX] = '\0';
	sf_job_facts_worst(&facts);
	if (!sf_job_env_build(&facts, &out->spec, &env, &err)) {
		o.env = env;
		if (!sf_overrides_build(&o, &text, &err))
			return true;
	}
	js_refuse(out, JS_WHY_SCRIPT, "%s", err.text);
	return false;
}

static void accept_job(const struct sf_conf_line *line, const struct js_world *world, struct js_outcome *out)
{
	const bool down = world->agent == JS_AGENT_DEAD;
	const struct sf_comment c = {
		.phase = down ? SF_PHASE_AGENT_DOWN : SF_PHASE_SUBMITTED,
		.size = out->spec.size,
		.provider = out->provider,
	};

	sf_copy(out->spec.sid, sizeof(out->spec.sid), world->sid);
	out->spec.submit = world->now;
	out->spec.partition = strdup(line->name);
	if (out->spec.partition)
		out->spec_text = sf_spec_encode(&out->spec);
	if (!out->spec_text) {
		js_refuse(out, JS_WHY_MEMORY, "out of memory");
		return;
	}
	sf_comment_format(&c, out->comment);
	out->verdict = JS_OFFLOAD;
}

static void check_ours(const struct js_job *job, const struct sf_options *o, const struct js_world *world, struct js_outcome *out)
{
	const struct sf_conf_line *line;

	if (!js_shape_ok(job, false, out))
		return;
	line = check_partition(job, world, out);
	/* A list slurmctld will refuse by itself leaves the variables out. */
	if (job->array && sf_array_parse(job->array, &out->spec.array) != 0)
		out->spec.array = (struct sf_array){ 0 };
	if (!line || !js_licenses_ok(job, true, world->conf, out) || !js_allow_user(job, line, world, out) || !js_allow_account(job, line, out) ||
	    !js_allow_definition(o, line, out) || !js_allow_spot(o, world->conf, line, out) || !check_size(job, o, line, out) ||
	    !check_storage(job, o, out) || !check_args(job, out) || !check_env(job, o, out) || !check_fits(job, line, out))
		return;
	js_shape_inform(job, line, out);
	if (js_quota_ok(job, o, line, world, out) &&
	    js_licenses_add(job, line, !strcmp(out->provider, SF_PROVIDER_SPOT), out))
		accept_job(line, world, out);
}

/* A job without --fargate: nobody else's business, unless it would land on a gateway. */
static void check_other(const struct js_job *job, const struct js_world *world, struct js_outcome *out)
{
	const char *where = job->partition ? job->partition : world->default_partition;
	const struct sf_conf_line *line = js_line_in_list(world->conf, where);
	const struct sf_options none = { 0 };
	struct js_job implied = *job;

	out->verdict = JS_PASS;
	if (!line) {
		js_licenses_ok(job, false, world->conf, out);
		return;
	}
	if (!line->implicit || !job->script || strcmp(line->name, where) != 0) {
		refuse_other(line, out);
		return;
	}
	implied.partition = line->name;
	check_ours(&implied, &none, world, out);
}

/* A finished spec where options should be was copied or inherited from another job: it asks for nothing. */
static bool is_spec(const char *packed)
{
	struct sf_spec spec = { 0 };
	struct sf_error err;

	if (sf_spec_decode(packed, &spec, &err))
		return false;
	sf_spec_free(&spec);
	return true;
}

void js_check(const struct js_job *job, const struct js_world *world, struct js_outcome *out)
{
	struct sf_options o = { 0 };
	struct sf_error err;

	memset(out, 0, sizeof(*out));
	if (job->packed && sf_options_decode(job->packed, &o, &err) == 0) {
		check_ours(job, &o, world, out);
		sf_options_free(&o);
	} else if (!job->packed || is_spec(job->packed)) {
		check_other(job, world, out);
	} else {
		js_refuse(
			out, JS_WHY_CONF,
			"the options from sbatch cannot be read, is the plugin of this login node as new as the controller's? %s",
			err.text);
	}
}

void js_outcome_free(struct js_outcome *out)
{
	sf_spec_free(&out->spec);
	free(out->spec_text);
	out->spec_text = NULL;
	free(out->licenses);
	out->licenses = NULL;
}
