/* What must hold before the first RunTask: spec against record and fargate.conf, MaxVcpu, task definitions, odd names. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define PLACE "Cluster=" CLUSTER " TaskDefinition=slurm-job Container=main Subnets=subnet-a SecurityGroups=sg-1"
static const char lines[] = "PartitionName=bio " PLACE " AllowGroups=bio,chem\n"
			    "PartitionName=chem " PLACE " AllowGroups=chem\n"
			    "PartitionName=paid " PLACE " AllowAccounts=other,ACCT\n"
			    "PartitionName=rich " PLACE " AllowAccounts=other\n"
			    "PartitionName=wide " PLACE " Allow32Vcpu=YES\n"
			    "PartitionName=defs " PLACE " TaskDefinitions=gpu-*,one:3\n"
			    "PartitionName=lane " PLACE " MaxVcpu=4\n"
			    "PartitionName=both " PLACE " Providers=FARGATE,FARGATE_SPOT\n";

/* What one job is made of; zero = as the world makes it. */
struct made_job {
	const char *spec_partition, *partition; /* fargate */
	struct sf_size size;
	uint32_t cpus, cpus_asked;
	uint64_t mem_mib;
	uid_t uid;
	const char *account, *definition;
	uint32_t storage;
	enum sf_spot spot;
};

static char *spec_of(const struct made_job *m, const char *sid)
{
	struct sf_spec s = {
		.submit = 1699999990, .cpus_asked = 1, .size = m->size.cpu_units ? m->size : (struct sf_size){ 1024, 2048 },
		.partition = (char *)(m->spec_partition ? m->spec_partition : "fargate"), .storage_gib = m->storage,
		.task_definition = (char *)m->definition, .spot = m->spot,
	};

	sf_copy(s.sid, sizeof(s.sid), sid);
	return sf_spec_encode(&s);
}

static void put_in_slurm(uint32_t id, const struct made_job *m)
{
	struct fake_job *j = slurm_add(id, m->uid ? m->uid : ALICE);

	sf_copy(j->partition, sizeof(j->partition), m->partition ? m->partition : m->spec_partition ? m->spec_partition : "fargate");
	j->cpus = m->cpus ? m->cpus : 1;
	j->cpus_asked = m->cpus_asked ? m->cpus_asked : j->cpus;
	j->mem_mib = m->mem_mib;
	j->account = m->account;
}

static struct peer *launch(uint32_t id, const struct made_job *m)
{
	sf_auto_free char *spec = spec_of(m, SID_A);
	struct peer *p = peer_open(0);

	put_in_slurm(id, m);
	peer_launch(p, id, 0, spec);
	return p;
}

static const struct {
	struct made_job job;
	const char *refused; /* NULL = launched */
} rows[] = {
	{ { 0 }, NULL },
	/* sizes, partitions, the record */
	{ { .size = { 256, 512 } }, NULL },
	{ { .size = { 2048, 4096 }, .cpus = 2 }, NULL },
	{ { .size = { 1024, 7168 }, .mem_mib = 7000 }, NULL },
	{ { .size = { 4096, 20480 }, .cpus = 4, .mem_mib = 20000 }, NULL },
	{ { .cpus = 4, .cpus_asked = 1 }, NULL }, /* whole cores were allocated: not what the job asked for */
	{ { .partition = "local" }, "the job is in partition 'local', which has no line in fargate.conf" },
	{ { .size = { 2048, 4096 }, .cpus = 1, .cpus_asked = 2 },
	  "the job holds fewer CPUs in Slurm than its Fargate size has (1, 2); submit it again" },
	{ { .cpus = 4 }, "the job's record in Slurm asks for more CPUs than its Fargate size has (4, 1); submit it again" },
	{ { .mem_mib = 4000 },
	  "the job's record in Slurm has 4000 MiB of memory, which its Fargate size 1vCPU/2GB is not for; submit it again" },
	{ { .size = { 1024, 8192 } },
	  "the job's record in Slurm has 0 MiB of memory, which its Fargate size 1vCPU/8GB is not for; submit it again" },
	{ { .mem_mib = 999999 },
	  "the job's record in Slurm has 999999 MiB of memory, which its Fargate size 1vCPU/2GB is not for; submit it again" },
	{ { .size = { 32768, 61440 }, .cpus = 32 },
	  "the Fargate size 32vCPU/60GB is not allowed in partition fargate; Allow32Vcpu=YES in fargate.conf would allow it" },
	{ { .spec_partition = "wide", .size = { 32768, 61440 }, .cpus = 32 }, NULL },
	/* moved by root: the new line counts */
	{ { .spec_partition = "wide", .partition = "fargate", .size = { 32768, 61440 }, .cpus = 32 },
	  "the Fargate size 32vCPU/60GB is not allowed in partition fargate; Allow32Vcpu=YES in fargate.conf would allow it" },
	{ { .partition = "spot" }, NULL },
	{ { .spec_partition = "gone", .partition = "fargate" }, NULL },
	/* who */
	{ { .spec_partition = "bio" }, NULL },
	{ { .spec_partition = "chem" },
	  "user alice is in none of the groups that may use partition chem; see AllowGroups in fargate.conf" },
	{ { .partition = "chem" }, "user alice is in none of the groups that may use partition chem; see AllowGroups in fargate.conf" },
	{ { .spec_partition = "chem", .uid = 64030 }, NULL },
	{ { .spec_partition = "paid" }, NULL },
	{ { .spec_partition = "rich" }, "account 'acct' may not use partition rich; see AllowAccounts in fargate.conf" },
	{ { .spec_partition = "rich", .account = "a\033[2J\n" },
	  "account 'a?[2J?' may not use partition rich; see AllowAccounts in fargate.conf" },
	/* task definitions */
	{ { .definition = "slurm-job" }, NULL },
	{ { .definition = "slurm-job:3" },
	  "task definition 'slurm-job:3' is not one that partition fargate allows; see TaskDefinitions in fargate.conf" },
	{ { .spec_partition = "defs", .definition = "gpu-a:12" }, NULL },
	{ { .spec_partition = "defs", .definition = "one:3" }, NULL },
	{ { .spec_partition = "defs", .definition = "slurm-job" }, NULL },
	{ { .spec_partition = "defs", .definition = "one:4" },
	  "task definition 'one:4' is not one that partition defs allows; see TaskDefinitions in fargate.conf" },
	{ { .spec_partition = "defs", .partition = "fargate", .definition = "gpu-a" },
	  "task definition 'gpu-a' is not one that partition fargate allows; see TaskDefinitions in fargate.conf" },
	/* Spot */
	{ { .spec_partition = "spot", .spot = SF_SPOT_ONLY }, NULL },
	{ { .spec_partition = "both", .spot = SF_SPOT_ONLY }, NULL },
	{ { .spec_partition = "both", .spot = SF_SPOT_PREFER }, NULL },
	{ { .spot = SF_SPOT_ONLY },
	  "the job asks for Fargate Spot, which partition fargate does not have; see Providers in fargate.conf" },
	{ { .spot = SF_SPOT_PREFER },
	  "the job asks for Fargate Spot, which partition fargate does not have; see Providers in fargate.conf" },
	{ { .spec_partition = "spot", .partition = "fargate", .spot = SF_SPOT_ONLY },
	  "the job asks for Fargate Spot, which partition fargate does not have; see Providers in fargate.conf" },
	/* MaxVcpu */
	{ { .spec_partition = "lane", .size = { 4096, 8192 }, .cpus = 4 }, NULL },
	{ { .spec_partition = "lane", .size = { 8192, 16384 }, .cpus = 8 },
	  "the Fargate size 8vCPU/16GB is more than partition lane may have at all, MaxVcpu=4" },
};

START_TEST(checked_before_it_is_launched)
{
	const char *want = rows[_i].refused;
	char comment[SF_COMMENT_MAX];

	world_lines = lines;
	world_start();
	launch(17, &rows[_i].job);
	UNTIL(aws_tasks() == 1 || slurm_count("hold 17") == 1);
	slurm_comment_of(17, comment);
	ck_assert_msg((aws_tasks() == 1) == !want, "%s", comment);
	if (want) {
		world_run(3000);
		ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
		ck_assert_msg(strstr(comment, want) != NULL, "%s", comment);
		ck_assert_msg(strstr(comment, "fargate: held - ") == comment, "%s", comment);
	}
	world_end();
}
END_TEST

static sf_json *request(size_t n)
{
	sf_json *j = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_json_parse(aws_body(AWS_OP_RUN_TASK, n), strlen(aws_body(AWS_OP_RUN_TASK, n)), &j, &err) == 0, "%s", err.text);
	return j;
}

/* The new line's cluster, provider and subnet, in the row too: an agent that starts again knows no better. */
START_TEST(a_moved_job_runs_where_it_was_moved_to)
{
	struct made_job m = { .partition = "spot" };
	sf_auto_json sf_json *j = NULL;

	world_start();
	launch(17, &m);
	UNTIL(aws_tasks() == 1);
	j = request(0);
	ck_assert_str_eq(sf_json_str(j, "cluster"), "hpc-spot");
	ck_assert_ptr_nonnull(sf_json_array(j, "capacityProviderStrategy"));
	ck_assert_str_eq(world_db("SELECT cluster FROM jobs"), "hpc-spot");
	world_down();
	world_up();
	ck_assert_str_eq(world_job(17, 0)->line->name, "spot");
	world_end();
}
END_TEST

static const struct {
	struct made_job job;
	bool on_spot;
} rungs[] = {
	{ { .spec_partition = "both" }, false },
	{ { .spec_partition = "both", .spot = SF_SPOT_PREFER }, true },
	{ { .spec_partition = "both", .spot = SF_SPOT_ONLY }, true },
	{ { .spec_partition = "spot", .spot = SF_SPOT_PREFER }, true },
	{ { .partition = "both", .spot = SF_SPOT_ONLY }, true }, /* moved to where there is Spot */
};

START_TEST(the_first_rung_is_asked_for)
{
	sf_auto_json sf_json *j = NULL;
	const sf_json *strategy;

	world_lines = lines;
	world_start();
	launch(17, &rungs[_i].job);
	UNTIL(aws_tasks() == 1);
	j = request(0);
	strategy = sf_json_array(j, "capacityProviderStrategy");
	if (rungs[_i].on_spot)
		ck_assert_str_eq(sf_json_str(sf_json_at(strategy, 0), "capacityProvider"), "FARGATE_SPOT");
	else
		ck_assert_str_eq(sf_json_str(j, "launchType"), "FARGATE");
	ck_assert_int_eq(strategy != NULL, rungs[_i].on_spot);
	world_end();
}
END_TEST

START_TEST(the_name_service_is_waited_for)
{
	struct made_job m = { .spec_partition = "bio" };

	world_lines = lines;
	world_start();
	slurm_refuse("groups", 2);
	launch(17, &m);
	UNTIL(world_logged("jobs of partitions with AllowGroups wait"));
	ck_assert_uint_eq(slurm_count("hold"), 0);
	UNTIL(aws_tasks() == 1);
	ck_assert(world_logged("the name service answers again"));
	world_end();
}
END_TEST

START_TEST(without_allow_groups_nobody_is_looked_up)
{
	struct made_job m = { 0 };

	world_start();
	launch(17, &m);
	UNTIL(aws_tasks() == 1);
	ck_assert_uint_eq(slurm_count("groups"), 0);
	world_end();
}
END_TEST

/* --- what arrives with whom ------------------------------------------------------------------------------------- */
static struct peer *attach(uid_t uid, const char *spec, const char *token)
{
	struct peer *p = peer_open(uid);

	peer_attach(p, 17, 0, token, spec);
	UNTIL(p->accepted || p->refused[0]);
	return p;
}

/* The job's user has a connection of his own while slurmctld is still at its prolog: its spec counts, not his. */
START_TEST(the_prologs_spec_wins)
{
	struct made_job own = { .storage = 200, .spec_partition = "fargate" }, mine = { 0 };
	sf_auto_free char *forged = spec_of(&own, _i == 0 ? SID_A : SID_B);
	sf_auto_json sf_json *j = NULL;
	struct peer *thief, *prolog;

	world_start();
	put_in_slurm(17, &mine);
	slurm_gate(true);
	thief = peer_open(ALICE);
	peer_attach(thief, 17, 0, TOKEN_A, forged);
	UNTIL(thief->accepted);
	prolog = peer_open(0);
	peer_launch(prolog, 17, 0, SPEC_A);
	world_run(1000);
	slurm_gate(false);
	UNTIL(aws_tasks() == 1);
	world_run(10000);
	ck_assert_uint_eq(aws_tasks(), 1);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	j = request(0);
	ck_assert_ptr_null(sf_json_object(sf_json_object(j, "overrides"), "ephemeralStorage"));
	ck_assert(thief->refused[0] && thief->eof);
	ck_assert(!prolog->eof);
	world_end();
}
END_TEST

/* ... and before it: CONFIGURING means that slurmctld's own word is still to come. */
START_TEST(no_attach_starts_a_configuring_job)
{
	struct peer *p;

	world_start();
	slurm_add(17, ALICE);
	p = attach(ALICE, SPEC_A, TOKEN_A);
	UNTIL(p->eof);
	ck_assert_str_eq(p->refused, "Slurm does not show this start of the job as running");
	ck_assert_uint_eq(aws_tasks(), 0);
	world_end();
}
END_TEST

/* A second record beside the one that runs would stop the task of the first. */
START_TEST(a_made_up_sid_replaces_nothing)
{
	struct peer *p;

	world_start();
	world_attached(17);
	p = attach(ALICE, SPEC_B, TOKEN_B);
	UNTIL(p->eof);
	ck_assert_str_eq(p->refused, "the spec is not the one slurmctld gave the job");
	world_run(10000);
	ck_assert_uint_eq(aws_tasks(), 1);
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	ck_assert_ptr_nonnull(world_job(17, 0)->attach);
	world_end();
}
END_TEST

START_TEST(another_spec_attaches_to_nothing)
{
	struct made_job m = { .storage = 30 };
	sf_auto_free char *forged = spec_of(&m, SID_A);
	struct peer *prolog, *p;

	world_start();
	prolog = world_launch(17);
	aws_running(aws_task(0));
	UNTIL(prolog->released);
	slurm_running(17);
	p = attach(ALICE, forged, TOKEN_A);
	UNTIL(p->eof);
	ck_assert_str_eq(p->refused, "the spec is not the one slurmctld gave the job");
	p = attach(ALICE, SPEC_A, TOKEN_A);
	ck_assert_uint_eq(p->accepted, 1);
	world_end();
}
END_TEST

/* --- MaxVcpu ---------------------------------------------------------------------------------------------------- */
static const struct made_job two = { .spec_partition = "lane", .size = { 2048, 4096 }, .cpus = 2 };
static const struct made_job three = { .spec_partition = "lane", .size = { 4096, 8192 }, .cpus = 4 };
static const struct made_job half = { .spec_partition = "lane", .size = { 512, 1024 } };

static bool launched(uint32_t id)
{
	const struct job *job = world_job(id, 0);

	return job && job->row.task_id;
}

static bool waits(uint32_t id)
{
	const struct job *job = world_job(id, 0);

	return job && job->row.stage == STAGE_DEFINE && job->phase == SF_PHASE_QUOTA;
}

static struct fake_task *task_of(uint32_t id)
{
	size_t i;

	for (i = 0; i < aws_tasks(); i++)
		if (strcmp(aws_task(i)->id, world_job(id, 0)->row.task_id) == 0)
			return aws_task(i);
	ck_abort_msg("job %u has no task", id);
	return NULL;
}

static void lane_world(void)
{
	world_lines = lines;
	world_start();
}

START_TEST(a_full_partition_makes_jobs_wait)
{
	char comment[SF_COMMENT_MAX];
	struct peer *third;

	lane_world();
	launch(17, &two);
	launch(18, &two);
	UNTIL(launched(17) && launched(18));
	third = launch(19, &half);
	UNTIL(waits(19) && slurm_count("comment 19") == 1);
	slurm_comment_of(19, comment);
	ck_assert_str_eq(comment, "fargate: quota - 0.5vCPU/1GB FARGATE -: partition lane has 4 of MaxVcpu=4 in use");
	/* Another partition is none of its business. */
	launch(20, &(struct made_job){ 0 });
	UNTIL(launched(20));
	/* An exit code frees nothing: the task runs until AWS says STOPPED. */
	aws_running(task_of(17));
	world_run(10000);
	ck_assert(waits(19) && !third->eof);
	aws_exit(task_of(17), 0);
	UNTIL(launched(19));
	ck_assert_uint_eq(slurm_count("hold"), 0);
	world_end();
}
END_TEST

START_TEST(the_oldest_goes_first)
{
	uint32_t id;
	int64_t before;

	lane_world();
	launch(17, &two);
	launch(18, &two);
	UNTIL(launched(17) && launched(18));
	launch(19, &three);
	UNTIL(waits(19));
	for (id = 20; id < 24; id++)
		launch(id, &half);
	UNTIL(waits(20) && waits(23));
	aws_exit(task_of(17), 0);
	world_run(12000);
	/* 2 of 4 are free, but the oldest needs 4: nobody overtakes it, or it would never run. */
	ck_assert(waits(19) && waits(20) && waits(23));
	before = world_now;
	aws_exit(task_of(18), 0);
	UNTIL(launched(19));
	ck_assert_int_lt(world_now - before, 5000);
	ck_assert(waits(20));
	before = world_now;
	aws_exit(task_of(19), 0);
	UNTIL(launched(20) && launched(21) && launched(22) && launched(23));
	ck_assert_int_lt(world_now - before, 5000);
	world_end();
}
END_TEST

/* Slurm's answers about a burst of jobs come in any order: that makes nobody the first. */
START_TEST(a_burst_goes_in_order_too)
{
	lane_world();
	UNTIL(world_now % 1000 < 200);
	slurm_gate(true);
	launch(18, &three);
	UNTIL(world_job(18, 0));
	launch(17, &three);
	UNTIL(world_job(17, 0));
	ck_assert_int_eq(world_job(17, 0)->row.created, world_job(18, 0)->row.created);
	slurm_gate(false);
	UNTIL(launched(17) || launched(18));
	ck_assert(launched(17) && !launched(18));
	UNTIL(waits(18));
	ck_assert_uint_eq(aws_tasks(), 1);
	world_end();
}
END_TEST

/* ... but one whose record never comes keeps nobody back for long. */
START_TEST(nobody_waits_for_a_record_that_does_not_come)
{
	int64_t before;

	lane_world();
	launch(17, &half);
	UNTIL(launched(17));
	launch(19, &half);
	UNTIL(launched(19));
	launch(18, &half);
	UNTIL(world_job(18, 0));
	world_job(18, 0)->row.stage = STAGE_FACTS;
	world_job(18, 0)->have_facts = false;
	world_job(18, 0)->facts_at = INT64_MAX;
	before = world_now;
	launch(20, &half);
	UNTIL(launched(20));
	ck_assert_int_lt(world_now - before, 8000);
	world_end();
}
END_TEST

START_TEST(a_waiting_job_that_is_cancelled_lets_others_by)
{
	struct peer *p;

	lane_world();
	launch(17, &two);
	UNTIL(launched(17));
	p = launch(18, &three);
	UNTIL(waits(18));
	launch(19, &two);
	UNTIL(waits(19));
	slurm_set(18, LIFE_CANCELLED);
	UNTIL(p->released);
	UNTIL(launched(19));
	ck_assert_uint_eq(aws_tasks(), 2);
	world_end();
}
END_TEST

START_TEST(what_changes_during_the_wait_counts)
{
	lane_world();
	launch(17, &three);
	UNTIL(launched(17));
	launch(18, &two);
	UNTIL(waits(18));
	launch(19, &half);
	UNTIL(waits(19));
	slurm_job(18)->cpus_asked = 8;
	aws_exit(task_of(17), 0);
	UNTIL(slurm_count("hold 18") == 1 && launched(19));
	ck_assert_uint_eq(aws_tasks(), 2);
	world_end();
}
END_TEST

/* What runs is counted again from the rows; who waited waits on, in the same order. */
START_TEST(a_new_agent_counts_the_rows)
{
	lane_world();
	launch(17, &two);
	launch(18, &two);
	UNTIL(launched(17) && launched(18));
	launch(19, &two);
	UNTIL(waits(19));
	world_run(3000);
	launch(20, &half);
	UNTIL(waits(20));
	world_down();
	world_up();
	UNTIL(waits(19) && waits(20));
	world_run(10000);
	ck_assert_uint_eq(aws_tasks(), 2);
	aws_exit(task_of(17), 0);
	UNTIL(launched(19));
	world_run(3000);
	ck_assert(waits(20));
	world_end();
}
END_TEST

/* Two that come at once are counted before AWS has answered either. */
START_TEST(what_is_being_launched_counts)
{
	lane_world();
	aws_hold(AWS_OP_RUN_TASK, true);
	launch(17, &three);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	launch(18, &half);
	UNTIL(waits(18));
	world_run(10000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	world_end();
}
END_TEST

/* A refused launch gives its share back. */
START_TEST(a_refused_launch_frees_its_share)
{
	lane_world();
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "AccessDeniedException", .message = "no" });
	aws_hold(AWS_OP_RUN_TASK, true);
	launch(17, &three);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	launch(18, &three);
	UNTIL(waits(18));
	aws_hold(AWS_OP_RUN_TASK, false);
	UNTIL(slurm_count("hold 17") == 1 && launched(18));
	world_end();
}
END_TEST

/* --- task definitions and storage ------------------------------------------------------------------------------- */
START_TEST(the_chosen_definition_is_used)
{
	struct made_job a = { .spec_partition = "defs", .definition = "gpu-a:12", .storage = 100 };
	sf_auto_json sf_json *j = NULL;
	int64_t gib = 0;

	world_lines = lines;
	world_start();
	launch(17, &a);
	UNTIL(aws_tasks() == 1);
	j = request(0);
	ck_assert_str_eq(sf_json_str(j, "taskDefinition"), "arn:aws:ecs:eu-west-1:123456789012:task-definition/gpu-a:12");
	ck_assert(sf_json_int(sf_json_object(sf_json_object(j, "overrides"), "ephemeralStorage"), "sizeInGiB", &gib));
	ck_assert_int_eq(gib, 100);
	/* Once for a burst of jobs, whatever their partition, and one more for another definition. */
	launch(18, &a);
	launch(19, &(struct made_job){ .spec_partition = "lane" });
	launch(20, &(struct made_job){ .spec_partition = "wide" });
	UNTIL(aws_tasks() == 4);
	ck_assert_uint_eq(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION), 2);
	world_end();
}
END_TEST

START_TEST(many_definitions_are_not_all_kept)
{
	char name[32];
	uint32_t id;

	world_lines = lines;
	world_start();
	for (id = 1; id <= 300; id++) {
		snprintf(name, sizeof(name), "gpu-%u", id);
		launch(id, &(struct made_job){ .spec_partition = "defs", .definition = name });
		if (id % 10 == 0)
			UNTIL(aws_tasks() == id);
	}
	ck_assert_uint_eq(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION), 300);
	/* The newest are still known, the first is asked for again. */
	launch(301, &(struct made_job){ .spec_partition = "defs", .definition = "gpu-300" });
	UNTIL(aws_tasks() == 301);
	ck_assert_uint_eq(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION), 300);
	launch(302, &(struct made_job){ .spec_partition = "defs", .definition = "gpu-1" });
	UNTIL(aws_tasks() == 302);
	ck_assert_uint_eq(aws_count(AWS_OP_DESCRIBE_TASK_DEFINITION), 301);
	world_end();
}
END_TEST

#define TD_OPEN                                                                                                                  \
	"{\"taskDefinition\":{\"taskDefinitionArn\":\"" DEFINITION "\",\"status\":\"ACTIVE\",\"networkMode\":\"awsvpc\","         \
	"\"cpu\":\"256\",\"memory\":\"512\",\"ephemeralStorage\":{\"sizeInGiB\":50},\"compatibilities\":[\"FARGATE\"],"         \
	"\"containerDefinitions\":[{\"name\":\"main\","
#define TD_LOG                                                                                                                   \
	"\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{\"awslogs-group\":\"/g\",\"awslogs-stream-prefix\":\"p\"}}}"
#define SIDE(rest) ",{\"name\":\"side\",\"essential\":false," rest "}"
#define TD_CLOSE "]}}"
static const struct {
	const char *definition;
	uint32_t storage;
	int64_t cpu, mem, gib; /* of the request; 0 = absent */
	const char *refused;
} definition_rows[] = {
	{ TD_OPEN TD_LOG TD_CLOSE, 0, 0, 0, 0, NULL },
	{ TD_OPEN TD_LOG TD_CLOSE, 40, 0, 0, 0, NULL },
	{ TD_OPEN TD_LOG TD_CLOSE, 60, 0, 0, 60, NULL },
	{ TD_OPEN "\"cpu\":100,\"memory\":300," TD_LOG TD_CLOSE, 0, 1024, 2048, 0, NULL },
	{ TD_OPEN "\"memory\":300," TD_LOG SIDE("\"memory\":100,\"cpu\":24") TD_CLOSE, 0, 0, 1948, 0, NULL },
	{ TD_OPEN "\"cpu\":100,\"memory\":300," TD_LOG SIDE("\"memoryReservation\":48,\"cpu\":24") TD_CLOSE, 0, 1000, 2000, 0, NULL },
	{ TD_OPEN "\"memory\":300," TD_LOG SIDE("\"memory\":2048") TD_CLOSE, 0, 0, 0, 0,
	  "the other containers of " DEFINITION " take 2048 MiB, the job's size has 2048" },
	{ TD_OPEN TD_LOG SIDE("\"memory\":4096") TD_CLOSE, 0, 0, 0, 0,
	  "the other containers of " DEFINITION " take 4096 MiB, the job's size has 2048" },
	{ TD_OPEN TD_LOG SIDE("\"cpu\":1024") TD_CLOSE, 0, 0, 0, 0,
	  "the other containers of " DEFINITION " take 1024 CPU units, the job's size has 1024" },
};

START_TEST(definitions_shape_the_request)
{
	sf_auto_json sf_json *j = NULL;
	const sf_json *over, *container;
	int64_t cpu = 0, mem = 0, gib = 0;
	char comment[SF_COMMENT_MAX];

	aws_definition = definition_rows[_i].definition;
	world_start();
	launch(17, &(struct made_job){ .storage = definition_rows[_i].storage });
	UNTIL(aws_tasks() == 1 || slurm_count("hold 17") == 1);
	slurm_comment_of(17, comment);
	ck_assert_msg((aws_tasks() == 0) == !!definition_rows[_i].refused, "%s", comment);
	if (definition_rows[_i].refused) {
		ck_assert_msg(strstr(comment, definition_rows[_i].refused) != NULL, "%s", comment);
	} else {
		j = request(0);
		over = sf_json_object(j, "overrides");
		container = sf_json_at(sf_json_array(over, "containerOverrides"), 0);
		sf_json_int(container, "cpu", &cpu);
		sf_json_int(container, "memory", &mem);
		sf_json_int(sf_json_object(over, "ephemeralStorage"), "sizeInGiB", &gib);
		ck_assert_int_eq(cpu, definition_rows[_i].cpu);
		ck_assert_int_eq(mem, definition_rows[_i].mem);
		ck_assert_int_eq(gib, definition_rows[_i].gib);
	}
	world_end();
}
END_TEST

/* --- names ------------------------------------------------------------------------------------------------------ */
#define RLO "\xe2\x80\xae"
static const struct {
	const char *name, *tag, *variable;
} name_rows[] = {
	{ "plain", "plain", "plain" },
	{ "a\nb\tc\rd", "a_b_c_d", "a?b?c?d" },
	{ "\033[31mred\033[0m\007", "__31mred__0m_", "?[31mred?[0m?" },
	{ "c1 \xc2\x9b" "31m", "c1 _31m", "c1 ??31m" },
	{ "\xff\xfe\xc3(", "___" "_", "??" "?(" },
	{ RLO "gpj.exe", "_gpj.exe", "??" "?gpj.exe" },
	{ "\xf0\x9f\x92\xa9 \xc3\xa9\xe4\xb8\xad", "_ __", "\xf0\x9f\x92\xa9 \xc3\xa9\xe4\xb8\xad" },
	{ "\"'`$(reboot);\\", "____(reboot)__", "\"'`$(reboot);\\" },
	{ "AWS:prod", "AWS_prod", "AWS:prod" },
	{ "{\"a\":1}\xe2\x80\xa8", "__a_:1__", "{\"a\":1}??" "?" },
};

static void same_tag(const sf_json *j, const char *key, const char *want)
{
	const sf_json *tags = sf_json_array(j, "tags");
	size_t i;

	for (i = 0; i < sf_json_len(tags); i++)
		if (strcmp(sf_json_str(sf_json_at(tags, i), "key"), key) == 0) {
			ck_assert_str_eq(sf_json_str(sf_json_at(tags, i), "value"), want);
			return;
		}
	ck_abort_msg("no tag %s", key);
}

START_TEST(odd_names_harm_nobody)
{
	sf_auto_json sf_json *j = NULL;
	const sf_json *env;
	struct fake_job *f;
	size_t i, found = 0;
	struct peer *p;
	char want[256];

	world_start();
	f = slurm_add(17, ALICE);
	f->name = name_rows[_i].name;
	f->account = name_rows[_i].name;
	p = peer_open(0);
	peer_launch(p, 17, 0, SPEC_A);
	UNTIL(aws_tasks() == 1);
	ck_assert(sf_utf8_valid(aws_body(AWS_OP_RUN_TASK, 0), strlen(aws_body(AWS_OP_RUN_TASK, 0))));
	j = request(0);
	/* The tag's alphabet has no parenthesis either. */
	snprintf(want, sizeof(want), "%s", name_rows[_i].tag);
	for (i = 0; want[i]; i++)
		if (want[i] == '(' || want[i] == ')')
			want[i] = '_';
	same_tag(j, "slurm:jobname", want);
	same_tag(j, "slurm:account", want);
	env = sf_json_array(sf_json_at(sf_json_array(sf_json_object(j, "overrides"), "containerOverrides"), 0), "environment");
	for (i = 0; i < sf_json_len(env); i++)
		if (strcmp(sf_json_str(sf_json_at(env, i), "name"), "SLURM_JOB_NAME") == 0) {
			ck_assert_str_eq(sf_json_str(sf_json_at(env, i), "value"), name_rows[_i].variable);
			found++;
		}
	ck_assert_uint_eq(found, 1);
	world_end();
}
END_TEST

/* A name that scontrol made longer than a request can be is told in words. */
START_TEST(a_name_too_long_for_a_request_is_told)
{
	static char name[8192];
	char comment[SF_COMMENT_MAX];
	struct fake_job *f;

	world_start();
	memset(name, 'n', sizeof(name) - 1);
	f = slurm_add(17, ALICE);
	f->name = name;
	peer_launch(peer_open(0), 17, 0, SPEC_A);
	UNTIL(slurm_count("hold 17") == 1);
	slurm_comment_of(17, comment);
	ck_assert_msg(strstr(comment, "characters in the RunTask request, the limit is 7372") != NULL, "%s", comment);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	world_end();
}
END_TEST

/* --- scontrol suspend --------------------------------------------------------------------------------------------- */
START_TEST(a_suspended_job_says_that_it_costs)
{
	char comment[SF_COMMENT_MAX], normal[SF_COMMENT_MAX];
	struct fake_job *f;
	size_t before;

	world_start();
	world_attached(17);
	UNTIL(slurm_count("comment 17 fargate: running") == 1);
	slurm_comment_of(17, normal);
	f = slurm_job(17);
	f->suspended = true;
	slurm_running(17);
	UNTIL((slurm_comment_of(17, comment), strstr(comment, SLURM_SUSPENDED_NOTE)));
	ck_assert_msg(strstr(comment, "fargate: running ") == comment, "%s", comment);
	before = slurm_count("comment 17");
	world_run(20000);
	ck_assert_uint_eq(slurm_count("comment 17"), before);
	if (_i == 1) {
		/* The agent that resumes is another one. */
		world_down();
		world_up();
	}
	f->suspended = false;
	slurm_running(17);
	UNTIL((slurm_comment_of(17, comment), strcmp(comment, normal) == 0));
	ck_assert_uint_eq(aws_count(AWS_OP_STOP_TASK), 0);
	world_end();
}
END_TEST

/* Its fargate-attach is stopped with the answer in its socket: nobody else may end the job meanwhile. */
START_TEST(a_suspended_job_is_not_told_twice)
{
	struct fake_job *f;
	struct peer *p;

	world_start();
	p = world_attached(17);
	f = slurm_job(17);
	f->suspended = true;
	slurm_running(17);
	world_run(6000);
	aws_log_end(aws_task(0), 7);
	aws_exit(aws_task(0), 7);
	UNTIL(p->status == 7);
	peer_shut(p);
	world_run(60000);
	ck_assert_uint_eq(slurm_count("complete"), 0);
	f->suspended = false;
	slurm_running(17);
	UNTIL(slurm_count("complete 17 1792") == 1);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ checked_before_it_is_launched, SF_COUNT(rows) },
		{ a_moved_job_runs_where_it_was_moved_to, 0 },
		{ the_first_rung_is_asked_for, SF_COUNT(rungs) },
		{ the_name_service_is_waited_for, 0 },
		{ without_allow_groups_nobody_is_looked_up, 0 },
		{ the_prologs_spec_wins, 2 },
		{ no_attach_starts_a_configuring_job, 0 },
		{ a_made_up_sid_replaces_nothing, 0 },
		{ another_spec_attaches_to_nothing, 0 },
		{ a_full_partition_makes_jobs_wait, 0 },
		{ the_oldest_goes_first, 0 },
		{ a_burst_goes_in_order_too, 0 },
		{ nobody_waits_for_a_record_that_does_not_come, 0 },
		{ a_waiting_job_that_is_cancelled_lets_others_by, 0 },
		{ what_changes_during_the_wait_counts, 0 },
		{ a_new_agent_counts_the_rows, 0 },
		{ what_is_being_launched_counts, 0 },
		{ a_refused_launch_frees_its_share, 0 },
		{ the_chosen_definition_is_used, 0 },
		{ many_definitions_are_not_all_kept, 0 },
		{ definitions_shape_the_request, SF_COUNT(definition_rows) },
		{ odd_names_harm_nobody, SF_COUNT(name_rows) },
		{ a_name_too_long_for_a_request_is_told, 0 },
		{ a_suspended_job_says_that_it_costs, 2 },
		{ a_suspended_job_is_not_told_twice, 0 },
	};

	return tap_main("agent_admit", tests, SF_COUNT(tests));
}
