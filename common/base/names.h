/* Names others rely on: paths, phases, startedBy, group, AdminComment, tags. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_NAMES_H
#define SF_BASE_NAMES_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/sizes.h"

#define SF_DEFAULT_SOCKET "/run/slurm-fargate/agent.sock"
#define SF_DEFAULT_STATE_DIR "/var/lib/slurm-fargate"

/* Phases of an AdminComment (design section 3); sf_phase_name() gives the word. */
enum sf_phase {
	SF_PHASE_SUBMITTED,
	SF_PHASE_AGENT_DOWN,
	SF_PHASE_QUOTA,
	SF_PHASE_LAUNCHING,
	SF_PHASE_PROVISIONING,
	SF_PHASE_PENDING,
	SF_PHASE_ACTIVATING,
	SF_PHASE_RUNNING,
	SF_PHASE_STOPPING,
	SF_PHASE_DONE,
	SF_PHASE_RETRY,
	SF_PHASE_HELD,
	SF_PHASE_COUNT
};
const char *sf_phase_name(enum sf_phase phase);

#define SF_COMMENT_MAX 1024
/* What an AdminComment says. NULL strings show as "-". */
struct sf_comment {
	enum sf_phase phase;
	const char *task_id;
	struct sf_size size;
	const char *provider;
	const char *az;
	const char *reason; /* NULL = none; neutralised here, cut to fit */
};
/* `fargate: <phase> <task-id> <vcpu>vCPU/<mem>GB <provider> <az>[: <reason>]` into out[SF_COMMENT_MAX]. */
void sf_comment_format(const struct sf_comment *c, char out[SF_COMMENT_MAX]);

#define SF_STARTED_BY_MAX 129
/* `slurm/<cluster>-<instance>/<jobid>`; characters AWS refuses (not letters, digits, - / _) become _; the cluster name is cut so that all fits 128.
 * Source: ECS RunTask, startedBy. */
void sf_started_by(const char *cluster, const char *instance, uint32_t job_id, char out[SF_STARTED_BY_MAX]);
#define SF_GROUP_MAX 80
/* `slurm-<submit>-<restart>-<try>`. */
void sf_group(int64_t submit, uint32_t restart, uint32_t try_no, char out[SF_GROUP_MAX]);

/* A tag value cleaned to AWS's alphabet (letters, digits, space and _.:/=+-@; others become _) and at most 256 characters; out[257]. A value that
 * begins with "aws:" begins with "aws_".
 * Source: ECS Tag. */
void sf_tag_clean(const char *value, char out[257]);

#endif
