/* Task definitions: looked up once for a burst of jobs, held against the container contract. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define FRESH_MS 60000
#define BAD_MS 1000
#define KEPT_MAX 256 /* users may name many */

/* One looked-up task definition; many jobs of a burst share one DescribeTaskDefinition. */
struct definition {
	struct definition *next;
	struct agent *agent;
	/* What it was asked by: a line's address says nothing once fargate.conf was read again. NULL: AWS's variables, the only container. */
	char *profile, *region, *name, *container;
	struct ecs_definition def;
	bool good;
	bool flying;
	struct definition_answer answer;
	char text[SF_ERROR_MAX];
	int64_t at; /* ms of the last answer, 0 = none yet */
};

struct definitions {
	struct definition *head; /* the last asked for comes first */
	size_t n;
};

struct definitions *definitions_new(void)
{
	return calloc(1, sizeof(struct definitions));
}

static void definition_free(struct definition *def)
{
	if (!def)
		return;
	if (def->good)
		ecs_definition_free(&def->def);
	free(def->profile);
	free(def->region);
	free(def->name);
	free(def->container);
	free(def);
}

void definitions_free(struct definitions *d)
{
	struct definition *def;

	while (d && (def = d->head)) {
		d->head = def->next;
		definition_free(def);
	}
	free(d);
}

static const char *wanted_name(const struct job *job)
{
	return job->spec.task_definition ? job->spec.task_definition : job->line->task_definition;
}

static bool same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_of(const struct definition *def, const struct job *job)
{
	return same(def->name, wanted_name(job)) && same(def->container, job->line->container) &&
	       same(def->profile, job->row.profile) && same(def->region, job->row.region);
}

static bool copy(char **out, const char *text)
{
	*out = text ? strdup(text) : NULL;
	return !text || *out;
}

static struct definition *definition_new(struct job *job)
{
	struct definition *def = calloc(1, sizeof(*def));

	if (def && copy(&def->profile, job->row.profile) && copy(&def->region, job->row.region) &&
	    copy(&def->name, wanted_name(job)) && copy(&def->container, job->line->container)) {
		def->agent = job->agent;
		return def;
	}
	definition_free(def);
	return NULL;
}

/* The one asked for longest ago goes; what AWS is being asked about has a callback that points to it. */
static void forget_oldest(struct definitions *d)
{
	struct definition **p, **oldest = NULL, *gone;

	if (d->n < KEPT_MAX)
		return;
	for (p = &d->head; *p; p = &(*p)->next)
		if (!(*p)->flying)
			oldest = p;
	if (!oldest)
		return;
	gone = *oldest;
	*oldest = gone->next;
	d->n--;
	definition_free(gone);
}

static struct definition *definition_of(struct job *job)
{
	struct definitions *d = job->agent->definitions;
	struct definition **p, *def;

	for (p = &d->head; *p && !is_of(*p, job); p = &(*p)->next)
		;
	def = *p;
	if (def) {
		*p = def->next;
	} else {
		forget_oldest(d);
		def = definition_new(job);
		if (!def)
			return NULL;
		d->n++;
	}
	def->next = d->head;
	d->head = def;
	return def;
}

enum sf_class reply_class(const struct agent *a, const struct aws_reply *reply, bool read_only, char text[SF_ERROR_MAX])
{
	struct sf_api_signal s = {
		.read_only = read_only,
		.transport = reply->transport_failed,
		.http = reply->http,
		.code = reply->code,
		.message = reply->message,
		.operation = aws_op_name(reply->op),
		.rules = a->conf->rules,
		.n_rules = a->conf->n_rules,
	};

	if (reply->transport_failed)
		snprintf(text, SF_ERROR_MAX, "%s", reply->error);
	else
		snprintf(text, SF_ERROR_MAX, "%s: %s: %s", aws_op_name(reply->op), reply->code ? reply->code : "HTTP error",
			 reply->message ? reply->message : "");
	return sf_verdict_api(&s);
}

/* A definition AWS will not describe is a launch that cannot be: refused like RunTask, but for missing permissions, which are waited out. */
static enum sf_class definition_class(const struct agent *a, const struct aws_reply *reply, char text[SF_ERROR_MAX])
{
	enum sf_class c = reply_class(a, reply, true, text);

	return c == SF_CLASS_CREDS ? c : reply_class(a, reply, false, text);
}

static void on_definition(void *arg, const struct aws_reply *reply)
{
	struct definition *def = arg;
	struct sf_error err = { "" };

	def->flying = false;
	def->at = agent_now_ms(def->agent);
	if (def->good)
		ecs_definition_free(&def->def);
	def->good = false;
	if (!reply->ok) {
		def->answer.problem = definition_class(def->agent, reply, def->text);
		agent_aws_problem(def->agent, def->text);
		return;
	}
	agent_aws_problem(def->agent, NULL);
	if (ecs_definition_parse(reply->body, def->container, &def->def, &err) != 0) {
		def->answer.problem = SF_CLASS_CONFIG;
		sf_copy(def->text, sizeof(def->text), err.text);
		return;
	}
	def->good = true;
}

static void ask_definition(struct job *job, struct definition *def)
{
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	def->flying = true;
	if (ecs_describe_definition_body(def->name, &body, &err) == 0 &&
	    agent_call(job, AWS_OP_DESCRIBE_TASK_DEFINITION, body, on_definition, def))
		return;
	def->flying = false;
	def->at = agent_now_ms(job->agent);
	def->answer.problem = SF_CLASS_CREDS;
	sf_copy(def->text, sizeof(def->text), err.text[0] ? err.text : job->agent->aws_problem);
}

const struct definition_answer *definition_ask(struct job *job, int64_t now)
{
	struct definition *def = definition_of(job);

	if (!def || def->flying)
		return NULL;
	/* A refusal counts for those who waited for it: a job released after the cure asks anew. */
	if (def->at == 0 || now - def->at > FRESH_MS || (!def->good && (now - def->at > BAD_MS || def->at < job->born_at))) {
		ask_definition(job, def);
		return NULL;
	}
	def->answer.def = def->good ? &def->def : NULL;
	def->answer.text = def->text;
	return &def->answer;
}
