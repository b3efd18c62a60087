/* The real job_submit_fargate.so on hand-made submissions: what it writes back, whose memory it is, what it leaves alone. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>
#include <sys/stat.h>

#include "common/base/spec.h"
#include "common/base/text.h"
#include "plugin/job_submit/compat.h"
#include "tests/unit/job_submit_host.h"
#include "tests/unit/tap.h"

#define LINE(name, more) \
	"PartitionName=" name " " more " Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 " \
	"Providers=FARGATE\n"
#define CONF "Socket=/nonexistent/agent.sock\n" LINE("fargate", "Default=YES") LINE("spot", "Container=main")

static struct plugin plugin;
static char *options;
static char *err_msg;
static size_t blocks_before;

static void setup(const char *conf)
{
	const struct sf_options none = { 0 };

	host_dir(conf);
	options = sf_options_encode(&none);
	ck_assert_ptr_nonnull(options);
	blocks_before = host_blocks();
	host_load(&plugin);
}

/* Nothing of slurmctld's memory may be left over. */
static void teardown(void)
{
	host_xfree(&err_msg);
	host_unload(&plugin);
	ck_assert_uint_eq(host_blocks(), blocks_before);
	free(options);
	host_clean();
}

static int submit(job_desc_msg_t *d)
{
	host_xfree(&err_msg);
	return plugin.submit(d, 1001, &err_msg);
}

static void decode_spec(const job_desc_msg_t *d, struct sf_spec *spec)
{
	const char *in_env = host_env_get(d->environment, d->env_size, "SLURM_SPANK_FARGATE");
	const char *in_spank = host_env_get(d->spank_job_env, d->spank_job_env_size, "FARGATE");
	struct sf_error err = { "" };

	ck_assert_ptr_nonnull(in_env);
	ck_assert_ptr_nonnull(in_spank);
	ck_assert_str_eq(in_env, in_spank);
	ck_assert_msg(!sf_spec_decode(in_env, spec, &err), "%s", err.text);
}

/* No agent runs here, and whether the plugin knows that yet is a matter of milliseconds: both phases are right. */
static void check_comment(const job_desc_msg_t *d, const char *rest)
{
	char submitted[256], down[256];

	snprintf(submitted, sizeof(submitted), "fargate: submitted %s", rest);
	snprintf(down, sizeof(down), "fargate: agent-down %s", rest);
	if (strcmp(d->admin_comment, down)) {
		ck_assert_str_eq(d->admin_comment, submitted);
		ck_assert_str_eq(err_msg, "fargate: the Fargate On-Demand quota L-3032A538 is not known (the agent has not read it "
					  "yet): the job is taken, and the quota is checked again before RunTask");
	} else {
		ck_assert_str_eq(err_msg, "fargate: the agent does not answer; the job will wait, and its vCPU quota, not known now, is "
					  "checked again before RunTask");
	}
}

START_TEST(an_offloaded_job_is_stamped)
{
	job_desc_msg_t *d;
	struct sf_spec a = { 0 }, b = { 0 };

	setup(CONF);
	d = host_desc(NULL, options);
	host_env_add(&d->environment, &d->env_size, "SLURM_GET_USER_ENV=1");
	host_env_add(&d->environment, &d->env_size, "SLURM_GET_USER_ENV=2");
	host_env_add(&d->spank_job_env, &d->spank_job_env_size, "OTHER=1");
	d->admin_comment = host_xstrdup("an administrator's");
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	ck_assert_str_eq(d->partition, "fargate");
	check_comment(d, "- 1vCPU/2GB FARGATE -");
	ck_assert_uint_eq(d->min_cpus, 1);
	ck_assert_uint_eq(d->min_nodes, 1);
	ck_assert_uint_eq(d->max_nodes, 1);
	ck_assert(d->pn_min_memory == NO_VAL64);
	ck_assert_uint_eq(d->env_size, 3);
	ck_assert_str_eq(host_env_get(d->environment, d->env_size, "HOME"), "/home/alice");
	ck_assert_str_eq(host_env_get(d->environment, d->env_size, "PATH"), "/usr/bin");
	ck_assert_ptr_null(host_env_get(d->environment, d->env_size, "SLURM_GET_USER_ENV"));
	ck_assert_uint_eq(d->spank_job_env_size, 2);
	ck_assert_str_eq(host_env_get(d->spank_job_env, d->spank_job_env_size, "OTHER"), "1");
	decode_spec(d, &a);
	host_desc_free(d);
	d = host_desc("spot", options);
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	decode_spec(d, &b);
	ck_assert_str_eq(b.partition, "spot");
	ck_assert_str_ne(a.sid, b.sid);
	sf_spec_free(&a);
	sf_spec_free(&b);
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(an_empty_environment_is_made)
{
	job_desc_msg_t *d;
	struct sf_spec spec = { 0 };

	setup(CONF);
	d = host_desc("fargate", options);
	while (d->env_size)
		host_xfree(&d->environment[--d->env_size]);
	slurm_xfree((void **)&d->environment);
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	ck_assert_uint_eq(d->env_size, 1);
	decode_spec(d, &spec);
	sf_spec_free(&spec);
	host_desc_free(d);
	teardown();
}
END_TEST

/* What sbatch asks for, and the numbers Slurm is left with. */
static const struct {
	uint32_t tasks;
	uint16_t per_task;
	uint16_t per_node;
	uint32_t min_cpus;
	uint64_t mem;
	uint32_t out_tasks;
	uint16_t out_per_task;
	uint32_t out_cpus;
	uint64_t out_mem;
} numbers[] = {
	{ NO_VAL, NO_VAL16, NO_VAL16, 1, NO_VAL64, NO_VAL, NO_VAL16, 1, NO_VAL64 },
	{ NO_VAL, 3, NO_VAL16, 3, NO_VAL64, NO_VAL, 4, 4, NO_VAL64 },
	{ 2, 2, NO_VAL16, 4, NO_VAL64, 2, 2, 4, NO_VAL64 },
	{ 3, NO_VAL16, NO_VAL16, 3, NO_VAL64, 3, NO_VAL16, 4, NO_VAL64 },
	{ 2, 3, NO_VAL16, 6, NO_VAL64, 2, 4, 8, NO_VAL64 },
	{ NO_VAL, NO_VAL16, 4, 4, NO_VAL64, 4, NO_VAL16, 4, NO_VAL64 },
	{ NO_VAL, NO_VAL16, NO_VAL16, 1, 3000, NO_VAL, NO_VAL16, 1, 3000 },
	{ NO_VAL, 2, NO_VAL16, 2, 1500 | MEM_PER_CPU, NO_VAL, 2, 2, 3000 },
};

START_TEST(slurms_numbers)
{
	job_desc_msg_t *d;

	setup(CONF);
	d = host_desc("fargate", options);
	d->num_tasks = numbers[_i].tasks;
	d->cpus_per_task = numbers[_i].per_task;
	d->ntasks_per_node = numbers[_i].per_node;
	d->min_cpus = numbers[_i].min_cpus;
	d->pn_min_memory = numbers[_i].mem;
	d->tres_per_task = host_xstrdup("cpu:3"); /* as 23.11's sbatch repeats -c */
	ck_assert_msg(submit(d) == SLURM_SUCCESS, "%s", err_msg);
	ck_assert_uint_eq(d->num_tasks, numbers[_i].out_tasks);
	ck_assert_uint_eq(d->cpus_per_task, numbers[_i].out_per_task);
	ck_assert_uint_eq(d->min_cpus, numbers[_i].out_cpus);
	ck_assert_uint_eq(d->pn_min_cpus, numbers[_i].out_cpus);
	ck_assert(d->pn_min_memory == numbers[_i].out_mem);
	ck_assert_uint_eq(d->ntasks_per_node, NO_VAL16);
	ck_assert_ptr_null(d->tres_per_task);
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(more_tasks_than_cpus)
{
	const struct sf_options half = { .cpu_units = 512 };
	char *packed = sf_options_encode(&half);
	job_desc_msg_t *d;

	setup(CONF);
	d = host_desc("fargate", packed);
	d->num_tasks = 4;
	d->cpus_per_task = 2;
	d->min_cpus = 8;
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	ck_assert_uint_eq(d->num_tasks, 1);
	ck_assert_uint_eq(d->cpus_per_task, 1);
	ck_assert_uint_eq(d->min_cpus, 1);
	check_comment(d, "- 0.5vCPU/1GB FARGATE -");
	free(packed);
	host_desc_free(d);
	teardown();
}
END_TEST

static const char *const gres_texts[] = { "gres:gpu:1", "gpu:1", "cpu:2,gres:gpu:1" };

START_TEST(a_refused_job_is_not_touched)
{
	job_desc_msg_t *d;
	char expected[256];

	setup(CONF);
	d = host_desc("fargate", options);
	d->tres_per_task = host_xstrdup(gres_texts[_i]);
	ck_assert_int_eq(submit(d), ESLURM_INVALID_GRES);
	snprintf(expected, sizeof(expected), "fargate: Fargate has no generic resources: remove --gres and --gpus (%s)",
		 gres_texts[_i]);
	ck_assert_str_eq(err_msg, expected);
	ck_assert_ptr_null(d->admin_comment);
	ck_assert_str_eq(host_env_get(d->spank_job_env, d->spank_job_env_size, "FARGATE"), options);
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(error_numbers)
{
	job_desc_msg_t *d;

	setup(CONF);
	d = host_desc("local", options);
	ck_assert_int_eq(submit(d), ESLURM_INVALID_PARTITION_NAME);
	host_desc_free(d);
	d = host_desc("fargate", options);
	d->min_nodes = 2;
	ck_assert_int_eq(submit(d), ESLURM_INVALID_NODE_COUNT);
	host_desc_free(d);
	d = host_desc("fargate", options);
	d->cpus_per_task = 32;
	ck_assert_int_eq(submit(d), ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE);
	host_desc_free(d);
	d = host_desc("fargate", options);
	host_xfree(&d->script);
	ck_assert_int_eq(submit(d), ESLURM_NOT_SUPPORTED);
	ck_assert_str_eq(err_msg, "fargate: --fargate is for batch scripts: use sbatch, not srun or salloc");
	host_desc_free(d);
	d = host_desc("fargate", options);
	d->het_job_offset = 0;
	ck_assert_int_eq(submit(d), ESLURM_NOT_SUPPORTED);
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(other_jobs_pass)
{
	job_desc_msg_t *d;
	struct sf_spec spec = { 0 };
	char *text, entry[2048];

	setup(CONF);
	/* A spec of another job, as an inherited environment or a forger has it. */
	d = host_desc("fargate", options);
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	text = strdup(host_env_get(d->environment, d->env_size, "SLURM_SPANK_FARGATE"));
	decode_spec(d, &spec);
	sf_spec_free(&spec);
	host_desc_free(d);

	d = host_desc("local", NULL);
	snprintf(entry, sizeof(entry), "SLURM_SPANK_FARGATE=%s", text);
	host_env_add(&d->environment, &d->env_size, entry);
	host_env_add(&d->environment, &d->env_size, "LAST=1");
	snprintf(entry, sizeof(entry), "FARGATE=%s", text);
	host_env_add(&d->spank_job_env, &d->spank_job_env_size, entry);
	host_env_add(&d->environment, &d->env_size, "SLURM_GET_USER_ENV=1");
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	ck_assert_ptr_null(err_msg);
	ck_assert_str_eq(d->partition, "local");
	ck_assert_ptr_null(d->admin_comment);
	ck_assert_uint_eq(d->env_size, 4);
	ck_assert_str_eq(host_env_get(d->environment, d->env_size, "LAST"), "1");
	ck_assert_str_eq(host_env_get(d->environment, d->env_size, "SLURM_GET_USER_ENV"), "1");
	ck_assert_ptr_null(host_env_get(d->environment, d->env_size, "SLURM_SPANK_FARGATE"));
	ck_assert_uint_eq(d->spank_job_env_size, 0);
	ck_assert_uint_eq(d->min_nodes, NO_VAL);
	free(text);
	host_desc_free(d);

	/* srun and salloc carry no script, and often no environment. */
	d = host_desc("local", NULL);
	host_xfree(&d->script);
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(without_the_flag_no_gateway)
{
	job_desc_msg_t *d;

	setup(CONF);
	d = host_desc("local,spot", NULL);
	host_xfree(&d->script);
	ck_assert_int_eq(submit(d), ESLURM_INVALID_PARTITION_NAME);
	ck_assert_str_eq(err_msg, "fargate: partition 'spot' runs only jobs submitted with sbatch --fargate: "
				  "add --fargate or choose another partition with -p");
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(an_earlier_message_is_kept)
{
	job_desc_msg_t *d;

	setup(CONF);
	d = host_desc("local", options);
	err_msg = host_xstrdup("another plugin's");
	ck_assert_int_eq(plugin.submit(d, 1001, &err_msg), ESLURM_INVALID_PARTITION_NAME);
	ck_assert_str_eq(err_msg, "another plugin's\nfargate: partition 'local' has no line in fargate.conf: "
				  "--fargate jobs can go to fargate, spot");
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(updates)
{
	job_desc_msg_t *d;

	setup(CONF);
	d = host_desc("local,fargate", NULL);
	ck_assert_int_eq(host_modify(&plugin, d, 1001, &err_msg), ESLURM_INVALID_PARTITION_NAME);
	ck_assert_int_eq(host_modify(&plugin, d, 0, &err_msg), SLURM_SUCCESS);
	ck_assert_int_eq(host_modify(&plugin, d, geteuid(), &err_msg), SLURM_SUCCESS);
	host_desc_free(d);
	d = host_desc("local", NULL);
	ck_assert_int_eq(host_modify(&plugin, d, 1001, &err_msg), SLURM_SUCCESS);
	host_desc_free(d);
	d = host_desc(NULL, NULL);
	ck_assert_int_eq(host_modify(&plugin, d, 1001, &err_msg), SLURM_SUCCESS);
	host_desc_free(d);
	teardown();
}
END_TEST

START_TEST(a_bad_conf_refuses_ours_only)
{
	static const char start[] = "fargate: no --fargate job can be taken, ask your administrator: ";
	job_desc_msg_t *d;

	setup("Colour=red\n");
	d = host_desc("fargate", NULL);
	ck_assert_int_eq(submit(d), SLURM_SUCCESS);
	host_desc_free(d);
	d = host_desc("fargate", options);
	ck_assert_int_eq(submit(d), ESLURM_NOT_SUPPORTED);
	ck_assert_int_eq(strncmp(err_msg, start, strlen(start)), 0);
	ck_assert_msg(strstr(err_msg, "fargate.conf:1: "), "%s", err_msg);
	ck_assert_msg(strstr(host_last_error(), "fargate.conf:1: ") &&
			      strstr(host_last_error(), "every --fargate job is refused"), "%s", host_last_error());
	host_desc_free(d);
	teardown();
}
END_TEST

/* Submissions until one is taken (or refused, for want = 0). */
struct attempt {
	const char *partition;
	int taken;
};

static int attempt(void *arg)
{
	const struct attempt *a = arg;
	job_desc_msg_t *d = host_desc(a->partition, options);
	const int taken = submit(d) == SLURM_SUCCESS;

	host_desc_free(d);
	return taken == a->taken;
}

static int bad_conf_was_said(void *arg)
{
	return strstr(host_last_error(), arg) != NULL;
}

START_TEST(the_conf_is_watched)
{
	struct attempt taken = { "new", 1 }, refused = { "fargate", 0 };

	setup(NULL);
	ck_assert(!attempt(&taken));
	ck_assert_msg(strstr(err_msg, "fargate.conf"), "%s", err_msg);
	host_write_conf("Socket=/nonexistent/agent.sock\n" LINE("new", ""));
	ck_assert(host_wait(attempt, &taken));
	ck_assert(attempt(&refused));
	/* A bad file keeps the old one in force, and says so. */
	host_write_conf("\nColour=red\n");
	ck_assert(host_wait(bad_conf_was_said, (void *)"fargate.conf:2: "));
	ck_assert_msg(strstr(host_last_error(), "the configuration loaded before stays in force"), "%s", host_last_error());
	ck_assert(attempt(&taken));
	host_write_conf(CONF);
	refused.taken = 1;
	ck_assert(host_wait(attempt, &refused));
	taken.taken = 0;
	ck_assert(attempt(&taken));
	teardown();
}
END_TEST

START_TEST(a_mode_change_is_noticed)
{
	char path[256];

	setup(CONF);
	snprintf(path, sizeof(path), "%.*s/fargate.conf", (int)(strrchr(getenv("SLURM_CONF"), '/') - getenv("SLURM_CONF")),
		 getenv("SLURM_CONF"));
	ck_assert_int_eq(chmod(path, 0666), 0);
	ck_assert(host_wait(bad_conf_was_said, path));
	teardown();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ an_offloaded_job_is_stamped, 0 },
		{ an_empty_environment_is_made, 0 },
		{ slurms_numbers, SF_COUNT(numbers) },
		{ more_tasks_than_cpus, 0 },
		{ a_refused_job_is_not_touched, SF_COUNT(gres_texts) },
		{ error_numbers, 0 },
		{ other_jobs_pass, 0 },
		{ without_the_flag_no_gateway, 0 },
		{ an_earlier_message_is_kept, 0 },
		{ updates, 0 },
		{ a_bad_conf_refuses_ours_only, 0 },
		{ the_conf_is_watched, 0 },
		{ a_mode_change_is_noticed, 0 },
	};

	return tap_main("job_submit", tests, SF_COUNT(tests));
}
