/* Unit tests of `scontrol update`: which job is meant, whether it is ours, and what may be changed. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <sys/types.h>

#include "plugin/job_submit/fleet.h"
#include "tests/unit/job_submit_plain.h"

static struct js_fleet *fleet_of(const char *text)
{
	sf_auto_json sf_json *json = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(!sf_json_parse(text, strlen(text), &json, &err), "%s", err.text);
	return js_fleet_parse(json);
}

#define FLEET "[{\"partition\":\"spot\",\"jobs\":\"9,4294967295\"},{\"partition\":\"fargate\",\"jobs\":\"3-7,12\"}]"

static const struct {
	const char *ids, *partition;
} lookups[] = {
	{"3", "fargate"},
	{"5", "fargate"},
	{"7", "fargate"},
	{"12", "fargate"},
	{"9", "spot"},
	{"4294967295", "spot"},
	{"2", NULL},
	{"8", NULL},
	{"13", NULL},
	{"0", NULL},
	{"", NULL},
	{"x", NULL},
	{"99999999999999999999999", NULL},
	{"12_3", "fargate"},
	{"12_[1-3]", "fargate"},
	{"12_[1-3%2]", "fargate"},
	{"11_[3,5,7]", NULL},
	{"11_[3,5],9", "spot"},
	{"1,2,9_1", "spot"},
	{"12+1", "fargate"},
	{"_3", NULL},
	{"11_[3", NULL},
	{",,,9", "spot"},
	{"1_[", NULL},
	/* seen on 22.05.8: slurmctld takes each of these for the job */
	{"+3", "fargate"},
	{" 3", "fargate"},
	{"\n03", "fargate"},
	{"4294967299", "fargate"},
	{"+12_3", "fargate"},
	{"8589934604_[1-3]", "fargate"},
	/* and none of these */
	{"-4294967293", NULL},
	{"+", NULL},
	{"4294967304", NULL},
};

START_TEST(jobs_are_found)
{
	struct js_fleet *fleet = fleet_of(FLEET);
	const char *found;

	ck_assert_ptr_nonnull(fleet);
	found = js_fleet_partition(fleet, lookups[_i].ids);
	if (lookups[_i].partition)
		ck_assert_msg(found && !strcmp(found, lookups[_i].partition), "%s: %s", lookups[_i].ids, found ? found : "none");
	else
		ck_assert_msg(!found, "%s: %s", lookups[_i].ids, found);
	ck_assert_ptr_null(js_fleet_partition(NULL, lookups[_i].ids));
	js_fleet_free(fleet);
}
END_TEST

START_TEST(nobody_on_fargate)
{
	static const char *const empty[] = { "[]", "[{\"partition\":\"fargate\",\"jobs\":\"\"}]" };
	size_t i;

	for (i = 0; i < SF_COUNT(empty); i++) {
		struct js_fleet *fleet = fleet_of(empty[i]);

		ck_assert_ptr_nonnull(fleet);
		ck_assert_ptr_null(js_fleet_partition(fleet, "1"));
		js_fleet_free(fleet);
	}
}
END_TEST

static const char *const junk[] = {
	"[3]",
	"[{}]",
	"[{\"partition\":\"a\"}]",
	"[{\"jobs\":\"3\"}]",
	"[{\"partition\":\"a\",\"jobs\":\"x\"}]",
	"[{\"partition\":\"a\",\"jobs\":\"3-\"}]",
	"[{\"partition\":\"a\",\"jobs\":\"7-3\"}]",
	"[{\"partition\":\"a\",\"jobs\":\"3;4\"}]",
	"[{\"partition\":\"a\",\"jobs\":\"3 4\"}]",
	"[{\"partition\":\"a\",\"jobs\":\"99999999999\"}]",
	"[{\"partition\":\"a\",\"jobs\":7}]",
};

START_TEST(junk_is_no_fleet)
{
	ck_assert_ptr_null(fleet_of(junk[_i]));
}
END_TEST

/* 10,000 jobs, no two of them neighbours, fit into a frame. */
START_TEST(ten_thousand_jobs)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	struct js_fleet *fleet;
	char id[16];
	unsigned i;

	sf_buf_puts(&b, "[{\"partition\":\"fargate\",\"jobs\":\"");
	for (i = 0; i < 10000; i++)
		sf_buf_printf(&b, "%s%u", i ? "," : "", 4000000000u + 3 * i);
	sf_buf_puts(&b, "\"}]");
	ck_assert_uint_lt(b.len, 200 * 1024);
	fleet = fleet_of(b.data);
	for (i = 0; i < 30000; i++) {
		snprintf(id, sizeof(id), "%u", 4000000000u + i);
		ck_assert_msg(!js_fleet_partition(fleet, id) == (i % 3 != 0), "%s", id);
	}
	js_fleet_free(fleet);
}
END_TEST

/* Each row is an update that names one thing. */
#define FIXED                                                                                                                    \
	"fargate: CPUs, tasks, memory and disk of a Fargate job are fixed when it is submitted: cancel it and submit it again"
static const struct {
	const char *ids;
	struct js_job update;
	const char *text; /* NULL: passes */
} updates[] = {
	{"5", {0}, NULL},
	{"5", {.partition = "fargate"}, NULL},
	{"5",
	 {.partition = "spot"},
	 "fargate: a Fargate job cannot be moved from partition 'fargate' to another: cancel it and submit it again"},
	{"9",
	 {.partition = "local"},
	 "fargate: a Fargate job cannot be moved from partition 'spot' to another: cancel it and submit it again"},
	{"9",
	 {.partition = "spot,local"},
	 "fargate: a Fargate job cannot be moved from partition 'spot' to another: cancel it and submit it again"},
	{"100", {.partition = "local"}, NULL},
	{"100",
	 {.partition = "local,spot"},
	 "fargate: a job cannot be moved to partition 'spot': submit it again with sbatch --fargate"},
	{"100", {.resized = true, .min_nodes = 4, .gres = "gres:gpu:1", .exclusive = true, .features = "intel"}, NULL},
	{"5", {.resized = true}, FIXED},
	{"5", {.min_nodes = 1}, NULL},
	{"5", {.min_nodes = 2}, "fargate: a Fargate job runs on one node: remove -N or use -N 1 (2 nodes)"},
	{"12_[1-3]", {.gres = "gres:gpu:1"}, "fargate: Fargate has no generic resources: remove --gres and --gpus (gres:gpu:1)"},
	{"5",
	 {.exclusive = true},
	 "fargate: --exclusive would take a whole gateway, while a Fargate task has a machine of its own anyway: remove it"},
	{"5", {.req_nodes = "node1"}, "fargate: a Fargate job runs on none of the cluster's nodes: remove -w and -F (node1)"},
	{"5", {.features = "intel"}, "fargate: Fargate has none of the nodes' features: remove -C and --batch (intel)"},
	{"5", {.core_spec = true}, "fargate: Fargate keeps no cores for the system: remove -S and --thread-spec"},
	{"5", {.burst_buffer = "x"}, "fargate: Fargate has no burst buffers: remove --bb (x)"},
	{"5", {.reboot = true}, "fargate: --reboot would reboot a gateway: remove it"},
	{"5",
	 {.clusters = "other"},
	 "fargate: a Fargate job stays in the cluster it is submitted to: remove -M and --cluster-constraint (other)"},
	{"5", {.account = "any"}, NULL},
	{"9", {.account = "chem"}, NULL},
	{"9",
	 {.account = "any"},
	 "fargate: partition 'spot' is only for the accounts bio, chem, not for 'any': name one of them with -A"},
	{"9", {.privileged = true, .partition = "local", .resized = true, .account = "any"}, NULL},
	{"100", {.privileged = true, .partition = "spot"}, NULL},
	{"5", {.privileged = true, .exclusive = true}, NULL},
	{"5", {.name = "new", .qos = "high"}, NULL},
};

START_TEST(updates_are_judged)
{
	struct js_fleet *fleet = fleet_of(FLEET);
	struct js_world w = world_of(conf = parse(LINE("fargate", "Default=YES") LINE("spot", "AllowAccounts=bio,chem")));

	w.fleet = fleet;
	js_check_update(&updates[_i].update, updates[_i].ids, &w, &out);
	ck_assert_str_eq(out.text, updates[_i].text ? updates[_i].text : "");
	ck_assert_int_eq(out.verdict, updates[_i].text ? JS_REFUSE : JS_PASS);
	js_fleet_free(fleet);
	sf_conf_free(conf);
}
END_TEST

/* No conf, or an agent that never answered: nothing is known of a job, and only the way onto a gateway stays shut. */
START_TEST(updates_of_the_unknown)
{
	const struct js_job wide = { .min_nodes = 2 }, in = { .partition = "spot" };
	struct js_world w = world_of(conf = parse(CONF));

	js_check_update(&wide, "5", &w, &out);
	ck_assert_int_eq(out.verdict, JS_PASS);
	js_check_update(&in, "5", &w, &out);
	ck_assert_str_eq(out.text, "fargate: a job cannot be moved to partition 'spot': submit it again with sbatch --fargate");
	w.conf = NULL;
	js_check_update(&in, "5", &w, &out);
	ck_assert_int_eq(out.verdict, JS_PASS);
	sf_conf_free(conf);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ jobs_are_found, SF_COUNT(lookups) },
		{ nobody_on_fargate, 0 },
		{ junk_is_no_fleet, SF_COUNT(junk) },
		{ ten_thousand_jobs, 0 },
		{ updates_are_judged, SF_COUNT(updates) },
		{ updates_of_the_unknown, 0 },
	};

	return tap_main("job_submit_update", tests, SF_COUNT(tests));
}
