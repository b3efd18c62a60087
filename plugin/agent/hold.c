/* The reservations <License>_hold: for each license of fargate.conf what the quota does not allow, kept at slurmctld. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/hold.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/log.h"
#include "common/base/quota.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define LOOK_MS 5000  /* between two looks at what slurmctld has: somebody may have deleted it */
#define WRITE_MS 5000 /* between two changes */
#define BLIND_MS 30000 /* a quota that was not known since the agent's start; until then what is there stays */
#define MISSING                                                                                                                  \
	"license %s is not in slurm.conf: slurmctld refuses jobs that ask for it, and no job waits in the queue for the quota; add " \
	"Licenses=%s:16000 (4 for each vCPU that the quota may ever have)"
#define META "holds"   /* in jobs.db: the licenses that we ever made a reservation of */

struct holds {
	struct hold *list;
	bool flying, leaving;
	int64_t look_at, written_at; /* ms */
	char failed[SF_ERROR_MAX];   /* "" = slurmctld did what it was asked */
};

/* What is asked of each license lives on here until the worker answers: by name, for the list may change meanwhile. */
static struct hold *find(const struct holds *all, const char *license)
{
	struct hold *h;

	for (h = all->list; h && strcmp(h->license, license) != 0; h = h->next)
		;
	return h;
}

/* Before the reservation is made: one that nobody remembers would stay for a year. */
static void remember(struct agent *a)
{
	sf_auto_buf struct sf_buf names = SF_BUF_INIT;
	struct sf_error err = { "" };
	const struct hold *h;

	for (h = a->holds->list; h; h = h->next)
		sf_buf_printf(&names, "%s%s", names.len ? "," : "", h->license);
	if (names.failed || store_put_text(a->store, META, names.data ? names.data : "", &err) != 0)
		sf_log_error("the licenses with a reservation: %s", names.failed ? "out of memory" : err.text);
}

static struct hold *add(struct holds *all, const char *license)
{
	struct hold *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	sf_copy(h->license, sizeof(h->license), license);
	h->usable = h->open = -1;
	h->next = all->list;
	all->list = h;
	return h;
}

static int recall(struct agent *a)
{
	struct sf_error err = { "" };
	char names[4096] = "", *rest, *name;

	a->holds = calloc(1, sizeof(*a->holds));
	if (!a->holds)
		return -1;
	if (store_text(a->store, META, names, sizeof(names), &err) != 0)
		sf_log_error("the licenses with a reservation: %s", err.text);
	for (name = strtok_r(names, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
		add(a->holds, name);
	return 0;
}

/* --- what the quotas allow --------------------------------------------------------------------------------------- */
static void say_shared(const char *path, struct hold *h, const struct hold *other, const struct sf_conf_line *line)
{
	if (h->shared_said)
		return;
	h->shared_said = true;
	if (other)
		sf_log_warn("%s:%u: partition %s has license %s, but others draw on the same quota with license %s, and together they "
			    "may be given more than it is: give them the same license",
			    path, line->line, line->name, h->license, other->license);
	else
		sf_log_warn("%s:%u: license %s stands for more than one quota (Profile, Region, provider), and jobs may be given what only "
			    "another one has free: give each a license of its own",
			    path, line->line, h->license);
}

static bool draws(const struct hold *h, const struct quota_pool *pool)
{
	size_t i;

	for (i = 0; i < h->n_pools; i++)
		if (h->pools[i] == pool)
			return true;
	return false;
}

/*
 * What is said to be others' use may be our own, so it never goes below what we have; a limit is certain, and Slurm's license is
 * free again before AWS's task is gone.
 */
static int64_t allowed_of(const struct agent *a, const struct quota_pool *pool)
{
	int64_t usable = quota_usable(a, pool), most = pool->limit - (int64_t)a->conf->reserve_vcpu * SF_QUARTERS_PER_VCPU;

	if (usable < 0 || usable < most)
		return usable;
	return most > 0 ? most : 0;
}

static void add_pool(struct agent *a, struct hold *h, const struct quota_pool *pool, const struct sf_conf_line *line)
{
	struct hold *other;
	int64_t usable;

	h->in_conf = true;
	if (draws(h, pool) || h->n_pools == SF_COUNT(h->pools))
		return;
	for (other = a->holds->list; other; other = other->next)
		if (draws(other, pool))
			say_shared(a->conf->path, h, other, line);
	if (h->n_pools)
		say_shared(a->conf->path, h, NULL, line);
	usable = allowed_of(a, pool);
	h->allowed = usable < 0 || h->allowed < 0 ? -1 : h->allowed + usable;
	h->pools[h->n_pools++] = pool;
}

static void add_line(struct agent *a, const struct sf_conf_line *line)
{
	const struct quota_pool *pool;
	struct hold *h;
	size_t i;

	for (i = 0; line->providers[i]; i++) {
		const char *license = strcmp(line->providers[i], "FARGATE_SPOT") == 0 ? line->spot_license : line->license;

		pool = license ? quota_line_pool(a, line, line->providers[i]) : NULL;
		if (!pool)
			continue;
		h = find(a->holds, license);
		if (!h) {
			h = add(a->holds, license);
			remember(a);
		}
		if (h)
			add_pool(a, h, pool, line);
	}
}

static void gather(struct agent *a)
{
	struct hold *h;
	size_t i;

	for (h = a->holds->list; h; h = h->next) {
		h->in_conf = false;
		h->allowed = 0;
		h->n_pools = 0;
	}
	for (i = 0; i < a->conf->n_lines; i++)
		add_line(a, &a->conf->lines[i]);
}

/* --- what is asked of slurmctld ---------------------------------------------------------------------------------- */
static void say_frozen(const struct hold *h, bool before)
{
	char need[SF_QUARTERS_TEXT_MAX], use[SF_QUARTERS_TEXT_MAX], all[SF_QUARTERS_TEXT_MAX];

	if (h->frozen == before)
		return;
	sf_quarters_text(h->need, need);
	sf_quarters_text(h->in_use, use);
	sf_quarters_text(h->usable, all);
	if (h->frozen)
		sf_log_info("license %s: job %u waits for %s vCPU, %s of %s are in use: smaller jobs wait for it now", h->license,
			    h->head, need, use, all);
	else
		sf_log_info("license %s: smaller jobs are started again, %s of %s vCPU are in use", h->license, use, all);
}

static void decide(struct agent *a, struct hold *h, int64_t now)
{
	int64_t allowed = h->allowed;
	bool before = h->frozen;

	/* Slurm never gives more than there is of the license. */
	if (h->seen && h->known && allowed > h->total)
		allowed = h->total;
	h->open = hold_open(h, allowed, a->conf->large_job_patience, now / 1000);
	if (h->open < 0 && now - a->started * 1000 > BLIND_MS)
		h->open = INT64_MAX; /* RunTask decides */
	say_frozen(h, before);
}

static enum slurm_hold_want want_of(const struct hold *h)
{
	return !h->in_conf ? HOLD_DROP : h->open < 0 ? HOLD_LEAVE : HOLD_SET;
}

/* An early turn: the units that a large job waited for need not lie idle until the next look. */
static bool changed(const struct holds *all)
{
	const struct hold *h;

	for (h = all->list; h; h = h->next)
		if (h->open != h->asked)
			return true;
	return false;
}

static void say_license(struct hold *h, const char *path)
{
	if (h->known == h->missing_said && h->in_conf) {
		h->missing_said = !h->known;
		if (!h->known)
			sf_log_warn("%s: " MISSING, path, h->license, h->license);
		else
			sf_log_info("license %s: slurm.conf has it now", h->license);
	}
	if (!h->known || h->allowed <= h->total || h->short_said)
		return;
	h->short_said = true;
	sf_log_warn("license %s: Licenses= in slurm.conf has %" PRId64 " of it, the quota allows %" PRId64
		    " (quarter vCPUs): Slurm keeps jobs waiting for what is there",
		    h->license, h->total, h->allowed);
}

static void forget(struct agent *a, struct hold *gone)
{
	struct hold **p;

	for (p = &a->holds->list; *p != gone; p = &(*p)->next)
		;
	*p = gone->next;
	free(gone);
	remember(a);
}

static void take_answer(struct agent *a, const struct slurm_hold *answer, bool good)
{
	struct hold *h = find(a->holds, answer->license);

	if (!h)
		return;
	if (answer->changed)
		sf_log_info("license %s: %" PRId64 " of %" PRId64 " quarter vCPUs are held back from Slurm", h->license,
			    answer->held, answer->total);
	h->seen = true;
	h->known = answer->known;
	h->total = answer->total;
	h->held = answer->held;
	say_license(h, a->conf->path);
	if (good && answer->want == HOLD_DROP && !h->in_conf)
		forget(a, h);
}

static void on_holds(struct work *w, void *ctx)
{
	struct agent *a = ctx;
	struct holds *all = a->holds;
	int64_t now = agent_now_ms(a);
	size_t i;

	all->flying = false;
	all->look_at = now + LOOK_MS;
	if (w->rc != 0 && strcmp(w->err.text, all->failed) != 0 && !a->slurm_down)
		sf_log_warn("the licenses' reservations: %s", w->err.text);
	sf_copy(all->failed, sizeof(all->failed), w->rc == 0 ? "" : w->err.text);
	for (i = 0; i < w->n_holds; i++) {
		if (w->holds[i].changed)
			all->written_at = now;
		if (w->holds[i].looked)
			take_answer(a, &w->holds[i], w->rc == 0);
	}
}

static bool ask(struct agent *a, void (*done)(struct work *, void *))
{
	struct work *w = work_new(WORK_HOLDS, 0, done, a);
	struct hold *h;
	size_t n = 0;

	for (h = a->holds->list; h; h = h->next)
		n++;
	if (!n || !w || !(w->holds = calloc(n, sizeof(*w->holds)))) {
		if (w)
			work_drop(w);
		return false;
	}
	for (h = a->holds->list; h; h = h->next) {
		struct slurm_hold *one = &w->holds[w->n_holds++];

		sf_copy(one->license, sizeof(one->license), h->license);
		one->want = want_of(h);
		one->open = h->asked = h->open;
	}
	return worker_submit(a->worker, w);
}

void hold_jobs(struct agent *a, const struct slurm_brief *briefs, size_t n)
{
	struct hold *h;

	for (h = a->holds ? a->holds->list : NULL; h; h = h->next)
		hold_look(h, briefs, n, agent_now(a));
}

void hold_tick(struct agent *a, int64_t now)
{
	struct holds *all;
	struct hold *h;

	if ((!a->holds && recall(a) != 0) || a->holds->leaving || !a->cluster.name[0])
		return;
	all = a->holds;
	gather(a);
	for (h = all->list; h; h = h->next)
		decide(a, h, now);
	if (all->flying || now < (changed(all) ? all->written_at + WRITE_MS : all->look_at))
		return;
	all->flying = ask(a, on_holds);
	all->look_at = now + LOOK_MS;
}

static void on_left(struct work *w, void *ctx)
{
	(void)w;
	event_base_loopbreak(((struct agent *)ctx)->base);
}

bool hold_leave(struct agent *a)
{
	static const struct timeval most = { .tv_sec = 1 };
	struct hold *h;
	bool frozen = false;

	if (!a->holds || a->holds->leaving)
		return false;
	for (h = a->holds->list; h; h = h->next) {
		frozen = frozen || h->frozen;
		h->open = h->usable;
	}
	a->holds->leaving = frozen && ask(a, on_left);
	return a->holds->leaving && event_base_loopexit(a->base, &most) == 0;
}

void hold_free(struct agent *a)
{
	struct hold *h;

	while (a->holds && (h = a->holds->list)) {
		a->holds->list = h->next;
		free(h);
	}
	free(a->holds);
	a->holds = NULL;
}

void hold_problem(const struct agent *a, char out[SF_ERROR_MAX])
{
	const struct hold *h;

	sf_copy(out, SF_ERROR_MAX, a->holds ? a->holds->failed : "");
	for (h = a->holds ? a->holds->list : NULL; h && !out[0]; h = h->next)
		if (h->in_conf && h->seen && !h->known)
			snprintf(out, SF_ERROR_MAX, MISSING, h->license, h->license);
}

/* One that is in there twice is said once. */
static void collect(struct slurm_hold *holds, size_t *n, const char *license)
{
	size_t i;

	for (i = 0; license && i < *n; i++)
		if (strcmp(holds[i].license, license) == 0)
			return;
	if (license)
		sf_copy(holds[(*n)++].license, SLURM_LICENSE_MAX, license);
}

int hold_check_conf(const struct sf_conf *conf, struct sf_error *err)
{
	sf_auto_free struct slurm_hold *holds = calloc(2 * conf->n_lines + 1, sizeof(*holds));
	size_t n = 0, i;

	if (!holds)
		return sf_err(err, "out of memory");
	for (i = 0; i < conf->n_lines; i++) {
		collect(holds, &n, conf->lines[i].license);
		collect(holds, &n, conf->lines[i].spot_license);
	}
	if (n && slurm_api_holds(holds, n, err) != 0)
		return -1;
	for (i = 0; i < n; i++)
		if (!holds[i].known)
			sf_log_warn("%s: " MISSING, conf->path, holds[i].license, holds[i].license);
	return 0;
}
