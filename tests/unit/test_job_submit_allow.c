/* Unit tests of the rights: AllowGroups with a name service of the test's own, AllowAccounts, TaskDefinitions, Providers. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <grp.h>
#include <pwd.h>

#include "common/base/log.h"
#include "plugin/job_submit/groups.h"
#include "tests/unit/job_submit_plain.h"

/* The name service: libc's own functions are not asked. */
static int broken;      /* errno it answers with */
static bool bio_known = true;
static size_t large;    /* bytes the answer for "bio" needs beyond the usual */

int getgrnam_r(const char *name, struct group *g, char *memory, size_t size, struct group **found)
{
	static char *bio[] = { (char *)"alice", (char *)"ghost", (char *)"bob", NULL }, *nobody[] = { NULL };

	(void)memory;
	*found = NULL;
	if (broken)
		return broken;
	if (!strcmp(name, "bio") && bio_known) {
		if (size < large)
			return ERANGE;
		*g = (struct group){ .gr_gid = 2001, .gr_mem = bio };
		*found = g;
	} else if (!strcmp(name, "empty")) {
		*g = (struct group){ .gr_gid = 2002, .gr_mem = nobody };
		*found = g;
	}
	return 0;
}

int getpwnam_r(const char *name, struct passwd *p, char *memory, size_t size, struct passwd **found)
{
	(void)memory, (void)size;
	*p = (struct passwd){ .pw_uid = !strcmp(name, "alice") ? 1001 : 1002 };
	*found = strcmp(name, "ghost") ? p : NULL;
	return 0;
}

static char logged[512];
static unsigned lines;

static void to_test(enum sf_log_level level, const char *line)
{
	(void)level;
	sf_copy(logged, sizeof(logged), line);
	lines++;
}

static struct js_groups *groups;

static struct js_groups *resolve(const char *list, const struct js_groups *before, bool *again)
{
	char text[512];
	struct js_groups *g;

	snprintf(text, sizeof(text), LINE("fargate", "Default=YES") LINE("spot", "AllowGroups=%s"), list);
	conf = parse(text);
	lines = 0;
	sf_log_to(to_test);
	g = js_groups_resolve(conf, before, again);
	ck_assert_ptr_nonnull(g);
	return g;
}

static const struct {
	const char *list;
	uid_t uid;
	gid_t gid;
	bool member;
} members[] = {
	{ "bio", 1001, 100, true },
	{ "bio", 1002, 100, true },
	{ "bio", 1003, 100, false },
	{ "bio", 1003, 2001, true },
	{ "empty", 1001, 100, false },
	{ "empty", 1001, 2002, true },
	{ "empty,bio", 1001, 100, true },
	{ "unknown", 1001, 0, false },
	{ "unknown,bio", 1001, 0, true },
};

START_TEST(membership)
{
	bool again;

	groups = resolve(members[_i].list, NULL, &again);
	ck_assert(!again);
	ck_assert_int_eq(js_groups_has(groups, conf->lines[1].allow_groups, members[_i].uid, members[_i].gid),
			 members[_i].member);
	js_groups_free(groups);
	sf_conf_free(conf);
}
END_TEST

START_TEST(an_unknown_group_is_said_once)
{
	struct js_groups *second, *third;
	bool again;

	groups = resolve("unknown,bio", NULL, &again);
	ck_assert_uint_eq(lines, 1);
	ck_assert_str_eq(logged, "job_submit/fargate: AllowGroups: the name service knows no group 'unknown': nobody is in it");
	sf_conf_free(conf);
	second = resolve("unknown,bio", groups, &again);
	ck_assert_uint_eq(lines, 0);
	sf_conf_free(conf);
	/* One that goes away later is said, and its members are out. */
	bio_known = false;
	third = resolve("unknown,bio", second, &again);
	ck_assert_uint_eq(lines, 1);
	ck_assert(!js_groups_has(third, conf->lines[1].allow_groups, 1001, 2001));
	sf_conf_free(conf);
	js_groups_free(groups);
	js_groups_free(second);
	js_groups_free(third);
}
END_TEST

START_TEST(a_broken_name_service_keeps_what_was_known)
{
	struct js_groups *second;
	bool again;

	groups = resolve("bio", NULL, &again);
	sf_conf_free(conf);
	broken = EIO;
	second = resolve("bio", groups, &again);
	ck_assert(again);
	ck_assert_uint_eq(lines, 1);
	ck_assert_str_eq(logged,
			 "job_submit/fargate: AllowGroups: group 'bio' cannot be looked up now: the members of before count");
	ck_assert(!js_groups_unsure(second, conf->lines[1].allow_groups));
	ck_assert(js_groups_has(second, conf->lines[1].allow_groups, 1001, 100));
	ck_assert(js_groups_has(second, conf->lines[1].allow_groups, 1003, 2001));
	ck_assert(!js_groups_has(second, conf->lines[1].allow_groups, 1003, 100));
	sf_conf_free(conf);
	js_groups_free(groups);
	/* Never answered: nobody, but not for long. */
	groups = resolve("bio", NULL, &again);
	ck_assert(again);
	ck_assert_str_eq(logged,
			 "job_submit/fargate: AllowGroups: group 'bio' cannot be looked up now: nobody is in it until it can");
	ck_assert(!js_groups_has(groups, conf->lines[1].allow_groups, 1001, 2001));
	ck_assert(js_groups_unsure(groups, conf->lines[1].allow_groups));
	sf_conf_free(conf);
	js_groups_free(second);
	/* Said once, and an answer that knows no such group is said after all. */
	second = resolve("bio", groups, &again);
	ck_assert_uint_eq(lines, 0);
	sf_conf_free(conf);
	js_groups_free(groups);
	broken = 0;
	bio_known = false;
	groups = resolve("bio", second, &again);
	ck_assert(!again);
	ck_assert_uint_eq(lines, 1);
	ck_assert(!js_groups_unsure(groups, conf->lines[1].allow_groups));
	sf_conf_free(conf);
	js_groups_free(groups);
	js_groups_free(second);
}
END_TEST

START_TEST(a_large_group_gets_more_memory)
{
	bool again;

	large = 1024 * 1024;
	groups = resolve("bio", NULL, &again);
	ck_assert(!again && js_groups_has(groups, conf->lines[1].allow_groups, 1001, 100));
	sf_conf_free(conf);
	js_groups_free(groups);
	large = SIZE_MAX;
	groups = resolve("bio", NULL, &again);
	ck_assert(again);
	sf_conf_free(conf);
	js_groups_free(groups);
}
END_TEST

START_TEST(submissions_by_group)
{
	static const char refusal[] =
		"fargate: partition 'spot' is only for the groups bio, empty: choose another partition with -p or ask "
		"your administrator";
	struct js_job j = plain();
	struct js_world w;
	bool again;

	groups = resolve("bio,empty", NULL, &again);
	w = world_of(conf);
	j.partition = "spot";
	j.uid = 1001;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_str_eq(out.text, "fargate: the groups of partition 'spot' are still being looked up: try again in a moment");
	w.groups = groups;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_msg(out.verdict == JS_OFFLOAD, "%s", out.text);
	js_outcome_free(&out);
	j.uid = 1003;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.why, JS_WHY_RIGHTS);
	ck_assert_str_eq(out.text, refusal);
	/* Elsewhere he may. */
	j.partition = "fargate";
	decide(&j, &w, 0, 0, NULL);
	ck_assert_msg(out.verdict == JS_OFFLOAD, "%s", out.text);
	js_outcome_free(&out);
	j.partition = "spot";
	j.privileged = true;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_msg(out.verdict == JS_OFFLOAD, "%s", out.text);
	js_outcome_free(&out);
	sf_conf_free(conf);
	js_groups_free(groups);
}
END_TEST

static const struct {
	const char *account;
	const char *text; /* NULL: taken */
} accounts[] = {
	{"bio", NULL},
	{"chem", NULL},
	{NULL, NULL}, /* the default account: judged by the agent */
	{"Bio", "fargate: partition 'spot' is only for the accounts bio, chem, not for 'Bio': name one of them with -A"},
	{"x\033[31m", "fargate: partition 'spot' is only for the accounts bio, chem, not for 'x?[31m': name one of them with -A"},
};

START_TEST(submissions_by_account)
{
	struct js_world w = world_of(conf = parse(LINE("fargate", "Default=YES") LINE("spot", "AllowAccounts=bio,chem")));
	struct js_job j = plain();

	j.partition = "spot";
	j.account = accounts[_i].account;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, accounts[_i].text ? JS_REFUSE : JS_OFFLOAD);
	ck_assert_str_eq(out.text, accounts[_i].text ? accounts[_i].text : "");
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

static const struct {
	const char *partition, *wish;
	const char *in_spec; /* NULL: the line's own */
	const char *text;
} definitions[] = {
	{"fargate", "slurm-job", NULL, NULL},
	{"fargate", "slurm-job:3", NULL,
	 "fargate: --fargate-task-definition=slurm-job:3: partition 'fargate' allows only slurm-job"},
	{"fargate", "admin", NULL, "fargate: --fargate-task-definition=admin: partition 'fargate' allows only slurm-job"},
	{"spot", "slurm-job", NULL, NULL},
	{"spot", "bio-1", "bio-1", NULL},
	{"spot", "bio-1:7", "bio-1:7", NULL},
	{"spot", "chem:2", "chem:2", NULL},
	{"spot", "chem", NULL, "fargate: --fargate-task-definition=chem: partition 'spot' allows only slurm-job, bio-*, chem:2"},
	{"spot", "bio", NULL, "fargate: --fargate-task-definition=bio: partition 'spot' allows only slurm-job, bio-*, chem:2"},
};

START_TEST(choice_of_definition)
{
	struct js_world w = world_of(conf = parse(LINE("fargate", "Default=YES") LINE("spot", "TaskDefinitions=bio-*,chem:2")));
	const struct sf_options o = { .task_definition = (char *)definitions[_i].wish };
	char *packed = sf_options_encode(&o);
	struct js_job j = plain();

	j.partition = definitions[_i].partition;
	j.packed = packed;
	js_check(&j, &w, &out);
	ck_assert_str_eq(out.text, definitions[_i].text ? definitions[_i].text : "");
	ck_assert_int_eq(out.verdict, definitions[_i].text ? JS_REFUSE : JS_OFFLOAD);
	if (definitions[_i].in_spec)
		ck_assert_str_eq(out.spec.task_definition, definitions[_i].in_spec);
	else
		ck_assert_ptr_null(out.spec.task_definition);
	js_outcome_free(&out);
	free(packed);
	sf_conf_free(conf);
}
END_TEST

#define PLACE " Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1"
#define BOTH \
	"PartitionName=fargate Default=YES" PLACE "\nPartitionName=spot Providers=FARGATE_SPOT" PLACE \
	"\nPartitionName=mixed Providers=FARGATE,FARGATE_SPOT" PLACE "\n"
#define WITHOUT "PartitionName=fargate Default=YES" PLACE "\nPartitionName=other" PLACE "\n"

static const struct {
	const char *lines, *partition;
	enum sf_spot spot;
	const char *provider; /* of the first AdminComment */
	const char *text;     /* NULL: taken */
} spots[] = {
	{BOTH, NULL, SF_SPOT_DEFAULT, "FARGATE", NULL},
	{BOTH, "spot", SF_SPOT_DEFAULT, "FARGATE_SPOT", NULL},
	{BOTH, "spot", SF_SPOT_PREFER, "FARGATE_SPOT", NULL},
	{BOTH, "spot", SF_SPOT_ONLY, "FARGATE_SPOT", NULL},
	{BOTH, "mixed", SF_SPOT_DEFAULT, "FARGATE", NULL},
	{BOTH, "mixed", SF_SPOT_PREFER, "FARGATE_SPOT", NULL},
	{BOTH, "mixed", SF_SPOT_ONLY, "FARGATE_SPOT", NULL},
	{BOTH, NULL, SF_SPOT_PREFER, NULL,
	 "fargate: partition 'fargate' has no Fargate Spot: remove --fargate-spot or use a partition that has it (spot, mixed)"},
	{BOTH, "fargate", SF_SPOT_ONLY, NULL,
	 "fargate: partition 'fargate' has no Fargate Spot: remove --fargate-spot or use a partition that has it (spot, mixed)"},
	{WITHOUT, "other", SF_SPOT_PREFER, NULL,
	 "fargate: partition 'other' has no Fargate Spot: remove --fargate-spot (no partition has it)"},
};

START_TEST(choice_of_spot)
{
	struct js_world w = world_of(conf = parse(spots[_i].lines));
	const struct sf_options o = { .spot = spots[_i].spot };
	char *packed = sf_options_encode(&o);
	struct js_job j = plain();
	struct sf_spec spec = { 0 };
	char comment[80];

	j.partition = spots[_i].partition;
	j.packed = packed;
	js_check(&j, &w, &out);
	ck_assert_str_eq(out.text, spots[_i].text ? spots[_i].text : "");
	ck_assert_int_eq(out.verdict, spots[_i].text ? JS_REFUSE : JS_OFFLOAD);
	ck_assert_int_eq(out.why, spots[_i].text ? JS_WHY_PARTITION : JS_WHY_NONE);
	if (spots[_i].provider) {
		snprintf(comment, sizeof(comment), "fargate: submitted - 1vCPU/2GB %s -", spots[_i].provider);
		ck_assert_str_eq(out.comment, comment);
		ck_assert_int_eq(sf_spec_decode(out.spec_text, &spec, NULL), 0);
		ck_assert_int_eq(spec.spot, spots[_i].spot);
		sf_spec_free(&spec);
	}
	js_outcome_free(&out);
	free(packed);
	sf_conf_free(conf);
}
END_TEST

START_TEST(a_long_list_is_cut)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	struct js_job j = plain();
	struct js_world w;
	unsigned i;

	sf_buf_puts(
		&b,
		"PartitionName=spot Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 AllowAccounts=");
	for (i = 0; i < 60; i++)
		sf_buf_printf(&b, "%saccount%u", i ? "," : "", i);
	sf_buf_puts(&b, "\n");
	w = world_of(conf = parse(b.data));
	j.partition = "spot";
	j.account = "x";
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_msg(strstr(out.text, "account0, account1, ") && strstr(out.text, ", ..., not for 'x': name one"), "%s",
		      out.text);
	sf_conf_free(conf);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ membership, SF_COUNT(members) },
		{ an_unknown_group_is_said_once, 0 },
		{ a_broken_name_service_keeps_what_was_known, 0 },
		{ a_large_group_gets_more_memory, 0 },
		{ submissions_by_group, 0 },
		{ submissions_by_account, SF_COUNT(accounts) },
		{ choice_of_definition, SF_COUNT(definitions) },
		{ choice_of_spot, SF_COUNT(spots) },
		{ a_long_list_is_cut, 0 },
	};

	return tap_main("job_submit_allow", tests, SF_COUNT(tests));
}
