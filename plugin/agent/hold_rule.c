/* How many units of a license Slurm may give away: the quota's, or none while a large job waits for them to come together. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "plugin/agent/hold.h"

int64_t slurm_license_units(const char *list, const char *license)
{
	size_t len = strlen(license), n;
	const char *at;

	for (at = list ? list : ""; *at; at += n + (at[n] != '\0')) {
		n = strcspn(at, ",;");
		if (n < len || strncmp(at, license, len) != 0)
			continue;
		if (n == len)
			return 1;
		if (at[len] == ':')
			return strtoll(at + len + 1, NULL, 10);
	}
	return 0;
}

static bool before(const struct slurm_brief *a, const struct slurm_brief *b)
{
	return a->priority != b->priority ? a->priority > b->priority : a->job_id < b->job_id;
}

/* A head stays the head until Slurm says that it waits for something else. */
static bool waits(const struct hold *h, const struct slurm_brief *b)
{
	return b->waits_license || (b->waits_untold && b->job_id == h->head);
}

/* One that is larger than all there is would keep the others waiting for ever. */
static const struct slurm_brief *find_head(const struct hold *h, const struct slurm_brief *briefs, size_t n)
{
	const struct slurm_brief *head = NULL;
	int64_t need;
	size_t i;

	for (i = 0; i < n; i++) {
		need = waits(h, &briefs[i]) ? slurm_license_units(briefs[i].licenses, h->license) : 0;
		if (need && need <= h->usable && (!head || before(&briefs[i], head)))
			head = &briefs[i];
	}
	return head;
}

static void take_head(struct hold *h, const struct slurm_brief *head, int64_t now)
{
	int64_t need = head ? slurm_license_units(head->licenses, h->license) : 0;

	if (head && head->job_id == h->head && need == h->need)
		return;
	h->head = head ? head->job_id : 0;
	h->need = need;
	h->head_since = now;
	h->overtaken = false;
}

/*
 * A smaller job that waits would be given what the large one waits for, unit by unit; one that was started meanwhile shows that
 * a stream of them does so without ever having to wait.
 */
static bool overtakes(const struct hold *h, const struct slurm_brief *b, int64_t units)
{
	return units && units < h->need && (b->waits_license || (b->life == LIFE_ACTIVE && b->start > h->head_since));
}

void hold_look(struct hold *h, const struct slurm_brief *briefs, size_t n, int64_t now)
{
	int64_t units;
	size_t i;

	take_head(h, find_head(h, briefs, n), now);
	h->in_use = 0;
	for (i = 0; i < n; i++) {
		units = slurm_license_units(briefs[i].licenses, h->license);
		h->in_use += briefs[i].life == LIFE_ACTIVE ? units : 0;
		h->overtaken = h->overtaken || (h->head && overtakes(h, &briefs[i], units));
	}
}

/*
 * Slurm gives each unit away as it comes free, and the smaller jobs behind the head fit first. Holding back all but what is in
 * use would not help: a job that ends makes "in use" smaller before anybody has looked.
 */
static bool freezes(const struct hold *h, uint32_t patience, int64_t now)
{
	return patience && h->head && h->overtaken && now - h->head_since >= (int64_t)patience && h->need <= h->usable &&
	       h->need > h->usable - h->in_use;
}

int64_t hold_open(struct hold *h, int64_t usable, uint32_t patience, int64_t now)
{
	if (usable >= 0)
		h->usable = usable;
	h->frozen = h->usable >= 0 && freezes(h, patience, now);
	return h->frozen ? 0 : h->usable;
}
