/* Unit tests of common/aws/quotas.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/quotas.h"

#include <string.h>

#include "common/base/util.h"
#include "tests/unit/tap.h"

START_TEST(limit_bodies)
{
	static const char *const bodies[] = { "{\"ServiceCode\":\"fargate\",\"QuotaCode\":\"L-3032A538\"}",
					      "{\"ServiceCode\":\"fargate\",\"QuotaCode\":\"L-36FBB829\"}" };
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(quotas_limit_body(_i, &body, &err), 0);
	ck_assert_str_eq(body, bodies[_i]);
}
END_TEST

static const struct {
	const char *body;
	double vcpu;       /* -1 = refused */
	const char *error; /* of a refusal */
} limit_rows[] = {
	{ "{\"Quota\":{\"QuotaCode\":\"L-3032A538\",\"Value\":6.0,\"Unit\":\"None\"}}", 6, NULL },
	{ "{\"Quota\":{\"Value\":0}}", 0, NULL },
	{ "{\"Quota\":{\"Value\":4000}}", 4000, NULL },
	{ "{\"Quota\":{\"Value\":6.25}}", 6.25, NULL },
	{ "{\"Quota\":{\"Value\":\"6\"}}", -1, "AWS answered with a quota without a Value from 0 on that is {\"Value\":\"6\"}" },
	{ "{\"Quota\":{\"Value\":null}}", -1, "AWS answered with a quota without a Value from 0 on that is {\"Value\":null}" },
	{ "{\"Quota\":{\"Value\":-1}}", -1, "AWS answered with a quota without a Value from 0 on that is {\"Value\":-1}" },
	{ "{\"Quota\":{\"Value\":true}}", -1, "AWS answered with a quota without a Value from 0 on that is {\"Value\":true}" },
	{ "{\"Quota\":{\"Value\":[6]}}", -1, "AWS answered with a quota without a Value from 0 on that is {\"Value\":[6]}" },
	{ "{\"Quota\":{\"Value\":1e999}}", -1, "AWS answered with a quota without a Value from 0 on that is {\"Value\":1e999}" },
	{ "{\"Quota\":{}}", -1, "AWS answered with a quota without a Value from 0 on that is {}" },
	{ "{\"Quota\":6}", -1, "AWS answered with a quota that is missing" },
	{ "{\"quota\":{\"value\":6}}", -1, "AWS answered with a quota that is missing" },
	{ "{}", -1, "AWS answered with a quota that is missing" },
};

START_TEST(limits)
{
	sf_auto_json sf_json *body = NULL;
	struct sf_error err = { "" };
	double vcpu = -1;

	ck_assert_int_eq(sf_json_parse(limit_rows[_i].body, strlen(limit_rows[_i].body), &body, &err), 0);
	ck_assert_int_eq(quotas_limit_value(body, &vcpu, &err), limit_rows[_i].error ? -1 : 0);
	ck_assert_double_eq(vcpu, limit_rows[_i].vcpu);
	ck_assert_str_eq(err.text, limit_rows[_i].error ? limit_rows[_i].error : "");
}
END_TEST

#define FORM                                                                                                             \
	"Action=GetMetricStatistics&Version=2010-08-01&Namespace=AWS%2FUsage&MetricName=ResourceCount"                   \
	"&Dimensions.member.1.Name=Service&Dimensions.member.1.Value=Fargate"                                            \
	"&Dimensions.member.2.Name=Type&Dimensions.member.2.Value=Resource"                                              \
	"&Dimensions.member.3.Name=Resource&Dimensions.member.3.Value=vCPU"                                              \
	"&Dimensions.member.4.Name=Class&Dimensions.member.4.Value=Standard%2F"
#define TIMES "&StartTime=2026-11-28T09%3A20%3A00Z&EndTime=2026-11-28T09%3A35%3A33Z&Period=60&Statistics.member.1=Maximum"

START_TEST(usage_bodies)
{
	static const char *const bodies[] = { FORM "OnDemand" TIMES, FORM "Spot" TIMES };
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(quotas_usage_body(_i, 1795857633, 1795858533, &body, &err), 0);
	ck_assert_str_eq(body, bodies[_i]);
}
END_TEST

static const struct {
	int64_t from, to;
	bool ok;
} range_rows[] = {
	{ 6000, 6001, true },         { 6000, 6000, false },
	{ 6000, 5999, false },	      { 6000, 6000 + 1440 * 60, true },
	{ 6059, 6000 + 1440 * 60, true }, { 6000, 6001 + 1440 * 60, false },
	{ -60, 60, false },	      { INT64_MIN, INT64_MAX, false },
	{ 6059, 6058, false },	      { INT64_MAX - 1, INT64_MAX, false },
};

START_TEST(usage_ranges)
{
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(quotas_usage_body(false, range_rows[_i].from, range_rows[_i].to, &body, &err), range_rows[_i].ok ? 0 : -1);
	ck_assert_int_eq(body != NULL, range_rows[_i].ok);
	ck_assert_int_eq(strstr(err.text, "is not 1 to 1440 periods of 60 s") != NULL, !range_rows[_i].ok);
}
END_TEST

#define POINT(at, value) "<member><Timestamp>" at "</Timestamp><Maximum>" value "</Maximum><Unit>None</Unit></member>"
#define ANSWER(points)                                                                                             \
	"<GetMetricStatisticsResponse xmlns=\"http://monitoring.amazonaws.com/doc/2010-08-01/\">"                  \
	"<GetMetricStatisticsResult><Label>ResourceCount</Label>" points "</GetMetricStatisticsResult>"            \
	"<ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetMetricStatisticsResponse>"
#define POINTS(points) ANSWER("<Datapoints>" points "</Datapoints>")
#define T(minute) "2026-11-28T09:" minute ":00Z"
#define AT(minute) (1795857600 + ((minute)-20) * 60)
#define MAX 4

static const struct {
	const char *xml;
	int n; /* -1 = refused */
	struct quotas_point points[MAX];
	const char *error;
} points_rows[] = {
	{ ANSWER("<Datapoints/>"), 0, { { 0 } }, NULL },
	{ POINTS(""), 0, { { 0 } }, NULL },
	{ POINTS(POINT(T("21"), "2.25")), 1, { { AT(21), 2.25 } }, NULL },
	{ POINTS(POINT(T("23"), "3.0") POINT(T("21"), "1") POINT(T("22"), "1.2E1") POINT(T("20"), "0.0")), 4,
	  { { AT(20), 0 }, { AT(21), 1 }, { AT(22), 12 }, { AT(23), 3 } }, NULL },
	{ POINTS(POINT(T("22"), "1") POINT(T("21"), "5") POINT(T("22"), "4") POINT(T("22"), "2")), 2,
	  { { AT(21), 5 }, { AT(22), 4 } }, NULL },
	{ POINTS(POINT(T("21"), "1") POINT(T("22"), "1") POINT(T("23"), "1") POINT(T("24"), "1") POINT(T("25"), "1")), -1, { { 0 } },
	  "AWS answered with more than 4 datapoints" },
	{ ANSWER(""), -1, { { 0 } }, "AWS answered with a list of datapoints that is missing" },
	{ "<GetMetricStatisticsResponse/>", -1, { { 0 } }, "AWS answered with a list of datapoints that is missing" },
	{ POINTS(POINT("1795857600", "1")), -1, { { 0 } }, "AWS answered with a datapoint's Timestamp that is 1795857600" },
	{ POINTS("<member><Maximum>1</Maximum></member>"), -1, { { 0 } },
	  "AWS answered with a datapoint's Timestamp that is missing" },
	{ POINTS("<member><Timestamp>" T("21") "</Timestamp><Average>1</Average></member>"), -1, { { 0 } },
	  "AWS answered with a datapoint's Maximum that is missing" },
	{ POINTS(POINT(T("21"), "-1")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is -1" },
	{ POINTS(POINT(T("21"), "NaN")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is NaN" },
	{ POINTS(POINT(T("21"), "inf")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is inf" },
	{ POINTS(POINT(T("21"), "1e999")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is 1e999" },
	{ POINTS(POINT(T("21"), "0x10")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is 0x10" },
	{ POINTS(POINT(T("21"), "1 ")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is 1 " },
	{ POINTS(POINT(T("21"), "1.0.0")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is 1.0.0" },
	{ POINTS(POINT(T("21"), "")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is " },
	{ POINTS(POINT(T("21"), "a\xc2\x9b")), -1, { { 0 } }, "AWS answered with a datapoint's Maximum that is a??" },
};

START_TEST(usage_points)
{
	aws_auto_xml struct aws_xml *xml = NULL;
	struct quotas_point points[MAX];
	struct sf_error err = { "" };
	int i, want = points_rows[_i].n;
	size_t n = 77;

	ck_assert_msg(aws_xml_parse(points_rows[_i].xml, strlen(points_rows[_i].xml), &xml, &err) == 0, "%s", err.text);
	ck_assert_int_eq(quotas_usage_points(xml, points, MAX, &n, &err), want < 0 ? -1 : 0);
	ck_assert_str_eq(err.text, points_rows[_i].error ? points_rows[_i].error : "");
	ck_assert_uint_eq(n, want < 0 ? 77 : (size_t)want);
	for (i = 0; i < want; i++) {
		ck_assert_int_eq(points[i].at, points_rows[_i].points[i].at);
		ck_assert_double_eq(points[i].vcpu, points_rows[_i].points[i].vcpu);
	}
}
END_TEST

START_TEST(without_a_document)
{
	struct quotas_point point;
	struct sf_error err = { "" };
	size_t n;

	ck_assert_int_eq(quotas_usage_points(NULL, &point, 1, &n, &err), -1);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ limit_bodies, 2 },
		{ limits, SF_COUNT(limit_rows) },
		{ usage_bodies, 2 },
		{ usage_ranges, SF_COUNT(range_rows) },
		{ usage_points, SF_COUNT(points_rows) },
		{ without_a_document, 0 },
	};

	return tap_main("aws quotas", tests, SF_COUNT(tests));
}
