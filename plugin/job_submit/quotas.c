/* The vCPU quotas as the agent last told them: strict reading, and the look-up. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/job_submit/quotas.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/quota.h"
#include "common/base/text.h"

#define ENTRIES_MAX 4096 /* an account's and region's two quotas for each line that fargate.conf could have */
#define REGION_MAX 64
#define WHY_MAX 200 /* bytes that a sentence has room for */

struct entry {
	char **partitions;
	char *provider;
	struct js_quota quota;
};

struct js_quotas {
	struct entry *entries;
	size_t n;
};

void js_quotas_free(struct js_quotas *quotas)
{
	size_t i;

	for (i = 0; quotas && i < quotas->n; i++) {
		sf_strv_free(quotas->entries[i].partitions);
		free(quotas->entries[i].provider);
		free(quotas->entries[i].quota.region);
		free(quotas->entries[i].quota.why);
	}
	if (quotas)
		free(quotas->entries);
	free(quotas);
}

/* An absent number is -1; one of another type or out of bounds is an error, not an absent one. */
static int take_number(const sf_json *j, const char *key, int64_t max, int64_t *out)
{
	*out = -1;
	return sf_json_has(j, key) ? sf_json_need_int(j, key, 0, max, out, NULL) : 0;
}

/* An absent or empty text is NULL; a long one is cut. */
static int take_text(const sf_json *j, const char *key, size_t max, char **out)
{
	const char *text;

	if (!sf_json_has(j, key))
		return 0;
	text = sf_json_str(j, key);
	if (!text)
		return -1;
	if (!text[0])
		return 0;
	*out = strndup(text, max);
	if (!*out)
		return -1;
	/* A character that the cut went through becomes '?'. */
	sf_text_clean(*out);
	return 0;
}

/* free without a limit, or a limit of no age, would be believed for what they are not. */
static int take_entry(const sf_json *j, struct entry *e)
{
	struct js_quota *q = &e->quota;

	if (!sf_json_array(j, "partitions") || sf_json_strv(j, "partitions", &e->partitions, NULL) ||
	    take_text(j, "provider", REGION_MAX, &e->provider) || !e->provider ||
	    take_text(j, "region", REGION_MAX, &q->region) || take_text(j, "why", WHY_MAX, &q->why) ||
	    take_number(j, "limit", SF_QUARTERS_MAX, &q->limit) || take_number(j, "free", SF_QUARTERS_MAX, &q->free) ||
	    take_number(j, "age", INT32_MAX, &q->age))
		return -1;
	return (q->free >= 0 && q->limit < 0) || (q->limit >= 0 && q->age < 0) ? -1 : 0;
}

struct js_quotas *js_quotas_parse(const sf_json *array)
{
	struct js_quotas *quotas = calloc(1, sizeof(*quotas));
	const size_t n = sf_json_len(array);
	int rc = -1;

	if (quotas && array && n <= ENTRIES_MAX) {
		quotas->entries = calloc(n + 1, sizeof(*quotas->entries));
		rc = quotas->entries ? 0 : -1;
	}
	while (!rc && quotas->n < n) {
		rc = take_entry(sf_json_at(array, quotas->n), &quotas->entries[quotas->n]);
		quotas->n++;
	}
	if (rc) {
		js_quotas_free(quotas);
		return NULL;
	}
	return quotas;
}

const struct js_quota *js_quotas_find(const struct js_quotas *quotas, const char *partition, const char *provider)
{
	size_t i;

	for (i = 0; quotas && i < quotas->n; i++)
		if (!strcmp(quotas->entries[i].provider, provider) && sf_strv_has(quotas->entries[i].partitions, partition))
			return &quotas->entries[i].quota;
	return NULL;
}
