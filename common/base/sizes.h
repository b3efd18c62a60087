/* The Fargate sizes as data, and the rounding of a request up to the smallest that holds it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_SIZES_H
#define SF_BASE_SIZES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/base/error.h"

/* Fargate's own units: 1024 CPU units are one vCPU (so 256 = 0.25 vCPU), memory in MiB. */
struct sf_size {
	uint32_t cpu_units;
	uint32_t mem_mib;
};

struct sf_size_request {
	uint32_t cpu_units; /* 0 = not asked: 1 vCPU */
	uint64_t mem_mib;   /* 0 = not asked: the smallest of that vCPU */
	bool allow_32vcpu;  /* fargate.conf Allow32Vcpu */
};

#define SF_SIZE_NOTE_MAX 200
/*
 * Round up, never down (design section 3): CPUs to the next Fargate vCPU size, then memory to the next step of that
 * size; memory above that vCPU's largest takes the next vCPU size that holds it, and note (SF_SIZE_NOTE_MAX bytes, may be NULL) then
 * gets one informational line, else "". Errors: more than the largest vCPU; memory no size holds (the text names
 * the nearest valid size). Source of the table: AWS, RegisterTaskDefinition, "cpu".
 */
int sf_size_fit(const struct sf_size_request *req, struct sf_size *out, char *note, struct sf_error *err);

/* True when the pair is one AWS accepts (the 32-vCPU row only with allow_32vcpu). */
bool sf_size_valid(const struct sf_size *size, bool allow_32vcpu);

/* "0.25", "4": vCPUs as text into out[16]. */
void sf_size_vcpu_text(uint32_t cpu_units, char out[16]);
/* GB with at most two decimals ("0.5", "30") into out[16]; Fargate's GB are GiB. */
void sf_size_gb_text(uint32_t mem_mib, char out[16]);

/* "0.25", ".5", "4" -> CPU units. Errors: not a number, not above 0, above 16 (32 with allow), finer than 0.25: is
 * accepted and rounded up by sf_size_fit(); so 0.3 gives 308 units. */
int sf_parse_vcpu(const char *text, uint32_t *cpu_units, struct sf_error *err);
/* sbatch --mem syntax: a whole number with optional K, M (default), G, T; to MiB, rounded up. 0 and junk are errors. */
int sf_parse_mem(const char *text, uint64_t *mem_mib, struct sf_error *err);

#endif
