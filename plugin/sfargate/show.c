/* sfargate show: what is known of a job, and what happened to it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"
#include "plugin/sfargate/sfargate.h"

enum shape { SHAPE_TEXT, SHAPE_NUMBER };

static const struct {
	const char *label, *key;
	enum shape shape;
} fields[] = {
	{ "Partition", "partition", SHAPE_TEXT },
	{ "Phase", "phase", SHAPE_TEXT },
	{ "Verdict", "verdict", SHAPE_TEXT },
	{ "ExitCode", "exit_code", SHAPE_NUMBER },
	{ "Reason", "reason", SHAPE_TEXT },
	{ "StopReason", "stop_reason", SHAPE_TEXT },
	{ "Task", "task", SHAPE_TEXT },
	{ "LastStatus", "last_status", SHAPE_TEXT },
	{ "Provider", "provider", SHAPE_TEXT },
	{ "Zone", "az", SHAPE_TEXT },
	{ "Try", "try", SHAPE_NUMBER },
	{ "EcsCluster", "cluster", SHAPE_TEXT },
	{ "Region", "region", SHAPE_TEXT },
	{ "TaskDefinition", "definition", SHAPE_TEXT },
	{ "Container", "container", SHAPE_TEXT },
	{ "LogGroup", "log_group", SHAPE_TEXT },
	{ "LogStream", "log_stream", SHAPE_TEXT },
};

/* The words of an event, by its `what`; the status speaks for itself. */
static const struct {
	const char *what, *words;
} events[] = {
	{ "try", "request stored, to be sent" },
	{ "answer", "AWS answered" },
	{ "status", "task status" },
	{ "running", "task runs" },
	{ "exit", "task ended" },
	{ "stop", "task is to be stopped" },
	{ "attached", "the job's step on the gateway came" },
	{ "attach-lost", "the job's step on the gateway is gone" },
	{ "verdict", "verdict" },
	{ "told", "Slurm told" },
};

static int64_t number(const sf_json *obj, const char *key)
{
	int64_t n = 0;

	sf_json_int(obj, key, &n);
	return n;
}

static void print_head(const sf_json *start)
{
	sf_auto_free char *user = user_text(start);
	char job[32], more[64] = "", size[48];

	job_text(start, job);
	if (strchr(job, '_'))
		snprintf(more, sizeof(more), "%s (JobId %" PRId64 ")", job, number(start, "job"));
	print_pair("Job", more[0] ? more : job);
	print_pair("User", user);
	size_text(start, size);
	print_pair("Size", size);
	if (number(start, "restart")) {
		snprintf(more, sizeof(more), "%" PRId64, number(start, "restart"));
		print_pair("Restarts", more);
	}
}

static void print_fields(const sf_json *start)
{
	char text[32];
	int64_t n;
	size_t i;

	for (i = 0; i < SF_COUNT(fields); i++)
		if (fields[i].shape == SHAPE_TEXT) {
			print_pair(fields[i].label, sf_json_str(start, fields[i].key));
		} else if (sf_json_int(start, fields[i].key, &n)) {
			snprintf(text, sizeof(text), "%" PRId64, n);
			print_pair(fields[i].label, text);
		}
}

static void print_environment(const sf_json *names)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	size_t i;

	for (i = 0; i < sf_json_len(names); i++)
		sf_buf_printf(&b, "%s%s", i ? "," : "", sf_json_string(sf_json_at(names, i)));
	if (b.len)
		print_pair("Environment", b.data);
}

static void print_moment(int64_t seconds, const char *text)
{
	sf_auto_free char *clean = clean_copy(text);
	char when[32];

	time_text(seconds, when);
	if (seconds && clean)
		printf("  %-19s  %s\n", when, clean);
}

static const char *words_of(const char *what)
{
	size_t i;

	for (i = 0; what && i < SF_COUNT(events); i++)
		if (strcmp(events[i].what, what) == 0)
			return events[i].words;
	return what ? what : "?";
}

static void print_event(const sf_json *e)
{
	const char *op = sf_json_str(e, "op"), *outcome = sf_json_str(e, "outcome"), *text = sf_json_str(e, "text");
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	char last[32];

	if (number(e, "try"))
		sf_buf_printf(&b, "try %" PRId64 ": ", number(e, "try"));
	sf_buf_puts(&b, words_of(sf_json_str(e, "what")));
	if (op)
		sf_buf_printf(&b, " %s", op);
	if (outcome)
		sf_buf_printf(&b, ": %s", outcome);
	if (text)
		sf_buf_printf(&b, "%s %s", op || outcome ? "," : ":", text);
	if (number(e, "count") > 1) {
		time_text(number(e, "last") / 1000, last);
		sf_buf_printf(&b, " (%" PRId64 " times, last at %s)", number(e, "count"), last);
	}
	if (b.data)
		print_moment(number(e, "time") / 1000, b.data);
}

static void print_timeline(const sf_json *start)
{
	const sf_json *list = sf_json_array(start, "events");
	size_t i;

	puts("Timeline");
	print_moment(number(start, "submitted"), "submitted");
	print_moment(number(start, "taken"), "taken by the agent");
	for (i = 0; i < sf_json_len(list); i++)
		print_event(sf_json_at(list, i));
	print_moment(number(start, "closed"), "closed: AWS has no task of it, and Slurm knows the end");
}

static int by_start(const void *a, const void *b)
{
	static const char *const keys[] = { "array_task", "restart", "taken", "job" };
	const sf_json *x = *(sf_json *const *)a, *y = *(sf_json *const *)b;
	int64_t d = 0;
	size_t i;

	for (i = 0; i < SF_COUNT(keys) && d == 0; i++)
		d = number(x, keys[i]) - number(y, keys[i]);
	return d < 0 ? -1 : d > 0;
}

static int print_starts(const sf_json *starts)
{
	size_t n = sf_json_len(starts), i;
	sf_auto_free sf_json **sorted = malloc((n + 1) * sizeof(sf_json *));

	if (!sorted) {
		fputs("sfargate: out of memory\n", stderr);
		return EXIT_NO_ANSWER;
	}
	for (i = 0; i < n; i++)
		sorted[i] = sf_json_at(starts, i);
	qsort(sorted, n, sizeof(*sorted), by_start);
	for (i = 0; i < n; i++) {
		if (i)
			putchar('\n');
		print_head(sorted[i]);
		print_fields(sorted[i]);
		print_environment(sf_json_array(sorted[i], "environment"));
		print_timeline(sorted[i]);
	}
	return EXIT_SUCCESS;
}

int command_show(const struct arguments *a)
{
	sf_auto_json sf_json *starts = ask_list(a, SF_FRAME_SHOW, "starts", -1);
	sf_auto_json sf_json *whole = NULL;

	if (!starts)
		return EXIT_NO_ANSWER;
	if (!a->json)
		return print_starts(starts);
	whole = sf_json_new_object();
	sf_json_set(whole, "starts", sf_steal(starts));
	print_json(whole);
	return EXIT_SUCCESS;
}
