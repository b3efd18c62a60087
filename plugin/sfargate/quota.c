/* sfargate quota: the vCPU quotas, a row per account, Region and provider. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "common/base/quota.h"
#include "common/base/text.h"
#include "plugin/sfargate/sfargate.h"

static const char *const titles[] = {"PARTITIONS", "ACCOUNT", "REGION",	  "PROVIDER", "LIMIT", "KIND",	  "AGE", "OURS",
				     "INFLIGHT",   "OTHERS",  "OTHERAGE", "FREE",     "JOBS",  "WAITING", "NOTE"};

/* A number of quarters as vCPUs; NULL = the agent does not know it. */
static void add_vcpu(struct table *t, const sf_json *row, const char *key)
{
	char text[SF_QUARTERS_TEXT_MAX];
	int64_t quarters;

	table_add(t, sf_json_int(row, key, &quarters) ? sf_quarters_text(quarters, text) : NULL);
}

static void add_age(struct table *t, const sf_json *row, const char *key)
{
	char text[32];
	int64_t seconds;
	bool known = sf_json_int(row, key, &seconds);

	if (known)
		age_text(seconds, text);
	table_add(t, known ? text : NULL);
}

static void add_partitions(struct table *t, const sf_json *list)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	const char *name;
	size_t i;

	for (i = 0; i < sf_json_len(list); i++) {
		name = sf_json_string(sf_json_at(list, i));
		sf_buf_printf(&b, "%s%s", i ? "," : "", name ? name : "?");
	}
	table_add(t, b.data);
}

static void add_note(struct table *t, const sf_json *row)
{
	const char *why = sf_json_str(row, "why");

	table_add(t, why ? why : sf_json_str(row, "others_why"));
}

static void add_row(struct table *t, const sf_json *row)
{
	int64_t jobs = 0;
	char text[32];

	sf_json_int(row, "waiting_jobs", &jobs);
	snprintf(text, sizeof(text), "%" PRId64, jobs);
	add_partitions(t, sf_json_array(row, "partitions"));
	table_add(t, sf_json_str(row, "account"));
	table_add(t, sf_json_str(row, "region"));
	table_add(t, sf_json_str(row, "provider"));
	add_vcpu(t, row, "limit");
	table_add(t, !sf_json_has(row, "applied") ? NULL : sf_json_bool(row, "applied", false) ? "applied" : "default");
	add_age(t, row, "age");
	add_vcpu(t, row, "ours");
	add_vcpu(t, row, "in_flight");
	add_vcpu(t, row, "others");
	add_age(t, row, "others_age");
	add_vcpu(t, row, "free");
	table_add(t, text);
	add_vcpu(t, row, "waiting");
	add_note(t, row);
}

int command_quota(const struct arguments *a)
{
	struct table t = {.columns = SF_COUNT(titles), .titles = titles};
	sf_auto_json sf_json *answer = ask_object(a, SF_FRAME_QUOTA);
	const sf_json *rows = sf_json_array(answer, "quotas");
	bool failed;
	size_t i;

	if (!answer)
		return EXIT_NO_ANSWER;
	if (a->json) {
		print_json(answer);
		return EXIT_SUCCESS;
	}
	for (i = 0; i < sf_json_len(rows); i++)
		add_row(&t, sf_json_at(rows, i));
	failed = t.failed;
	if (failed)
		fputs("sfargate: out of memory\n", stderr);
	else
		table_print(&t, !a->no_header);
	table_free(&t);
	return failed ? EXIT_NO_ANSWER : EXIT_SUCCESS;
}
