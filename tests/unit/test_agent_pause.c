/* Partitions AWS refuses: three refusals in a row pause one, and a probe or an administrator opens it again. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define WORDS "RunTask: ClusterNotFoundException: Cluster not found."

static void no_cluster(int times)
{
	aws_script((struct fake_answer){ .op = AWS_OP_RUN_TASK, .code = "ClusterNotFoundException", .message = "Cluster not found.", .times = times });
}

static struct peer *start(uint32_t id)
{
	struct peer *p = peer_open(0);

	slurm_add(id, ALICE);
	peer_launch(p, id, 0, SPEC_A);
	return p;
}

/* Jobs 1 to 3 are held, one after the other. */
static void pause_it(void)
{
	uint32_t id;

	for (id = 1; id <= 3; id++) {
		struct peer *p = start(id);

		UNTIL(p->released);
	}
	ck_assert_uint_eq(slurm_count("hold"), 3);
	ck_assert(world_logged("partition fargate is paused, AWS refused 3 of its jobs in a row: " WORDS));
}

START_TEST(three_refusals_pause_and_the_rest_say_why)
{
	struct peer *p, *status;

	world_start();
	no_cluster(3);
	pause_it();
	p = start(4);
	UNTIL(slurm_count("comment 4 fargate: retry"));
	ck_assert_str_eq(slurm_nth("comment 4 fargate: retry", 0),
			 "comment 4 fargate: retry - 1vCPU/2GB FARGATE -: partition fargate is paused since AWS refused 3 of its jobs in a row "
			 "(" WORDS "); tried again every now and then; when it is mended: sfargate resume fargate");
	world_run(30000);
	ck_assert_uint_eq(aws_count(AWS_OP_RUN_TASK), 3);
	ck_assert(!p->released);
	status = peer_open(0);
	peer_ask(status, SF_FRAME_STATUS, 0);
	UNTIL(status->text.data && strstr(status->text.data, "\"paused\":[{\"partition\":\"fargate\""));
	world_end();
}
END_TEST

START_TEST(a_probe_that_is_refused_waits_on_and_one_that_is_taken_opens)
{
	struct peer *first, *second;

	world_start();
	no_cluster(4);
	pause_it();
	first = start(4);
	second = start(5);
	UNTIL(slurm_count("comment 5 fargate: retry"));
	/* The oldest is the probe. */
	UNTIL(aws_count(AWS_OP_RUN_TASK) == 4);
	ck_assert_ptr_nonnull(strstr(aws_body(AWS_OP_RUN_TASK, 3), "/4\""));
	world_run(10000);
	ck_assert_uint_eq(slurm_count("hold"), 3);
	ck_assert(!first->released && !second->released);
	UNTIL(aws_tasks() == 2);
	ck_assert(world_logged("partition fargate is open again: AWS took a job of it"));
	world_end();
}
END_TEST

START_TEST(an_administrator_opens_it)
{
	struct peer *user, *admin;

	world_start();
	no_cluster(3);
	pause_it();
	start(4);
	UNTIL(slurm_count("comment 4 fargate: retry"));
	user = peer_open(ALICE);
	peer_resume(user, "fargate");
	UNTIL(user->refused[0]);
	ck_assert_str_eq(user->refused, "only root and SlurmUser may resume a partition");
	admin = peer_open(0);
	peer_resume(admin, "local");
	UNTIL(admin->refused[0]);
	ck_assert_str_eq(admin->refused, "partition 'local' is not paused; sfargate status names those that are");
	admin = peer_open(0);
	peer_resume(admin, "fargate");
	UNTIL(admin->text.data && strstr(admin->text.data, "{\"resumed\":true}"));
	UNTIL(aws_tasks() == 1);
	world_end();
}
END_TEST

START_TEST(a_success_between_starts_the_count_anew)
{
	uint32_t id;

	world_start();
	for (id = 1; id <= 6; id++) {
		struct peer *p;

		if (id != 3)
			no_cluster(1);
		p = start(id);
		if (id == 3)
			UNTIL(aws_tasks() == 1);
		else
			UNTIL(p->released);
	}
	ck_assert(world_logged("partition fargate is paused"));
	ck_assert_uint_eq(slurm_count("hold"), 5);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ three_refusals_pause_and_the_rest_say_why, 0 },
		{ a_probe_that_is_refused_waits_on_and_one_that_is_taken_opens, 0 },
		{ an_administrator_opens_it, 0 },
		{ a_success_between_starts_the_count_anew, 0 },
	};

	return tap_main("agent_pause", tests, SF_COUNT(tests));
}
