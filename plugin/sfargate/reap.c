/* sfargate reap: the tasks of this cluster that no job claims, and what the agent does with each. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "plugin/sfargate/sfargate.h"

/* The agent waits for the sweep that is under way, then asks AWS for every task, page by page. */
#define TIMEOUT_MS 120000

static const char *const titles[] = { "TASK", "JOBID", "AGE", "SEEN", "DECISION", "WHY" };

static char *ask(const struct arguments *a)
{
	int64_t how = (a->dry_run ? SF_REAP_DRY_RUN : 0) | (a->force ? SF_REAP_FORCE : 0);
	char socket_path[108], *text = NULL;
	struct asker k;
	struct sf_frame f;

	if (asker_open(&k, a, socket_path) == 0 && asker_send(&k, a, SF_FRAME_REAP, how, NULL) == 0 && asker_next(&k, &f, TIMEOUT_MS) == 0) {
		text = f.type == SF_FRAME_TEXT ? sf_frame_dup(&f, SF_FIELD_TEXT, SF_FRAME_BODY_MAX) : NULL;
		if (!text)
			fputs("sfargate: the agent's answer makes no sense; is it of another version?\n", stderr);
	}
	asker_close(&k);
	return text;
}

static void add_number(struct table *t, const sf_json *row, const char *key)
{
	char text[24];
	int64_t n = 0;

	sf_json_int(row, key, &n);
	snprintf(text, sizeof(text), "%" PRId64, n);
	table_add(t, text);
}

static void add_row(struct table *t, const sf_json *row)
{
	char age[32] = "";
	int64_t s = 0;

	if (sf_json_int(row, "age", &s))
		age_text(s, age);
	table_add(t, sf_json_str(row, "task"));
	add_number(t, row, "job");
	table_add(t, age);
	add_number(t, row, "seen");
	table_add(t, sf_json_str(row, "decision"));
	table_add(t, sf_json_str(row, "why"));
}

/* Beside the table: what it does not say. */
static void print_notes(const sf_json *answer)
{
	sf_auto_free char *trouble = clean_copy(sf_json_str(answer, "trouble")), *guard = clean_copy(sf_json_str(answer, "guard"));
	int64_t more = 0;

	if (sf_json_int(answer, "more", &more) && more)
		fprintf(stderr, "sfargate: and %" PRId64 " more tasks\n", more);
	if (guard && sf_json_str(answer, "guard"))
		fprintf(stderr, "sfargate: %s: no task is stopped meanwhile without --force\n", guard);
	if (trouble && sf_json_str(answer, "trouble"))
		fprintf(stderr, "sfargate: not all was seen or done: %s\n", trouble);
}

static int print_answer(const sf_json *answer)
{
	struct table t = { .columns = SF_COUNT(titles), .titles = titles };
	const sf_json *rows = sf_json_array(answer, "tasks");
	int status = EXIT_SUCCESS;
	size_t i;

	for (i = 0; i < sf_json_len(rows); i++)
		add_row(&t, sf_json_at(rows, i));
	if (t.failed) {
		fputs("sfargate: out of memory\n", stderr);
		status = EXIT_NO_ANSWER;
	} else if (sf_json_len(rows) == 0) {
		fputs("sfargate: every task of this cluster is some job's\n", stderr);
	} else {
		table_print(&t, true);
	}
	print_notes(answer);
	table_free(&t);
	return sf_json_str(answer, "trouble") ? EXIT_NO_ANSWER : status;
}

int command_reap(const struct arguments *a)
{
	sf_auto_free char *text = ask(a);
	sf_auto_json sf_json *answer = NULL;
	struct sf_error err = { "" };

	if (!text)
		return EXIT_NO_ANSWER;
	if (sf_json_parse(text, strlen(text), &answer, &err) != 0) {
		fprintf(stderr, "sfargate: the agent's answer: %s\n", err.text);
		return EXIT_NO_ANSWER;
	}
	if (!a->json)
		return print_answer(answer);
	print_json(answer);
	return EXIT_SUCCESS;
}
