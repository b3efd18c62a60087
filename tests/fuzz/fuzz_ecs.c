/* Fuzzes ECS's answers: pages of tasks, tasks and failures. What comes out is clean and within its bounds. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>

#include "common/aws/ecs.h"
#include "tests/fuzz/fuzz.h"

static void sound_task(const struct ecs_task *t)
{
	const char *const texts[] = { t->arn,
				      t->id,
				      t->definition,
				      t->last_status,
				      t->desired_status,
				      t->stop_code,
				      t->stopped_reason,
				      t->az,
				      t->provider,
				      t->group,
				      t->started_by,
				      t->container.reason,
				      t->container.last_status };
	const double times[] = { t->created_at, t->pull_started_at, t->started_at, t->stopping_at, t->stopped_at };
	size_t i;

	HOLDS(t->arn && t->id && !strchr(t->id, '/'));
	for (i = 0; i < SF_COUNT(texts); i++)
		HOLDS(fuzz_clean_or_null(texts[i]));
	for (i = 0; i < SF_COUNT(times); i++)
		HOLDS(isfinite(times[i]) && times[i] >= 0);
	HOLDS(t->container.found || (!t->container.has_exit_code && !t->container.reason));
	HOLDS(t->container.has_exit_code || t->container.exit_code == 0);
}

static void task(const sf_json *j, const char *container)
{
	struct ecs_task t = { 0 };
	struct sf_error err = { "" };

	if (ecs_task_parse(j, container, &t, &err) != 0) {
		HOLDS(err.text[0] && fuzz_clean(err.text));
		return;
	}
	sound_task(&t);
	ecs_task_free(&t);
}

static void failure(const sf_json *j)
{
	struct ecs_failure f = { 0 };
	struct sf_error err = { "" };

	if (ecs_failure_parse(j, &f, &err) != 0) {
		HOLDS(err.text[0]);
		return;
	}
	HOLDS(fuzz_clean_or_null(f.arn) && fuzz_clean_or_null(f.reason) && fuzz_clean_or_null(f.detail));
	ecs_failure_free(&f);
}

static void page(const sf_json *body)
{
	sf_auto_strv char **arns = NULL;
	sf_auto_free char *next = NULL;
	struct sf_error err = { "" };

	if (ecs_list_tasks_parse(body, &arns, &next, &err) != 0)
		HOLDS(err.text[0] && !arns);
	else
		HOLDS(sf_strv_len(arns) == sf_json_len(sf_json_array(body, "taskArns")));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_json sf_json *body = NULL;
	const sf_json *list;
	struct sf_error err = { "" };
	size_t i;

	if (sf_json_parse((const char *)data, size, &body, &err) != 0)
		return 0;
	page(body);
	list = sf_json_array(body, "tasks");
	for (i = 0; i < sf_json_len(list); i++) {
		task(sf_json_at(list, i), NULL);
		task(sf_json_at(list, i), "main");
	}
	list = sf_json_array(body, "failures");
	for (i = 0; i < sf_json_len(list); i++)
		failure(sf_json_at(list, i));
	return 0;
}
