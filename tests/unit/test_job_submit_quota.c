/* Unit tests of the vCPU quota at submission: every sentence, the provider chosen, and the licenses. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/job_submit/fleet.h"
#include "tests/unit/job_submit_plain.h"

#define PLACE " Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 "
#define GATE "License=fg SpotLicense=fg_spot\n"
#define ONE "PartitionName=fargate Default=YES" PLACE "\n"
#define TWO ONE "PartitionName=spot" PLACE "Providers=FARGATE_SPOT,FARGATE\n"
/* Like TWO, but the second partition is not for everybody. */
#define SHUT(key) ONE "PartitionName=spot" PLACE "Providers=FARGATE_SPOT " key "\n"

#define OD(more) "{\"partitions\":[\"fargate\",\"spot\"],\"provider\":\"FARGATE\",\"region\":\"eu-west-1\"" more "}"
#define SPOT(more) "{\"partitions\":[\"spot\"],\"provider\":\"FARGATE_SPOT\",\"region\":\"eu-west-1\"" more "}"
#define KNOWN(limit, free) ",\"limit\":" #limit ",\"free\":" #free ",\"age\":3"

#define OD_NAME "the Fargate On-Demand quota L-3032A538 in eu-west-1"
#define SPOT_NAME "the Fargate Spot quota L-36FBB829 in eu-west-1"
#define AGAIN "): the job is taken, and the quota is checked again before RunTask"
#define UNTIL "; ask AWS to raise it "

/* One job each: `cpus` by -c in `partition`. Taken unless the text says "needs" and a cure. */
static const struct {
	const char *conf, *quotas, *partition;
	uint32_t cpus;
	enum sf_spot spot;
	enum js_verdict verdict;
	const char *licenses; /* of the taken */
	const char *text;
} submissions[] = {
	/* fits, in the last free quarter */
	{ GATE ONE, "[" OD(KNOWN(24, 16)) "]", NULL, 4, 0, JS_OFFLOAD, "fg:16", "" },
	{ ONE, "[" OD(KNOWN(24, 16)) "]", NULL, 4, 0, JS_OFFLOAD, NULL, "" },
	{ GATE ONE, "[" OD(",\"limit\":24,\"age\":3") "]", NULL, 4, 0, JS_OFFLOAD, "fg:16", "" },
	/* larger than the limit */
	{ GATE ONE, "[" OD(KNOWN(24, 16)) "]", NULL, 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " OD_NAME " is 6" UNTIL "or use fewer CPUs (-c)" },
	{ GATE ONE, "[" OD(KNOWN(7, 7)) "]", NULL, 2, 0, JS_REFUSE, NULL,
	  "fargate: job needs 2 vCPU, " OD_NAME " is 1.75" UNTIL "or use fewer CPUs (-c)" },
	{ GATE ONE, "[" OD(KNOWN(0, 0)) "]", NULL, 1, 0, JS_REFUSE, NULL,
	  "fargate: job needs 1 vCPU, " OD_NAME " is 0; ask AWS to raise it" },
	{ "ReserveVcpu=3\n" GATE ONE, "[" OD(KNOWN(24, 12)) "]", NULL, 4, 0, JS_REFUSE, NULL,
	  "fargate: job needs 4 vCPU, " OD_NAME " is 6, of which ReserveVcpu=3 is not to be used" UNTIL
	  "or use fewer CPUs (-c)" },
	{ "ReserveVcpu=2\n" GATE ONE, "[" OD(KNOWN(24, 16)) "]", NULL, 4, 0, JS_OFFLOAD, "fg:16", "" },
	/* Spot in another partition would do, where the user may go */
	{ GATE TWO, "[" OD(KNOWN(24, 16)) "," SPOT(KNOWN(128, 0)) "]", NULL, 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " OD_NAME " is 6; ask AWS to raise it, use fewer CPUs (-c), or --fargate-spot (quota 32) "
	  "with -p spot" },
	{ GATE TWO, "[" OD(KNOWN(0, 0)) "," SPOT(KNOWN(128, 0)) "]", NULL, 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " OD_NAME " is 0; ask AWS to raise it or --fargate-spot (quota 32) with -p spot" },
	{ GATE TWO, "[" OD(KNOWN(24, 16)) "," SPOT(KNOWN(63, 63)) "]", NULL, 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " OD_NAME " is 6" UNTIL "or use fewer CPUs (-c)" },
	{ GATE TWO, "[" OD(KNOWN(24, 16)) "," SPOT(",\"age\":1000") "]", NULL, 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " OD_NAME " is 6" UNTIL "or use fewer CPUs (-c)" },
	{ GATE SHUT("AllowGroups=bio"), "[" OD(KNOWN(24, 16)) "," SPOT(KNOWN(128, 0)) "]", NULL, 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " OD_NAME " is 6" UNTIL "or use fewer CPUs (-c)" },
	{ GATE SHUT("MaxVcpu=8"), "[" OD(KNOWN(24, 16)) "," SPOT(KNOWN(128, 0)) "]", NULL, 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " OD_NAME " is 6" UNTIL "or use fewer CPUs (-c)" },
	/* the ladder: refused only when no provider's limit fits, and the license is that of the first that may */
	{ GATE TWO, "[" OD(KNOWN(24, 24)) "," SPOT(KNOWN(64, 64)) "]", "spot", 4, 0, JS_OFFLOAD, "fg_spot:16", "" },
	{ GATE TWO, "[" OD(KNOWN(24, 24)) "," SPOT(KNOWN(12, 12)) "]", "spot", 4, 0, JS_OFFLOAD, "fg:16",
	  "fargate: job needs 4 vCPU, " SPOT_NAME " is 3: only On-Demand remains" },
	{ GATE TWO, "[" SPOT(KNOWN(12, 12)) "]", "spot", 4, 0, JS_OFFLOAD, "fg:16",
	  "fargate: job needs 4 vCPU, " SPOT_NAME " is 3: only On-Demand remains\n"
	  "fargate: the Fargate On-Demand quota L-3032A538 is not known (the agent has not read it yet" AGAIN },
	{ GATE TWO, "[" OD(KNOWN(12, 12)) "]", "spot", 4, 0, JS_OFFLOAD, "fg_spot:16",
	  "fargate: the Fargate Spot quota L-36FBB829 is not known (the agent has not read it yet" AGAIN },
	{ GATE TWO, "[" OD(KNOWN(24, 24)) "," SPOT(KNOWN(12, 12)) "]", "spot", 16, 0, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " SPOT_NAME " is 3, the On-Demand quota L-3032A538 is 6; ask AWS to raise one of them or "
	  "use fewer CPUs (-c)" },
	{ GATE TWO, "[" OD(KNOWN(64, 24)) "," SPOT(KNOWN(12, 12)) "]", "spot", 16, SF_SPOT_ONLY, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " SPOT_NAME " is 3; ask AWS to raise it, use fewer CPUs (-c), or no --fargate-spot=only "
	  "(On-Demand quota 16)" },
	{ GATE TWO, "[" OD(KNOWN(63, 24)) "," SPOT(KNOWN(12, 12)) "]", "spot", 16, SF_SPOT_ONLY, JS_REFUSE, NULL,
	  "fargate: job needs 16 vCPU, " SPOT_NAME " is 3" UNTIL "or use fewer CPUs (-c)" },
	{ GATE TWO, "[" OD(KNOWN(64, 64)) "," SPOT(KNOWN(12, 12)) "]", "spot", 4, SF_SPOT_PREFER, JS_OFFLOAD, "fg:16",
	  "fargate: job needs 4 vCPU, " SPOT_NAME " is 3: only On-Demand remains" },
	/* not free now */
	{ GATE ONE, "[" OD(KNOWN(24, 15)) "]", NULL, 4, 0, JS_OFFLOAD, "fg:16",
	  "fargate: job needs 4 vCPU, " OD_NAME " is 6, and 3.75 are free now: the job will wait" },
	{ ONE, "[" OD(KNOWN(24, 0)) "]", NULL, 4, 0, JS_OFFLOAD, NULL,
	  "fargate: job needs 4 vCPU, " OD_NAME " is 6, and 0 are free now: the job will wait" },
	/* not known */
	{ GATE ONE, "[]", NULL, 16, 0, JS_OFFLOAD, "fg:64",
	  "fargate: the Fargate On-Demand quota L-3032A538 is not known (the agent has not read it yet" AGAIN },
	{ "Region=us-east-1\n" GATE ONE, "[]", NULL, 16, 0, JS_OFFLOAD, "fg:64",
	  "fargate: the Fargate On-Demand quota L-3032A538 in us-east-1 is not known (the agent has not read it yet" AGAIN },
	{ GATE ONE, "[" OD(",\"why\":\"AccessDeniedException: no\\u001b[31m\"") "]", NULL, 16, 0, JS_OFFLOAD, "fg:64",
	  "fargate: " OD_NAME " is not known (AccessDeniedException: no?[31m" AGAIN },
	{ GATE ONE, "[" OD(",\"age\":901") "]", NULL, 16, 0, JS_OFFLOAD, "fg:64",
	  "fargate: " OD_NAME " is not known (last read 901 s ago, QuotaMaxAge=900" AGAIN },
	{ GATE ONE, "[" OD(",\"age\":5000,\"why\":\"timed out\"") "]", NULL, 16, 0, JS_OFFLOAD, "fg:64",
	  "fargate: " OD_NAME " is not known (last read 5000 s ago, QuotaMaxAge=900: timed out" AGAIN },
	/* a number the agent should not have sent any more is none */
	{ GATE ONE, "[" OD(",\"limit\":1,\"free\":1,\"age\":901") "]", NULL, 16, 0, JS_OFFLOAD, "fg:64",
	  "fargate: " OD_NAME " is not known (last read 901 s ago, QuotaMaxAge=900" AGAIN },
};

static void submit(struct js_job *job, const char *conf_text, const char *quotas, enum sf_spot spot, struct js_quotas **parsed)
{
	const struct sf_options o = { .spot = spot };
	char *packed = sf_options_encode(&o);
	struct js_world w = world_of(conf = parse(conf_text));

	w.quotas = *parsed = quotas_of(quotas);
	ck_assert_ptr_nonnull(w.quotas);
	job->packed = packed;
	js_check(job, &w, &out);
	free(packed);
}

static void done(struct js_quotas *quotas)
{
	js_outcome_free(&out);
	js_quotas_free(quotas);
	sf_conf_free(conf);
}

START_TEST(every_sentence)
{
	struct js_job j = plain();
	struct js_quotas *quotas;

	j.partition = submissions[_i].partition;
	j.cpus_per_task = submissions[_i].cpus;
	submit(&j, submissions[_i].conf, submissions[_i].quotas, submissions[_i].spot, &quotas);
	ck_assert_str_eq(out.text, submissions[_i].text);
	ck_assert_int_eq(out.verdict, submissions[_i].verdict);
	if (submissions[_i].verdict == JS_REFUSE)
		ck_assert_int_eq(out.why, JS_WHY_SIZE);
	if (submissions[_i].licenses)
		ck_assert_str_eq(out.licenses, submissions[_i].licenses);
	else
		ck_assert_ptr_null(out.licenses);
	done(quotas);
}
END_TEST

/* The AdminComment of the first hour shows the provider that the license is of. */
START_TEST(the_comment_names_the_provider)
{
	struct js_job j = plain();
	struct js_quotas *quotas;

	j.partition = "spot";
	j.cpus_per_task = 4;
	submit(&j, GATE TWO, "[" OD(KNOWN(24, 24)) "," SPOT(KNOWN(12, 12)) "]", SF_SPOT_DEFAULT, &quotas);
	ck_assert_str_eq(out.comment, "fargate: submitted - 4vCPU/8GB FARGATE -");
	done(quotas);
}
END_TEST

#define ARRAY(all, n) \
	"fargate: the array needs " all " vCPU (" n " tasks of 2), " OD_NAME " is 6: some tasks will wait for others"

static const struct {
	const char *array;
	const char *text;
} arrays[] = {
	{ "1-3", "" },
	{ "1-4", ARRAY("8", "4") },
	{ "1-100%3", "" },
	{ "1-100%4", ARRAY("8", "4") },
	{ "1-4%100", ARRAY("8", "4") },
	{ "1-4%0", ARRAY("8", "4") },
	{ "0-4294967294", ARRAY("8589934590", "4294967295") },
	{ "x", "" }, /* slurmctld's to refuse */
};

START_TEST(arrays_are_judged_by_one_element)
{
	struct js_job j = plain();
	struct js_quotas *quotas;

	j.array = arrays[_i].array;
	j.cpus_per_task = 2;
	submit(&j, GATE ONE, "[" OD(KNOWN(24, 24)) "]", SF_SPOT_DEFAULT, &quotas);
	ck_assert_str_eq(out.text, arrays[_i].text);
	ck_assert_int_eq(out.verdict, JS_OFFLOAD);
	ck_assert_str_eq(out.licenses, "fg:8");
	done(quotas);
}
END_TEST

/* What the user is told to ask less of is what made the job large. */
static const struct {
	struct sf_options options;
	struct js_job more;
	const char *cure;
} cures[] = {
	{ { 0 }, { .cpus_per_task = 4 }, "use fewer CPUs (-c)" },
	{ { 0 }, { .num_tasks = 4 }, "use fewer CPUs (-n)" },
	{ { 0 }, { .num_tasks = 2, .cpus_per_task = 2 }, "use fewer CPUs (-c)" },
	{ { 0 }, { .min_cpus = 4 }, "use fewer CPUs (-c)" },
	{ { 0 }, { .cpus_per_task = 1 }, "use fewer CPUs (--fargate-cpu)" },
	{ { .cpu_units = 4096 }, { .cpus_per_task = 8 }, "use fewer CPUs (--fargate-cpu)" },
	{ { 0 }, { .mem_mib = 20480 }, "use less memory (--mem)" },
	{ { 0 }, { .mem_mib = 10240, .mem_per_cpu = true, .num_tasks = 2 }, "use less memory (--mem-per-cpu)" },
	{ { .mem_mib = 20480 }, { .mem_mib = 1 }, "use less memory (--fargate-mem)" },
	{ { .cpu_units = 256 }, { .mem_mib = 20480 }, "use less memory (--mem)" },
};

START_TEST(the_cure_is_what_made_it_large)
{
	struct js_world w = world_of(conf = parse(ONE));
	char *packed = sf_options_encode(&cures[_i].options), expected[256];
	struct js_quotas *quotas = quotas_of("[" OD(KNOWN(2, 2)) "]");
	struct js_job j = cures[_i].more;

	j.script = "#!/bin/sh\n";
	j.packed = packed;
	w.quotas = quotas;
	js_check(&j, &w, &out);
	snprintf(expected, sizeof(expected), "is 0.5; ask AWS to raise it or %s", cures[_i].cure);
	ck_assert_msg(strstr(out.text, expected), "%s", out.text);
	free(packed);
	done(quotas);
}
END_TEST

/* A number counts as long as QuotaMaxAge= says, whatever time it spent where. */
START_TEST(age_adds_up)
{
	struct js_world w = world_of(conf = parse(ONE));
	struct js_quotas *quotas = quotas_of("[" OD(KNOWN(24, 0)) "]");
	struct js_job j = plain();

	w.quotas = quotas;
	w.quotas_age = 897;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_str_eq(out.text, "fargate: job needs 1 vCPU, " OD_NAME " is 6, and 0 are free now: the job will wait");
	js_outcome_free(&out);
	w.quotas_age = 898;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_str_eq(out.text, "fargate: " OD_NAME " is not known (last read 901 s ago, QuotaMaxAge=900" AGAIN);
	js_outcome_free(&out);
	/* What is known of an agent that is away is not known now, and that is one line. */
	w.quotas_age = 5;
	w.agent = JS_AGENT_DEAD;
	decide(&j, &w, 8192, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_OFFLOAD);
	ck_assert_str_eq(out.text, "fargate: the agent does not answer; the job will wait, and its vCPU quota, not known now, is "
				   "checked again before RunTask");
	js_outcome_free(&out);
	w.agent = JS_AGENT_UNKNOWN;
	w.quotas = NULL;
	decide(&j, &w, 8192, 0, NULL);
	ck_assert_str_eq(out.text,
			 "fargate: the Fargate On-Demand quota L-3032A538 is not known (the agent has not read it yet" AGAIN);
	done(quotas);
}
END_TEST

static const struct {
	const char *asked;
	const char *licenses; /* NULL: refused */
} wishes[] = {
	{ NULL, "fg:4" },
	{ "", "fg:4" },
	{ "matlab", "matlab,fg:4" },
	{ "matlab:2,ansys@server:3", "matlab:2,ansys@server:3,fg:4" },
	{ "fg2:2", "fg2:2,fg:4" },
	{ "xfg", "xfg,fg:4" },
	{ "FG", "FG,fg:4" },
	{ "fg_spot2", "fg_spot2,fg:4" },
	{ "matlab:2;ansys", "matlab:2;ansys,fg:4" },
	{ "fg", NULL },
	{ "fg:4", NULL },
	{ "fg*4", NULL },
	{ "fg=4", NULL },
	{ "matlab,fg:1", NULL },
	{ "matlab;fg", NULL },
	{ "fg:1,matlab", NULL },
	{ ",,fg", NULL },
};

START_TEST(licenses_beside_the_users_own)
{
	struct js_job j = plain();
	struct js_quotas *quotas;

	j.licenses = wishes[_i].asked;
	submit(&j, GATE ONE, "[" OD(KNOWN(24, 24)) "]", SF_SPOT_DEFAULT, &quotas);
	if (wishes[_i].licenses) {
		ck_assert_msg(out.verdict == JS_OFFLOAD, "%s", out.text);
		ck_assert_str_eq(out.licenses, wishes[_i].licenses);
	} else {
		ck_assert_int_eq(out.why, JS_WHY_LICENSE);
		ck_assert_str_eq(out.text,
				 "fargate: license 'fg' is added by --fargate itself, in the right number: remove it from -L");
	}
	done(quotas);
}
END_TEST

/* A job that is none of ours would take vCPUs from those that are. */
START_TEST(licenses_of_other_jobs)
{
	struct js_world w = world_of(conf = parse(GATE TWO));
	struct js_job j = plain();

	j.partition = "local";
	j.licenses = "matlab,fg_spot:99";
	js_check(&j, &w, &out);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_str_eq(out.text, "fargate: license 'fg_spot' stands for the vCPUs of --fargate jobs, and this is none: remove it "
				   "from -L");
	j.privileged = true;
	js_check(&j, &w, &out);
	ck_assert_int_eq(out.verdict, JS_PASS);
	j.privileged = false;
	j.licenses = "matlab";
	js_check(&j, &w, &out);
	ck_assert_int_eq(out.verdict, JS_PASS);
	sf_conf_free(conf);
}
END_TEST

static const char *const junk[] = {
	"[7]",
	"[{}]",
	"[{\"partitions\":[\"fargate\"]}]",
	"[{\"partitions\":\"fargate\",\"provider\":\"FARGATE\"}]",
	"[{\"partitions\":[1],\"provider\":\"FARGATE\"}]",
	"[{\"partitions\":[\"fargate\"],\"provider\":1}]",
	"[" OD(",\"limit\":\"6\",\"age\":3") "]",
	"[" OD(",\"limit\":6.5,\"age\":3") "]",
	"[" OD(",\"limit\":-1,\"age\":3") "]",
	"[" OD(",\"limit\":4000000001,\"age\":3") "]",
	"[" OD(",\"limit\":6") "]",
	"[" OD(",\"limit\":6,\"age\":-1") "]",
	"[" OD(",\"limit\":6,\"age\":2147483648") "]",
	"[" OD(",\"free\":6,\"age\":3") "]",
	"[" OD(",\"limit\":6,\"age\":3,\"free\":true") "]",
	"[" OD(",\"why\":3") "]",
	"[" OD(KNOWN(24, 24)) ",null]",
};

/* One lie, and nothing of it is believed. */
START_TEST(junk_is_no_quota)
{
	ck_assert_ptr_null(quotas_of(junk[_i]));
}
END_TEST

START_TEST(hard_bounds)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	struct js_quotas *quotas;
	const struct js_quota *q;
	unsigned i;

	sf_buf_puts(&b, "[{\"partitions\":[\"spot\"],\"provider\":\"FARGATE\"" KNOWN(4000000000, 0) ",\"why\":\"");
	for (i = 0; i < 100; i++)
		sf_buf_puts(&b, "\xe2\x82\xac");
	sf_buf_puts(&b, "\"}]");
	quotas = quotas_of(b.data);
	ck_assert_ptr_nonnull(quotas);
	q = js_quotas_find(quotas, "spot", "FARGATE");
	ck_assert_ptr_nonnull(q);
	ck_assert_int_eq(q->limit, 4000000000);
	ck_assert_uint_le(strlen(q->why), 200);
	ck_assert(sf_utf8_valid(q->why, strlen(q->why)));
	ck_assert_ptr_null(js_quotas_find(quotas, "spot", "FARGATE_SPOT"));
	ck_assert_ptr_null(js_quotas_find(quotas, "other", "FARGATE"));
	ck_assert_ptr_null(js_quotas_find(NULL, "spot", "FARGATE"));
	js_quotas_free(quotas);
	sf_buf_free(&b);
	sf_buf_puts(&b, "[" OD());
	for (i = 0; i < 4096; i++)
		sf_buf_puts(&b, "," OD());
	sf_buf_puts(&b, "]");
	ck_assert_ptr_null(quotas_of(b.data));
}
END_TEST

/* What users do with `scontrol update`. */
static const struct {
	const char *partition; /* of the job, NULL = none of ours */
	const char *licenses;
	const char *text; /* NULL: passes */
} updates[] = {
	{ "fargate", NULL, NULL },
	{ "fargate", "", "fargate: the licenses of a Fargate job are fixed when it is submitted: cancel it and submit it again" },
	{ "fargate", "matlab",
	  "fargate: the licenses of a Fargate job are fixed when it is submitted: cancel it and submit it again" },
	{ "fargate", "fg:1", "fargate: the licenses of a Fargate job are fixed when it is submitted: cancel it and submit it again" },
	{ "free", "matlab", NULL },
	{ "free", "", NULL },
	{ "free", "fg", "fargate: license 'fg' is set when a --fargate job is submitted: an update cannot name it" },
	{ NULL, "matlab", NULL },
	{ NULL, "", NULL },
	{ NULL, "a,fg_spot:3", "fargate: license 'fg_spot' is set when a --fargate job is submitted: an update cannot name it" },
};

START_TEST(updates_leave_the_licenses)
{
	struct js_world w = world_of(conf = parse(ONE "PartitionName=free" PLACE "\n"));
	struct js_job update = { .licenses = updates[_i].licenses };
	sf_auto_json sf_json *json = NULL;
	struct sf_error err = { "" };
	struct js_fleet *fleet;
	char text[128];

	/* The first line alone has licenses. */
	conf->lines[0].license = strdup("fg");
	conf->lines[0].spot_license = strdup("fg_spot");
	snprintf(text, sizeof(text), "[{\"partition\":\"%s\",\"jobs\":\"5\"}]", updates[_i].partition ? updates[_i].partition : "");
	ck_assert_int_eq(sf_json_parse(text, strlen(text), &json, &err), 0);
	fleet = js_fleet_parse(json);
	w.fleet = fleet;
	js_check_update(&update, updates[_i].partition ? "5" : "6", &w, &out);
	ck_assert_str_eq(out.text, updates[_i].text ? updates[_i].text : "");
	ck_assert_int_eq(out.verdict, updates[_i].text ? JS_REFUSE : JS_PASS);
	update.privileged = true;
	js_check_update(&update, "5", &w, &out);
	ck_assert_int_eq(out.verdict, JS_PASS);
	js_fleet_free(fleet);
	sf_conf_free(conf);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ every_sentence, SF_COUNT(submissions) },
		{ the_comment_names_the_provider, 0 },
		{ arrays_are_judged_by_one_element, SF_COUNT(arrays) },
		{ the_cure_is_what_made_it_large, SF_COUNT(cures) },
		{ age_adds_up, 0 },
		{ licenses_beside_the_users_own, SF_COUNT(wishes) },
		{ licenses_of_other_jobs, 0 },
		{ junk_is_no_quota, SF_COUNT(junk) },
		{ hard_bounds, 0 },
		{ updates_leave_the_licenses, SF_COUNT(updates) },
	};

	return tap_main("job_submit_quota", tests, SF_COUNT(tests));
}
