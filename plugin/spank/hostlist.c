/* Slurm's host lists, walked without libslurm. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/spank/hostlist.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct walk {
	bool (*visit)(void *ctx, const char *host);
	void *ctx;
	unsigned hosts;
};

static int visit_name(struct walk *w, const char *prefix, int prefix_n, const char *middle, const char *suffix, int suffix_n)
{
	char host[HOSTLIST_NAME_MAX];
	int n = snprintf(host, sizeof(host), "%.*s%s%.*s", prefix_n, prefix, middle, suffix_n, suffix);

	if (n <= 0 || n >= (int)sizeof(host) || ++w->hosts > HOSTLIST_HOSTS_MAX)
		return -1;
	return w->visit(w->ctx, host);
}

/* The digits at *at as a number; its width goes to *width. */
static int read_number(const char **at, unsigned long *value, int *width)
{
	char *end = NULL;

	if (**at < '0' || **at > '9')
		return -1;
	*value = strtoul(*at, &end, 10);
	*width = (int)(end - *at);
	*at = end;
	return *width < 10 ? 0 : -1;
}

/* `1-3,07]`: everything up to the closing bracket. */
static int walk_ranges(struct walk *w, const char *prefix, int prefix_n, const char *at, const char *close, const char *suffix,
		       int suffix_n)
{
	unsigned long low = 0, high = 0;
	int width = 0, ignored = 0, rc = 0;
	char number[24];

	while (at < close && rc == 0) {
		if (read_number(&at, &low, &width) != 0)
			return -1;
		high = low;
		if (*at == '-') {
			at++;
			if (read_number(&at, &high, &ignored) != 0)
				return -1;
		}
		if (high < low || high - low >= HOSTLIST_HOSTS_MAX || (at < close && (*at++ != ',' || at == close)))
			return -1;
		for (; low <= high && rc == 0; low++) {
			snprintf(number, sizeof(number), "%0*lu", width, low);
			rc = visit_name(w, prefix, prefix_n, number, suffix, suffix_n);
		}
	}
	return rc;
}

/* One element of the list, brackets and all; end is behind its last byte. */
static int walk_element(struct walk *w, const char *at, const char *end)
{
	const char *open = memchr(at, '[', (size_t)(end - at));
	const char *close = open ? memchr(open, ']', (size_t)(end - open)) : NULL;

	if (at == end)
		return -1;
	if (!open)
		return memchr(at, ']', (size_t)(end - at)) ? -1 : visit_name(w, at, (int)(end - at), "", "", 0);
	if (!close || close == open + 1 || memchr(close, '[', (size_t)(end - close)) ||
	    memchr(close + 1, ']', (size_t)(end - close - 1)))
		return -1;
	return walk_ranges(w, at, (int)(open - at), open + 1, close, close + 1, (int)(end - close - 1));
}

/* The comma outside brackets that ends the element at `at`, or the end of the list. */
static const char *element_end(const char *at)
{
	bool inside = false;

	for (; *at && (inside || *at != ','); at++)
		if (*at == '[')
			inside = true;
		else if (*at == ']')
			inside = false;
	return at;
}

int hostlist_each(const char *list, bool (*visit)(void *ctx, const char *host), void *ctx)
{
	struct walk w = { .visit = visit, .ctx = ctx };
	const char *end;
	int rc = 0;

	while (rc == 0) {
		end = element_end(list);
		rc = walk_element(&w, list, end);
		if (*end == '\0')
			break;
		list = end + 1;
	}
	return rc;
}

static bool is_that(void *ctx, const char *host)
{
	return strcmp(host, ctx) == 0;
}

struct meeting {
	const char *list;
	bool malformed;
};

static bool is_in(void *ctx, const char *host)
{
	struct meeting *m = ctx;
	int rc = hostlist_each(m->list, is_that, (void *)host);

	m->malformed = m->malformed || rc < 0;
	return rc != 0;
}

int hostlist_meet(const char *a, const char *b)
{
	struct meeting m = { .list = b };
	int rc = hostlist_each(a, is_in, &m);

	return m.malformed ? -1 : rc;
}
