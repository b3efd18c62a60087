/* ECS: request bodies and the reading of tasks, failures and task definitions. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_ECS_H
#define SF_AWS_ECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/json.h"

#define ECS_DESCRIBE_MAX 100 /* tasks per DescribeTasks */
#define ECS_REASON_MAX 255   /* characters of StopTask's reason */

/* Request bodies; the caller frees *out. (RunTask's is built by common/base/request.h.) */
/* ids: 1 to ECS_DESCRIBE_MAX task ids or ARNs. */
int ecs_describe_tasks_body(const char *cluster, const char *const *ids, size_t n, char **out, struct sf_error *err);
/* A reason over ECS_REASON_MAX bytes is cut at a character. */
int ecs_stop_task_body(const char *cluster, const char *task, const char *reason, char **out, struct sf_error *err);
struct ecs_list {
	const char *cluster;
	const char *started_by;     /* at most one of started_by and family; neither: every task of the cluster */
	const char *family;
	const char *desired_status; /* "STOPPED", NULL = AWS's default RUNNING; not with started_by (ECS: it goes alone) */
	const char *next_token;     /* NULL = first page */
};
int ecs_list_tasks_body(const struct ecs_list *list, char **out, struct sf_error *err);
/* family, family:revision or ARN. */
int ecs_describe_definition_body(const char *definition, char **out, struct sf_error *err);
int ecs_describe_cluster_body(const char *cluster, char **out, struct sf_error *err);

/* The last part of an ARN (after the last '/'), or the whole when there is none. Borrowed. */
const char *ecs_id_of(const char *arn);

/*
 * A page of ListTasks: the task ARNs (NULL-terminated, NULL when none; sf_strv_free) and the next token (NULL = last
 * page; free).
 */
int ecs_list_tasks_parse(const sf_json *body, char ***arns, char **next_token, struct sf_error *err);

/* Times in ECS are seconds since the epoch as a number; 0 = absent. Strings are on the heap and cleaned, NULL = absent. */
struct ecs_task {
	char *arn;
	char *id;
	char *definition; /* taskDefinitionArn */
	char *last_status;
	char *desired_status;
	char *stop_code;
	char *stopped_reason;
	char *az;
	char *provider; /* capacityProviderName, else launchType */
	char *group;
	char *started_by;
	double created_at, pull_started_at, started_at, stopping_at, stopped_at;
	struct {
		bool found;
		bool has_exit_code; /* false: it never ran or has not ended; not 0 */
		int exit_code;
		char *reason;
		char *last_status;
	} container; /* OUR container */
};
/*
 * Read one element of tasks[]. container NULL: the task's only one. A task without that container (short answers have
 * none) is no error: container.found is false. A value of the wrong type counts as absent. Errors: no taskArn, a time that
 * cannot be read, an exit code out of range, several containers and none named. *out is to be freed only after 0.
 */
int ecs_task_parse(const sf_json *task, const char *container, struct ecs_task *out, struct sf_error *err);
void ecs_task_free(struct ecs_task *task);
#define sf_auto_ecs_task sf_auto(ecs_task_free)

/* One element of failures[]; strings cleaned, NULL = absent (a capacity failure has no arn). */
struct ecs_failure {
	char *arn;
	char *reason;
	char *detail;
};
int ecs_failure_parse(const sf_json *failure, struct ecs_failure *out, struct sf_error *err);
void ecs_failure_free(struct ecs_failure *failure);
#define sf_auto_ecs_failure sf_auto(ecs_failure_free)

/* What the agent needs to know of a task definition. Strings on the heap. */
struct ecs_definition {
	char *arn;       /* with revision */
	char *family;
	char *status;    /* ACTIVE, INACTIVE */
	char *container; /* the resolved name */
	bool shell_entrypoint;           /* ["/bin/sh","-c"]; false: none */
	uint32_t container_cpu;          /* our container's own limits, 0 = none */
	uint32_t container_mem_mib;
	uint32_t others_cpu;             /* sums over the other containers (memory: limit, else reservation) */
	uint32_t others_mem_mib;
	uint32_t storage_gib; /* its own ephemeralStorage, 0 = Fargate's own */
	char *log_group;
	char *log_prefix; /* awslogs-stream-prefix */
	char *log_region; /* awslogs-region, NULL = absent */
	char *log_mode;   /* "blocking", "non-blocking", NULL = absent */
};
/*
 * Read DescribeTaskDefinition's answer and hold it against the container contract (design section 3). container NULL: the
 * only one. Refused in words: container missing; several and none named; entryPoint other than none or ["/bin/sh","-c"];
 * ours not essential or another one essential; log driver other than awslogs; no awslogs-group or -stream-prefix;
 * networkMode not awsvpc; pidMode task; not for FARGATE; not ACTIVE; for Windows; without the task's cpu and memory; a log in
 * another region than the definition's; pseudoTerminal; restartPolicy; variables or secrets named SF_*. *out is to be freed only after 0.
 */
int ecs_definition_parse(const sf_json *body, const char *container, struct ecs_definition *out, struct sf_error *err);
void ecs_definition_free(struct ecs_definition *def);
#define sf_auto_ecs_definition sf_auto(ecs_definition_free)

/* Name of a task's log stream, prefix/container/task-id. Caller frees; NULL when out of memory. Source: ECS, awslogs driver. */
char *ecs_log_stream(const struct ecs_definition *def, const char *task_id);

#endif
