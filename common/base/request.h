/* The RunTask request: the bootstrap, the script inline, and the byte-exact body that is stored before it is sent. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_REQUEST_H
#define SF_BASE_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/sizes.h"

/* 90 % of ECS's 8192 characters for overrides including JSON formatting (design section 3, "Inline limit"). */
#define SF_OVERRIDES_MAX 7372
#define SF_SCRIPT_MAX 65536
#define SF_NONCE_HEX 16

/* What goes into `overrides`. All pointers are borrowed. */
struct sf_overrides {
	const char *container;      /* container name */
	bool shell_entrypoint;      /* the definition's entryPoint is ["/bin/sh","-c"]; false: it has none */
	struct sf_size size;        /* task size */
	uint32_t container_cpu;     /* raise the container's own cpu to this, 0 = it has no limit */
	uint32_t container_mem_mib; /* likewise memory */
	uint32_t storage_gib;       /* overrides.ephemeralStorage, 0 = leave it out */
	const char *nonce;          /* SF_NONCE_HEX hex digits */
	bool framing;               /* LogFraming */
	const char *script;         /* the batch script, any bytes but NUL */
	size_t script_len;
	char *const *args;          /* script arguments, NULL = none */
	char *const *env;           /* NAME=VALUE: SLURM_* and the user's, NULL = none */
};

/*
 * The serialised overrides (caller frees). The script goes in as base64, gzipped first only when it would not fit
 * otherwise. Errors: script over SF_SCRIPT_MAX, NUL or invalid UTF-8 in args or values, result over SF_OVERRIDES_MAX (the text
 * names both numbers and what to do).
 */
int sf_overrides_build(const struct sf_overrides *o, char **out, struct sf_error *err);

struct sf_run_task {
	struct sf_overrides overrides;
	const char *cluster;
	const char *task_definition; /* full ARN with revision */
	const char *subnet;          /* each RunTask names ONE */
	char *const *security_groups;
	bool assign_public_ip;
	const char *provider;        /* FARGATE: launchType; FARGATE_SPOT: a capacityProviderStrategy of one */
	const char *started_by;
	const char *group;
	const char *client_token;
	const char *const (*tags)[2]; /* n_tags pairs, values already cleaned */
	size_t n_tags;
};
/* The whole RunTask body (caller frees). Source: ECS API, RunTask. */
int sf_run_task_build(const struct sf_run_task *r, char **out, struct sf_error *err);

#endif
