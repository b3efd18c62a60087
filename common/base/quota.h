/* Fargate's vCPU quotas: their names, quarters of a vCPU, and how much of a quota is others' use. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_QUOTA_H
#define SF_BASE_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The unit of all that counts vCPUs: a quarter, Fargate's smallest size (256 CPU units). */
#define SF_QUARTERS_PER_VCPU 4
#define SF_CPU_UNITS_PER_QUARTER 256

/* The code of the quota of FARGATE, or with spot of FARGATE_SPOT: "L-3032A538", "L-36FBB829". */
const char *sf_quota_code(bool spot);
/* As users read it: "On-Demand", "Spot". */
const char *sf_quota_title(bool spot);

#define SF_QUARTERS_MAX INT64_C(4000000000) /* what a larger number counts as */
/*
 * vCPUs in AWS's doubles as quarters, at most SF_QUARTERS_MAX: a limit is rounded down, a use up. What is not a number, or
 * below 0, is 0; nobody who parses strictly asks that.
 */
int64_t sf_quarters_floor(double vcpu);
int64_t sf_quarters_ceil(double vcpu);
/* Of a task's CPU units, rounded up. */
int64_t sf_quarters_of_units(uint32_t cpu_units);

#define SF_QUARTERS_TEXT_MAX 24
/* As vCPUs: "6", "0.25", "-1.5". Gives out. */
const char *sf_quarters_text(int64_t quarters, char out[SF_QUARTERS_TEXT_MAX]);
/* The other way: digits with at most one of ".0", ".00", ".25", ".5", ".50", ".75"; false = anything else. */
bool sf_quarters_parse(const char *text, int64_t *quarters);

/* A number of quarters at a time; as a step of a history it holds until the next one. */
struct sf_quota_point {
	int64_t at; /* seconds since the epoch; of a datapoint the beginning of its period */
	int64_t quarters;
};

#define SF_QUOTA_LAST 3 /* datapoints that sf_quota_others() looks at */
/*
 * What others use, into *others: the least, over the last SF_QUOTA_LAST datapoints, of what was reported less the most that
 * we had from one period before a datapoint's time to one after it (AWS counts a task late, and our clock may be off), never
 * below 0. Both arrays are in ascending order of time; before the first step we had what that step says, without steps
 * nothing. false: no datapoints, so others are not known; *others is 0 then. Pure.
 */
bool sf_quota_others(const struct sf_quota_point *points, size_t n_points, const struct sf_quota_point *steps, size_t n_steps,
		     int64_t period, int64_t *others);

#endif
