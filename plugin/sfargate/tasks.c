/* sfargate tasks: one row per start of a job that the agent knows. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <time.h>

#include "plugin/sfargate/sfargate.h"

#define DAY_S 86400

static const char *const titles[] = { "JOBID", "USER", "PHASE", "TASK", "SIZE", "PROVIDER", "ZONE", "AGE", "REASON" };

static int64_t number(const sf_json *row, const char *key)
{
	int64_t n = 0;

	sf_json_int(row, key, &n);
	return n;
}

/* An array's elements stay together, as in squeue. */
static int64_t group_of(const sf_json *row)
{
	return number(row, "array_job") ? number(row, "array_job") : number(row, "job");
}

static int by_job(const void *a, const void *b)
{
	static const char *const keys[] = { "array_task", "restart", "job" };
	const sf_json *x = *(sf_json *const *)a, *y = *(sf_json *const *)b;
	int64_t d = group_of(x) - group_of(y);
	size_t i;

	for (i = 0; i < SF_COUNT(keys) && d == 0; i++)
		d = number(x, keys[i]) - number(y, keys[i]);
	return d < 0 ? -1 : d > 0;
}

static void add_row(struct table *t, const sf_json *row, int64_t now)
{
	sf_auto_free char *user = user_text(row);
	char job[32], size[48], age[32];

	job_text(row, job);
	size_text(row, size);
	age_text(now - number(row, "taken"), age);
	table_add(t, job);
	table_add(t, user);
	table_add(t, sf_json_str(row, "phase"));
	table_add(t, sf_json_str(row, "task"));
	table_add(t, size);
	table_add(t, sf_json_str(row, "provider"));
	table_add(t, sf_json_str(row, "az"));
	table_add(t, age);
	table_add(t, sf_json_str(row, "reason"));
}

static int print_rows(const struct arguments *a, const sf_json *rows)
{
	struct table t = { .columns = SF_COUNT(titles), .titles = titles };
	size_t n = sf_json_len(rows), i;
	sf_auto_free sf_json **sorted = malloc((n + 1) * sizeof(sf_json *));
	int status = EXIT_NO_ANSWER;

	for (i = 0; sorted && i < n; i++)
		sorted[i] = sf_json_at(rows, i);
	if (sorted)
		qsort(sorted, n, sizeof(*sorted), by_job);
	for (i = 0; sorted && i < n; i++)
		add_row(&t, sorted[i], time(NULL));
	if (!sorted || t.failed) {
		fputs("sfargate: out of memory\n", stderr);
	} else {
		table_print(&t, !a->no_header);
		status = EXIT_SUCCESS;
	}
	table_free(&t);
	return status;
}

int command_tasks(const struct arguments *a)
{
	sf_auto_json sf_json *rows = ask_list(a, SF_FRAME_TASKS, "tasks", a->all ? DAY_S : -1);
	sf_auto_json sf_json *whole = NULL;

	if (!rows)
		return EXIT_NO_ANSWER;
	if (a->json) {
		whole = sf_json_new_object();
		sf_json_set(whole, "tasks", sf_steal(rows));
		print_json(whole);
		return EXIT_SUCCESS;
	}
	if (sf_json_len(rows) == 0) {
		fprintf(stderr, "sfargate: no job%s is on Fargate now%s\n", geteuid() == 0 ? "" : " of yours",
			a->all ? ", and none was within the last day" : "; -a shows those that ended within the last day");
		return EXIT_SUCCESS;
	}
	return print_rows(a, rows);
}
