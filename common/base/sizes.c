/* The Fargate sizes as data, and the rounding of a request up to the smallest that holds it. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/sizes.h"

#include <ctype.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "common/base/text.h"
#include "common/base/util.h"

#define UNITS_PER_VCPU 1024
#define DEFAULT_CPU UNITS_PER_VCPU
#define SHOWN_MAX_MIB ((uint64_t)1 << 32)
#define NUMBER_MAX 12 /* digits of a number a user may give; keeps all products within 64 bits */

/*
 * One range of memory of one vCPU size; ascending. optional: only where the partition says
 * Allow32Vcpu=YES, since AWS does not have this size in every Region. Source: AWS,
 * RegisterTaskDefinition, "cpu"; ECS Developer Guide, "Task CPU and memory".
 */
static const struct range {
	uint32_t cpu, min, max, step; /* CPU units, MiB */
	bool optional;
} ranges[] = {
	{ 256, 512, 1024, 512, false },
	{ 256, 2048, 2048, 1024, false },
	{ 512, 1024, 4096, 1024, false },
	{ 1024, 2048, 8192, 1024, false },
	{ 2048, 4096, 16384, 1024, false },
	{ 4096, 8192, 30720, 1024, false },
	{ 8192, 16384, 61440, 4096, false },
	{ 16384, 32768, 122880, 8192, false },
	{ 32768, 61440, 122880, 61440, true },
	{ 32768, 249856, 249856, 1024, true },
};

/* value / 1024 with at most two decimals; what is not whole never reads as whole. */
static void two_decimals(uint64_t value, char out[16])
{
	uint64_t hundredths = (value * 100 + 512) / 1024;
	uint32_t whole, part;

	if (hundredths % 100 == 0 && value % 1024)
		hundredths++;
	whole = (uint32_t)(hundredths / 100);
	part = (uint32_t)(hundredths % 100);
	if (part == 0)
		snprintf(out, 16, "%" PRIu32, whole);
	else if (part % 10 == 0)
		snprintf(out, 16, "%" PRIu32 ".%" PRIu32, whole, part / 10);
	else
		snprintf(out, 16, "%" PRIu32 ".%02" PRIu32, whole, part);
}

void sf_size_vcpu_text(uint32_t cpu_units, char out[16])
{
	two_decimals(cpu_units, out);
}

void sf_size_gb_text(uint32_t mem_mib, char out[16])
{
	two_decimals(mem_mib, out);
}

static const struct range *largest(bool allow_32vcpu)
{
	size_t i = SF_COUNT(ranges) - 1;

	while (ranges[i].optional && !allow_32vcpu)
		i--;
	return &ranges[i];
}

static int too_large(const struct sf_size_request *req, const struct range *last,
		     struct sf_error *err)
{
	char asked[16], cpu[16], mem[16];

	two_decimals(last->cpu, cpu);
	if (req->cpu_units > last->cpu) {
		two_decimals(req->cpu_units, asked);
		return sf_err(err, "%s vCPU is more than the largest Fargate size, %s", asked, cpu);
	}
	/* Beyond any machine's memory the exact number tells nobody anything and would not fit. */
	two_decimals(req->mem_mib < SHOWN_MAX_MIB ? req->mem_mib : SHOWN_MAX_MIB, asked);
	two_decimals(last->max, mem);
	return sf_err(err,
		      "%s GB is more than any Fargate size holds; the nearest is %s vCPU "
		      "with %s GB",
		      asked, cpu, mem);
}

static void write_note(uint64_t asked_mib, uint32_t wanted_cpu, const struct sf_size *got,
		       char *note)
{
	char asked[16], cpu[16], mem[16], wanted[16];

	two_decimals(asked_mib, asked);
	two_decimals(got->cpu_units, cpu);
	two_decimals(got->mem_mib, mem);
	two_decimals(wanted_cpu, wanted);
	snprintf(note, SF_SIZE_NOTE_MAX,
		 "memory %s GB needs a larger size: %s vCPU with %s GB instead of %s vCPU", asked,
		 cpu, mem, wanted);
}

static uint32_t round_up(const struct range *r, uint64_t mem_mib)
{
	if (mem_mib <= r->min)
		return r->min;
	return r->min + (uint32_t)((mem_mib - r->min + r->step - 1) / r->step) * r->step;
}

int sf_size_fit(const struct sf_size_request *req, struct sf_size *out, char *note,
		struct sf_error *err)
{
	uint32_t cpu = req->cpu_units ? req->cpu_units : DEFAULT_CPU;
	const struct range *last = largest(req->allow_32vcpu), *r;
	uint32_t wanted_cpu = 0;

	if (note)
		note[0] = '\0';
	for (r = ranges; r <= last; r++) {
		if (r->cpu < cpu)
			continue;
		if (!wanted_cpu)
			wanted_cpu = r->cpu;
		if (req->mem_mib > r->max)
			continue;
		*out = (struct sf_size){ r->cpu, round_up(r, req->mem_mib) };
		if (note && r->cpu != wanted_cpu)
			write_note(req->mem_mib, wanted_cpu, out, note);
		return 0;
	}
	return too_large(req, last, err);
}

bool sf_size_valid(const struct sf_size *size, bool allow_32vcpu)
{
	const struct range *r, *last = largest(allow_32vcpu);

	for (r = ranges; r <= last; r++)
		if (r->cpu == size->cpu_units && size->mem_mib >= r->min &&
		    size->mem_mib <= r->max && (size->mem_mib - r->min) % r->step == 0)
			return true;
	return false;
}

/* Read up to NUMBER_MAX digits; returns how many there were, NUMBER_MAX + 1 when there are more. */
static size_t digits(const char *s, uint64_t *out)
{
	size_t n;

	*out = 0;
	for (n = 0; n <= NUMBER_MAX && isdigit((unsigned char)s[n]); n++)
		*out = *out * 10 + (uint64_t)(s[n] - '0');
	return n;
}

/* A user's word, short and clean enough to stand in a message. */
static const char *shown(const char *text, char out[64])
{
	sf_copy(out, 64, text);
	sf_text_clean(out);
	return out;
}

int sf_parse_vcpu(const char *text, uint32_t *cpu_units, struct sf_error *err)
{
	uint64_t whole = 0, part = 0, scale = 1, units;
	size_t n_whole = digits(text, &whole), n_part = 0, i;
	const char *end = text + n_whole;
	char word[64];

	if (*end == '.') {
		n_part = digits(end + 1, &part);
		end += 1 + n_part;
	}
	if (*end || n_whole + n_part == 0 || n_whole > NUMBER_MAX || n_part > NUMBER_MAX)
		return sf_err(err, "'%s' is not a number of vCPUs; give for example 0.25, 1 or 4",
			      shown(text, word));
	for (i = 0; i < n_part; i++)
		scale *= 10;
	units = whole * UNITS_PER_VCPU + (part * UNITS_PER_VCPU + scale - 1) / scale;
	if (units == 0)
		return sf_err(err, "0 vCPU is not possible; the smallest Fargate size is 0.25");
	/*
	 * Whether 32 is allowed is known only where fargate.conf is: sf_size_fit() refuses it
	 * there.
	 */
	if (units > largest(true)->cpu)
		return sf_err(err,
			      "%s vCPU is more than the largest Fargate size, 16 "
			      "(32 where the partition allows it)",
			      shown(text, word));
	*cpu_units = (uint32_t)units;
	return 0;
}

int sf_parse_mem(const char *text, uint64_t *mem_mib, struct sf_error *err)
{
	static const struct {
		char suffix;
		uint64_t kib;
	} units[] = { { 'K', 1 }, { 'M', 1 << 10 }, { 'G', 1 << 20 }, { 'T', 1 << 30 } };
	uint64_t value = 0, kib = 1 << 10;
	size_t n = digits(text, &value), i;
	const char *end = text + n;
	char word[64];

	for (i = 0; *end && i < SF_COUNT(units); i++) {
		if (toupper((unsigned char)*end) == units[i].suffix) {
			kib = units[i].kib;
			end++;
			/* Slurm takes --mem=4GB as well. */
			if (toupper((unsigned char)*end) == 'B')
				end++;
			break;
		}
	}
	if (*end || n == 0 || n > NUMBER_MAX || value > UINT64_MAX / (1 << 30))
		return sf_err(err,
			      "'%s' is not a memory size; give a whole number with K, M, G or T, "
			      "for example 4G",
			      shown(text, word));
	if (value == 0)
		return sf_err(err, "0 memory is not possible; the smallest Fargate size has 512M");
	*mem_mib = (value * kib + 1023) / 1024;
	return 0;
}
