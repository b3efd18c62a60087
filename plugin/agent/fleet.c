/* Which of Slurm's jobs are ours, as slurmctld's plugin wants to know it: ranges of job ids per partition. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define TEXT_MAX (SF_FRAME_BODY_MAX - 65536) /* of one frame, with the quotas beside it; 10,000 jobs take 110 KB at most */

struct entry {
	const struct sf_conf_line *line;
	uint32_t id;
};

const struct sf_conf_line *fleet_line(const struct sf_conf *conf, const struct slurm_brief *brief)
{
	const struct sf_conf_line *line = NULL;
	char list[sizeof(brief->partition)], *rest, *name;

	sf_copy(list, sizeof(list), brief->partition);
	for (name = strtok_r(list, ",", &rest); name && !line; name = strtok_r(NULL, ",", &rest))
		line = sf_conf_find(conf, name);
	return line;
}

static bool unfinished(const struct slurm_brief *brief)
{
	return brief->life == LIFE_ACTIVE || brief->life == LIFE_PENDING;
}

static int by_line_and_id(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

/* An element of an array counts for the whole of it too: updates name "12_3" or "12". */
static size_t collect(const struct sf_conf *conf, const struct slurm_brief *briefs, size_t n, struct entry *out)
{
	const struct sf_conf_line *line;
	size_t found = 0, i;

	for (i = 0; i < n; i++) {
		line = unfinished(&briefs[i]) ? fleet_line(conf, &briefs[i]) : NULL;
		if (!line)
			continue;
		out[found++] = (struct entry){line, briefs[i].job_id};
		if (briefs[i].array_job_id && briefs[i].array_job_id != briefs[i].job_id)
			out[found++] = (struct entry){line, briefs[i].array_job_id};
	}
	return found;
}

/* One line's entries, sorted, as "3-7,12". */
static char *ranges_text(const struct entry *e, size_t n)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	size_t i, from;

	for (i = 0; i < n; i++) {
		for (from = i; i + 1 < n && e[i + 1].id - e[i].id <= 1; i++)
			;
		sf_buf_printf(&b, "%s%u", b.len ? "," : "", e[from].id);
		if (e[i].id != e[from].id)
			sf_buf_printf(&b, "-%u", e[i].id);
	}
	return sf_buf_take(&b);
}

static sf_json *fleet_json(const struct entry *entries, size_t n)
{
	sf_json *out = sf_json_new_array(), *one;
	size_t i, end;

	for (i = 0; i < n; i = end) {
		sf_auto_free char *text = NULL;

		for (end = i; end < n && entries[end].line == entries[i].line; end++)
			;
		text = ranges_text(entries + i, end - i);
		one = sf_json_new_object();
		sf_json_set_str(one, "partition", entries[i].line->name);
		sf_json_set_str(one, "jobs", text);
		sf_json_add(out, one);
	}
	return out;
}

void fleet_update(struct agent *a, const struct slurm_brief *briefs, size_t n)
{
	sf_auto_free struct entry *entries = calloc(2 * n + 1, sizeof(*entries));
	sf_auto_json sf_json *json = NULL;
	size_t found;
	char *text;

	if (!entries)
		return;
	found = collect(a->conf, briefs, n, entries);
	if (found)
		qsort(entries, found, sizeof(*entries), by_line_and_id);
	json = fleet_json(entries, found);
	text = sf_json_text(json);
	if (!text || strlen(text) > TEXT_MAX) {
		sf_log_warn("%zu jobs are too many to tell slurmctld: `scontrol update` of the newest is not checked", found);
		free(text);
		return;
	}
	free(a->fleet);
	a->fleet = text;
}
