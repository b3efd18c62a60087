/* ECS: request bodies and the reading of tasks and failures. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/ecs.h"

#include <limits.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "common/aws/fields.h"
#include "common/base/text.h"

const char *ecs_id_of(const char *arn)
{
	const char *slash = strrchr(arn, '/');

	return slash ? slash + 1 : arn;
}

int ecs_describe_tasks_body(const char *cluster, const char *const *ids, size_t n, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();
	sf_json *tasks = sf_json_new_array();
	size_t i;

	for (i = 0; i < n; i++)
		sf_json_add_str(tasks, ids[i]);
	sf_json_set_str(body, "cluster", cluster);
	sf_json_set(body, "tasks", tasks);
	if (n == 0 || n > ECS_DESCRIBE_MAX)
		return sf_err(err, "DescribeTasks takes 1 to %d tasks, not %zu", ECS_DESCRIBE_MAX, n);
	return aws_body_text(body, out, err);
}

int ecs_stop_task_body(const char *cluster, const char *task, const char *reason, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();
	char text[ECS_REASON_MAX + 1];
	size_t n = strlen(reason);

	if (n > ECS_REASON_MAX)
		for (n = ECS_REASON_MAX; n > 0 && ((unsigned char)reason[n] & 0xc0) == 0x80; n--)
			;
	memcpy(text, reason, n);
	text[n] = '\0';
	sf_json_set_str(body, "cluster", cluster);
	sf_json_set_str(body, "task", task);
	sf_json_set_str(body, "reason", text);
	return aws_body_text(body, out, err);
}

int ecs_list_tasks_body(const struct ecs_list *list, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();

	if (list->started_by && list->family)
		return sf_err(err, "ListTasks takes either startedBy or family");
	if (list->started_by && list->desired_status)
		return sf_err(err, "ListTasks takes startedBy alone, without desiredStatus");
	sf_json_set_str(body, "cluster", list->cluster);
	sf_json_set_str(body, "startedBy", list->started_by);
	sf_json_set_str(body, "family", list->family);
	sf_json_set_str(body, "desiredStatus", list->desired_status);
	sf_json_set_str(body, "nextToken", list->next_token);
	return aws_body_text(body, out, err);
}

int ecs_describe_definition_body(const char *definition, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();

	sf_json_set_str(body, "taskDefinition", definition);
	return aws_body_text(body, out, err);
}

int ecs_describe_cluster_body(const char *cluster, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();
	sf_json *clusters = sf_json_new_array();

	sf_json_add_str(clusters, cluster);
	sf_json_set(body, "clusters", clusters);
	return aws_body_text(body, out, err);
}

int ecs_list_tasks_parse(const sf_json *body, char ***arns, char **next_token, struct sf_error *err)
{
	sf_auto_strv char **v = NULL;

	if (!sf_json_array(body, "taskArns"))
		return sf_err(err, "ListTasks: the answer has no taskArns");
	if (sf_json_strv(body, "taskArns", &v, err) != 0 ||
	    aws_take_raw(body, "nextToken", next_token, err) != 0)
		return sf_err_wrap(err, "ListTasks");
	*arns = sf_steal(v);
	return 0;
}

/* ISO 8601 as pasted by some tools: 2026-11-23T18:02:33[.842][Z|+01:00]; no zone means UTC. */
static bool iso_time(const char *s, double *out)
{
	struct tm tm = { 0 };
	double fraction = 0;
	int sign, hours, minutes, used = 0;
	char *end = strptime(s, "%Y-%m-%dT%H:%M:%S", &tm);

	if (!end)
		return false;
	if (*end == '.') {
		fraction = strtod(end, NULL);
		end += 1 + strspn(end + 1, "0123456789");
	}
	*out = (double)timegm(&tm) + fraction;
	if (strcmp(end, "Z") == 0 || !*end)
		return true;
	sign = *end == '-' ? -1 : 1;
	/* NOLINTBEGIN(cert-err34-c): two digits cannot overflow */
	if ((*end != '+' && *end != '-') ||
	    (sscanf(end + 1, "%2d:%2d%n", &hours, &minutes, &used) < 2 &&
	     sscanf(end + 1, "%2d%2d%n", &hours, &minutes, &used) < 2) ||
	    end[1 + used])
		return false;
	/* NOLINTEND(cert-err34-c) */
	*out -= sign * (hours * 3600 + minutes * 60);
	return true;
}

/* Seconds since the epoch: a number, a number as text, or ISO 8601 (botocore accepts all three). */
static int take_time(const sf_json *obj, const char *key, double *out, struct sf_error *err)
{
	const char *s = sf_json_str(obj, key);
	char *end = NULL;
	double value = 0;

	if (sf_json_double(obj, key, &value) || (s && iso_time(s, &value))) {
		*out = value;
	} else if (s) {
		value = strtod(s, &end);
		if (end == s || *end || !isfinite(value))
			return sf_err(err, "%s is not a time", key);
		*out = value;
	}
	return *out < 0 ? sf_err(err, "%s is before 1970", key) : 0;
}

/* Our container's element of containers[], NULL when there is none. */
static int find_container(const sf_json *task, const char *name, const sf_json **out, struct sf_error *err)
{
	sf_json *containers = sf_json_array(task, "containers");
	size_t n = sf_json_len(containers), i;
	const char *this_name;

	*out = NULL;
	if (!name && n > 1)
		return sf_err(err, "the task has %zu containers and none was named", n);
	for (i = 0; i < n && !*out; i++) {
		this_name = sf_json_str(sf_json_at(containers, i), "name");
		if (!name || (this_name && strcmp(this_name, name) == 0))
			*out = sf_json_at(containers, i);
	}
	return 0;
}

static int parse_container(const sf_json *task, const char *name, struct ecs_task *t, struct sf_error *err)
{
	const sf_json *c = NULL;
	int64_t code = 0;

	if (find_container(task, name, &c, err) != 0)
		return -1;
	t->container.found = c != NULL;
	t->container.has_exit_code = sf_json_int(c, "exitCode", &code);
	if (code < INT_MIN || code > INT_MAX)
		return sf_err(err, "exitCode %lld is no exit code", (long long)code);
	t->container.exit_code = (int)code;
	if (aws_take_str(c, "reason", &t->container.reason, err) != 0)
		return -1;
	return aws_take_str(c, "lastStatus", &t->container.last_status, err);
}

static int parse_texts(const sf_json *task, struct ecs_task *t, struct sf_error *err)
{
	const struct {
		const char *key;
		char **out;
	} rows[] = {
		{ "taskArn", &t->arn },
		{ "taskDefinitionArn", &t->definition },
		{ "lastStatus", &t->last_status },
		{ "desiredStatus", &t->desired_status },
		{ "stopCode", &t->stop_code },
		{ "stoppedReason", &t->stopped_reason },
		{ "availabilityZone", &t->az },
		{ "capacityProviderName", &t->provider },
		{ "group", &t->group },
		{ "startedBy", &t->started_by },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(rows); i++)
		if (aws_take_str(task, rows[i].key, rows[i].out, err) != 0)
			return -1;
	if (!t->arn)
		return sf_err(err, "a task without taskArn");
	if (!t->provider && aws_take_str(task, "launchType", &t->provider, err) != 0)
		return -1;
	t->id = strdup(ecs_id_of(t->arn));
	return t->id ? 0 : sf_err(err, "out of memory");
}

static int parse_times(const sf_json *task, struct ecs_task *t, struct sf_error *err)
{
	const struct {
		const char *key;
		double *out;
	} rows[] = {
		{ "createdAt", &t->created_at },
		{ "pullStartedAt", &t->pull_started_at },
		{ "startedAt", &t->started_at },
		{ "stoppingAt", &t->stopping_at },
		{ "stoppedAt", &t->stopped_at },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(rows); i++)
		if (take_time(task, rows[i].key, rows[i].out, err) != 0)
			return sf_err_wrap(err, "task %s", t->id);
	return 0;
}

int ecs_task_parse(const sf_json *task, const char *container, struct ecs_task *out, struct sf_error *err)
{
	sf_auto_ecs_task struct ecs_task t = { 0 };

	if (parse_texts(task, &t, err) != 0 || parse_times(task, &t, err) != 0)
		return -1;
	if (parse_container(task, container, &t, err) != 0)
		return sf_err_wrap(err, "task %s", t.id);
	*out = t;
	t = (struct ecs_task){ 0 };
	return 0;
}

void ecs_task_free(struct ecs_task *t)
{
	free(t->arn);
	free(t->id);
	free(t->definition);
	free(t->last_status);
	free(t->desired_status);
	free(t->stop_code);
	free(t->stopped_reason);
	free(t->az);
	free(t->provider);
	free(t->group);
	free(t->started_by);
	free(t->container.reason);
	free(t->container.last_status);
	*t = (struct ecs_task){ 0 };
}

int ecs_failure_parse(const sf_json *failure, struct ecs_failure *out, struct sf_error *err)
{
	sf_auto_ecs_failure struct ecs_failure f = { 0 };

	if (!sf_json_is_object(failure))
		return sf_err(err, "an element of failures that is not an object");
	if (aws_take_str(failure, "arn", &f.arn, err) != 0 || aws_take_str(failure, "reason", &f.reason, err) != 0 ||
	    aws_take_str(failure, "detail", &f.detail, err) != 0)
		return -1;
	*out = f;
	f = (struct ecs_failure){ 0 }; /* NOLINT(clang-analyzer-deadcode.DeadStores): sf_auto has nothing to free any more */
	return 0;
}

void ecs_failure_free(struct ecs_failure *f)
{
	free(f->arn);
	free(f->reason);
	free(f->detail);
	*f = (struct ecs_failure){ 0 };
}
