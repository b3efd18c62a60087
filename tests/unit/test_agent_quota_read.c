/* What the agent makes of Service Quotas and CloudWatch: defaults, wrong answers, how often it asks, what others use. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdio.h>

#include "common/base/iso.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

static struct quota_pool *pool(void)
{
	return quota_pool_of(&world, NULL, "eu-west-1", false);
}

/* The calls for the On-Demand pool. */
static size_t asked(enum aws_op op)
{
	size_t n = aws_count(op), i, found = 0;

	for (i = 0; i < n; i++)
		found += strstr(aws_body(op, i), "L-3032A538") != NULL || strstr(aws_body(op, i), "OnDemand") != NULL;
	return found;
}

START_TEST(without_a_value_of_its_own_an_account_has_the_default)
{
	aws_limit[0] = -1;
	world_start();
	UNTIL(pool()->known);
	ck_assert_int_eq(pool()->limit, 24);
	ck_assert(!pool()->applied);
	ck_assert(world_logged("L-3032A538 in eu-west-1 is 6 vCPU (AWS's default)"));
	ck_assert_uint_eq(asked(AWS_OP_GET_DEFAULT_QUOTA), 1);
	world_end();
}
END_TEST

START_TEST(fractions_are_rounded_down)
{
	aws_limit[0] = 6.7;
	world_start();
	UNTIL(pool()->known);
	ck_assert_int_eq(pool()->limit, 26);
	world_end();
}
END_TEST

static const char *const wrong[] = {
	"{}", "{\"Quota\":null}", "{\"Quota\":{}}", "{\"Quota\":{\"Value\":\"6\"}}", "{\"Quota\":{\"Value\":-1}}", "{\"Quota\":{\"Value\":true}}",
	"{\"Quota\":[6]}",
};

START_TEST(a_wrong_answer_is_no_number)
{
	size_t i;

	for (i = 0; i < 2; i++)
		aws_script((struct fake_answer){ .op = AWS_OP_GET_SERVICE_QUOTA, .body = wrong[_i], .times = 1 });
	world_start();
	UNTIL(pool()->limit_failures == 1);
	ck_assert(!pool()->known);
	ck_assert_int_eq(quota_usable(&world, pool()), -1);
	ck_assert_msg(strstr(pool()->why, "GetServiceQuota: ") == pool()->why, "%s", pool()->why);
	UNTIL(pool()->known); /* asked again */
	ck_assert_str_eq(pool()->why, "");
	world_end();
}
END_TEST

START_TEST(an_hour_of_refusals_asks_seldom_and_says_so_once)
{
	aws_script((struct fake_answer){ .op = AWS_OP_GET_SERVICE_QUOTA, .code = "AccessDeniedException", .message = "no", .times = 100000 });
	world_step = 1000;
	world_start();
	world_run(3600 * 1000);
	ck_assert(!pool()->known);
	ck_assert_uint_lt(asked(AWS_OP_GET_SERVICE_QUOTA), 40);
	ck_assert_uint_gt(asked(AWS_OP_GET_SERVICE_QUOTA), 10);
	world_end();
}
END_TEST

START_TEST(an_idle_hour_costs_few_calls)
{
	world_step = 1000;
	world_start();
	world_run(3600 * 1000);
	ck_assert_uint_le(asked(AWS_OP_GET_SERVICE_QUOTA), 13);
	ck_assert_uint_le(asked(AWS_OP_GET_METRIC_STATISTICS), 13);
	ck_assert_uint_ge(asked(AWS_OP_GET_SERVICE_QUOTA), 11);
	world_end();
}
END_TEST

START_TEST(usage_is_asked_every_minute_while_a_job_runs)
{
	size_t before;

	world_start();
	world_launch(17);
	before = asked(AWS_OP_GET_METRIC_STATISTICS);
	world_step = 500;
	world_run(300 * 1000);
	ck_assert_uint_ge(asked(AWS_OP_GET_METRIC_STATISTICS) - before, 4);
	ck_assert_uint_le(asked(AWS_OP_GET_METRIC_STATISTICS) - before, 6);
	world_end();
}
END_TEST

/* n datapoints of the last minutes, the newest `late` minutes old. */
static void report(double vcpu, int n, int late)
{
	static char text[2048];
	char at[SF_ISO_MAX];
	size_t len = 0;
	int i;

	text[0] = '\0';
	for (i = 0; i < n; i++) {
		sf_iso_text((world_now / 60000 - late - i) * 60, at);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "<member><Timestamp>%s</Timestamp><Maximum>%g</Maximum></member>", at, vcpu);
	}
	aws_usage = text;
}

/* Without hurry. */
static void later(int64_t seconds)
{
	int64_t step = world_step;

	world_step = 500;
	world_run(seconds * 1000);
	world_step = step;
}

START_TEST(what_others_use_is_what_is_reported_less_our_own)
{
	struct peer *root;

	aws_limit[0] = 4;
	world_begin();
	report(3, 5, 1);
	world_up();
	UNTIL(pool()->usage_why[0]);
	ck_assert(!pool()->usage_known); /* it may have been ours, before the agent began */
	later(240);
	report(3, 3, 0);
	UNTIL(pool()->usage_known);
	ck_assert_int_eq(pool()->others, 12);
	ck_assert_int_eq(quota_usable(&world, pool()), 4);
	world_launch(17);
	world_step = 500;
	world_run(240 * 1000);
	report(1, 5, 1); /* ours */
	UNTIL(pool()->others == 0);
	report(2.5, 5, 1);
	UNTIL(pool()->others == 6);
	root = peer_open(0);
	peer_ask(root, SF_FRAME_QUOTA, 0);
	UNTIL(root->text.data && strstr(root->text.data, "\"ours\":4,\"in_flight\":0,\"others\":6,\"others_age\":"));
	world_end();
}
END_TEST

START_TEST(others_who_leave_wake_those_who_wait)
{
	aws_limit[0] = 2;
	world_start();
	later(240);
	report(2, 3, 0);
	UNTIL(pool()->usage_known && pool()->known);
	slurm_add(17, ALICE);
	peer_launch(peer_open(0), 17, 0, SPEC_A);
	UNTIL(world_job(17, 0) && world_job(17, 0)->pool);
	world_run(3000);
	ck_assert_uint_eq(aws_tasks(), 0);
	report(0, 3, 1);
	UNTIL(aws_tasks() == 1);
	world_end();
}
END_TEST

START_TEST(no_datapoints_are_no_numbers)
{
	aws_usage = "";
	world_start();
	UNTIL(pool()->usage_why[0]);
	ck_assert(!pool()->usage_known);
	ck_assert_str_eq(pool()->usage_why, "CloudWatch has no datapoints yet of the time since the agent began");
	ck_assert_int_eq(quota_others(&world, pool()), 0);
	world_end();
}
END_TEST

START_TEST(wrong_datapoints_are_no_numbers)
{
	aws_usage = "<member><Timestamp>yesterday</Timestamp><Maximum>3</Maximum></member>";
	world_start();
	UNTIL(pool()->usage_failures);
	ck_assert(!pool()->usage_known);
	ck_assert(world_logged("what others use of the Fargate On-Demand quota L-3032A538 in eu-west-1 cannot be read: GetMetricStatistics: "));
	world_end();
}
END_TEST

START_TEST(without_credentials_it_is_asked_again)
{
	aws_offline = true;
	world_start();
	UNTIL(pool()->limit_failures && pool()->usage_failures);
	ck_assert_str_eq(pool()->why, "no credentials");
	aws_offline = false;
	UNTIL(pool()->known);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ without_a_value_of_its_own_an_account_has_the_default, 0 },
		{ fractions_are_rounded_down, 0 },
		{ a_wrong_answer_is_no_number, (int)SF_COUNT(wrong) },
		{ an_hour_of_refusals_asks_seldom_and_says_so_once, 0 },
		{ an_idle_hour_costs_few_calls, 0 },
		{ usage_is_asked_every_minute_while_a_job_runs, 0 },
		{ what_others_use_is_what_is_reported_less_our_own, 0 },
		{ others_who_leave_wake_those_who_wait, 0 },
		{ no_datapoints_are_no_numbers, 0 },
		{ wrong_datapoints_are_no_numbers, 0 },
		{ without_credentials_it_is_asked_again, 0 },
	};

	return tap_main("agent_quota_read", tests, SF_COUNT(tests));
}
