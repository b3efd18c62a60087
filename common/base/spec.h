/* What a job asks of Fargate: the options sbatch packs, and the spec job_submit stamps on the job. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_SPEC_H
#define SF_BASE_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/conf.h"
#include "common/base/error.h"
#include "common/base/sizes.h"
#include "common/base/util.h"

/* The one variable: spank_job_control_setenv(SF_SPEC_VAR). In job_desc.spank_job_env it reads FARGATE=, in the prolog
 * SPANK_FARGATE=, in the job's environment SLURM_SPANK_FARGATE=. */
#define SF_SPEC_VAR "FARGATE"
#define SF_SPEC_PROLOG_VAR "SPANK_FARGATE"
#define SF_SPEC_JOB_VAR "SLURM_SPANK_FARGATE"

/* --fargate-spot: what a job makes of Fargate Spot; ladder.h says which providers that comes to. */
enum sf_spot { SF_SPOT_DEFAULT, SF_SPOT_PREFER, SF_SPOT_ONLY };

/* What the SPANK plugin packs on the login node: only what the user said, checked for syntax. */
struct sf_options {
	uint32_t cpu_units; /* --fargate-cpu, 0 = not given */
	uint64_t mem_mib;   /* --fargate-mem, 0 = not given */
	uint32_t storage_gib;   /* --fargate-storage, 1 to 200; 0 = not given */
	enum sf_spot spot;      /* --fargate-spot */
	char *task_definition;  /* --fargate-task-definition, FAMILY[:REVISION]; NULL = not given */
	char **env;         /* --fargate-env: "NAME" (value from the submit environment is already filled in) or "NAME=VALUE"; here always NAME=VALUE. NULL = none */
};

/* Encode to one line of JSON {"v":1,"options":{…}}; caller frees, NULL when out of memory. */
char *sf_options_encode(const struct sf_options *o);
/* Decode; a spec (not options) or anything else is an error. Free the members with sf_options_free(). */
int sf_options_decode(const char *text, struct sf_options *o, struct sf_error *err);
void sf_options_free(struct sf_options *o);

/* A job array as a whole; count 0 = no array. */
struct sf_array {
	uint32_t count, min, max, step;
};
/* sbatch's --array list, such as "1-7:2,12%4"; 0, or -1 when it is none. Source: sbatch(1), --array. */
int sf_array_parse(const char *list, struct sf_array *out);

/* What slurmctld's plugin stamps: normalised, and unchanged through requeues and slurmctld restarts. */
struct sf_spec {
	char sid[17];         /* 16 lower-case hex digits, drawn at submission */
	int64_t submit;       /* seconds since the epoch at submission */
	struct sf_size size;  /* the Fargate size */
	uint32_t cpus_asked;  /* CPUs the container shows as SLURM_CPUS_PER_TASK etc., >= 1; as the user asked */
	uint32_t cpus_per_task; /* -c as the user asked, 0 = not given */
	uint64_t mem_asked_mib; /* memory as asked, 0 = not asked */
	bool mem_per_cpu;     /* mem_asked_mib was given per CPU */
	struct sf_array array; /* of the whole array, for each of its elements */
	uint32_t storage_gib;   /* ephemeral storage to ask for, 21 to 200; 0 = Fargate's own 20 GiB */
	enum sf_spot spot;      /* the user's wish; default = the line's Providers as they are */
	char *task_definition;  /* FAMILY[:REVISION] the user chose; NULL = the line's */
	char *partition;      /* the line this was checked against */
	char **args;          /* script arguments, without the script itself; NULL = none */
	char **env;           /* NAME=VALUE the user exports into the container; NULL = none */
};

/* Encode to one line of JSON {"v":1,"spec":{…}}; caller frees, NULL when out of memory. */
char *sf_spec_encode(const struct sf_spec *s);
/* Decode with bounds and types checked (size valid, sid 16 hex digits, strings valid UTF-8). */
int sf_spec_decode(const char *text, struct sf_spec *s, struct sf_error *err);
void sf_spec_free(struct sf_spec *s); /* frees the members, leaves zeroes; NULL-safe */

/* Ephemeral storage of a task, GiB. Up to 20 is Fargate's own and cannot be asked for. Source: ECS, EphemeralStorage. */
#define SF_STORAGE_OWN_GIB 20
#define SF_STORAGE_MAX_GIB 200
/* "100" -> GiB, 1 to SF_STORAGE_MAX_GIB. */
int sf_parse_storage(const char *text, uint32_t *gib, struct sf_error *err);
/* What a spec says of so much storage: 0 (Fargate's own) or 21 to 200. */
static inline uint32_t sf_storage_to_ask(uint32_t gib)
{
	return gib > SF_STORAGE_OWN_GIB ? gib : 0;
}

/* "prefer" or "only"; there is no word for the default, which is not to say anything. */
int sf_parse_spot(const char *text, enum sf_spot *spot, struct sf_error *err);

/* FAMILY[:REVISION], no ARN: a user names a definition of the partition's own account and region. Source: ECS, family. */
int sf_definition_check(const char *definition, struct sf_error *err);
/* The line's own TaskDefinition, as it is written there, or one that a glob of TaskDefinitions matches as a whole. */
bool sf_definition_allowed(const struct sf_conf_line *line, const char *definition);

/* A name a shell accepts: [A-Za-z_][A-Za-z0-9_]*; names the container contract uses itself (SLURM_*, SF_*) are refused by sf_env_check(). */
bool sf_env_name_valid(const char *name, size_t n);
/* Checks one NAME=VALUE for shipping: valid name, not reserved, UTF-8 without NUL. */
int sf_env_check(const char *assignment, struct sf_error *err);

#endif
