/* The sweep's look at AWS: which tasks there are that no record of the agent holds, and which of them are ours. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/sweep.h"

#define PAGES_MAX 50  /* of ListTasks, per place */
#define TASKS_MAX 5000

/* --- where to look ---------------------------------------------------------------------------------------------------- */
void sweep_places_free(struct sweep *s)
{
	size_t i;

	for (i = 0; i < s->n_places; i++) {
		free(s->places[i].profile);
		free(s->places[i].region);
		free(s->places[i].cluster);
		free(s->places[i].family);
	}
	free(s->places);
	s->places = NULL;
	s->n_places = 0;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

/* It is in the list, by itself or as a part of a whole cluster. */
static bool covered(const struct sweep *s, const struct sweep_place *p)
{
	size_t i;

	for (i = 0; i < s->n_places; i++)
		if (same(s->places[i].profile, p->profile) && same(s->places[i].region, p->region) &&
		    same(s->places[i].cluster, p->cluster) && (!s->places[i].family || same(s->places[i].family, p->family)))
			return true;
	return false;
}

static bool copy(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

static int add_place(struct sweep *s, const struct sweep_place *p)
{
	struct sweep_place *more, *to;

	if (!p->cluster || covered(s, p))
		return 0;
	more = realloc(s->places, (s->n_places + 1) * sizeof(*more));
	if (!more)
		return -1;
	s->places = more;
	to = &more[s->n_places++];
	*to = (struct sweep_place){ 0 };
	if (copy(&to->profile, p->profile) && copy(&to->region, p->region) && copy(&to->cluster, p->cluster) && copy(&to->family, p->family))
		return 0;
	return -1;
}

static bool is_pattern(const char *glob)
{
	return strpbrk(glob, "*?[\\") != NULL;
}

/* "family", "family:7" or an ARN with either. */
static int add_family(struct sweep *s, struct sweep_place place, const char *definition)
{
	char family[256];

	if (!definition || !sf_copy(family, sizeof(family), ecs_id_of(definition)))
		return 0;
	family[strcspn(family, ":")] = '\0';
	place.family = family;
	return family[0] ? add_place(s, &place) : 0;
}

static struct sweep_place place_of(const struct sf_conf_line *line)
{
	return (struct sweep_place){ .profile = line->profile, .region = line->region, .cluster = line->cluster };
}

static int add_whole_clusters(struct sweep *s)
{
	const struct sf_conf *conf = s->agent->conf;
	size_t i, k;

	for (i = 0; i < conf->n_lines; i++)
		for (k = 0; k < sf_strv_len(conf->lines[i].task_definitions); k++) {
			struct sweep_place place = place_of(&conf->lines[i]);

			if (is_pattern(conf->lines[i].task_definitions[k]) && add_place(s, &place) != 0)
				return -1;
		}
	return 0;
}

static int add_line(struct sweep *s, const struct sf_conf_line *line)
{
	size_t k;

	for (k = 0; k < sf_strv_len(line->task_definitions); k++)
		if (!is_pattern(line->task_definitions[k]) && add_family(s, place_of(line), line->task_definitions[k]) != 0)
			return -1;
	return add_family(s, place_of(line), line->task_definition);
}

int sweep_places(struct sweep *s)
{
	const struct sf_conf *conf = s->agent->conf;
	const struct job *job;
	size_t i;

	/* First what covers others. */
	if (add_whole_clusters(s) != 0)
		return -1;
	for (i = 0; i < conf->n_lines; i++)
		if (add_line(s, &conf->lines[i]) != 0)
			return -1;
	for (job = s->agent->jobs; job; job = job->next) {
		struct sweep_place place = { .profile = job->row.profile, .region = job->row.region, .cluster = job->row.cluster };

		if (add_family(s, place, job->row.definition) != 0)
			return -1;
	}
	return 0;
}

/* --- ListTasks -------------------------------------------------------------------------------------------------------- */
static bool known(const struct sweep *s, const char *id)
{
	const struct job *job;
	size_t i;

	for (i = 0; i < s->n_tasks; i++)
		if (strcmp(s->tasks[i].id, id) == 0)
			return true;
	for (job = s->agent->jobs; job; job = job->next)
		if (job->row.task_id && strcmp(job->row.task_id, id) == 0)
			return true;
	return false;
}

static void add_tasks(struct sweep *s, char *const *arns)
{
	struct sweep_task *more, *t;

	for (; arns && *arns; arns++) {
		if (known(s, ecs_id_of(*arns)))
			continue;
		more = s->n_tasks < TASKS_MAX ? realloc(s->tasks, (s->n_tasks + 1) * sizeof(*more)) : NULL;
		if (!more) {
			sweep_trouble(s, "more tasks than fit; some were not looked at");
			return;
		}
		s->tasks = more;
		t = &more[s->n_tasks];
		*t = (struct sweep_task){ .place = s->place };
		s->n_tasks += sf_copy(t->id, sizeof(t->id), ecs_id_of(*arns));
	}
}

static void next_place(struct sweep *s)
{
	free(s->page);
	s->page = NULL;
	s->pages = 0;
	s->place++;
}

static void on_page(void *arg, const struct aws_reply *reply)
{
	struct sweep *s = arg;
	sf_auto_strv char **arns = NULL;
	struct sf_error err = { "" };

	s->flying = false;
	if (!reply->ok) {
		if (sweep_refused(s, reply))
			next_place(s);
		return;
	}
	free(s->page);
	s->page = NULL;
	if (ecs_list_tasks_parse(reply->body, &arns, &s->page, &err) != 0)
		sweep_trouble(s, err.text);
	add_tasks(s, arns);
	if (s->page && ++s->pages == PAGES_MAX)
		sweep_trouble(s, "ListTasks has more than 50 pages; the rest was not looked at");
	if (!s->page || s->pages == PAGES_MAX)
		next_place(s);
}

void sweep_list_step(struct sweep *s)
{
	struct ecs_list list = { .next_token = s->page };
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	if (s->place == s->n_places) {
		s->phase = SWEEP_DESCRIBE;
		return;
	}
	list.cluster = s->places[s->place].cluster;
	list.family = s->places[s->place].family;
	if (ecs_list_tasks_body(&list, &body, &err) != 0)
		sweep_trouble(s, err.text);
	if (!body || !sweep_call(s, s->place, AWS_OP_LIST_TASKS, body, on_page))
		next_place(s);
}

/* --- DescribeTasks ---------------------------------------------------------------------------------------------------- */
static struct sweep_task *find(const struct sweep *s, const char *id)
{
	size_t i;

	for (i = 0; i < s->n_tasks; i++)
		if (strcmp(s->tasks[i].id, id) == 0)
			return &s->tasks[i];
	return NULL;
}

static void take_task(struct sweep *s, const sf_json *json)
{
	const char *arn = sf_json_str(json, "taskArn"), *status = sf_json_str(json, "desiredStatus");
	struct sweep_task *t = arn ? find(s, ecs_id_of(arn)) : NULL;
	double created = 0;

	if (!t)
		return;
	t->job_id = sweep_job_of(sf_json_str(json, "startedBy"), s->agent->cluster.name, s->agent->instance);
	t->has_start = sweep_parse_group(sf_json_str(json, "group"), &t->start);
	t->stopping = status && strcmp(status, "STOPPED") == 0;
	if (sf_json_double(json, "createdAt", &created) && created > 0 && created < 1e12)
		t->created = (int64_t)created;
}

/* What is left are those of ours. What AWS did not describe is asked about again by the next sweep. */
static void drop_others(struct sweep *s)
{
	size_t i, n = 0;

	for (i = 0; i < s->n_tasks; i++)
		if (s->tasks[i].job_id)
			s->tasks[n++] = s->tasks[i];
	s->others = s->n_tasks - n;
	s->n_tasks = n;
}

static size_t batch_of(const struct sweep *s, const char *ids[ECS_DESCRIBE_MAX])
{
	size_t n = 0;

	while (n < ECS_DESCRIBE_MAX && s->at + n < s->n_tasks && s->tasks[s->at + n].place == s->tasks[s->at].place) {
		ids[n] = s->tasks[s->at + n].id;
		n++;
	}
	return n;
}

static void on_described(void *arg, const struct aws_reply *reply)
{
	struct sweep *s = arg;
	const sf_json *list;
	const char *ids[ECS_DESCRIBE_MAX];
	size_t i;

	s->flying = false;
	if (!reply->ok && !sweep_refused(s, reply))
		return;
	list = reply->ok ? sf_json_array(reply->body, "tasks") : NULL;
	for (i = 0; i < sf_json_len(list); i++)
		take_task(s, sf_json_at(list, i));
	s->at += batch_of(s, ids);
}

void sweep_describe_step(struct sweep *s)
{
	const char *ids[ECS_DESCRIBE_MAX];
	size_t n = batch_of(s, ids), place;
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	if (n == 0) {
		drop_others(s);
		s->phase = SWEEP_REVIEW;
		return;
	}
	place = s->tasks[s->at].place;
	if (ecs_describe_tasks_body(s->places[place].cluster, ids, n, &body, &err) != 0)
		sweep_trouble(s, err.text);
	if (!body || !sweep_call(s, place, AWS_OP_DESCRIBE_TASKS, body, on_described))
		s->at += n;
}
