/* The world's ListTasks: by startedBy, by family, or all of a cluster, page by page. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "tests/unit/agent_world.h"

size_t aws_list_page = 100;

/* The task's request has `head` and then the value. */
static bool asked_so(const struct fake_task *t, const char *head, const char *value, const char *tail)
{
	char wanted[200];

	if (!value)
		return true;
	snprintf(wanted, sizeof(wanted), "%s%s%s", head, value, tail);
	return strstr(t->body, wanted) != NULL;
}

static bool listed(const struct fake_task *t, const sf_json *in)
{
	return strcmp(t->desired, "RUNNING") == 0 && !t->missing && asked_so(t, "\"startedBy\":\"", sf_json_str(in, "startedBy"), "\"") &&
	       asked_so(t, "\"cluster\":\"", sf_json_str(in, "cluster"), "\"") && asked_so(t, "", sf_json_str(in, "family"), ":");
}

/* A page's token is the number of tasks before it. */
sf_json *world_list_tasks(const sf_json *in)
{
	const char *token = sf_json_str(in, "nextToken");
	size_t from = token ? strtoul(token, NULL, 10) : 0, n = 0, i;
	sf_json *out = sf_json_new_object(), *arns = sf_json_new_array();
	char text[160];

	for (i = 0; i < aws_tasks(); i++)
		if (listed(aws_task(i), in) && n++ >= from && n <= from + aws_list_page) {
			snprintf(text, sizeof(text), "arn:aws:ecs:eu-west-1:123456789012:task/" CLUSTER "/%s", aws_task(i)->id);
			sf_json_add_str(arns, text);
		}
	sf_json_set(out, "taskArns", arns);
	snprintf(text, sizeof(text), "%zu", from + aws_list_page);
	if (n > from + aws_list_page)
		sf_json_set_str(out, "nextToken", text);
	return out;
}
