/* fargate.conf while the agent runs: watched, held against Slurm, brought into force for the jobs there are. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "common/base/conf_keys.h"
#include "common/base/json.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define LOOK_MS 500   /* a changed file is read when two looks see the same: an editor may still be writing */
#define AGAIN_MS 2000 /* a refused one is tried again: the cause may lie in a directory above, or in slurm.conf */

static void on_sighup(evutil_socket_t fd, short what, void *arg)
{
	struct agent *a = arg;

	(void)fd;
	(void)what;
	sf_log_info("signal %d: looking at %s", SIGHUP, a->conf->path);
	a->reload.asked = true;
	a->reload.look_at = 0;
}

static void say_warnings(const struct sf_conf *conf)
{
	size_t i;

	for (i = 0; conf->warnings && conf->warnings[i]; i++)
		sf_log_warn("%s", conf->warnings[i]);
}

int reload_start(struct agent *a, struct sf_error *err)
{
	struct reload *r = &a->reload;

	r->seen = r->tried = a->conf->stamp;
	r->loaded = agent_now(a);
	r->sighup = evsignal_new(a->base, SIGHUP, on_sighup, a);
	if (!r->sighup || evsignal_add(r->sighup, NULL) != 0)
		return sf_err(err, "the event loop cannot start");
	say_warnings(a->conf);
	return 0;
}

void reload_stop(struct agent *a)
{
	if (a->reload.sighup)
		event_free(a->reload.sighup);
	a->reload.sighup = NULL;
}

bool job_has_line(const struct job *job)
{
	return job->line->name != NULL;
}

void job_find_line(struct job *job)
{
	const struct sf_conf_line *line = sf_conf_find(job->agent->conf, job->spec.partition);

	/* What a job with a task still needs of a line that is gone (LogGrace) has its default; nothing is launched with it. */
	job->line = line ? line : &sf_conf_line_defaults;
}

/* The conf that jobs point into is about to change; those without a try follow it to another Region, profile or ECS cluster. */
static void take_lines(struct agent *a)
{
	struct job *job;

	for (job = a->jobs; job; job = job->next) {
		job_find_line(job);
		if (job->row.try_no == 0 && job_has_line(job)) {
			job_copy_line(job);
			job_save(job);
		} else if (!job_has_line(job)) {
			sf_log_warn("job %" PRId64 ": its partition '%s' has no line in %s any more%s", job->row.job_id,
				    job->spec.partition, a->conf->path, job->row.try_no ? "; its task runs on where it is" : "");
		}
	}
}

/* A value that cannot change while the agent runs stays as it is. */
static void keep(const struct sf_conf *conf, const char *key, char **fresh, const char *old)
{
	const char *want = *fresh ? *fresh : "", *have = old ? old : "";
	char *copy;

	if (strcmp(want, have) == 0)
		return;
	sf_log_warn("%s: the change of %s takes a restart of fargated; until then it stays '%s'", conf->path, key,
		    old ? old : "drawn at random");
	copy = old ? strdup(old) : NULL;
	if (old && !copy)
		abort(); /* a socket that is not the one we listen on must never be in force */
	free(*fresh);
	*fresh = copy;
}

static void take(struct agent *a, struct sf_conf *conf)
{
	struct sf_conf *old = a->conf;

	keep(conf, "Socket", &conf->socket, old->socket);
	keep(conf, "StateDir", &conf->state_dir, old->state_dir);
	keep(conf, "Instance", &conf->instance, old->instance);
	a->conf = conf;
	a->reload.refused[0] = '\0';
	a->reload.loaded = agent_now(a);
	sf_log_info("%s: the changed file is in force, %zu partitions", conf->path, conf->n_lines);
	say_warnings(conf);
	quota_lines(a);
	take_lines(a);
	sf_conf_free(old);
	a->cluster_at = agent_now_ms(a);
}

static void refuse(struct agent *a, const char *text)
{
	struct reload *r = &a->reload;

	r->again_at = agent_now_ms(a) + AGAIN_MS;
	if (strcmp(r->refused, text) == 0)
		return;
	sf_copy(r->refused, sizeof(r->refused), text);
	sf_log_error("%s; the configuration loaded before stays in force", text);
}

static void on_candidate(struct work *w, void *ctx)
{
	struct agent *a = ctx;
	struct reload *r = &a->reload;
	const char *problem;

	r->checking = false;
	r->unchecked = w->cluster.name[0] == '\0';
	agent_slurm_problem(a, r->unchecked ? w->err.text : NULL);
	if (r->unchecked) {
		r->again_at = agent_now_ms(a) + AGAIN_MS;
		return;
	}
	problem = w->rc != 0 ? w->err.text : conf_misfit(&w->cluster, w->conf);
	if (problem)
		refuse(a, problem);
	else
		take(a, sf_steal(w->conf));
}

static void load(struct agent *a)
{
	struct reload *r = &a->reload;
	sf_auto_conf struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	struct work *w;

	r->asked = false;
	r->tried = r->seen;
	r->unchecked = false;
	if (sf_conf_load(a->conf->path, geteuid(), &conf, &err) != 0) {
		refuse(a, err.text);
		return;
	}
	w = work_new(WORK_CLUSTER, 0, on_candidate, a);
	if (w)
		w->conf = sf_steal(conf);
	r->checking = w && worker_submit(a->worker, w);
	r->unchecked = !r->checking;
	r->again_at = agent_now_ms(a) + AGAIN_MS;
}

void reload_tick(struct agent *a, int64_t now)
{
	struct reload *r = &a->reload;
	struct sf_conf_stamp stamp;
	bool settled, again;

	if (r->checking || now < r->look_at)
		return;
	r->look_at = now + LOOK_MS;
	stamp = sf_conf_stamp(a->conf->path);
	settled = sf_conf_stamp_same(&stamp, &r->seen);
	r->seen = stamp;
	again = (r->refused[0] || r->unchecked) && now >= r->again_at;
	if (r->asked || (settled && (again || !sf_conf_stamp_same(&stamp, &r->tried))))
		load(a);
}

char *query_conf(struct agent *a)
{
	sf_auto_json sf_json *out = sf_json_new_object();
	sf_auto_free char *text = sf_conf_text(a->conf);

	if (!text)
		return NULL;
	sf_json_set_str(out, "conf", text);
	sf_json_set_int(out, "loaded", a->reload.loaded);
	sf_json_set_str(out, "path", a->conf->path);
	sf_json_set_str(out, "refused", a->reload.refused[0] ? a->reload.refused : NULL);
	return sf_json_text(out);
}
