/* Unit tests of plugin/job_submit/check.c: from what was asked to the Fargate size and the numbers of Slurm's record. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/unit/job_submit_plain.h"

/* What the user asked, the Fargate size that comes of it, and what Slurm's record then holds. */
static const struct {
	uint32_t tasks, per_task, min_cpus;
	uint64_t mem;
	bool per_cpu;
	uint32_t opt_units;
	uint64_t opt_mem;
	uint32_t cpu_units, mem_mib; /* of the size */
	uint32_t cpus;               /* Slurm's */
	uint64_t slurm_mem;
	uint32_t cpus_asked, cpus_per_task;
} sizes[] = {
	{ 0, 0, 1, 0, false, 0, 0, 1024, 2048, 1, 0, 1, 0 },
	{ 0, 0, 0, 0, false, 0, 0, 1024, 2048, 1, 0, 1, 0 },
	{ 0, 3, 3, 0, false, 0, 0, 4096, 8192, 4, 0, 3, 3 },
	{ 2, 2, 4, 0, false, 0, 0, 4096, 8192, 4, 0, 4, 2 },
	{ 3, 0, 3, 0, false, 0, 0, 4096, 8192, 4, 0, 3, 0 },
	{ 0, 0, 2, 0, false, 0, 0, 2048, 4096, 2, 0, 2, 0 },
	{ 0, 16, 16, 0, false, 0, 0, 16384, 32768, 16, 0, 16, 16 },
	{ 0, 0, 1, 3000, false, 0, 0, 1024, 3072, 1, 3000, 1, 0 },
	{ 0, 2, 2, 1500, true, 0, 0, 2048, 4096, 2, 3000, 2, 2 },
	{ 0, 0, 1, 0, false, 256, 512, 256, 512, 1, 512, 1, 0 },
	{ 0, 8, 8, 9999, false, 512, 1024, 512, 1024, 1, 1024, 1, 1 },
	{ 0, 0, 1, 2000, true, 2048, 0, 2048, 4096, 2, 4000, 2, 0 },
};

START_TEST(sizes_come_out)
{
	const struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();

	j.num_tasks = sizes[_i].tasks;
	j.cpus_per_task = sizes[_i].per_task;
	j.min_cpus = sizes[_i].min_cpus;
	j.mem_mib = sizes[_i].mem;
	j.mem_per_cpu = sizes[_i].per_cpu;
	decide(&j, &w, sizes[_i].opt_units, sizes[_i].opt_mem, NULL);
	ck_assert_msg(out.verdict == JS_OFFLOAD, "%s", out.text);
	ck_assert_uint_eq(out.spec.size.cpu_units, sizes[_i].cpu_units);
	ck_assert_uint_eq(out.spec.size.mem_mib, sizes[_i].mem_mib);
	ck_assert_uint_eq(out.cpus, sizes[_i].cpus);
	ck_assert_uint_eq(out.mem_mib, sizes[_i].slurm_mem);
	ck_assert_uint_eq(out.spec.cpus_asked, sizes[_i].cpus_asked);
	ck_assert_uint_eq(out.spec.cpus_per_task, sizes[_i].cpus_per_task);
	ck_assert_uint_eq(out.spec.mem_asked_mib, sizes[_i].opt_mem ? sizes[_i].opt_mem : sizes[_i].mem);
	ck_assert_int_eq(out.spec.mem_per_cpu, sizes[_i].per_cpu);
	ck_assert_str_eq(out.text, "");
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

static const struct {
	uint32_t tasks, per_task;
	uint64_t mem;
	bool per_cpu;
	const char *part; /* of the text */
} too_large[] = {
	{ 0, 32, 0, false, "16" },
	{ 4000000000u, 65000, 0, false, "16" },
	{ 0, 0, 500000, false, "122880" },
	{ 0, 1, UINT64_MAX / 4, true, "120" },
	{ 0, 2, UINT64_MAX / 2, true, "120" },
};

START_TEST(sizes_no_size_holds)
{
	const struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();

	j.num_tasks = too_large[_i].tasks;
	j.cpus_per_task = too_large[_i].per_task;
	j.mem_mib = too_large[_i].mem;
	j.mem_per_cpu = too_large[_i].per_cpu;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_int_eq(out.why, JS_WHY_SIZE);
	ck_assert_int_eq(strncmp(out.text, "fargate: ", 9), 0);
	ck_assert_msg(strstr(out.text, too_large[_i].part) || strstr(out.text, "120"), "%s", out.text);
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

START_TEST(memory_above_its_vcpu_is_told)
{
	const struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();

	j.mem_mib = 10240;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_OFFLOAD);
	ck_assert_uint_eq(out.spec.size.cpu_units, 2048);
	ck_assert_uint_eq(out.cpus, 2);
	ck_assert_int_eq(strncmp(out.text, "fargate: ", 9), 0);
	ck_assert_ptr_null(strchr(out.text, '\n'));
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ sizes_come_out, SF_COUNT(sizes) },
		{ sizes_no_size_holds, SF_COUNT(too_large) },
		{ memory_above_its_vcpu_is_told, 0 },
	};

	return tap_main("job_submit_size", tests, SF_COUNT(tests));
}
