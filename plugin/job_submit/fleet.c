/* Which jobs are on Fargate: the agent's ranges of job ids, and the look-up. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/job_submit/fleet.h"

#include <ctype.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/util.h"

struct range {
	uint32_t first, last;
	const char *partition; /* one of js_fleet.partitions */
};

struct js_fleet {
	struct range *ranges; /* by first; they do not overlap */
	size_t n, cap;
	char **partitions;
	size_t n_partitions;
};

void js_fleet_free(struct js_fleet *fleet)
{
	size_t i;

	for (i = 0; fleet && i < fleet->n_partitions; i++)
		free(fleet->partitions[i]);
	if (fleet) {
		free(fleet->partitions);
		free(fleet->ranges);
	}
	free(fleet);
}

/* A job id at *at, which moves behind it; false when there is none. */
static bool take_id(const char **at, uint32_t *id)
{
	uint64_t n = 0;

	if (!isdigit((unsigned char)**at))
		return false;
	for (; isdigit((unsigned char)**at); (*at)++) {
		n = n * 10 + (uint64_t)(**at - '0');
		if (n > UINT32_MAX)
			return false;
	}
	*id = (uint32_t)n;
	return true;
}

static int add(struct js_fleet *fleet, const struct range *r)
{
	size_t cap = fleet->cap ? fleet->cap * 2 : 64;
	struct range *more;

	if (fleet->n == fleet->cap) {
		more = realloc(fleet->ranges, cap * sizeof(*more));
		if (!more)
			return -1;
		fleet->ranges = more;
		fleet->cap = cap;
	}
	fleet->ranges[fleet->n++] = *r;
	return 0;
}

/* "3-7,12" */
static int parse_ranges(struct js_fleet *fleet, const char *text, const char *partition)
{
	struct range r = { .partition = partition };

	while (*text) {
		if (!take_id(&text, &r.first))
			return -1;
		r.last = r.first;
		if (*text == '-' && (text++, !take_id(&text, &r.last)))
			return -1;
		if (r.last < r.first || (*text && *text != ',') || add(fleet, &r))
			return -1;
		text += *text == ',';
	}
	return 0;
}

static int parse_partition(struct js_fleet *fleet, const sf_json *entry)
{
	const char *name = sf_json_str(entry, "partition"), *jobs = sf_json_str(entry, "jobs");

	if (!name || !jobs)
		return -1;
	fleet->partitions[fleet->n_partitions] = strdup(name);
	if (!fleet->partitions[fleet->n_partitions])
		return -1;
	return parse_ranges(fleet, jobs, fleet->partitions[fleet->n_partitions++]);
}

static int by_first(const void *a, const void *b)
{
	const struct range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

struct js_fleet *js_fleet_parse(const sf_json *array)
{
	struct js_fleet *fleet = calloc(1, sizeof(*fleet));
	const size_t n = sf_json_len(array);
	size_t i;
	int rc = -1;

	if (fleet && array) {
		fleet->partitions = calloc(n + 1, sizeof(*fleet->partitions));
		rc = fleet->partitions ? 0 : -1;
	}
	for (i = 0; i < n && !rc; i++)
		rc = parse_partition(fleet, sf_json_at(array, i));
	if (rc) {
		js_fleet_free(fleet);
		return NULL;
	}
	if (fleet->n)
		qsort(fleet->ranges, fleet->n, sizeof(*fleet->ranges), by_first);
	return fleet;
}

static int holds(const void *key, const void *element)
{
	const struct range *r = element;
	const uint32_t id = *(const uint32_t *)key;

	return id < r->first ? -1 : id > r->last;
}

/* To the comma that ends this job, past those within "[1,3]". */
static const char *skip_job(const char *at)
{
	bool inside = false;

	for (; *at && (inside || *at != ','); at++)
		inside = *at == '[' || (inside && *at != ']');
	return *at ? at + 1 : at;
}

/*
 * A job id as slurmctld reads it (slurmctld/job_mgr.c, update_job_str): strtol() takes blanks and "+" before it, and what is
 * left is cut to 32 bits, so that "+3" and "4294967299" are job 3 too.
 */
static bool read_id(const char *text, uint32_t *id)
{
	const long n = strtol(text, NULL, 10);

	*id = (uint32_t)n;
	return n > 0 && n < LONG_MAX;
}

const char *js_fleet_partition(const struct js_fleet *fleet, const char *ids)
{
	const struct range *found = NULL;
	uint32_t id;

	while (fleet && fleet->n && *ids && !found) {
		if (read_id(ids, &id))
			found = bsearch(&id, fleet->ranges, fleet->n, sizeof(*fleet->ranges), holds);
		ids = skip_job(ids);
	}
	return found ? found->partition : NULL;
}
