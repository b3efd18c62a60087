/* Unit tests of plugin/job_submit/check.c: every refusal with its text, and what is accepted. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/request.h"
#include "tests/unit/job_submit_plain.h"

/* Each row changes the plain job in one way. */
enum change {
	NO_SCRIPT, HET, LIST, CONTAINER, GRES, TWO_NODES, LONG_SCRIPT, NO_LINE, BAD_ARG
};

static const struct {
	enum change change;
	enum js_why why;
	const char *text;
} refusals[] = {
	{ NO_SCRIPT, JS_WHY_UNSUPPORTED, "fargate: --fargate is for batch scripts: use sbatch, not srun or salloc" },
	{ HET, JS_WHY_UNSUPPORTED, "fargate: a heterogeneous job cannot run on Fargate: submit its components as separate jobs" },
	{ LIST, JS_WHY_PARTITION, "fargate: --fargate takes one partition, not a list: name one with -p (local,fargate)" },
	{ CONTAINER, JS_WHY_UNSUPPORTED,
	  "fargate: --container cannot be used with --fargate: the image comes from the partition's task definition (/oci)" },
	{ GRES, JS_WHY_GRES, "fargate: Fargate has no generic resources: remove --gres and --gpus (gres:gpu:1)" },
	{ TWO_NODES, JS_WHY_NODES, "fargate: a Fargate job runs on one node: remove -N or use -N 1 (2 nodes)" },
	{ LONG_SCRIPT, JS_WHY_SCRIPT,
	  "fargate: the script is larger than 64 KiB: put the program into the image or a shared directory and let a short script start it (65537 bytes)" },
	{ NO_LINE, JS_WHY_PARTITION, "fargate: partition 'local' has no line in fargate.conf: --fargate jobs can go to fargate, spot" },
	{ BAD_ARG, JS_WHY_SCRIPT, "fargate: argument 2 of the script is not valid UTF-8: AWS takes nothing else" },
};

static char *repeat(char c, size_t n)
{
	char *s = malloc(n + 1);

	ck_assert_ptr_nonnull(s);
	memset(s, c, n);
	s[n] = '\0';
	return s;
}

static void change_job(enum change change, struct js_job *j)
{
	static char *argv[] = { (char *)"job.sh", (char *)"fine", (char *)"\xff", NULL };

	switch (change) {
	case NO_SCRIPT: j->script = NULL; break;
	case HET: j->het = true; break;
	case LIST: j->partition = "local,fargate"; break;
	case CONTAINER: j->container = "/oci"; break;
	case GRES: j->gres = "gres:gpu:1"; break;
	case TWO_NODES: j->min_nodes = 2; break;
	case LONG_SCRIPT: j->script = repeat('#', SF_SCRIPT_MAX + 1); break;
	case NO_LINE: j->partition = "local"; break;
	case BAD_ARG: j->argv = argv; j->argc = 3; break;
	default: ck_abort();
	}
}

START_TEST(refuses)
{
	const struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();

	change_job(refusals[_i].change, &j);
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_int_eq(out.why, refusals[_i].why);
	ck_assert_str_eq(out.text, refusals[_i].text);
	ck_assert_ptr_null(out.spec_text);
	js_outcome_free(&out);
	if (refusals[_i].change == LONG_SCRIPT)
		free((char *)j.script);
	sf_conf_free(conf);
}
END_TEST

START_TEST(a_script_of_64_kib_is_left_to_the_builder)
{
	const struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();
	char *script = repeat('#', SF_SCRIPT_MAX);

	/* 64 KiB of one character compress to next to nothing. */
	j.script = script;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_msg(out.verdict == JS_OFFLOAD, "%s", out.text);
	js_outcome_free(&out);
	free(script);
	sf_conf_free(conf);
}
END_TEST

START_TEST(script_over_the_inline_limit)
{
	const struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();
	char *script = repeat('#', 20000);
	unsigned char random[20000];
	size_t i;

	/* What does not compress: 6 bits of chance per character. */
	ck_assert_int_eq(sf_random(random, sizeof(random)), 0);
	for (i = 0; i < sizeof(random); i++)
		script[i] = (char)(48 + (random[i] & 63));
	j.script = script;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_int_eq(out.why, JS_WHY_SCRIPT);
	ck_assert_int_eq(strncmp(out.text, "fargate: ", 9), 0);
	ck_assert_msg(strstr(out.text, "7372"), "%s", out.text);
	js_outcome_free(&out);
	free(script);
	sf_conf_free(conf);
}
END_TEST

START_TEST(unknown_names_take_their_longest)
{
	const struct js_world w = world_of(conf = parse(CONF));
	struct js_job known = plain(), unknown = plain();
	struct js_job *const jobs[] = { &known, &unknown };
	char *script = repeat('#', 6000);
	int fits[2] = { 0, 0 };
	unsigned char random[6000];
	size_t i, n, k;

	/* The longest incompressible script that fits is shorter when nothing is known of the job. */
	known.partition = unknown.partition = "spot";
	known.account = known.qos = known.submit_host = "a";
	unknown.array = "0-1000000";
	ck_assert_int_eq(sf_random(random, sizeof(random)), 0);
	for (i = 0; i < sizeof(random); i++)
		script[i] = (char)(48 + (random[i] & 63));
	for (k = 0; k < 2; k++)
		for (n = 500; n < 6000; n += 20) {
			char *cut = strndup(script, n);

			jobs[k]->script = cut;
			decide(jobs[k], &w, 0, 0, NULL);
			fits[k] += out.verdict == JS_OFFLOAD;
			js_outcome_free(&out);
			free(cut);
		}
	ck_assert_int_gt(fits[1], 0);
	ck_assert_int_gt(fits[0], fits[1]);
	free(script);
	sf_conf_free(conf);
}
END_TEST

START_TEST(no_default_and_no_partition)
{
	const struct js_world w = world_of(conf = parse(CONF_NO_DEFAULT));
	struct js_job j = plain();

	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_str_eq(out.text, "fargate: no partition was given and fargate.conf names no default: choose one with -p: fargate, spot");
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

START_TEST(no_conf)
{
	const struct js_world w = world_of(NULL);
	struct js_job j = plain();

	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_int_eq(out.why, JS_WHY_CONF);
	ck_assert_str_eq(out.text,
			 "fargate: no --fargate job can be taken, ask your administrator: /etc/fargate.conf:3: unknown key 'Colour'");
	j.partition = "fargate";
	js_check(&j, &w, &out);
	ck_assert_int_eq(out.verdict, JS_PASS);
}
END_TEST

START_TEST(the_spec_holds_what_was_asked)
{
	static char *argv[] = { (char *)"job.sh", (char *)"a", (char *)"b c", NULL };
	static char *const submission[] = { (char *)"HOME=/home/alice", (char *)"SLURM_EXPORT_ENV=FOO=1", (char *)"FOO=1" };
	char bar[] = "BAR=2";
	char *more[] = { bar, NULL };
	struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();
	struct sf_spec s = { 0 };
	struct sf_error err = { "" };

	j.partition = "spot";
	j.argv = argv;
	j.argc = 3;
	j.env = submission;
	j.env_size = SF_COUNT(submission);
	decide(&j, &w, 0, 0, more);
	ck_assert_msg(out.verdict == JS_OFFLOAD, "%s", out.text);
	ck_assert_str_eq(out.comment, "fargate: submitted - 1vCPU/2GB FARGATE -");
	ck_assert_msg(!sf_spec_decode(out.spec_text, &s, &err), "%s", err.text);
	ck_assert_str_eq(s.sid, "0123456789abcdef");
	ck_assert_int_eq(s.submit, 1700000000);
	ck_assert_str_eq(s.partition, "spot");
	ck_assert_uint_eq(sf_strv_len(s.args), 2);
	ck_assert_str_eq(s.args[0], "a");
	ck_assert_str_eq(s.args[1], "b c");
	ck_assert_uint_eq(sf_strv_len(s.env), 2);
	ck_assert_str_eq(s.env[0], "FOO=1");
	ck_assert_str_eq(s.env[1], "BAR=2");
	sf_spec_free(&s);
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

#define DOWN                                                                                                                     \
	"fargate: the agent does not answer; the job will wait, and its vCPU quota, not known now, is checked again before "     \
	"RunTask"

static const struct {
	enum js_agent agent;
	const char *text, *comment;
} agents[] = {
	{ JS_AGENT_UNKNOWN, "", "fargate: submitted - 1vCPU/2GB FARGATE -" },
	{ JS_AGENT_ALIVE, "", "fargate: submitted - 1vCPU/2GB FARGATE -" },
	{ JS_AGENT_DEAD, DOWN, "fargate: agent-down - 1vCPU/2GB FARGATE -" },
};

START_TEST(agent_states)
{
	struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();

	w.agent = agents[_i].agent;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_OFFLOAD);
	ck_assert_str_eq(out.text, agents[_i].text);
	ck_assert_str_eq(out.comment, agents[_i].comment);
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

START_TEST(two_lines_of_information)
{
	struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();
	const char *second;

	w.agent = JS_AGENT_DEAD;
	j.mem_mib = 10240;
	decide(&j, &w, 0, 0, NULL);
	second = strchr(out.text, '\n');
	ck_assert_ptr_nonnull(second);
	ck_assert_str_eq(second + 1, DOWN);
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

#define NEEDS_FLAG(p) \
	"fargate: partition '" p "' runs only jobs submitted with sbatch --fargate: add --fargate or choose another partition with -p"

static const struct {
	const char *partition, *slurm_default;
	const char *refusal; /* NULL: passes */
} others[] = {
	{ "local", NULL, NULL },
	{ "local", "fargate", NULL },
	{ "local,debug", NULL, NULL },
	{ "far", NULL, NULL },
	{ NULL, NULL, NULL },
	{ NULL, "local", NULL },
	{ "fargate", NULL, NEEDS_FLAG("fargate") },
	{ "local,spot", "local", NEEDS_FLAG("spot") },
	{ "fargate,local", NULL, NEEDS_FLAG("fargate") },
	{ NULL, "fargate", NEEDS_FLAG("fargate") },
};

START_TEST(jobs_without_the_flag)
{
	struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();
	int batch;

	w.default_partition = others[_i].slurm_default;
	j.partition = others[_i].partition;
	j.het = true; /* none of our business here */
	j.gres = "gres:gpu:1";
	for (batch = 0; batch < 2; batch++) {
		if (!batch)
			j.script = NULL;
		js_check(&j, &w, &out);
		ck_assert_int_eq(out.verdict, others[_i].refusal ? JS_REFUSE : JS_PASS);
		ck_assert_str_eq(out.text, others[_i].refusal ? others[_i].refusal : "");
	}
	sf_conf_free(conf);
}
END_TEST

START_TEST(a_foreign_spec_asks_for_nothing)
{
	struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();
	char *spec;

	decide(&j, &w, 0, 0, NULL);
	spec = out.spec_text;
	out.spec_text = NULL;
	js_outcome_free(&out);
	j.packed = spec;
	js_check(&j, &w, &out);
	ck_assert_int_eq(out.verdict, JS_PASS);
	j.partition = "spot";
	js_check(&j, &w, &out);
	ck_assert_str_eq(out.text, NEEDS_FLAG("spot"));
	free(spec);
	sf_conf_free(conf);
}
END_TEST

START_TEST(unreadable_options)
{
	static const char *const junk[] = { "", "x", "{}", "{\"v\":99,\"options\":{}}", "[1]" };
	static const char start[] = "fargate: the options from sbatch cannot be read, is the plugin of this login node as new as the controller's? ";
	struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();
	size_t i;

	for (i = 0; i < SF_COUNT(junk); i++) {
		j.packed = junk[i];
		js_check(&j, &w, &out);
		ck_assert_int_eq(out.verdict, JS_REFUSE);
		ck_assert_msg(!strncmp(out.text, start, strlen(start)), "%s: %s", junk[i], out.text);
	}
	sf_conf_free(conf);
}
END_TEST

START_TEST(users_text_is_cleaned)
{
	struct js_world w = world_of(conf = parse(CONF));
	struct js_job j = plain();

	j.partition = "a\033[31m\nb";
	decide(&j, &w, 0, 0, NULL);
	ck_assert_str_eq(out.text, "fargate: partition 'a?[31m?b' has no line in fargate.conf: --fargate jobs can go to fargate, spot");
	sf_conf_free(conf);
}
END_TEST

START_TEST(bad_export_refuses_the_job)
{
	const struct js_world w = world_of(conf = parse(CONF));
	char setting[] = "SLURM_EXPORT_ENV=SLURM_X=1";
	char *env[] = { setting };
	struct js_job j = plain();

	j.env = env;
	j.env_size = 1;
	decide(&j, &w, 0, 0, NULL);
	ck_assert_int_eq(out.verdict, JS_REFUSE);
	ck_assert_int_eq(out.why, JS_WHY_SCRIPT);
	ck_assert_msg(!strncmp(out.text, "fargate: --export: ", 19), "%s", out.text);
	js_outcome_free(&out);
	sf_conf_free(conf);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ refuses, SF_COUNT(refusals) },
		{ a_script_of_64_kib_is_left_to_the_builder, 0 },
		{ script_over_the_inline_limit, 0 },
		{ unknown_names_take_their_longest, 0 },
		{ no_default_and_no_partition, 0 },
		{ no_conf, 0 },
		{ the_spec_holds_what_was_asked, 0 },
		{ agent_states, SF_COUNT(agents) },
		{ two_lines_of_information, 0 },
		{ jobs_without_the_flag, SF_COUNT(others) },
		{ a_foreign_spec_asks_for_nothing, 0 },
		{ unreadable_options, 0 },
		{ users_text_is_cleaned, 0 },
		{ bad_export_refuses_the_job, 0 },
	};

	return tap_main("job_submit_check", tests, SF_COUNT(tests));
}
