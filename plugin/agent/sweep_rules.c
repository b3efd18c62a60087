/* What becomes of a task of ours that no record of the agent holds: pure functions, one table. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/sweep_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/names.h"
#include "common/base/util.h"

/* strtoull() takes blanks and signs too; the callers write the name anew and compare. */
static bool number(const char **at, uint64_t most, char end, uint64_t *out)
{
	char *rest = NULL;

	errno = 0;
	*out = strtoull(*at, &rest, 10);
	if (errno || rest == *at || *rest != end || *out > most)
		return false;
	*at = rest + (end != '\0');
	return true;
}

bool sweep_parse_group(const char *group, struct sweep_start *out)
{
	static const char head[] = "slurm-";
	uint64_t submit, restart, try_no;
	char again[SF_GROUP_MAX];
	const char *at;

	if (!group || strncmp(group, head, sizeof(head) - 1) != 0)
		return false;
	at = group + sizeof(head) - 1;
	if (!number(&at, INT64_MAX, '-', &submit) || !number(&at, UINT32_MAX, '-', &restart) || !number(&at, UINT32_MAX, '\0', &try_no))
		return false;
	*out = (struct sweep_start){ (int64_t)submit, (uint32_t)restart, (uint32_t)try_no };
	sf_group(out->submit, out->restart, out->try_no, again);
	return strcmp(again, group) == 0;
}

uint32_t sweep_job_of(const char *started_by, const char *cluster, const char *instance)
{
	const char *at = started_by ? strrchr(started_by, '/') : NULL;
	char again[SF_STARTED_BY_MAX];
	uint64_t id;

	if (!at)
		return 0;
	at++;
	if (!number(&at, UINT32_MAX, '\0', &id))
		return 0;
	sf_started_by(cluster, instance, (uint32_t)id, again);
	return strcmp(again, started_by) == 0 ? (uint32_t)id : 0;
}

static bool same_start(const struct sweep_start *a, const struct sweep_start *b)
{
	return a->submit == b->submit && a->restart == b->restart;
}

static bool before(const struct sweep_start *a, const struct sweep_start *b)
{
	if (a->submit != b->submit)
		return a->submit < b->submit;
	return a->restart != b->restart ? a->restart < b->restart : a->try_no < b->try_no;
}

enum sweep_record sweep_record_of(const struct sweep_start *task, const struct sweep_start *starts, size_t n)
{
	const struct sweep_start *against = NULL;
	size_t i;

	/* The record of its own start tells its tries; without one the newest record tells. */
	for (i = 0; i < n && !(against && same_start(against, task)); i++)
		if (!against || same_start(&starts[i], task) || before(against, &starts[i]))
			against = &starts[i];
	if (!against)
		return SWEEP_NO_RECORD;
	if (before(task, against))
		return SWEEP_PAST;
	return before(against, task) ? SWEEP_AHEAD : SWEEP_CURRENT;
}

const char *sweep_guard(const struct sweep_world *w)
{
	const struct {
		bool on;
		const char *why;
	} guards[] = {
		{ !w->answered, "slurmctld does not answer" },
		{ !w->polled, "the agent has not gone through Slurm's jobs yet" },
		{ w->jobs == 0 && w->records > 0, "slurmctld shows no job at all, but the agent has some" },
		{ w->up < SWEEP_BOOT_S, "slurmctld was started less than 5 minutes ago" },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(guards); i++)
		if (guards[i].on)
			return guards[i].why;
	return NULL;
}

/* --- the table ------------------------------------------------------------------------------------------------------ */
static bool is_stopping(const struct sweep_facts *f)
{
	return f->stopping;
}

static bool is_current(const struct sweep_facts *f)
{
	return f->has_start && f->record == SWEEP_CURRENT;
}

static bool is_ahead(const struct sweep_facts *f)
{
	return f->has_start && f->record == SWEEP_AHEAD;
}

static bool lives(const struct sweep_facts *f)
{
	return f->life == LIFE_ACTIVE || f->life == LIFE_PENDING;
}

static bool is_unsaid(const struct sweep_facts *f)
{
	return !f->has_start && (f->records > 0 || lives(f));
}

static bool no_record(const struct sweep_facts *f)
{
	return !f->has_start || f->record == SWEEP_NO_RECORD;
}

static bool is_unknown(const struct sweep_facts *f)
{
	return no_record(f) && f->life == LIFE_UNKNOWN;
}

/* Waiting with the same count it is one that slurmctld will start again: it came back with an older state. */
static bool slurm_has_it(const struct sweep_facts *f)
{
	return no_record(f) && lives(f) && f->start.restart >= f->restart;
}

static bool is_guarded(const struct sweep_facts *f)
{
	return f->guard && !f->force;
}

static bool is_young(const struct sweep_facts *f)
{
	return f->age <= SWEEP_AGE_S && !f->force;
}

static bool is_new(const struct sweep_facts *f)
{
	return f->seen < SWEEP_SEEN && !f->force;
}

static bool is_past(const struct sweep_facts *f)
{
	return f->record == SWEEP_PAST || lives(f);
}

static bool is_gone(const struct sweep_facts *f)
{
	return f->life == LIFE_GONE;
}

static bool otherwise(const struct sweep_facts *f)
{
	(void)f;
	return true;
}

/* The first one that applies; what only protects a moment comes after what protects a task. why NULL: the guard's. */
static const struct {
	bool (*applies)(const struct sweep_facts *f);
	bool stop;
	const char *why;
} rules[] = {
	{ is_stopping, false, "AWS is stopping it" },
	{ is_current, false, "it belongs to the job's current try" },
	{ is_ahead, false, "it is of a later try than the agent's record of the job" },
	{ is_unsaid, false, "its group does not say which start of the job made it, and the job is not over" },
	{ is_unknown, false, "slurmctld has not said whether the job lives" },
	{ slurm_has_it, false, "Slurm has this start of the job, but the agent has no record of it" },
	{ is_guarded, false, NULL },
	{ is_young, false, "it is not older than 90 s" },
	{ is_new, false, "only one sweep has seen it" },
	{ is_past, true, "an earlier start or try of the job made it" },
	{ is_gone, true, "Slurm does not know the job" },
	{ otherwise, true, "the job has ended" },
};

struct sweep_answer sweep_decide(const struct sweep_facts *f)
{
	size_t i = 0;

	while (!rules[i].applies(f))
		i++;
	return (struct sweep_answer){ rules[i].stop, rules[i].why ? rules[i].why : f->guard };
}
