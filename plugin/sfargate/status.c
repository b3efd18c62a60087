/* sfargate status, conf and resume: how the agent stands, what it works by, and what an administrator opens again. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "common/base/names.h"
#include "common/base/text.h"
#include "plugin/sfargate/sfargate.h"

static const struct {
	const char *label, *key;
} fields[] = {
	{ "Cluster", "cluster" },     { "Instance", "instance" }, { "Configuration", "conf" }, { "LaunchFrom", "launch" },
	{ "Slurmctld", "slurmctld" }, { "AWS", "aws" },           { "Store", "store" },        { "Problem", "problem" },
	{ "ConfRefused", "conf_refused" }, { "LicenseProblem", "license_problem" }, { "AlertProblem", "alert_problem" },
};

static void print_paused(const sf_json *list)
{
	sf_json *one;
	char when[32], text[512];
	int64_t since;
	size_t i;

	for (i = 0; i < sf_json_len(list); i++) {
		one = sf_json_at(list, i);
		since = 0;
		sf_json_int(one, "since", &since);
		time_text(since, when);
		snprintf(text, sizeof(text), "%s since %s: %s", sf_json_str(one, "partition"), when, sf_json_str(one, "reason"));
		print_pair("Paused", text);
	}
}

/* Only where there were any: most sites have no AlertTopic. */
static void print_alerts(const sf_json *answer)
{
	int64_t sent = 0, failed = 0, waiting = 0;
	char text[128];

	sf_json_int(answer, "alerts_sent", &sent);
	sf_json_int(answer, "alerts_failed", &failed);
	sf_json_int(answer, "alerts_waiting", &waiting);
	if (sent + failed + waiting == 0)
		return;
	snprintf(text, sizeof(text), "%" PRId64 " published, %" PRId64 " failed, %" PRId64 " waiting", sent, failed, waiting);
	print_pair("Alerts", text);
}

static void print_status(const sf_json *answer)
{
	const sf_json *phases = sf_json_object(answer, "phases");
	int64_t started = 0, jobs = 0, n;
	char when[32], text[64];
	size_t i;
	int p;

	for (i = 0; i < SF_COUNT(fields); i++)
		print_pair(fields[i].label, sf_json_str(answer, fields[i].key));
	if (sf_json_int(answer, "started", &started)) {
		time_text(started, when);
		print_pair("Started", when);
	}
	sf_json_int(answer, "jobs", &jobs);
	snprintf(text, sizeof(text), "%" PRId64, jobs);
	print_pair("Jobs", text);
	print_alerts(answer);
	for (p = 0; p < SF_PHASE_COUNT; p++)
		if (sf_json_int(phases, sf_phase_name((enum sf_phase)p), &n)) {
			char label[32];

			snprintf(label, sizeof(label), "  %s", sf_phase_name((enum sf_phase)p));
			snprintf(text, sizeof(text), "%" PRId64, n);
			print_pair(label, text);
		}
	print_paused(sf_json_array(answer, "paused"));
}

sf_json *ask_object(const struct arguments *a, enum sf_frame_type type)
{
	sf_auto_free char *text = ask_text(a, type);
	struct sf_error err = { "" };
	sf_json *answer = NULL;

	if (text && sf_json_parse(text, strlen(text), &answer, &err) != 0)
		fprintf(stderr, "sfargate: the agent's answer: %s\n", err.text);
	return answer;
}

int command_status(const struct arguments *a)
{
	sf_auto_json sf_json *answer = ask_object(a, SF_FRAME_STATUS);

	if (!answer)
		return EXIT_NO_ANSWER;
	if (a->json)
		print_json(answer);
	else
		print_status(answer);
	return EXIT_SUCCESS;
}

/* What is not the configuration itself is a comment, so that the whole is a fargate.conf again. */
static void print_comment(const char *what, const char *text)
{
	sf_auto_free char *clean = text ? clean_copy(text) : NULL;

	if (clean)
		printf("# %s: %s\n", what, clean);
}

static void print_lines(const char *text)
{
	sf_auto_free char *copy = strdup(text);
	char *line, *rest = copy;

	while ((line = strsep(&rest, "\n"))) {
		sf_text_clean(line);
		if (*line || rest)
			puts(line);
	}
}

int command_conf(const struct arguments *a)
{
	sf_auto_json sf_json *answer = ask_object(a, SF_FRAME_CONF);
	const char *text = sf_json_str(answer, "conf");
	int64_t loaded = 0;
	char when[32];

	if (!answer)
		return EXIT_NO_ANSWER;
	if (a->json) {
		print_json(answer);
		return EXIT_SUCCESS;
	}
	print_comment("file", sf_json_str(answer, "path"));
	if (sf_json_int(answer, "loaded", &loaded)) {
		time_text(loaded, when);
		print_comment("read", when);
	}
	print_comment("the file as it is now is refused, what follows stays in force", sf_json_str(answer, "refused"));
	print_lines(text ? text : "");
	return EXIT_SUCCESS;
}

int command_resume(const struct arguments *a)
{
	sf_auto_json sf_json *answer = ask_object(a, SF_FRAME_RESUME);

	if (!answer)
		return EXIT_NO_ANSWER;
	if (a->json)
		print_json(answer);
	else
		printf("partition %s is open again\n", a->partition);
	return EXIT_SUCCESS;
}
