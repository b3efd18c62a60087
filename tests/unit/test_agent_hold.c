/* Unit tests of the gate in front of the quota: what Slurm may give away of a license, and when a large job stops the small ones. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/hold.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define PATIENCE 60

/* --- the rule ---------------------------------------------------------------------------------------------------- */
START_TEST(units_of_a_list)
{
	static const struct {
		const char *list;
		int64_t units;
	} rows[] = {
		{ NULL, 0 },		    { "", 0 },			 { "fargate:4", 4 },	   { "fargate", 1 },
		{ "matlab:2,fargate:16", 16 }, { "fargate_spot:8", 0 },	 { "fargate_spot:8,fargate:3", 3 },
		{ "matlab;fargate:5", 5 },  { "fargat:7", 0 },		 { "xfargate:7", 0 },	   { "fargate,matlab:3", 1 },
	};
	size_t i;

	for (i = 0; i < SF_COUNT(rows); i++)
		ck_assert_msg(slurm_license_units(rows[i].list, "fargate") == rows[i].units, "%s", rows[i].list ? rows[i].list : "NULL");
}
END_TEST

static struct hold new_hold(int64_t usable)
{
	struct hold h = { .license = "fargate", .usable = usable };

	return h;
}

static struct slurm_brief waits(uint32_t id, uint32_t priority, const char *licenses)
{
	struct slurm_brief b = { .job_id = id, .life = LIFE_PENDING, .waits_license = true, .priority = priority };

	sf_copy(b.licenses, sizeof(b.licenses), licenses);
	return b;
}

static struct slurm_brief runs(uint32_t id, time_t start, const char *licenses)
{
	struct slurm_brief b = { .job_id = id, .life = LIFE_ACTIVE, .priority = 100, .start = start };

	sf_copy(b.licenses, sizeof(b.licenses), licenses);
	return b;
}

START_TEST(the_quota_is_what_is_open)
{
	struct hold h = new_hold(-1);

	ck_assert_int_eq(hold_open(&h, -1, PATIENCE, 1000), -1);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1001), 24);
	ck_assert_int_eq(hold_open(&h, 0, PATIENCE, 1002), 0);
	/* Not known any more: as it was last. */
	ck_assert_int_eq(hold_open(&h, 8, PATIENCE, 1003), 8);
	ck_assert_int_eq(hold_open(&h, -1, PATIENCE, 1004), 8);
	ck_assert(!h.frozen);
}
END_TEST

START_TEST(a_large_job_freezes_after_its_patience)
{
	struct slurm_brief list[] = { waits(7, 10, "fargate:16"), waits(8, 9, "fargate:1"), runs(1, 900, "fargate:12") };
	struct hold h = new_hold(24);

	hold_look(&h, list, SF_COUNT(list), 1000);
	ck_assert_uint_eq(h.head, 7);
	ck_assert_int_eq(h.in_use, 12);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1059), 24);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1060), 0);
	ck_assert(h.frozen);
	/* Patience 0 never freezes. */
	ck_assert_int_eq(hold_open(&h, 24, 0, 1060), 24);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1061), 0);
	/* Its units come together. */
	sf_copy(list[2].licenses, sizeof(list[2].licenses), "fargate:9");
	hold_look(&h, list, SF_COUNT(list), 1065);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1065), 0);
	sf_copy(list[2].licenses, sizeof(list[2].licenses), "fargate:8");
	hold_look(&h, list, SF_COUNT(list), 1070);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1070), 24);
	/* A small one was faster: it waits no second time. */
	sf_copy(list[2].licenses, sizeof(list[2].licenses), "fargate:9");
	hold_look(&h, list, SF_COUNT(list), 1075);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1075), 0);
	/* It runs. */
	list[0] = runs(7, 1080, "fargate:16");
	hold_look(&h, list, SF_COUNT(list), 1080);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1080), 24);
	ck_assert_uint_eq(h.head, 8);
}
END_TEST

START_TEST(nobody_to_overtake_it)
{
	struct slurm_brief list[] = { waits(7, 10, "fargate:16"), runs(1, 900, "fargate:12"), waits(8, 9, "fargate:16"), waits(9, 8, "matlab:1") };
	struct hold h = new_hold(24);

	/* Smaller ones that ran before it waited, one of its own size, and one of another license. */
	hold_look(&h, list, SF_COUNT(list), 1000);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1100), 24);
	/* A stream of small ones that never wait: one was started since. */
	list[1] = runs(2, 1050, "fargate:12");
	hold_look(&h, list, SF_COUNT(list), 1101);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1101), 0);
	/* That stays true when it has ended. */
	list[1] = runs(1, 900, "fargate:12");
	hold_look(&h, list, SF_COUNT(list), 1102);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1102), 0);
}
END_TEST

/* Held, dependent, not to begin yet, in the wrong reservation: whatever the reason is, it is not Licenses. */
START_TEST(only_who_waits_for_the_license_counts)
{
	struct slurm_brief list[] = { waits(7, 10, "fargate:16"), waits(8, 9, "fargate:1"), runs(1, 900, "fargate:12") };
	struct hold h = new_hold(24);

	hold_look(&h, list, SF_COUNT(list), 1000);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1060), 0);
	list[0].waits_license = false;
	/* An update makes Slurm forget the reason until it has tried again. */
	list[0].waits_untold = true;
	hold_look(&h, list, SF_COUNT(list), 1061);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1061), 0);
	list[0].waits_untold = false;
	hold_look(&h, list, SF_COUNT(list), 1061);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1061), 24);
	ck_assert_uint_eq(h.head, 8);
	/* Back again it has its patience anew. */
	list[0].waits_license = true;
	hold_look(&h, list, SF_COUNT(list), 1062);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1063), 24);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1122), 0);
	/* Changed to another size. */
	sf_copy(list[0].licenses, sizeof(list[0].licenses), "fargate:20");
	hold_look(&h, list, SF_COUNT(list), 1123);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1123), 24);
	/* Cancelled: gone from the list, or in it with another state. */
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1183), 0);
	hold_look(&h, list + 1, SF_COUNT(list) - 1, 1184);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1184), 24);
}
END_TEST

START_TEST(one_that_can_never_fit_stops_nobody)
{
	struct slurm_brief list[] = { waits(7, 10, "fargate:32"), waits(8, 9, "fargate:16"), waits(9, 8, "fargate:1"), runs(1, 900, "fargate:12") };
	struct hold h = new_hold(24);

	hold_look(&h, list, SF_COUNT(list), 1000);
	ck_assert_uint_eq(h.head, 8);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1060), 0);
	/* Others take of the quota what it waits for: at once open, and the next in the line is the head. */
	ck_assert_int_eq(hold_open(&h, 15, PATIENCE, 1061), 15);
	hold_look(&h, list, SF_COUNT(list), 1062);
	ck_assert_uint_eq(h.head, 9);
}
END_TEST

START_TEST(the_first_in_the_line)
{
	struct slurm_brief list[] = { waits(9, 10, "fargate:16"), waits(7, 10, "fargate:12"), waits(3, 4, "fargate:1") };
	struct hold h = new_hold(24);

	hold_look(&h, list, SF_COUNT(list), 1000);
	ck_assert_uint_eq(h.head, 7);
	/* Fits: Slurm is about to start it. */
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1100), 24);
	hold_look(&h, list, 0, 1100);
	ck_assert_uint_eq(h.head, 0);
	ck_assert_int_eq(hold_open(&h, 24, PATIENCE, 1200), 24);
}
END_TEST

/* --- the agent ---------------------------------------------------------------------------------------------------- */
static void start(double vcpu)
{
	world_keys = "License=fargate";
	aws_limit[0] = vcpu;
	world_start();
}

static bool status_says(const char *text)
{
	sf_auto_free char *status = query_status(&world);

	return strstr(status, text) != NULL;
}

START_TEST(the_reservation_follows_the_quota)
{
	slurm_license("fargate", 16000);
	start(6);
	UNTIL(slurm_held("fargate") == 15976);
	ck_assert_str_eq(world_db("SELECT value FROM meta WHERE name='holds'"), "fargate");
	/* Nothing changes: nothing is written. */
	world_run(30000);
	ck_assert_uint_eq(slurm_hold_changes("fargate"), 1);
	slurm_set_held("fargate", 0);
	UNTIL(slurm_held("fargate") == 15976);
	/* More of it in slurm.conf. */
	slurm_license("fargate", 20000);
	UNTIL(slurm_held("fargate") == 19976);
	ck_assert(!status_says("license_problem"));
	world_end();
}
END_TEST

START_TEST(a_license_smaller_than_the_quota)
{
	slurm_license("fargate", 20);
	start(6);
	UNTIL(world_logged("license fargate: Licenses= in slurm.conf has 20 of it, the quota allows 24 (quarter vCPUs)"));
	ck_assert_int_eq(slurm_held("fargate"), 0);
	world_end();
}
END_TEST

/* What a killed agent left behind, frozen perhaps, does not stay for ever when AWS says nothing. */
START_TEST(a_quota_that_is_never_known)
{
	slurm_license("fargate", 16000);
	slurm_set_held("fargate", 16000);
	aws_hold(AWS_OP_GET_SERVICE_QUOTA, true);
	start(6);
	world_run(20000);
	ck_assert_int_eq(slurm_held("fargate"), 16000);
	UNTIL(slurm_held("fargate") == 0);
	aws_hold(AWS_OP_GET_SERVICE_QUOTA, false);
	world_end();
}
END_TEST

START_TEST(a_license_that_slurm_does_not_have)
{
	start(6);
	UNTIL(world_logged("fargate.conf: license fargate is not in slurm.conf: "));
	ck_assert(status_says("\"license_problem\":\"license fargate is not in slurm.conf: "));
	slurm_license("fargate", 16000);
	UNTIL(slurm_held("fargate") == 15976);
	ck_assert(world_logged("license fargate: slurm.conf has it now"));
	ck_assert(!status_says("license_problem"));
	world_end();
}
END_TEST

START_TEST(the_reservation_of_a_license_that_is_no_longer_in_the_conf)
{
	slurm_license("fargate", 16000);
	slurm_license("old", 100);
	start(6);
	UNTIL(slurm_held("fargate") == 15976);
	world_down();
	world_db("UPDATE meta SET value='fargate,old' WHERE name='holds'");
	slurm_set_held("old", 50);
	world_up();
	UNTIL(slurm_held("old") == 0);
	UNTIL(strcmp(world_db("SELECT value FROM meta WHERE name='holds'"), "fargate") == 0);
	ck_assert_int_eq(slurm_held("fargate"), 15976);
	world_end();
}
END_TEST

START_TEST(slurm_refuses)
{
	slurm_license("fargate", 16000);
	slurm_refuse_holds(true);
	start(6);
	UNTIL(status_says("Access/permission denied"));
	ck_assert(world_logged("the licenses' reservations: making reservation fargate_hold: Access/permission denied"));
	slurm_refuse_holds(false);
	UNTIL(slurm_held("fargate") == 15976);
	ck_assert(!status_says("license_problem"));
	world_end();
}
END_TEST

START_TEST(one_license_for_two_quotas)
{
	slurm_license("fargate", 16000);
	world_keys = "License=fargate";
	world_lines = "PartitionName=far Providers=FARGATE_SPOT SpotLicense=fargate Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a "
		      "SecurityGroups=sg-1\n"
		      "PartitionName=near License=other Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1\n";
	aws_limit[0] = aws_limit[1] = 6;
	world_start();
	UNTIL(slurm_held("fargate") == 15952);
	ck_assert(world_logged("license fargate stands for more than one quota"));
	ck_assert(world_logged("partition near has license other, but others draw on the same quota with license fargate"));
	world_end();
}
END_TEST

static void slurm_waits(uint32_t id, uint32_t priority, const char *licenses)
{
	struct fake_job *j = slurm_add(id, ALICE);

	j->priority = priority;
	j->licenses = licenses;
	j->waits_license = true;
	slurm_set(id, LIFE_PENDING);
}

static void freeze(void)
{
	slurm_license("fargate", 16000);
	start(6);
	UNTIL(slurm_held("fargate") == 15976);
	slurm_add(1, ALICE)->licenses = "fargate:12";
	slurm_waits(2, 10, "fargate:16");
	slurm_waits(3, 9, "fargate:1");
	UNTIL(slurm_held("fargate") == 16000);
	ck_assert(world_logged("license fargate: job 2 waits for 4 vCPU, 3 of 6 are in use: smaller jobs wait for it now"));
}

START_TEST(frozen_until_its_units_are_free)
{
	freeze();
	world_run(20000);
	ck_assert_int_eq(slurm_held("fargate"), 16000);
	slurm_set(1, LIFE_ENDED);
	UNTIL(slurm_held("fargate") == 15976);
	ck_assert(world_logged("license fargate: smaller jobs are started again, 0 of 6 vCPU are in use"));
	world_end();
}
END_TEST

START_TEST(an_agent_that_leaves_opens)
{
	freeze();
	ck_assert(hold_leave(&world));
	UNTIL(slurm_held("fargate") == 15976);
	/* Told twice: at once. And the gate is left alone now. */
	ck_assert(!hold_leave(&world));
	world_run(20000);
	ck_assert_int_eq(slurm_held("fargate"), 15976);
	world_end();
}
END_TEST

START_TEST(an_agent_that_holds_nobody_back_leaves_at_once)
{
	slurm_license("fargate", 16000);
	start(6);
	UNTIL(slurm_held("fargate") == 15976);
	ck_assert(!hold_leave(&world));
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ units_of_a_list, 0 },
		{ the_quota_is_what_is_open, 0 },
		{ a_large_job_freezes_after_its_patience, 0 },
		{ nobody_to_overtake_it, 0 },
		{ only_who_waits_for_the_license_counts, 0 },
		{ one_that_can_never_fit_stops_nobody, 0 },
		{ the_first_in_the_line, 0 },
		{ the_reservation_follows_the_quota, 0 },
		{ a_license_smaller_than_the_quota, 0 },
		{ a_quota_that_is_never_known, 0 },
		{ a_license_that_slurm_does_not_have, 0 },
		{ the_reservation_of_a_license_that_is_no_longer_in_the_conf, 0 },
		{ slurm_refuses, 0 },
		{ one_license_for_two_quotas, 0 },
		{ frozen_until_its_units_are_free, 0 },
		{ an_agent_that_leaves_opens, 0 },
		{ an_agent_that_holds_nobody_back_leaves_at_once, 0 },
	};

	return tap_main("agent_hold", tests, SF_COUNT(tests));
}
