/* The vCPU quotas: reserved before RunTask, given back when the task is STOPPED, and who waits meanwhile. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define SHORT "QuotaRefresh=10 QuotaMaxAge=60\n"
#define FULL "\xe2\x80\x99ve reached the limit on the number of vCPUs you can run concurrently"
#define DENIED "AccessDeniedException"

static struct peer *start_sized(uint32_t id, uint32_t vcpu)
{
	struct sf_size size = { vcpu * 1024, vcpu * 2048 };
	struct fake_job *j = slurm_job(id) ? slurm_job(id) : slurm_add(id, ALICE);
	struct peer *p = peer_open(0);

	j->cpus = j->cpus_asked = vcpu;
	snprintf(j->comment, sizeof(j->comment), "fargate: submitted - %uvCPU/%uGB FARGATE -", vcpu, vcpu * 2);
	peer_launch(p, id, j->restart, world_spec(SID_A, j->partition, &size));
	return p;
}

static struct peer *start(uint32_t id)
{
	return start_sized(id, 1);
}

static bool waits(uint32_t id)
{
	const struct job *job = world_job(id, 0);

	return job && job->pool && job->held == 0;
}

static void refused(enum aws_op op, const char *code, int times)
{
	aws_script((struct fake_answer){ .op = op, .code = code, .message = "no", .times = times });
}

static struct quota_pool *pool(void)
{
	return quota_pool_of(&world, NULL, "eu-west-1", false);
}

static void begin(double limit)
{
	aws_limit[0] = limit;
	world_start();
	UNTIL(pool()->known);
}

/* Slurm and the job are done with it, but AWS counts it until it is STOPPED. */
static void exits(struct fake_task *t)
{
	aws_exit(t, 0);
	t->last = "DEPROVISIONING";
}

START_TEST(a_full_quota_is_waited_for_until_a_task_is_stopped)
{
	struct peer *second;

	begin(1);
	start(17);
	UNTIL(aws_tasks() == 1);
	second = start(18);
	UNTIL(waits(18));
	UNTIL(slurm_count("comment 18 "));
	ck_assert_str_eq(slurm_nth("comment 18 ", 0), "comment 18 fargate: quota - 1vCPU/2GB FARGATE -: waits for the On-Demand quota "
						       "L-3032A538 in eu-west-1 (1 vCPU, 1 in use by us)");
	exits(aws_task(0));
	world_run(20000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 1);
	ck_assert(!second->released);
	aws_status(aws_task(0), "STOPPED");
	UNTIL(aws_tasks() == 2);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 2);
	ck_assert_int_eq(world_job(18, 0)->row.attempts, 0);
	ck_assert_int_eq(pool()->ours, 4);
	world_end();
}
END_TEST

START_TEST(a_job_that_slurm_ended_keeps_its_quarters_until_its_task_is_stopped)
{
	begin(1);
	start(17);
	UNTIL(aws_tasks() == 1);
	start(18);
	UNTIL(waits(18));
	slurm_set(17, LIFE_CANCELLED);
	UNTIL(aws_count(AWS_OP_STOP_TASK) == 1);
	world_run(10000);
	ck_assert(waits(18));
	aws_status(aws_task(0), "STOPPED");
	UNTIL(aws_tasks() == 2);
	world_end();
}
END_TEST

START_TEST(a_raised_limit_wakes_those_who_wait)
{
	world_lines = SHORT;
	begin(1);
	start(17);
	start(18);
	UNTIL(aws_tasks() == 1);
	world_run(3000);
	ck_assert_uint_eq(aws_tasks(), 1);
	aws_limit[0] = 2;
	UNTIL(aws_tasks() == 2);
	ck_assert(world_logged("the Fargate On-Demand quota L-3032A538 in eu-west-1 is 2 vCPU (applied)"));
	world_end();
}
END_TEST

START_TEST(a_refusal_gives_back_at_once)
{
	begin(1);
	refused(AWS_OP_RUN_TASK, "ClusterNotFoundException", 1);
	start(17);
	start(18);
	UNTIL(slurm_count("hold 17") || slurm_count("hold 18"));
	UNTIL(aws_tasks() == 1);
	ck_assert_int_eq(pool()->ours, 4);
	world_end();
}
END_TEST

START_TEST(an_unknown_outcome_keeps_its_quarters)
{
	begin(1);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .transport = true, .times = 3 });
	start(17);
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 1);
	start(18);
	UNTIL(waits(18));
	ck_assert_int_eq(pool()->in_flight, 4);
	UNTIL(aws_tasks() == 1);
	world_run(5000);
	ck_assert(waits(18));
	ck_assert_int_eq(pool()->in_flight, 0);
	ck_assert_int_eq(pool()->ours, 4);
	world_end();
}
END_TEST

START_TEST(an_agent_that_starts_again_knows_what_it_has)
{
	begin(2);
	start_sized(17, 2);
	UNTIL(aws_tasks() == 1 && world_job(17, 0)->row.stage == STAGE_TASK);
	world_run(1000);
	world_down();
	world_up();
	ck_assert_int_eq(pool()->ours, 8);
	UNTIL(pool()->known);
	start(18);
	UNTIL(waits(18));
	world_run(5000);
	ck_assert_uint_eq(aws_tasks(), 1);
	world_end();
}
END_TEST

START_TEST(a_large_job_is_not_overtaken)
{
	begin(4);
	start_sized(17, 2);
	UNTIL(aws_tasks() == 1);
	start(18);
	UNTIL(aws_tasks() == 2);
	world_run(2000);
	start_sized(19, 4);
	UNTIL(waits(19));
	world_run(2000);
	start(20); /* fits, but is younger */
	UNTIL(waits(20));
	aws_exit(aws_task(0), 0);
	world_run(10000);
	ck_assert(waits(19) && waits(20));
	aws_exit(aws_task(1), 0);
	UNTIL(aws_tasks() == 3);
	ck_assert_ptr_nonnull(strstr(aws_task(2)->body, "\"cpu\":\"4096\""));
	ck_assert(waits(20));
	world_end();
}
END_TEST

START_TEST(a_job_that_others_keep_out_lets_the_younger_pass)
{
	begin(4);
	pool()->usage_known = true; /* as if CloudWatch had said so just now */
	pool()->others = 8;
	pool()->usage_at = world_now / 1000;
	start_sized(17, 4);
	UNTIL(waits(17));
	UNTIL(slurm_count("comment 17 "));
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 17 ", 0), "(4 vCPU, 0 in use by us, 2 by others)"));
	start(18);
	UNTIL(aws_tasks() == 1);
	ck_assert(waits(17));
	ck_assert_int_eq(quota_usable(&world, pool()), 8);
	world_end();
}
END_TEST

START_TEST(others_never_take_what_we_have)
{
	begin(2);
	start_sized(17, 2);
	UNTIL(aws_tasks() == 1);
	pool()->usage_known = true;
	pool()->others = 8;
	pool()->usage_at = world_now / 1000;
	ck_assert_int_eq(quota_usable(&world, pool()), 8);
	world_end();
}
END_TEST

START_TEST(a_job_that_never_fits_is_held_with_words)
{
	struct peer *prolog;

	world_lines = "ReserveVcpu=1\n";
	begin(2);
	prolog = start_sized(17, 2);
	UNTIL(prolog->released);
	ck_assert_uint_eq(slurm_count("hold 17"), 1);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 0);
	ck_assert_str_eq(slurm_nth("comment 17 ", 0),
			 "comment 17 fargate: held - 2vCPU/4GB FARGATE -: the job needs 2 vCPU, the Fargate On-Demand quota L-3032A538 in "
			 "eu-west-1 is 2, of which ReserveVcpu=1 is kept back; ask AWS to raise it and release the job then, or submit it "
			 "with fewer CPUs (-c)");
	ck_assert_int_eq(pool()->ours, 0);
	world_end();
}
END_TEST

START_TEST(a_limit_lowered_below_a_waiting_job_holds_it)
{
	world_lines = SHORT;
	begin(2);
	start(17);
	UNTIL(aws_tasks() == 1);
	start_sized(18, 2);
	UNTIL(waits(18));
	aws_limit[0] = 1;
	UNTIL(slurm_count("hold 18"));
	world_end();
}
END_TEST

START_TEST(a_provider_too_small_is_left_out)
{
	world_keys = "Providers=FARGATE_SPOT,FARGATE";
	aws_limit[1] = 0.5;
	begin(4);
	UNTIL(quota_pool_of(&world, NULL, "eu-west-1", true)->known);
	start(17);
	UNTIL(aws_tasks() == 1);
	ck_assert_ptr_null(strstr(aws_body(AWS_OP_RUN_TASK, 0), "FARGATE_SPOT"));
	ck_assert_int_eq(pool()->ours, 4);
	world_end();
}
END_TEST

START_TEST(spot_and_on_demand_are_apart)
{
	aws_limit[1] = 1;
	begin(1);
	sf_copy(slurm_add(16, ALICE)->partition, 32, "spot");
	start(17);
	UNTIL(aws_tasks() == 1);
	start(16);
	UNTIL(aws_tasks() == 2);
	ck_assert_int_eq(pool()->ours, 4);
	ck_assert_int_eq(quota_pool_of(&world, NULL, "eu-west-1", true)->ours, 4);
	world_end();
}
END_TEST

START_TEST(an_unknown_quota_stops_nothing)
{
	refused(AWS_OP_GET_SERVICE_QUOTA, DENIED, 1000);
	aws_limit[0] = 1;
	world_start();
	UNTIL(pool()->limit_failures > 2);
	start(17);
	start(18);
	UNTIL(aws_tasks() == 2);
	ck_assert(world_logged("cannot be read: GetServiceQuota: " DENIED ": no; launches go on, RunTask decides"));
	ck_assert_int_eq(quota_usable(&world, pool()), -1);
	world_end();
}
END_TEST

START_TEST(a_number_too_old_lets_the_waiting_go)
{
	world_lines = SHORT;
	begin(1);
	start(17);
	start(18);
	UNTIL(aws_tasks() == 1 && (waits(17) || waits(18)));
	refused(AWS_OP_GET_SERVICE_QUOTA, DENIED, 1000);
	world_run(30000);
	ck_assert_uint_eq(aws_tasks(), 1);
	UNTIL(aws_tasks() == 2);
	ck_assert(world_logged("is not known any more, its number is older than QuotaMaxAge=60"));
	world_end();
}
END_TEST

START_TEST(a_refusal_for_the_quota_is_a_reason_to_look)
{
	size_t before;

	begin(4);
	world_run(20000);
	before = aws_count(AWS_OP_GET_SERVICE_QUOTA);
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .body = "{\"tasks\":[],\"failures\":[{\"reason\":\"You" FULL "\"}]}" });
	start(17);
	UNTIL(aws_count(AWS_OP_GET_SERVICE_QUOTA) > before);
	ck_assert_uint_eq(aws_tasks(), 0);
	ck_assert_int_eq(pool()->ours, 0);
	UNTIL(aws_tasks() == 1);
	world_end();
}
END_TEST

START_TEST(a_cancelled_wait_leaves_nothing)
{
	begin(1);
	start(17);
	UNTIL(aws_tasks() == 1);
	start(18);
	UNTIL(waits(18));
	slurm_set(18, LIFE_CANCELLED);
	UNTIL(!world_job(18, 0));
	ck_assert_uint_eq(pool()->waiting, 0);
	ck_assert_int_eq(pool()->ours, 4);
	world_end();
}
END_TEST

START_TEST(jobs_pending_for_licenses_say_what_they_wait_for)
{
	struct fake_job *j;
	uint32_t i;

	begin(1);
	for (i = 0; i < 25; i++) {
		j = slurm_add(100 + i, ALICE);
		j->waits_license = true;
		j->priority = 1000 + i;
		sf_copy(j->comment, sizeof(j->comment), "fargate: submitted - 0.25vCPU/0.5GB FARGATE -");
		slurm_set(100 + i, LIFE_PENDING);
	}
	UNTIL(slurm_count("comment 1") >= 20);
	world_run(60000);
	ck_assert_uint_eq(slurm_count("comment 1"), 20); /* nothing has changed since */
	ck_assert_str_eq(slurm_nth("comment 124 ", 0), "comment 124 fargate: quota - 0.25vCPU/0.5GB FARGATE -: waits for the On-Demand quota "
							"L-3032A538 in eu-west-1 (1 vCPU, 0 in use by us)");
	ck_assert_uint_eq(slurm_count("comment 104 "), 0);
	ck_assert_uint_eq(pool()->pending, 25);
	ck_assert_int_eq(pool()->pending_quarters, 25);
	start(17);
	UNTIL(aws_tasks() == 1);
	UNTIL(slurm_count("comment 124 ") == 2);
	ck_assert_ptr_nonnull(strstr(slurm_nth("comment 124 ", 1), "(1 vCPU, 1 in use by us)"));
	world_end();
}
END_TEST

static bool answers(struct peer *p, const char *part)
{
	return p->text.data && strstr(p->text.data, part);
}

START_TEST(the_numbers_are_told)
{
	struct peer *user, *root;

	begin(1);
	user = peer_open(BOB);
	root = peer_open(0);
	start(17);
	UNTIL(aws_tasks() == 1);
	start(18);
	UNTIL(waits(18));
	peer_ask(user, SF_FRAME_QUOTA, 0);
	UNTIL(answers(user, "\"waiting\":4}"));
	ck_assert_msg(answers(user, "{\"quotas\":[{\"partitions\":[\"fargate\",\"plain\"],\"provider\":\"FARGATE\",\"region\":\"eu-west-1\",\"limit\":4,"
				    "\"free\":0,\"age\":"), "%s", user->text.data);
	ck_assert_msg(answers(user, "\"account\":\"123456789012\",\"applied\":true,\"ours\":4,\"in_flight\":0,"), "%s", user->text.data);
	ck_assert_msg(answers(user, "\"waiting_jobs\":1,\"waiting\":4}"), "%s", user->text.data);
	peer_ask(root, SF_FRAME_SNAPSHOT, 0);
	UNTIL(answers(root, "\"quotas\":[{\"partitions\":[\"fargate\",\"plain\"],\"provider\":\"FARGATE\",\"region\":\"eu-west-1\",\"limit\":4,\"free\":0,\"age\":"));
	world_end();
}
END_TEST

START_TEST(what_was_never_fetched_has_no_numbers)
{
	struct peer *root;

	refused(AWS_OP_GET_SERVICE_QUOTA, DENIED, 1000);
	world_start();
	UNTIL(pool()->limit_failures);
	root = peer_open(0);
	peer_ask(root, SF_FRAME_SNAPSHOT, 0);
	UNTIL(answers(root, "{\"partitions\":[\"fargate\",\"plain\"],\"provider\":\"FARGATE\",\"region\":\"eu-west-1\",\"why\":\"GetServiceQuota: " DENIED ": no\"}"));
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_full_quota_is_waited_for_until_a_task_is_stopped, 0 },
		{ a_job_that_slurm_ended_keeps_its_quarters_until_its_task_is_stopped, 0 },
		{ a_raised_limit_wakes_those_who_wait, 0 },
		{ a_refusal_gives_back_at_once, 0 },
		{ an_unknown_outcome_keeps_its_quarters, 0 },
		{ an_agent_that_starts_again_knows_what_it_has, 0 },
		{ a_large_job_is_not_overtaken, 0 },
		{ a_job_that_others_keep_out_lets_the_younger_pass, 0 },
		{ others_never_take_what_we_have, 0 },
		{ a_job_that_never_fits_is_held_with_words, 0 },
		{ a_limit_lowered_below_a_waiting_job_holds_it, 0 },
		{ a_provider_too_small_is_left_out, 0 },
		{ spot_and_on_demand_are_apart, 0 },
		{ an_unknown_quota_stops_nothing, 0 },
		{ a_number_too_old_lets_the_waiting_go, 0 },
		{ a_refusal_for_the_quota_is_a_reason_to_look, 0 },
		{ a_cancelled_wait_leaves_nothing, 0 },
		{ jobs_pending_for_licenses_say_what_they_wait_for, 0 },
		{ the_numbers_are_told, 0 },
		{ what_was_never_fetched_has_no_numbers, 0 },
	};

	return tap_main("agent_quota", tests, SF_COUNT(tests));
}
