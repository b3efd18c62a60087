/* Unit tests of common/base/jobenv.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/jobenv.h"

#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static char partition[] = "fargate";

/* The value of a name in the list, NULL when absent; dies when it is there twice. */
static const char *value(char **env, const char *name)
{
	const char *found = NULL;
	size_t n = strlen(name);

	for (; env && *env; env++)
		if (!strncmp(*env, name, n) && (*env)[n] == '=') {
			ck_assert_msg(!found, "%s twice", name);
			found = *env + n + 1;
		}
	return found;
}

static char **build(const struct sf_job_facts *facts, const struct sf_spec *spec)
{
	struct sf_error err;
	char **env = NULL;

	ck_assert_int_eq(sf_job_env_build(facts, spec, &env, &err), 0);
	return env;
}

START_TEST(plain_job)
{
	static const char *const expected[] = {
		"SLURM_JOB_NAME=my job", "SLURM_JOB_USER=alice", "SLURM_JOB_PARTITION=fargate", "SLURM_SUBMIT_DIR=/home/alice",
		"SLURM_JOB_ID=17", "SLURM_JOBID=17", "SLURM_JOB_UID=1001", "SLURM_CPUS_ON_NODE=1", "SLURM_JOB_CPUS_PER_NODE=1",
		"SLURM_JOB_NUM_NODES=1", "SLURM_NNODES=1", "SLURM_PROCID=0", "SLURM_LOCALID=0", "SLURM_NODEID=0", NULL,
	};
	struct sf_job_facts f = { .job_id = 17, .uid = 1001, .user = "alice", .name = "my job", .account = "",
				  .submit_dir = "/home/alice" };
	struct sf_spec s = { .cpus_asked = 1, .partition = partition };
	char **env = build(&f, &s);
	size_t i;

	for (i = 0; expected[i]; i++) {
		ck_assert_ptr_nonnull(env[i]);
		ck_assert_str_eq(env[i], expected[i]);
	}
	ck_assert_ptr_null(env[i]);
	sf_strv_free(env);
}
END_TEST

START_TEST(asked_numbers)
{
	struct sf_job_facts f = { .job_id = 18, .restart = 2, .num_tasks = 2 };
	struct sf_spec s = { .cpus_asked = 6, .cpus_per_task = 3, .mem_asked_mib = 2048, .mem_per_cpu = true,
			     .partition = partition };
	char **env = build(&f, &s);

	ck_assert_str_eq(value(env, "SLURM_CPUS_PER_TASK"), "3");
	ck_assert_str_eq(value(env, "SLURM_NTASKS"), "2");
	ck_assert_str_eq(value(env, "SLURM_NPROCS"), "2");
	ck_assert_str_eq(value(env, "SLURM_CPUS_ON_NODE"), "6");
	ck_assert_str_eq(value(env, "SLURM_MEM_PER_CPU"), "2048");
	ck_assert_ptr_null(value(env, "SLURM_MEM_PER_NODE"));
	ck_assert_str_eq(value(env, "SLURM_RESTART_COUNT"), "2");
	ck_assert_ptr_null(value(env, "SLURM_ARRAY_JOB_ID"));
	sf_strv_free(env);
	s.mem_per_cpu = false;
	env = build(&f, &s);
	ck_assert_str_eq(value(env, "SLURM_MEM_PER_NODE"), "2048");
	ck_assert_ptr_null(value(env, "SLURM_MEM_PER_CPU"));
	sf_strv_free(env);
}
END_TEST

START_TEST(array_element)
{
	struct sf_job_facts f = { .job_id = 21, .array = true, .array_job_id = 19, .array_task_id = 0 };
	struct sf_spec s = { .cpus_asked = 1, .partition = partition };
	char **env = build(&f, &s);

	ck_assert_str_eq(value(env, "SLURM_ARRAY_JOB_ID"), "19");
	ck_assert_str_eq(value(env, "SLURM_ARRAY_TASK_ID"), "0");
	ck_assert_ptr_null(value(env, "SLURM_ARRAY_TASK_COUNT"));
	sf_strv_free(env);
	s.array = (struct sf_array){ .count = 3, .max = 8, .step = 4 };
	env = build(&f, &s);
	ck_assert_str_eq(value(env, "SLURM_ARRAY_TASK_COUNT"), "3");
	ck_assert_str_eq(value(env, "SLURM_ARRAY_TASK_MIN"), "0");
	ck_assert_str_eq(value(env, "SLURM_ARRAY_TASK_MAX"), "8");
	ck_assert_str_eq(value(env, "SLURM_ARRAY_TASK_STEP"), "4");
	sf_strv_free(env);
}
END_TEST

START_TEST(users_values_and_cleaning)
{
	char a[] = "A=1 2", spoof[] = "SLURM_JOB_ID=1", b[] = "B=";
	char *user[] = { a, spoof, b, NULL };
	struct sf_job_facts f = { .job_id = 5, .name = "evil\033[31m\nname" };
	struct sf_spec s = { .cpus_asked = 1, .partition = partition, .env = user };
	char **env = build(&f, &s);

	ck_assert_str_eq(value(env, "A"), "1 2");
	ck_assert_str_eq(value(env, "B"), "");
	ck_assert_str_eq(value(env, "SLURM_JOB_ID"), "5");
	ck_assert_str_eq(value(env, "SLURM_JOB_NAME"), "evil?[31m?name");
	sf_strv_free(env);
}
END_TEST

START_TEST(worst_is_never_shorter)
{
	struct sf_job_facts worst = { .name = "n", .submit_dir = "/d", .array = true };
	struct sf_job_facts real = { .job_id = 4294967295u, .restart = 99, .uid = 4294967294u, .user = "u", .name = "n",
				     .account = "acct", .qos = "normal", .cluster = "c", .nodelist = "fargate-gw1",
				     .submit_dir = "/d", .submit_host = "login", .array = true,
				     .array_job_id = 4000000000u, .array_task_id = 4000000 };
	struct sf_spec s = { .cpus_asked = 1, .partition = partition };
	char **a, **b;
	size_t i;

	sf_job_facts_worst(&worst);
	ck_assert_str_eq(worst.name, "n");
	a = build(&worst, &s);
	b = build(&real, &s);
	ck_assert_uint_eq(sf_strv_len(a), sf_strv_len(b));
	for (i = 0; a[i]; i++)
		ck_assert_uint_ge(strlen(a[i]), strlen(b[i]));
	sf_strv_free(a);
	sf_strv_free(b);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ plain_job, 0 },
		{ asked_numbers, 0 },
		{ array_element, 0 },
		{ users_values_and_cleaning, 0 },
		{ worst_is_never_shorter, 0 },
	};

	return tap_main("jobenv", tests, SF_COUNT(tests));
}
