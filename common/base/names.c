/* Names others rely on: phases, startedBy, group, AdminComment, tags. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/names.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/text.h"
#include "common/base/util.h"

#define TAG_MAX 256
#define INSTANCE_MAX 64

static const char *const phase_names[SF_PHASE_COUNT] = {
	[SF_PHASE_SUBMITTED] = "submitted",
	[SF_PHASE_AGENT_DOWN] = "agent-down",
	[SF_PHASE_QUOTA] = "quota",
	[SF_PHASE_LAUNCHING] = "launching",
	[SF_PHASE_PROVISIONING] = "provisioning",
	[SF_PHASE_PENDING] = "pending",
	[SF_PHASE_ACTIVATING] = "activating",
	[SF_PHASE_RUNNING] = "running",
	[SF_PHASE_STOPPING] = "stopping",
	[SF_PHASE_DONE] = "done",
	[SF_PHASE_RETRY] = "retry",
	[SF_PHASE_HELD] = "held",
};

const char *sf_phase_name(enum sf_phase phase)
{
	return (size_t)phase < SF_PHASE_COUNT ? phase_names[phase] : "unknown";
}

/* A text cut at a byte limit may end within a character: drop what is left of it. */
static void drop_partial_character(char *s)
{
	size_t n = strlen(s), back = 0;

	while (back < n && back < 3 && ((unsigned char)s[n - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back < n && ((unsigned char)s[n - 1 - back] & 0xc0) == 0xc0 &&
	    !sf_utf8_valid(s + n - 1 - back, back + 1))
		s[n - 1 - back] = '\0';
}

void sf_comment_format(const struct sf_comment *c, char out[SF_COMMENT_MAX])
{
	const char *reason = c->reason && *c->reason ? c->reason : NULL;
	char vcpu[16], gb[16];
	int n;

	sf_size_vcpu_text(c->size.cpu_units, vcpu);
	sf_size_gb_text(c->size.mem_mib, gb);
	n = snprintf(out, SF_COMMENT_MAX, "fargate: %s %s %svCPU/%sGB %s %s%s%s",
		     sf_phase_name(c->phase), c->task_id ? c->task_id : "-", vcpu, gb,
		     c->provider ? c->provider : "-", c->az ? c->az : "-", reason ? ": " : "",
		     reason ? reason : "");
	if (n >= SF_COMMENT_MAX)
		drop_partial_character(out);
	sf_text_clean(out);
}

/* The alphabet of startedBy; bytes of other characters become _ one by one. */
static void clean_started_by(char *s)
{
	for (; *s; s++)
		if (!isascii(*s) || (!isalnum((unsigned char)*s) && !strchr("-/_", *s)))
			*s = '_';
}

void sf_started_by(const char *cluster, const char *instance, uint32_t job_id,
		   char out[SF_STARTED_BY_MAX])
{
	char tail[INSTANCE_MAX + 16];
	int room;

	snprintf(tail, sizeof(tail), "-%.*s/%" PRIu32, INSTANCE_MAX, instance, job_id);
	room = SF_STARTED_BY_MAX - 1 - (int)strlen("slurm/") - (int)strlen(tail);
	snprintf(out, SF_STARTED_BY_MAX, "slurm/%.*s%s", room, cluster, tail);
	clean_started_by(out);
}

void sf_group(int64_t submit, uint32_t restart, uint32_t try_no, char out[SF_GROUP_MAX])
{
	snprintf(out, SF_GROUP_MAX, "slurm-%" PRId64 "-%" PRIu32 "-%" PRIu32, submit, restart,
		 try_no);
}

void sf_tag_clean(const char *value, char out[TAG_MAX + 1])
{
	const unsigned char *p = (const unsigned char *)(value ? value : "");
	size_t n = 0;

	for (; *p && n < TAG_MAX; p++) {
		if ((*p & 0xc0) == 0x80)
			continue; /* the rest of a character that already became one _ */
		out[n++] = isascii(*p) && (isalnum(*p) || strchr(" _.:/=+-@", *p)) ? (char)*p : '_';
	}
	out[n] = '\0';
	/* Source: ECS, Tag: "aws:" in any case is reserved, as a value's beginning too. */
	if (strncasecmp(out, "aws:", 4) == 0)
		out[3] = '_';
}
