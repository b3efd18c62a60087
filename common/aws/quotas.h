/* Service Quotas and CloudWatch: what a vCPU quota is, and how much of it AWS says is in use. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_QUOTAS_H
#define SF_AWS_QUOTAS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/aws/xml.h"
#include "common/base/error.h"
#include "common/base/json.h"

/* Of GetServiceQuota and GetAWSDefaultServiceQuota alike. Caller frees *out. */
int quotas_limit_body(bool spot, char **out, struct sf_error *err);
/*
 * Quota.Value of their answers, in vCPUs. Errors: no such member, or anything but a finite number from 0 on; never a number
 * that AWS did not say.
 */
int quotas_limit_value(const sf_json *body, double *vcpu, struct sf_error *err);

#define QUOTAS_PERIOD 60 /* s of a datapoint; AWS publishes its usage metrics every minute */
#define QUOTAS_POINTS_MAX 1440 /* that one GetMetricStatistics answers */
/*
 * GetMetricStatistics as a form: the most vCPUs in use in each period from `from` (rounded down to a whole period) to before `to`, in
 * seconds since the epoch. Caller frees *out. Errors: not from < to, or more than QUOTAS_POINTS_MAX periods. Source:
 * CloudWatch API, GetMetricStatistics; Amazon ECS Developer Guide, "AWS Fargate usage metrics".
 */
int quotas_usage_body(bool spot, int64_t from, int64_t to, char **out, struct sf_error *err);

struct quotas_point {
	int64_t at; /* beginning of the period, seconds since the epoch */
	double vcpu;
};
/*
 * The datapoints of GetMetricStatistics' answer, oldest first, one per time (of several the largest). None (*n 0) is an
 * answer: nothing was published, which does not say that nothing is in use. Errors: no list of datapoints, more than max, a
 * time or number that is none.
 */
int quotas_usage_points(const struct aws_xml *answer, struct quotas_point *points, size_t max, size_t *n, struct sf_error *err);

#endif
