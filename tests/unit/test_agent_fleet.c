/* Unit tests of plugin/agent/fleet.c: which of Slurm's jobs slurmctld's plugin is told of. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <string.h>

#include "common/base/text.h"
#include "plugin/agent/agent.h"
#include "tests/unit/agent_world.h"
#include "tests/unit/tap.h"

#define LINE(name) "PartitionName=" name " Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1\n"

static struct agent a;

static void use_conf(const char *text)
{
	struct sf_error err = { "" };

	ck_assert_msg(!sf_conf_parse("/etc/fargate.conf", text, &a.conf, &err), "%s", err.text);
}

static void say(const struct slurm_brief *briefs, size_t n, const char *expected)
{
	char *text;

	fleet_update(&a, briefs, n);
	text = query_snapshot(&a);
	ck_assert_str_eq(text, expected);
	free(text);
}

static void done(void)
{
	free(a.fleet);
	a.fleet = NULL;
	sf_conf_free(a.conf);
}

START_TEST(ranges_per_partition)
{
	static const struct slurm_brief briefs[] = {
		{ .job_id = 7, .life = LIFE_ACTIVE, .partition = "fargate" },
		{ .job_id = 5, .life = LIFE_PENDING, .partition = "fargate" },
		{ .job_id = 6, .life = LIFE_PENDING, .partition = "fargate" },
		{ .job_id = 8, .life = LIFE_PENDING, .partition = "local" },
		{ .job_id = 9, .life = LIFE_PENDING, .partition = "spot" },
		{ .job_id = 10, .life = LIFE_PENDING, .partition = "local,spot" },
		{ .job_id = 4294967295u, .life = LIFE_ACTIVE, .partition = "fargate" },
		{ .job_id = 11, .life = LIFE_ENDED, .partition = "fargate" },
		{ .job_id = 12, .life = LIFE_CANCELLED, .partition = "fargate" },
		{ .job_id = 13, .life = LIFE_TIMEOUT, .partition = "fargate" },
		{ .job_id = 14, .life = LIFE_ACTIVE, .partition = "" },
		{ .job_id = 15, .life = LIFE_ACTIVE, .partition = "fargat" },
	};

	use_conf(LINE("fargate") LINE("spot"));
	say(briefs, SF_COUNT(briefs),
	    "{\"fleet\":[{\"partition\":\"fargate\",\"jobs\":\"5-7,4294967295\"},{\"partition\":\"spot\",\"jobs\":\"9-10\"}],\"quotas\":[]}");
	say(briefs, 0, "{\"fleet\":[],\"quotas\":[]}");
	done();
}
END_TEST

START_TEST(an_array_counts_as_a_whole)
{
	static const struct slurm_brief briefs[] = {
		{ .job_id = 22, .array_job_id = 20, .life = LIFE_ACTIVE, .partition = "fargate" },
		{ .job_id = 24, .array_job_id = 20, .life = LIFE_PENDING, .partition = "fargate" },
		{ .job_id = 20, .array_job_id = 20, .life = LIFE_ENDED, .partition = "fargate" },
		{ .job_id = 31, .array_job_id = 30, .life = LIFE_ENDED, .partition = "fargate" },
	};

	use_conf(LINE("fargate"));
	say(briefs, SF_COUNT(briefs), "{\"fleet\":[{\"partition\":\"fargate\",\"jobs\":\"20,22,24\"}],\"quotas\":[]}");
	done();
}
END_TEST

START_TEST(ten_thousand_jobs_fit)
{
	static struct slurm_brief briefs[10000];
	char *text;
	size_t i;

	for (i = 0; i < SF_COUNT(briefs); i++)
		briefs[i] = (struct slurm_brief){
			.job_id = 4000000000u + (uint32_t)(2 * i), .life = LIFE_PENDING, .partition = "fargate"};
	use_conf(LINE("fargate"));
	fleet_update(&a, briefs, SF_COUNT(briefs));
	text = query_snapshot(&a);
	ck_assert_uint_lt(strlen(text), SF_FRAME_BODY_MAX / 2);
	ck_assert_ptr_nonnull(strstr(text, "4000000000,4000000002,"));
	ck_assert_ptr_nonnull(strstr(text, ",4000019998\"}],\"quotas\":[]}"));
	free(text);
	done();
}
END_TEST

/* Too much for one frame: what was told before stays. */
START_TEST(too_many_jobs)
{
	const size_t n = 100000;
	struct slurm_brief *briefs = calloc(n, sizeof(*briefs));
	size_t i;

	for (i = 0; i < n; i++)
		briefs[i] = (struct slurm_brief){
			.job_id = 4000000000u + (uint32_t)(2 * i), .life = LIFE_PENDING, .partition = "fargate"};
	use_conf(LINE("fargate"));
	say(briefs, 1, "{\"fleet\":[{\"partition\":\"fargate\",\"jobs\":\"4000000000\"}],\"quotas\":[]}");
	say(briefs, n, "{\"fleet\":[{\"partition\":\"fargate\",\"jobs\":\"4000000000\"}],\"quotas\":[]}");
	free(briefs);
	done();
}
END_TEST

static bool told(struct peer *p, const char *part)
{
	peer_ask(p, SF_FRAME_SNAPSHOT, 0);
	return p->text.data && strstr(p->text.data, part);
}

/* Slurm's list is read although the agent has no job of its own. */
START_TEST(waiting_jobs_are_told)
{
	struct peer *p;

	world_start();
	slurm_add(17, 1001);
	slurm_set(17, LIFE_PENDING);
	p = peer_open(world.cluster.slurm_user);
	UNTIL(told(p, "\"fleet\":[{\"partition\":\"fargate\",\"jobs\":\"17\"}]"));
	ck_assert_uint_eq(world.n_jobs, 0);
	world_end();
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ ranges_per_partition, 0 }, { an_array_counts_as_a_whole, 0 }, { ten_thousand_jobs_fit, 0 },
		{ too_many_jobs, 0 },	     { waiting_jobs_are_told, 0 },
	};

	return tap_main("agent_fleet", tests, SF_COUNT(tests));
}
