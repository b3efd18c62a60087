/* The real job_submit_fargate.so, one sbatch option after the other: what is refused, and what is taken out of Slurm's record. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/spec.h"
#include "plugin/job_submit/compat.h"
#include "tests/unit/job_submit_host.h"
#include "tests/unit/tap.h"

#define CONF \
	"Socket=/nonexistent/agent.sock\n" \
	"PartitionName=fargate Default=YES Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1\n" \
	"PartitionName=one Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 LogFraming=NO\n" \
	"PartitionName=implicit Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 Implicit=YES\n" \
	"PartitionName=small Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 MaxVcpu=2\n"

static struct plugin plugin;
static char *options;
static char *err_msg;
static job_desc_msg_t *d;

static void setup(const struct sf_options *o)
{
	const struct sf_options none = { 0 };

	host_dir(CONF);
	options = sf_options_encode(o ? o : &none);
	ck_assert_ptr_nonnull(options);
	host_load(&plugin);
	d = host_desc("fargate", options);
}

static void teardown(void)
{
	host_desc_free(d);
	host_xfree(&err_msg);
	host_unload(&plugin);
	free(options);
	host_clean();
}

static int submit(void)
{
	host_xfree(&err_msg);
	return plugin.submit(d, 1001, &err_msg);
}

#define TEXT(member, value) { .at = offsetof(job_desc_msg_t, member), .text = (value) }
#define NUMBER(member, n)                                                               \
	{ .at = offsetof(job_desc_msg_t, member), .number = (n),                        \
	  .size = sizeof(((job_desc_msg_t *)0)->member) }

/* One member of job_desc as the option leaves it. */
struct setting {
	size_t at;
	const char *text;
	uint64_t number;
	size_t size;
};

static void set(const struct setting *s)
{
	char *at = (char *)d + s->at;

	if (s->text) {
		host_xfree((char **)at);
		*(char **)at = host_xstrdup(s->text);
	} else {
		/* little-endian, as all that this is built for */
		memcpy(at, &s->number, s->size);
	}
}

static const char gres[] = "fargate: Fargate has no generic resources: remove --gres and --gpus (%s)";
static const char clusters[] =
	"fargate: a Fargate job stays in the cluster it is submitted to: remove -M and --cluster-constraint (%s)";
static const char nodes[] = "fargate: a Fargate job runs on none of the cluster's nodes: remove -w and -F (%s)";
static const char features[] = "fargate: Fargate has none of the nodes' features: remove -C and --batch (%s)";
static const char exclusive[] = "fargate: --exclusive would take a whole gateway, while a Fargate task has a machine of its own "
				"anyway: remove it";
static const char cores[] = "fargate: Fargate keeps no cores for the system: remove -S and --thread-spec";
static const char whole[] =
	"fargate: --mem=0 means all memory of a node: say how much the task needs with --mem or --fargate-mem";
static const char disk[] = "fargate: %s GiB is more than the largest disk of a Fargate task, 200 GiB: ask for less with --tmp or "
			   "--fargate-storage";

static const struct {
	struct setting setting;
	int rc;
	const char *sentence, *value;
} refused[] = {
	{NUMBER(bitflags, CRON_JOB), ESLURM_NOT_SUPPORTED,
	 "fargate: a scrontab job cannot run on Fargate: let it call sbatch --fargate", ""},
	{TEXT(clusters, "other"), ESLURM_NOT_SUPPORTED, clusters, "other"},
	{TEXT(cluster_features, "big"), ESLURM_NOT_SUPPORTED, clusters, "big"},
	{TEXT(container, "/oci"), ESLURM_NOT_SUPPORTED,
	 "fargate: --container cannot be used with --fargate: the image comes from the partition's task definition (%s)", "/oci"},
	{TEXT(tres_per_node, "gres:gpu:1"), ESLURM_INVALID_GRES, gres, "gres:gpu:1"},
	{TEXT(tres_per_job, "gres:gpu:2"), ESLURM_INVALID_GRES, gres, "gres:gpu:2"},
	{TEXT(tres_per_socket, "gres:gpu:3"), ESLURM_INVALID_GRES, gres, "gres:gpu:3"},
	{TEXT(tres_per_task, "gres:gpu:4"), ESLURM_INVALID_GRES, gres, "gres:gpu:4"},
	{TEXT(cpus_per_tres, "gpu:2"), ESLURM_INVALID_GRES, gres, "gpu:2"},
	{TEXT(mem_per_tres, "gpu:2"), ESLURM_INVALID_GRES, gres, "gpu:2"},
	{TEXT(tres_bind, "gpu:single:1"), ESLURM_INVALID_GRES, gres, "gpu:single:1"},
	{TEXT(tres_freq, "gpu:low"), ESLURM_INVALID_GRES, gres, "gpu:low"},
	{NUMBER(ntasks_per_tres, 2), ESLURM_INVALID_GRES, gres, "--ntasks-per-gpu"},
	{NUMBER(min_nodes, 2), ESLURM_INVALID_NODE_COUNT, "fargate: a Fargate job runs on one node: remove -N or use -N 1 (%s)",
	 "2 nodes"},
	{NUMBER(shared, JOB_SHARED_NONE), ESLURM_NOT_SUPPORTED, exclusive, ""},
	{NUMBER(shared, JOB_SHARED_USER), ESLURM_NOT_SUPPORTED, exclusive, ""},
	{NUMBER(shared, JOB_SHARED_MCS), ESLURM_NOT_SUPPORTED, exclusive, ""},
	{NUMBER(pn_min_memory, 0), ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE, whole, ""},
	{NUMBER(pn_min_memory, MEM_PER_CPU), ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE, whole, ""},
	{TEXT(req_nodes, "node1"), ESLURM_INVALID_NODE_COUNT, nodes, "node1"},
	{TEXT(features, "intel"), ESLURM_INVALID_FEATURE, features, "intel"},
	{TEXT(batch_features, "amd"), ESLURM_INVALID_FEATURE, features, "amd"},
	{NUMBER(core_spec, 0), ESLURM_NOT_SUPPORTED, cores, ""},
	{NUMBER(core_spec, CORE_SPEC_THREAD | 1), ESLURM_NOT_SUPPORTED, cores, ""},
	{TEXT(burst_buffer, "#BB"), ESLURM_NOT_SUPPORTED, "fargate: Fargate has no burst buffers: remove --bb (%s)", "#BB"},
	{TEXT(std_in, "/home/alice/in"), ESLURM_NOT_SUPPORTED,
	 "fargate: standard input does not reach a Fargate task: remove -i, or use -i /dev/null (%s)", "/home/alice/in"},
	{NUMBER(reboot, 1), ESLURM_NOT_SUPPORTED, "fargate: --reboot would reboot a gateway: remove it", ""},
	{NUMBER(pn_min_tmp_disk, 204801), ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE, disk, "201"},
	{NUMBER(pn_min_tmp_disk, NO_VAL - 1), ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE, disk, "4194304"},
};

START_TEST(refuses)
{
	char expected[512];

	setup(NULL);
	set(&refused[_i].setting);
	ck_assert_int_eq(submit(), refused[_i].rc);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
	snprintf(expected, sizeof(expected), refused[_i].sentence, refused[_i].value);
#pragma GCC diagnostic pop
	ck_assert_str_eq(err_msg, expected);
	ck_assert_ptr_null(d->admin_comment);
	/* The same job without --fargate is nobody's business. */
	host_desc_free(d);
	d = host_desc("local", NULL);
	set(&refused[_i].setting);
	ck_assert_msg(submit() == SLURM_SUCCESS, "%s", err_msg);
	ck_assert_ptr_null(err_msg);
	teardown();
}
END_TEST

/* Taken; `left` of that member remains in Slurm's record. */
static const struct {
	struct setting setting;
	uint64_t left;
} numbers[] = {
	{ NUMBER(shared, JOB_SHARED_OK), NO_VAL16 },
	{ NUMBER(contiguous, 1), NO_VAL16 },
	{ NUMBER(boards_per_node, 2), NO_VAL16 },
	{ NUMBER(sockets_per_board, 2), NO_VAL16 },
	{ NUMBER(sockets_per_node, 2), NO_VAL16 },
	{ NUMBER(cores_per_socket, 2), NO_VAL16 },
	{ NUMBER(threads_per_core, 2), NO_VAL16 },
	{ NUMBER(ntasks_per_core, 2), NO_VAL16 },
	{ NUMBER(ntasks_per_socket, 2), NO_VAL16 },
	{ NUMBER(ntasks_per_board, 2), NO_VAL16 },
	{ NUMBER(overcommit, 1), NO_VAL8 },
	{ NUMBER(cpu_freq_min, CPU_FREQ_LOW), NO_VAL },
	{ NUMBER(cpu_freq_max, CPU_FREQ_HIGH), NO_VAL },
	{ NUMBER(cpu_freq_gov, CPU_FREQ_PERFORMANCE), NO_VAL },
	{ NUMBER(pn_min_tmp_disk, 0), NO_VAL },
	{ NUMBER(pn_min_tmp_disk, 204800), NO_VAL },
	{ NUMBER(max_nodes, 4), 1 },
	{ NUMBER(requeue, 1), 1 },
	{ NUMBER(time_min, 5), 5 },
	{ NUMBER(delay_boot, 60), 60 },
	{ NUMBER(reboot, 0), 0 },
};

START_TEST(numbers_left)
{
	uint64_t left = 0;

	setup(NULL);
	set(&numbers[_i].setting);
	ck_assert_msg(submit() == SLURM_SUCCESS, "%s", err_msg);
	memcpy(&left, (char *)d + numbers[_i].setting.at, numbers[_i].setting.size);
	ck_assert_uint_eq(left, numbers[_i].left);
	teardown();
}
END_TEST

static const struct {
	struct setting setting;
	const char *left;
} texts[] = {
	{ TEXT(prefer, "intel"), NULL },
	{ TEXT(network, "sn_all"), NULL },
	{ TEXT(tres_per_node, "gres:none"), "gres:none" },
	{ TEXT(std_in, ""), "" },
	{ TEXT(std_in, "/dev/null"), "/dev/null" },
	{ TEXT(req_nodes, ""), "" },
	{ TEXT(account, "acct"), "acct" },
};

START_TEST(texts_left)
{
	const char *left;

	setup(NULL);
	set(&texts[_i].setting);
	ck_assert_msg(submit() == SLURM_SUCCESS, "%s", err_msg);
	left = *(char **)((char *)d + texts[_i].setting.at);
	if (texts[_i].left)
		ck_assert_str_eq(left, texts[_i].left);
	else
		ck_assert_ptr_null(left);
	teardown();
}
END_TEST

static void decoded(struct sf_spec *spec)
{
	struct sf_error err = { "" };

	ck_assert_msg(submit() == SLURM_SUCCESS, "%s", err_msg);
	ck_assert_msg(!sf_spec_decode(host_env_get(d->spank_job_env, d->spank_job_env_size, "FARGATE"), spec, &err), "%s",
		      err.text);
}

/* --tmp in MiB, --fargate-storage in GiB, and what is asked of AWS. */
static const struct {
	uint32_t tmp_mib, option_gib, spec_gib;
} disks[] = {
	{ NO_VAL, 0, 0 },	  { 0, 0, 0 },	       { 1, 0, 0 },	 { 20480, 0, 0 },  { 20481, 0, 21 },
	{ 30 * 1024, 0, 30 },	  { 204800, 0, 200 },  { NO_VAL, 10, 0 }, { NO_VAL, 20, 0 }, { NO_VAL, 21, 21 },
	{ NO_VAL, 200, 200 },	  { 50 * 1024, 30, 30 }, { NO_VAL - 1, 25, 25 },
};

START_TEST(disk_sizes)
{
	const struct sf_options o = { .storage_gib = disks[_i].option_gib };
	struct sf_spec spec = { 0 };

	setup(&o);
	d->pn_min_tmp_disk = disks[_i].tmp_mib;
	decoded(&spec);
	ck_assert_uint_eq(spec.storage_gib, disks[_i].spec_gib);
	ck_assert_uint_eq(d->pn_min_tmp_disk, NO_VAL);
	sf_spec_free(&spec);
	teardown();
}
END_TEST

/* "fargate: the agent does not answer" may follow. */
static bool told(const char *line)
{
	return err_msg && !strncmp(err_msg, line, strlen(line));
}

START_TEST(signal_is_told)
{
	setup(NULL);
	d->warn_signal = 10;
	ck_assert_msg(submit() == SLURM_SUCCESS, "%s", err_msg);
	ck_assert_msg(told("fargate: --signal does not reach the task: the script gets SIGTERM at its time limit, and SIGKILL "
			   "after the "
			   "task definition's stopTimeout"),
		      "%s", err_msg);
	ck_assert_uint_eq(d->warn_signal, 10);
	teardown();
}
END_TEST

START_TEST(one_stream_is_told)
{
	setup(NULL);
	d->std_err = host_xstrdup("err");
	ck_assert_msg(submit() == SLURM_SUCCESS && !told("fargate: -e"), "%s", err_msg);
	host_xfree(&d->partition);
	d->partition = host_xstrdup("one");
	host_desc_free(d);
	d = host_desc("one", options);
	d->std_err = host_xstrdup("err");
	ck_assert_msg(submit() == SLURM_SUCCESS, "%s", err_msg);
	ck_assert_msg(
		told("fargate: -e has no effect in this partition: what the script writes to stderr goes where stdout goes"),
		"%s", err_msg);
	teardown();
}
END_TEST

START_TEST(implicit_partitions)
{
	struct sf_spec spec = { 0 };

	setup(NULL);
	host_desc_free(d);
	d = host_desc("implicit", NULL);
	d->cpus_per_task = 2;
	decoded(&spec);
	ck_assert_str_eq(spec.partition, "implicit");
	ck_assert_uint_eq(spec.size.cpu_units, 2048);
	sf_spec_free(&spec);
	/* What is refused with --fargate is refused without. */
	host_desc_free(d);
	d = host_desc("implicit", NULL);
	d->min_nodes = 2;
	ck_assert_int_eq(submit(), ESLURM_INVALID_NODE_COUNT);
	/* srun and salloc, and lists, stay refused. */
	host_desc_free(d);
	d = host_desc("implicit", NULL);
	host_xfree(&d->script);
	ck_assert_int_eq(submit(), ESLURM_INVALID_PARTITION_NAME);
	ck_assert_msg(told("fargate: partition 'implicit' runs only jobs submitted with sbatch --fargate"), "%s", err_msg);
	host_desc_free(d);
	d = host_desc("implicit,local", NULL);
	ck_assert_int_eq(submit(), ESLURM_INVALID_PARTITION_NAME);
	teardown();
}
END_TEST

START_TEST(max_vcpu)
{
	setup(NULL);
	host_desc_free(d);
	d = host_desc("small", options);
	d->cpus_per_task = 2;
	ck_assert_msg(submit() == SLURM_SUCCESS, "%s", err_msg);
	host_desc_free(d);
	d = host_desc("small", options);
	d->cpus_per_task = 4;
	ck_assert_int_eq(submit(), ESLURM_REQUESTED_NODE_CONFIG_UNAVAILABLE);
	ck_assert_str_eq(err_msg, "fargate: job needs 4 vCPU, MaxVcpu of partition 'small' is 2; use fewer CPUs (-c) or another "
				  "partition (-p)");
	teardown();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ refuses, SF_COUNT(refused) },
		{ numbers_left, SF_COUNT(numbers) },
		{ texts_left, SF_COUNT(texts) },
		{ disk_sizes, SF_COUNT(disks) },
		{ signal_is_told, 0 },
		{ one_stream_is_told, 0 },
		{ implicit_partitions, 0 },
		{ max_vcpu, 0 },
	};

	return tap_main("job_submit_options", tests, SF_COUNT(tests));
}
