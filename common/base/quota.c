/* Fargate's vCPU quotas: their names, quarters of a vCPU, and how much of a quota is others' use. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/quota.h"

#include <stdio.h>
#include <string.h>

#include "common/base/util.h"

/* Source: AWS, Amazon ECS endpoints and quotas, "AWS Fargate service quotas". */
static const struct {
	const char *code, *title;
} quotas[] = { [false] = { "L-3032A538", "On-Demand" }, [true] = { "L-36FBB829", "Spot" } };

static const char *const fractions[SF_QUARTERS_PER_VCPU] = { "", ".25", ".5", ".75" };
/* What is written as well. */
static const struct {
	const char *text;
	int64_t quarters;
} spellings[] = { { "", 0 }, { ".0", 0 }, { ".00", 0 }, { ".25", 1 }, { ".5", 2 }, { ".50", 2 }, { ".75", 3 } };

const char *sf_quota_code(bool spot)
{
	return quotas[spot].code;
}

const char *sf_quota_title(bool spot)
{
	return quotas[spot].title;
}

/* Rounds down. (libm's floor() would be one more library for slurmctld's plugin.) */
static int64_t clamp(double quarters)
{
	if (!(quarters > 0)) /* NaN too */
		return 0;
	return quarters < (double)SF_QUARTERS_MAX ? (int64_t)quarters : SF_QUARTERS_MAX;
}

int64_t sf_quarters_floor(double vcpu)
{
	return clamp(vcpu * SF_QUARTERS_PER_VCPU);
}

int64_t sf_quarters_ceil(double vcpu)
{
	int64_t whole = clamp(vcpu * SF_QUARTERS_PER_VCPU);

	return whole < SF_QUARTERS_MAX && (double)whole < vcpu * SF_QUARTERS_PER_VCPU ? whole + 1 : whole;
}

int64_t sf_quarters_of_units(uint32_t cpu_units)
{
	return ((int64_t)cpu_units + SF_CPU_UNITS_PER_QUARTER - 1) / SF_CPU_UNITS_PER_QUARTER;
}

const char *sf_quarters_text(int64_t quarters, char out[SF_QUARTERS_TEXT_MAX])
{
	uint64_t n = quarters < 0 ? 0 - (uint64_t)quarters : (uint64_t)quarters;

	snprintf(out, SF_QUARTERS_TEXT_MAX, "%s%llu%s", quarters < 0 ? "-" : "", (unsigned long long)(n / SF_QUARTERS_PER_VCPU),
		 fractions[n % SF_QUARTERS_PER_VCPU]);
	return out;
}

bool sf_quarters_parse(const char *text, int64_t *quarters)
{
	int64_t whole = 0;
	const char *p;
	size_t i;

	for (p = text; *p >= '0' && *p <= '9'; p++) {
		whole = whole * 10 + (*p - '0');
		if (whole > SF_QUARTERS_MAX / SF_QUARTERS_PER_VCPU)
			return false;
	}
	for (i = 0; p > text && i < SF_COUNT(spellings); i++)
		if (strcmp(p, spellings[i].text) == 0) {
			*quarters = whole * SF_QUARTERS_PER_VCPU + spellings[i].quarters;
			return true;
		}
	return false;
}

/* The most that we had at any time from `from` to `to`. */
static int64_t most(const struct sf_quota_point *steps, size_t n, int64_t from, int64_t to)
{
	int64_t had = n > 0 ? steps[0].quarters : 0;
	size_t i;

	for (i = 0; i < n && steps[i].at <= to; i++)
		if (steps[i].at <= from || steps[i].quarters > had)
			had = steps[i].quarters;
	return had;
}

bool sf_quota_others(const struct sf_quota_point *points, size_t n_points, const struct sf_quota_point *steps, size_t n_steps,
		     int64_t period, int64_t *others)
{
	size_t i = n_points > SF_QUOTA_LAST ? n_points - SF_QUOTA_LAST : 0;
	int64_t least = INT64_MAX, more;

	*others = 0;
	if (n_points == 0)
		return false;
	for (; i < n_points; i++) {
		more = points[i].quarters - most(steps, n_steps, points[i].at - period, points[i].at + period);
		if (more < least)
			least = more;
	}
	*others = least > 0 ? least : 0;
	return true;
}
