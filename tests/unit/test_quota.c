/* Unit tests of common/base/quota.c and iso.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/quota.h"

#include <math.h>
#include <string.h>

#include "common/base/iso.h"
#include "common/base/util.h"
#include "tests/unit/tap.h"

START_TEST(names)
{
	ck_assert_str_eq(sf_quota_code(false), "L-3032A538");
	ck_assert_str_eq(sf_quota_code(true), "L-36FBB829");
	ck_assert_str_eq(sf_quota_title(false), "On-Demand");
	ck_assert_str_eq(sf_quota_title(true), "Spot");
}
END_TEST

static const struct {
	double vcpu;
	int64_t floor, ceil;
} vcpu_rows[] = {
	{ 0, 0, 0 },
	{ -0.0, 0, 0 },
	{ 0.1, 0, 1 },
	{ 0.25, 1, 1 },
	{ 6, 24, 24 },
	{ 6.3, 25, 26 },
	{ 4000, 16000, 16000 },
	{ 1e9, SF_QUARTERS_MAX, SF_QUARTERS_MAX },
	{ 1e300, SF_QUARTERS_MAX, SF_QUARTERS_MAX },
	{ -3, 0, 0 },
	{ NAN, 0, 0 },
	{ INFINITY, SF_QUARTERS_MAX, SF_QUARTERS_MAX },
};

START_TEST(vcpus_of_aws)
{
	ck_assert_int_eq(sf_quarters_floor(vcpu_rows[_i].vcpu), vcpu_rows[_i].floor);
	ck_assert_int_eq(sf_quarters_ceil(vcpu_rows[_i].vcpu), vcpu_rows[_i].ceil);
}
END_TEST

START_TEST(units_of_tasks)
{
	ck_assert_int_eq(sf_quarters_of_units(0), 0);
	ck_assert_int_eq(sf_quarters_of_units(256), 1);
	ck_assert_int_eq(sf_quarters_of_units(257), 2);
	ck_assert_int_eq(sf_quarters_of_units(32768), 128);
	ck_assert_int_eq(sf_quarters_of_units(UINT32_MAX), 16777216);
}
END_TEST

static const struct {
	int64_t quarters;
	const char *text;
} text_rows[] = { { 0, "0" },    { 1, "0.25" },   { 2, "0.5" },       { 3, "0.75" },
		  { 4, "1" },    { 24, "6" },     { -6, "-1.5" },     { 16003, "4000.75" },
		  { -1, "-0.25" }, { INT64_MIN, "-2305843009213693952" }, { INT64_MAX, "2305843009213693951.75" } };

START_TEST(as_text)
{
	char text[SF_QUARTERS_TEXT_MAX];
	int64_t back = -7;

	ck_assert_str_eq(sf_quarters_text(text_rows[_i].quarters, text), text_rows[_i].text);
	if (text_rows[_i].quarters >= 0 && text_rows[_i].quarters <= SF_QUARTERS_MAX) {
		ck_assert(sf_quarters_parse(text, &back));
		ck_assert_int_eq(back, text_rows[_i].quarters);
	}
}
END_TEST

static const struct {
	const char *text;
	int64_t quarters; /* -1 = refused */
} parse_rows[] = {
	{ "6.0", 24 },	 { "6.00", 24 },      { "0.50", 2 },  { "007", 28 },	   { "1000000000", SF_QUARTERS_MAX },
	{ "", -1 },	 { ".5", -1 },	      { "6.", -1 },   { "0.3", -1 },	   { "1000000001", -1 },
	{ "-1", -1 },	 { " 6", -1 },	      { "6 ", -1 },   { "6.250", -1 },	   { "99999999999999999999999", -1 },
	{ "0x6", -1 },	 { "6e0", -1 },	      { "six", -1 },  { "+6", -1 },	   { "1.25.25", -1 },
};

START_TEST(from_text)
{
	int64_t quarters = -1;

	ck_assert_int_eq(sf_quarters_parse(parse_rows[_i].text, &quarters), parse_rows[_i].quarters >= 0);
	ck_assert_int_eq(quarters, parse_rows[_i].quarters);
}
END_TEST

#define POINTS_MAX 6
/* Lists end at the first time of 0; the period is 60 s. */
static const struct {
	const char *what;
	struct sf_quota_point points[POINTS_MAX], steps[POINTS_MAX];
	int64_t others; /* -1 = not known */
} others_rows[] = {
	{ "no datapoints", { { 0 } }, { { 600, 8 } }, -1 },
	{ "nothing of ours", { { 600, 8 } }, { { 0 } }, 8 },
	{ "all ours", { { 600, 8 } }, { { 500, 8 } }, 0 },
	{ "ours and others'", { { 600, 12 } }, { { 500, 8 } }, 4 },
	{ "never below 0", { { 600, 4 } }, { { 500, 8 } }, 0 },
	{ "the least of three", { { 600, 12 }, { 660, 10 }, { 720, 16 } }, { { 500, 8 } }, 2 },
	{ "the newest is the least", { { 600, 12 }, { 660, 12 }, { 720, 9 } }, { { 500, 8 } }, 1 },
	{ "an older one does not count", { { 540, 8 }, { 600, 12 }, { 660, 12 }, { 720, 12 } }, { { 500, 8 } }, 4 },
	{ "two are enough", { { 600, 12 }, { 660, 11 } }, { { 500, 8 } }, 3 },
	{ "datapoints with gaps", { { 600, 12 }, { 1200, 12 }, { 3000, 13 } }, { { 500, 8 } }, 4 },
	{ "we stopped within a period before", { { 600, 8 } }, { { 100, 8 }, { 541, 0 } }, 0 },
	{ "… at its beginning", { { 600, 8 } }, { { 100, 8 }, { 540, 0 } }, 8 },
	{ "we began within a period after", { { 600, 8 } }, { { 100, 0 }, { 660, 8 } }, 0 },
	{ "… later than that", { { 600, 8 } }, { { 100, 0 }, { 661, 8 } }, 8 },
	{ "the most within, not the last", { { 600, 20 } }, { { 100, 0 }, { 580, 16 }, { 600, 4 }, { 640, 2 } }, 4 },
	{ "a peak before the period is over", { { 600, 20 } }, { { 100, 16 }, { 200, 2 } }, 18 },
	{ "before the first step as at it", { { 600, 8 } }, { { 5000, 6 }, { 5001, 7 } }, 2 },
	{ "two steps at one time", { { 600, 8 } }, { { 100, 1 }, { 100, 3 } }, 5 },
	{ "others leave", { { 600, 16 }, { 660, 16 }, { 720, 8 } }, { { 100, 8 } }, 0 },
	{ "others come, and stay", { { 600, 12 }, { 660, 12 }, { 720, 12 } }, { { 100, 8 } }, 4 },
};

static size_t length(const struct sf_quota_point *p)
{
	size_t n = 0;

	while (n < POINTS_MAX && p[n].at)
		n++;
	return n;
}

START_TEST(others)
{
	const struct sf_quota_point *points = others_rows[_i].points, *steps = others_rows[_i].steps;
	int64_t n = -7, want = others_rows[_i].others;
	bool known = sf_quota_others(points, length(points), steps, length(steps), 60, &n);

	ck_assert_msg(known == (want >= 0) && n == (want >= 0 ? want : 0), "%s: %d, %lld", others_rows[_i].what, known, (long long)n);
}
END_TEST

START_TEST(a_longer_period_looks_further)
{
	static const struct sf_quota_point point = { 600, 8 }, steps[] = { { 100, 8 }, { 400, 0 } };
	int64_t n;

	ck_assert(sf_quota_others(&point, 1, steps, 2, 60, &n));
	ck_assert_int_eq(n, 8);
	ck_assert(sf_quota_others(&point, 1, steps, 2, 300, &n));
	ck_assert_int_eq(n, 0);
}
END_TEST

static const struct {
	const char *text;
	int64_t seconds; /* -1 = refused */
} iso_rows[] = {
	{ "1970-01-01T00:00:00Z", 0 },
	{ "2026-11-28T09:20:33Z", 1795857633 },
	{ "2024-02-29T23:59:59Z", 1709251199 },
	{ "2026-11-28T09:20:33.999Z", 1795857633 },
	{ "2026-02-30T00:00:00Z", -1 },
	{ "2026-02-29T00:00:00Z", -1 },
	{ "2026-13-01T00:00:00Z", -1 },
	{ "2026-00-01T00:00:00Z", -1 },
	{ "2026-01-00T00:00:00Z", -1 },
	{ "2026-01-01T24:00:00Z", -1 },
	{ "2026-01-01T00:60:00Z", -1 },
	{ "2026-12-31T23:59:60Z", -1 },
	{ "2026-01-01T00:00:00", -1 },
	{ "2026-01-01T00:00:00+00:00", -1 },
	{ "2026-01-01T00:00:00.Z", -1 },
	{ "2026-01-01T00:00:00.5", -1 },
	{ "2026-01-01T00:00:00ZZ", -1 },
	{ "2026-01-01 00:00:00Z", -1 },
	{ " 2026-01-01T00:00:00Z", -1 },
	{ "2026-1-01T00:00:00Z", -1 },
	{ "2026-01-01T00:00", -1 },
	{ "yesterday", -1 },
	{ "", -1 },
};

START_TEST(iso_times)
{
	int64_t seconds = -1;
	char text[SF_ISO_MAX];

	ck_assert_int_eq(sf_iso_parse(iso_rows[_i].text, &seconds), iso_rows[_i].seconds >= 0);
	ck_assert_int_eq(seconds, iso_rows[_i].seconds);
	if (seconds < 0 || strchr(iso_rows[_i].text, '.'))
		return;
	ck_assert(sf_iso_text(seconds, text));
	ck_assert_str_eq(text, iso_rows[_i].text);
}
END_TEST

START_TEST(iso_ends)
{
	char text[SF_ISO_MAX];
	int64_t seconds = 0;

	ck_assert(sf_iso_text(INT64_C(253402300799), text));
	ck_assert_str_eq(text, "9999-12-31T23:59:59Z");
	ck_assert(!sf_iso_text(INT64_C(253402300800), text));
	ck_assert_str_eq(text, "");
	ck_assert(!sf_iso_text(INT64_MAX, text));
	ck_assert(sf_iso_parse("1969-12-31T23:59:59Z", &seconds));
	ck_assert_int_eq(seconds, -1);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ names, 0 },
		{ vcpus_of_aws, SF_COUNT(vcpu_rows) },
		{ units_of_tasks, 0 },
		{ as_text, SF_COUNT(text_rows) },
		{ from_text, SF_COUNT(parse_rows) },
		{ others, SF_COUNT(others_rows) },
		{ a_longer_period_looks_further, 0 },
		{ iso_times, SF_COUNT(iso_rows) },
		{ iso_ends, 0 },
	};

	return tap_main("quota", tests, SF_COUNT(tests));
}
