/* Whether the vCPU quota lets a job run at all, and what its user should know of it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/ladder.h"
#include "common/base/quota.h"
#include "common/base/text.h"
#include "plugin/job_submit/check.h"
#include "plugin/job_submit/quotas.h"

#define LINE_MAX_BYTES 512
#define CURE_MAX 200
#define LIMIT_TEXT_MAX 96

/* One provider of the job's ladder. */
struct rung {
	const char *provider;
	bool spot;
	const struct js_quota *quota; /* NULL: the agent tells nothing of it */
	bool known;		      /* the limit is there and young enough to be believed */
	int64_t usable;		      /* then: what all tasks may have together */
	char name[128];		      /* "the Fargate On-Demand quota L-3032A538 in eu-west-1" */
};

/* What all of these are about. */
struct question {
	const struct js_job *job;
	const struct sf_options *options;
	const struct sf_conf_line *line;
	const struct js_world *world;
	int64_t need;
	char vcpu[SF_QUARTERS_TEXT_MAX]; /* need */
};

static int64_t age_of(const struct js_quota *quota, const struct js_world *world)
{
	return quota->age + world->quotas_age;
}

static bool is_young(const struct js_quota *quota, const struct js_world *world)
{
	return quota->age >= 0 && age_of(quota, world) <= world->conf->quota_max_age;
}

static void look(const struct question *q, const struct sf_conf_line *line, const char *provider, struct rung *r)
{
	const int64_t reserve = (int64_t)q->world->conf->reserve_vcpu * SF_QUARTERS_PER_VCPU;
	const char *region = line->region;

	r->provider = provider;
	r->spot = !strcmp(provider, SF_PROVIDER_SPOT);
	r->quota = js_quotas_find(q->world->quotas, line->name, provider);
	/* An agent that is away may have missed anything. */
	r->known = r->quota && q->world->agent != JS_AGENT_DEAD && r->quota->limit >= 0 && is_young(r->quota, q->world);
	r->usable = r->known && r->quota->limit > reserve ? r->quota->limit - reserve : 0;
	if (r->quota && r->quota->region)
		region = r->quota->region;
	snprintf(r->name, sizeof(r->name), "the Fargate %s quota %s%s%s", sf_quota_title(r->spot), sf_quota_code(r->spot),
		 region ? " in " : "", region ? region : "");
}

static bool is_too_small(const struct rung *r, int64_t need)
{
	return r->known && need > r->usable;
}

/* "6", or "6, of which ReserveVcpu=2 is not to be used". */
static void limit_text(const struct rung *r, const struct js_world *world, char out[LIMIT_TEXT_MAX])
{
	char limit[SF_QUARTERS_TEXT_MAX];

	sf_quarters_text(r->quota->limit, limit);
	if (world->conf->reserve_vcpu)
		snprintf(out, LIMIT_TEXT_MAX, "%s, of which ReserveVcpu=%u is not to be used", limit, world->conf->reserve_vcpu);
	else
		sf_copy(out, LIMIT_TEXT_MAX, limit);
}

const char *js_cure(const struct js_job *job, const struct sf_options *o, const struct sf_spec *spec)
{
	const struct sf_size_request cpus = { .cpu_units = o->cpu_units ? o->cpu_units : spec->cpus_asked * 1024,
					      .allow_32vcpu = true };
	struct sf_size alone = spec->size;

	if (!sf_size_fit(&cpus, &alone, NULL, NULL) && alone.cpu_units < spec->size.cpu_units) {
		if (o->mem_mib)
			return "use less memory (--fargate-mem)";
		return job->mem_per_cpu ? "use less memory (--mem-per-cpu)" : "use less memory (--mem)";
	}
	if (o->cpu_units || spec->cpus_asked <= 1)
		return "use fewer CPUs (--fargate-cpu)";
	return job->cpus_per_task > 1 || job->num_tasks <= 1 ? "use fewer CPUs (-c)" : "use fewer CPUs (-n)";
}

/* May the same job go to that line, as far as one can tell? */
static bool could_go(const struct question *q, const struct sf_conf_line *line, const struct sf_spec *spec)
{
	struct js_outcome probe = { .spec = { .size = spec->size, .cpus_asked = spec->cpus_asked } };
	const bool ok = sf_size_valid(&spec->size, line->allow_32vcpu) && js_allow_user(q->job, line, q->world, &probe) &&
			js_allow_account(q->job, line, &probe) && js_allow_definition(q->options, line, &probe) &&
			js_allow_size(q->job, q->options, line, &probe);

	js_outcome_free(&probe);
	return ok;
}

/* A partition where --fargate-spot would let the job run, with its quota, for the user to be told. */
static bool spot_elsewhere(const struct question *q, const struct sf_spec *spec, char out[CURE_MAX])
{
	const struct sf_conf *conf = q->world->conf;
	char limit[SF_QUARTERS_TEXT_MAX];
	struct rung r;
	size_t i;

	for (i = 0; i < conf->n_lines; i++) {
		if (&conf->lines[i] == q->line || !sf_spot_allowed(&conf->lines[i], SF_SPOT_ONLY))
			continue;
		look(q, &conf->lines[i], SF_PROVIDER_SPOT, &r);
		if (!r.known || is_too_small(&r, q->need) || !could_go(q, &conf->lines[i], spec))
			continue;
		snprintf(out, CURE_MAX, "--fargate-spot (quota %s) with -p %s", sf_quarters_text(r.quota->limit, limit),
			 conf->lines[i].name);
		return true;
	}
	return false;
}

/* The other provider, where the job itself has shut it out or its partition has none of it. */
static bool other_way(const struct question *q, const struct sf_spec *spec, char out[CURE_MAX])
{
	char limit[SF_QUARTERS_TEXT_MAX];
	struct rung r;

	if (spec->spot == SF_SPOT_DEFAULT && !sf_spot_allowed(q->line, SF_SPOT_ONLY))
		return spot_elsewhere(q, spec, out);
	if (spec->spot != SF_SPOT_ONLY || !sf_strv_has(q->line->providers, SF_PROVIDER_ON_DEMAND))
		return false;
	look(q, q->line, SF_PROVIDER_ON_DEMAND, &r);
	if (!r.known || is_too_small(&r, q->need))
		return false;
	snprintf(out, CURE_MAX, "no --fargate-spot=only (On-Demand quota %s)", sf_quarters_text(r.quota->limit, limit));
	return true;
}

/* "a", "a or b", "a, b, or c": what would help, as far as it would. */
static void join_cures(const struct question *q, const struct rung *rungs, size_t n, const struct sf_spec *spec,
		       char out[3 * CURE_MAX])
{
	const char *raise = n > 1 ? "ask AWS to raise one of them" : "ask AWS to raise it";
	/* Nothing is smaller than a quota of nothing. */
	const char *smaller = rungs[0].usable || rungs[n - 1].usable ? js_cure(q->job, q->options, spec) : NULL;
	char other[CURE_MAX];
	const bool way = other_way(q, spec, other);

	snprintf(out, 3 * CURE_MAX, "%s%s%s%s%s", raise, smaller ? way ? ", " : " or " : "", smaller ? smaller : "",
		 !way	   ? "" :
		 smaller ? ", or " :
			   " or ",
		 way ? other : "");
}

static void refuse_all(const struct question *q, const struct rung *rungs, size_t n, struct js_outcome *out)
{
	char limits[SF_LADDER_MAX][LIMIT_TEXT_MAX], cures[3 * CURE_MAX], second[192] = "";

	join_cures(q, rungs, n, &out->spec, cures);
	limit_text(&rungs[0], q->world, limits[0]);
	if (n > 1) {
		limit_text(&rungs[1], q->world, limits[1]);
		snprintf(second, sizeof(second), ", the %s quota %s is %s", sf_quota_title(rungs[1].spot),
			 sf_quota_code(rungs[1].spot), limits[1]);
	}
	js_refuse(out, JS_WHY_SIZE, "job needs %s vCPU, %s is %s%s; %s", q->vcpu, rungs[0].name, limits[0], second, cures);
}

static void tell(struct js_outcome *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void tell(struct js_outcome *out, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	js_inform(out, line);
}

static void tell_unknown(const struct question *q, const struct rung *r, struct js_outcome *out)
{
	const struct js_quota *quota = r->quota;
	const char *why = quota ? quota->why : NULL;
	char stale[96] = "";

	if (q->world->agent == JS_AGENT_DEAD) {
		js_inform(out, "the agent does not answer; the job will wait, and its vCPU quota, not known now, is checked again "
			       "before RunTask");
		return;
	}
	if (quota && quota->age >= 0)
		snprintf(stale, sizeof(stale), "last read %" PRId64 " s ago, QuotaMaxAge=%u%s", age_of(quota, q->world),
			 q->world->conf->quota_max_age, why ? ": " : "");
	else if (!why)
		why = "the agent has not read it yet";
	tell(out, "%s is not known (%s%s): the job is taken, and the quota is checked again before RunTask", r->name, stale,
	     why ? why : "");
}

/* How many elements of the array may run at once: all, or what "%" allows. */
static int64_t at_once(const struct js_job *job, const struct sf_spec *spec)
{
	const char *percent = job->array ? strchr(job->array, '%') : NULL;
	const int64_t most = percent ? strtol(percent + 1, NULL, 10) : 0;

	return most > 0 && most < spec->array.count ? most : spec->array.count;
}

static void tell_known(const struct question *q, const struct rung *r, struct js_outcome *out)
{
	char free[SF_QUARTERS_TEXT_MAX], all[SF_QUARTERS_TEXT_MAX], limit[LIMIT_TEXT_MAX];
	const int64_t n = at_once(q->job, &out->spec);

	limit_text(r, q->world, limit);
	if (r->quota->free >= 0 && q->need > r->quota->free)
		tell(out, "job needs %s vCPU, %s is %s, and %s are free now: the job will wait", q->vcpu, r->name, limit,
		     sf_quarters_text(r->quota->free, free));
	if (n > 1 && q->need * n > r->usable)
		tell(out, "the array needs %s vCPU (%" PRId64 " tasks of %s), %s is %s: some tasks will wait for others",
		     sf_quarters_text(q->need * n, all), n, q->vcpu, r->name, limit);
}

static void tell_skipped(const struct question *q, const struct rung *from, const struct rung *to, struct js_outcome *out)
{
	char limit[LIMIT_TEXT_MAX];

	limit_text(from, q->world, limit);
	tell(out, "job needs %s vCPU, %s is %s: only %s remains", q->vcpu, from->name, limit, sf_quota_title(to->spot));
}

bool js_quota_ok(const struct js_job *job, const struct sf_options *o, const struct sf_conf_line *line,
		 const struct js_world *world, struct js_outcome *out)
{
	struct question q = { .job = job, .options = o, .line = line, .world = world };
	const char *providers[SF_LADDER_MAX];
	struct rung rungs[SF_LADDER_MAX];
	const size_t n = sf_ladder(line, out->spec.spot, false, providers);
	size_t i, first = n;

	if (!n)
		return true; /* js_allow_spot() has refused it */
	q.need = sf_quarters_of_units(out->spec.size.cpu_units);
	sf_quarters_text(q.need, q.vcpu);
	for (i = n; i-- > 0;) {
		look(&q, line, providers[i], &rungs[i]);
		if (!is_too_small(&rungs[i], q.need))
			first = i;
	}
	if (first == n) {
		refuse_all(&q, rungs, n, out);
		return false;
	}
	if (first > 0)
		tell_skipped(&q, &rungs[0], &rungs[first], out);
	if (rungs[first].known)
		tell_known(&q, &rungs[first], out);
	else
		tell_unknown(&q, &rungs[first], out);
	out->provider = rungs[first].provider;
	return true;
}
