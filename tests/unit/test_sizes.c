/* Unit tests of common/base/sizes.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/sizes.h"

#include <string.h>

#include "common/base/util.h"
#include "tests/unit/tap.h"

static const struct {
	uint32_t cpu;
	uint64_t mem;
	bool allow;
	uint32_t want_cpu, want_mem;
	const char *note;
} fit_rows[] = {
	{ 0, 0, false, 1024, 2048, "" },
	{ 256, 0, false, 256, 512, "" },
	{ 1, 1, false, 256, 512, "" },
	{ 256, 513, false, 256, 1024, "" },
	{ 256, 1025, false, 256, 2048, "" },
	{ 256, 2049, false, 512, 3072,
	  "memory 2.01 GB needs a larger size: 0.5 vCPU with 3 GB instead of 0.25 vCPU" },
	{ 308, 0, false, 512, 1024, "" },
	{ 1024, 1, false, 1024, 2048, "" },
	{ 1024, 8192, false, 1024, 8192, "" },
	{ 0, 8193, false, 2048, 9216,
	  "memory 8.01 GB needs a larger size: 2 vCPU with 9 GB instead of 1 vCPU" },
	{ 3 * 1024, 0, false, 4096, 8192, "" },
	{ 4096, 40960, false, 8192, 40960,
	  "memory 40 GB needs a larger size: 8 vCPU with 40 GB instead of 4 vCPU" },
	{ 8192, 16385, false, 8192, 20480, "" },
	{ 16384, 122880, false, 16384, 122880, "" },
	{ 16384, 114689, false, 16384, 122880, "" },
	{ 16385, 0, true, 32768, 61440, "" },
	{ 16384, 122881, true, 32768, 249856,
	  "memory 120.01 GB needs a larger size: 32 vCPU with 244 GB instead of 16 vCPU" },
	{ 32768, 61441, true, 32768, 122880, "" },
};

START_TEST(requests_are_rounded_up)
{
	struct sf_size_request req = { fit_rows[_i].cpu, fit_rows[_i].mem, fit_rows[_i].allow };
	char note[SF_SIZE_NOTE_MAX] = "unset";
	struct sf_error err = { "" };
	struct sf_size size;

	ck_assert_msg(sf_size_fit(&req, &size, note, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(size.cpu_units, fit_rows[_i].want_cpu);
	ck_assert_uint_eq(size.mem_mib, fit_rows[_i].want_mem);
	ck_assert_str_eq(note, fit_rows[_i].note);
	ck_assert(sf_size_valid(&size, req.allow_32vcpu));
	ck_assert_int_eq(sf_size_fit(&req, &size, NULL, NULL), 0);
}
END_TEST

static const struct {
	uint32_t cpu;
	uint64_t mem;
	bool allow;
	const char *error;
} refused_rows[] = {
	{ 24 * 1024, 0, false, "24 vCPU is more than the largest Fargate size, 16" },
	{ 16385, 0, false, "16.01 vCPU is more than the largest Fargate size, 16" },
	{ 33 * 1024, 0, true, "33 vCPU is more than the largest Fargate size, 32" },
	{ 0, 300 * 1024, false,
	  "300 GB is more than any Fargate size holds; the nearest is 16 vCPU with 120 GB" },
	{ 256, 122881, false,
	  "120.01 GB is more than any Fargate size holds; the nearest is 16 vCPU with 120 GB" },
	{ 256, 249857, true,
	  "244.01 GB is more than any Fargate size holds; the nearest is 32 vCPU with 244 GB" },
	{ 256, UINT64_MAX, false,
	  "4194304 GB is more than any Fargate size holds; the nearest is 16 vCPU with 120 GB" },
};

START_TEST(what_no_size_holds_is_refused)
{
	struct sf_size_request req = { refused_rows[_i].cpu, refused_rows[_i].mem,
				       refused_rows[_i].allow };
	struct sf_error err = { "" };
	struct sf_size size;

	ck_assert_int_eq(sf_size_fit(&req, &size, NULL, &err), -1);
	ck_assert_str_eq(err.text, refused_rows[_i].error);
}
END_TEST

/* Never down, always valid, and never more CPUs than needed: over the whole plane of requests. */
START_TEST(fit_is_the_smallest_that_holds)
{
	struct sf_size_request req = { 0, 0, false };
	struct sf_size size, smaller;

	for (req.cpu_units = 128; req.cpu_units <= 16384; req.cpu_units += 128) {
		for (req.mem_mib = 256; req.mem_mib <= 122880; req.mem_mib += 256) {
			ck_assert_int_eq(sf_size_fit(&req, &size, NULL, NULL), 0);
			ck_assert_uint_ge(size.cpu_units, req.cpu_units);
			ck_assert_uint_ge(size.mem_mib, req.mem_mib);
			ck_assert(sf_size_valid(&size, false));
			smaller = size;
			while (smaller.mem_mib > req.mem_mib) {
				smaller.mem_mib -= 256;
				ck_assert(!sf_size_valid(&smaller, false) ||
					  smaller.mem_mib < req.mem_mib);
			}
		}
	}
}
END_TEST

START_TEST(only_aws_sizes_are_valid)
{
	static const struct sf_size bad[] = {
		{ 256, 1536 }, { 256, 3072 }, { 512, 512 }, { 8192, 17408 }, { 16384, 36864 },
		{ 100, 512 }, { 0, 0 }, { 32768, 61440 },
	};
	struct sf_size large = { 32768, 249856 };
	size_t i;

	for (i = 0; i < SF_COUNT(bad); i++)
		ck_assert(!sf_size_valid(&bad[i], false));
	ck_assert(sf_size_valid(&large, true));
}
END_TEST

START_TEST(numbers_as_text)
{
	char out[16];

	sf_size_vcpu_text(256, out);
	ck_assert_str_eq(out, "0.25");
	sf_size_vcpu_text(512, out);
	ck_assert_str_eq(out, "0.5");
	sf_size_vcpu_text(16384, out);
	ck_assert_str_eq(out, "16");
	sf_size_gb_text(512, out);
	ck_assert_str_eq(out, "0.5");
	sf_size_gb_text(30720, out);
	ck_assert_str_eq(out, "30");
	sf_size_gb_text(1000, out);
	ck_assert_str_eq(out, "0.98");
	sf_size_gb_text(0, out);
	ck_assert_str_eq(out, "0");
}
END_TEST

static const struct {
	const char *text;
	uint32_t units; /* 0: refused with `error` */
	const char *error;
} vcpu_rows[] = {
	{ "0.25", 256, NULL },
	{ ".5", 512, NULL },
	{ "4", 4096, NULL },
	{ "4.", 4096, NULL },
	{ "0.3", 308, NULL },
	{ "0.000001", 1, NULL },
	{ "32", 32768, NULL },
	{ "0", 0, "0 vCPU is not possible; the smallest Fargate size is 0.25" },
	{ "0.0", 0, "0 vCPU is not possible; the smallest Fargate size is 0.25" },
	{ "33", 0,
	  "33 vCPU is more than the largest Fargate size, 16 (32 where the partition allows it)" },
	{ "", 0, "'' is not a number of vCPUs; give for example 0.25, 1 or 4" },
	{ ".", 0, "'.' is not a number of vCPUs; give for example 0.25, 1 or 4" },
	{ "-1", 0, "'-1' is not a number of vCPUs; give for example 0.25, 1 or 4" },
	{ "1e3", 0, "'1e3' is not a number of vCPUs; give for example 0.25, 1 or 4" },
	{ "1 ", 0, "'1 ' is not a number of vCPUs; give for example 0.25, 1 or 4" },
	{ "two\033", 0, "'two?' is not a number of vCPUs; give for example 0.25, 1 or 4" },
	{ "99999999999999999999", 0,
	  "'99999999999999999999' is not a number of vCPUs; give for example 0.25, 1 or 4" },
};

START_TEST(vcpus_are_read)
{
	struct sf_error err = { "" };
	uint32_t units = 7;
	int rc = sf_parse_vcpu(vcpu_rows[_i].text, &units, &err);

	if (vcpu_rows[_i].error) {
		ck_assert_int_eq(rc, -1);
		ck_assert_str_eq(err.text, vcpu_rows[_i].error);
		return;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(units, vcpu_rows[_i].units);
}
END_TEST

#define NOT_MEM " is not a memory size; give a whole number with K, M, G or T, for example 4G"
static const struct {
	const char *text;
	uint64_t mib;
	const char *error;
} mem_rows[] = {
	{ "512", 512, NULL },
	{ "4G", 4096, NULL },
	{ "4g", 4096, NULL },
	{ "4GB", 4096, NULL },
	{ "1K", 1, NULL },
	{ "1025k", 2, NULL },
	{ "2T", 2097152, NULL },
	{ "7M", 7, NULL },
	{ "0", 0, "0 memory is not possible; the smallest Fargate size has 512M" },
	{ "", 0, "''" NOT_MEM },
	{ "G", 0, "'G'" NOT_MEM },
	{ "1.5G", 0, "'1.5G'" NOT_MEM },
	{ "4Gx", 0, "'4Gx'" NOT_MEM },
	{ "4P", 0, "'4P'" NOT_MEM },
	{ "-4G", 0, "'-4G'" NOT_MEM },
	{ "999999999999T", 0, "'999999999999T'" NOT_MEM },
	{ "9999999999999", 0, "'9999999999999'" NOT_MEM },
};

START_TEST(memory_is_read)
{
	struct sf_error err = { "" };
	uint64_t mib = 7;
	int rc = sf_parse_mem(mem_rows[_i].text, &mib, &err);

	if (mem_rows[_i].error) {
		ck_assert_int_eq(rc, -1);
		ck_assert_str_eq(err.text, mem_rows[_i].error);
		return;
	}
	ck_assert_int_eq(rc, 0);
	ck_assert_uint_eq(mib, mem_rows[_i].mib);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ requests_are_rounded_up, SF_COUNT(fit_rows) },
		{ what_no_size_holds_is_refused, SF_COUNT(refused_rows) },
		{ fit_is_the_smallest_that_holds, 0 },
		{ only_aws_sizes_are_valid, 0 },
		{ numbers_as_text, 0 },
		{ vcpus_are_read, SF_COUNT(vcpu_rows) },
		{ memory_is_read, SF_COUNT(mem_rows) },
	};

	return tap_main("sizes", tests, SF_COUNT(tests));
}
