/* Service Quotas and CloudWatch: what a vCPU quota is, and how much of it AWS says is in use. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/quotas.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/aws/query.h"
#include "common/base/iso.h"
#include "common/base/quota.h"
#include "common/base/text.h"

#define SHOWN_MAX 80 /* bytes of a wrong value in an error */

int quotas_limit_body(bool spot, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();

	sf_json_set_str(body, "ServiceCode", "fargate");
	sf_json_set_str(body, "QuotaCode", sf_quota_code(spot));
	*out = sf_json_text(body);
	return *out ? 0 : sf_err(err, "out of memory");
}

/* "not a number" with what stands there instead, cut and cleaned. */
static int wrong(struct sf_error *err, const char *what, const char *value)
{
	char shown[SHOWN_MAX];

	sf_copy(shown, sizeof(shown), value ? value : "missing");
	sf_text_clean(shown);
	return sf_err(err, "AWS answered with a %s that is %s", what, shown);
}

int quotas_limit_value(const sf_json *body, double *vcpu, struct sf_error *err)
{
	const sf_json *quota = sf_json_object(body, "Quota");
	sf_auto_free char *text = NULL;
	double value;

	if (sf_json_double(quota, "Value", &value) && value >= 0) {
		*vcpu = value;
		return 0;
	}
	text = quota ? sf_json_text(quota) : NULL;
	return wrong(err, quota ? "quota without a Value from 0 on" : "quota", text);
}

/* Exactly these four: CloudWatch has no metric of a part of them. */
static const char *const dimensions[][2] = {
	{ "Service", "Fargate" },
	{ "Type", "Resource" },
	{ "Resource", "vCPU" },
};

static void add_dimension(struct sf_buf *form, size_t i, const char *name, const char *value)
{
	char key[48];

	snprintf(key, sizeof(key), "Dimensions.member.%zu.Name", i);
	aws_form_add(form, key, name);
	snprintf(key, sizeof(key), "Dimensions.member.%zu.Value", i);
	aws_form_add(form, key, value);
}

static void add_period(struct sf_buf *form)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", QUOTAS_PERIOD);
	aws_form_add(form, "Period", text);
}

int quotas_usage_body(bool spot, int64_t from, int64_t to, char **out, struct sf_error *err)
{
	struct sf_buf form = SF_BUF_INIT;
	char start[SF_ISO_MAX], end[SF_ISO_MAX];
	size_t i;

	if (from < 0 || from >= to || to - (from - from % QUOTAS_PERIOD) > (int64_t)QUOTAS_POINTS_MAX * QUOTAS_PERIOD ||
	    !sf_iso_text(from - from % QUOTAS_PERIOD, start) || !sf_iso_text(to, end))
		return sf_err(err, "usage from %lld to %lld is not 1 to %d periods of %d s", (long long)from, (long long)to,
			      QUOTAS_POINTS_MAX, QUOTAS_PERIOD);
	aws_form_begin(&form, "GetMetricStatistics", "2010-08-01");
	aws_form_add(&form, "Namespace", "AWS/Usage");
	aws_form_add(&form, "MetricName", "ResourceCount");
	for (i = 0; i < SF_COUNT(dimensions); i++)
		add_dimension(&form, i + 1, dimensions[i][0], dimensions[i][1]);
	add_dimension(&form, i + 1, "Class", spot ? "Standard/Spot" : "Standard/OnDemand");
	aws_form_add(&form, "StartTime", start);
	aws_form_add(&form, "EndTime", end);
	add_period(&form);
	aws_form_add(&form, "Statistics.member.1", "Maximum");
	return aws_form_take(&form, out, err);
}

/* A number as AWS writes doubles: "3.0", "1.2E-3"; not what else strtod() takes (inf, nan, 0x10, blanks before it). */
static bool take_number(const char *text, double *out)
{
	char *end = NULL;

	if (!text || strspn(text, "0123456789.eE+-") != strlen(text))
		return false;
	*out = strtod(text, &end);
	return end != text && *end == '\0' && isfinite(*out) && *out >= 0;
}

static int take_point(const struct aws_xml *member, struct quotas_point *out, struct sf_error *err)
{
	const char *at = aws_xml_text(member, "Timestamp"), *most = aws_xml_text(member, "Maximum");

	if (!at || !sf_iso_parse(at, &out->at))
		return wrong(err, "datapoint's Timestamp", at);
	if (!take_number(most, &out->vcpu))
		return wrong(err, "datapoint's Maximum", most);
	return 0;
}

static int by_time(const void *a, const void *b)
{
	const struct quotas_point *p = a, *q = b;

	if (p->at != q->at)
		return p->at < q->at ? -1 : 1;
	return (p->vcpu > q->vcpu) - (p->vcpu < q->vcpu);
}

/* Sorted: of several of one time the last, which is the largest. */
static size_t unique(struct quotas_point *points, size_t n)
{
	size_t i, kept = 0;

	for (i = 0; i < n; i++)
		if (i + 1 == n || points[i].at != points[i + 1].at)
			points[kept++] = points[i];
	return kept;
}

int quotas_usage_points(const struct aws_xml *answer, struct quotas_point *points, size_t max, size_t *n, struct sf_error *err)
{
	const struct aws_xml *list = aws_xml_find(answer, "GetMetricStatisticsResult/Datapoints", 0), *member;
	size_t got;

	if (!list)
		return wrong(err, "list of datapoints", NULL);
	for (got = 0; (member = aws_xml_find(list, "member", got)); got++) {
		if (got == max)
			return sf_err(err, "AWS answered with more than %zu datapoints", max);
		if (take_point(member, &points[got], err) != 0)
			return -1;
	}
	if (got > 0)
		qsort(points, got, sizeof(*points), by_time);
	*n = unique(points, got);
	return 0;
}
