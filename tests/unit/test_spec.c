/* Unit tests of common/base/spec.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/spec.h"

#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static char *env_words[] = { "A=1", "_b2=x y\n\"z\"", "EMPTY=", NULL };
static char *arg_words[] = { "a", "b c", "", "\xe2\x82\xac", NULL };

START_TEST(options_survive_the_round_trip)
{
	struct sf_options in = { .cpu_units = 256, .mem_mib = 512, .env = env_words }, out;
	sf_auto_free char *text = sf_options_encode(&in);
	struct sf_error err = { "" };

	ck_assert_str_eq(text, "{\"v\":1,\"options\":{\"cpu\":256,\"mem\":512,\"env\":"
			       "[\"A=1\",\"_b2=x y\\n\\\"z\\\"\",\"EMPTY=\"]}}");
	ck_assert_msg(sf_options_decode(text, &out, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(out.cpu_units, 256);
	ck_assert_uint_eq(out.mem_mib, 512);
	ck_assert_uint_eq(sf_strv_len(out.env), 3);
	ck_assert_str_eq(out.env[1], env_words[1]);
	sf_options_free(&out);
	ck_assert_ptr_null(out.env);
}
END_TEST

START_TEST(what_was_chosen_survives_the_round_trip)
{
	struct sf_options in = { .storage_gib = 1, .spot = SF_SPOT_ONLY, .task_definition = (char *)"gpu-job:12" }, out;
	sf_auto_free char *text = sf_options_encode(&in);
	struct sf_error err = { "" };

	ck_assert_str_eq(text, "{\"v\":1,\"options\":{\"cpu\":0,\"mem\":0,\"storage\":1,\"spot\":\"only\",\"task_definition\":\"gpu-job:12\","
			       "\"env\":[]}}");
	ck_assert_msg(sf_options_decode(text, &out, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(out.storage_gib, 1);
	ck_assert_int_eq(out.spot, SF_SPOT_ONLY);
	ck_assert_str_eq(out.task_definition, "gpu-job:12");
	sf_options_free(&out);
	ck_assert_ptr_null(out.task_definition);
}
END_TEST

#define NO_SPOT "is no way to use Spot; give prefer (Spot first) or only (nothing but Spot)"
#define OPTIONS(rest) "{\"v\":1,\"options\":{\"cpu\":0,\"mem\":0," rest ",\"env\":[]}}"
static const struct {
	const char *text, *error;
} bad_options[] = {
	{ OPTIONS("\"storage\":0"), "the options cannot be read: member 'storage' is 0, not within 1 to 200" },
	{ OPTIONS("\"storage\":201"), "the options cannot be read: member 'storage' is 201, not within 1 to 200" },
	{ OPTIONS("\"storage\":\"30\""), "the options cannot be read: member 'storage' is missing or not an integer" },
	{ OPTIONS("\"storage\":null"), "the options cannot be read: member 'storage' is missing or not an integer" },
	{ OPTIONS("\"spot\":1"), "the options cannot be read: member 'spot' is missing or not a string" },
	{ OPTIONS("\"spot\":null"), "the options cannot be read: member 'spot' is missing or not a string" },
	{ OPTIONS("\"spot\":\"\""), "the options cannot be read: '' " NO_SPOT },
	{ OPTIONS("\"spot\":\"default\""), "the options cannot be read: 'default' " NO_SPOT },
	{ OPTIONS("\"task_definition\":7"), "the options cannot be read: member 'task_definition' is missing or not a string" },
	{ OPTIONS("\"task_definition\":\"a/b\""),
	  "the options cannot be read: 'a/b' is no task definition; give FAMILY or FAMILY:REVISION (letters, digits, - and _)" },
	{ "{\"v\":1,\"options\":{\"cpu\":0,\"mem\":0,\"task_definition\":\"a:1\",\"env\":5}}",
	  "the options cannot be read: member 'env' is missing or not a list" },
};

START_TEST(bad_options_are_refused)
{
	struct sf_options out;
	struct sf_error err = { "" };

	ck_assert_int_eq(sf_options_decode(bad_options[_i].text, &out, &err), -1);
	ck_assert_str_eq(err.text, bad_options[_i].error);
	ck_assert_ptr_null(out.task_definition);
}
END_TEST

static const struct {
	const char *text;
	uint32_t gib, asked;
} storage_rows[] = {
	{ "1", 1, 0 }, { "20", 20, 0 }, { "21", 21, 21 }, { "200", 200, 200 }, { "0021", 21, 21 },
	{ "0", 0, 0 }, { "201", 0, 0 }, { "", 0, 0 }, { "-5", 0, 0 }, { "30G", 0, 0 }, { "4294967317", 0, 0 },
};

START_TEST(storage_is_whole_gib)
{
	struct sf_error err = { "" };
	uint32_t gib = 0;

	ck_assert_int_eq(sf_parse_storage(storage_rows[_i].text, &gib, &err), storage_rows[_i].gib ? 0 : -1);
	ck_assert_uint_eq(gib, storage_rows[_i].gib);
	ck_assert_uint_eq(sf_storage_to_ask(gib), storage_rows[_i].asked);
}
END_TEST

static const struct {
	const char *own, *globs[3], *wanted;
	bool allowed;
} allowed_rows[] = {
	{ "slurm-job", { NULL }, "slurm-job", true },
	/* An older revision may carry another role: it is not the line's own. */
	{ "slurm-job", { NULL }, "slurm-job:3", false },
	{ "slurm-job:3", { NULL }, "slurm-job:3", true },
	{ "slurm-job:3", { NULL }, "slurm-job", false },
	{ "slurm-job", { NULL }, "other", false },
	{ "slurm-job", { "gpu-*", NULL }, "gpu-small:4", true },
	{ "slurm-job", { "gpu-*", NULL }, "slurm-job", true },
	{ "slurm-job", { "x", "gpu-?:[12]", NULL }, "gpu-a:2", true },
	{ "slurm-job", { "x", "gpu-?:[12]", NULL }, "gpu-a:3", false },
	{ "slurm-job", { "gpu", NULL }, "gpu:1", false },
	{ "slurm-job", { "gpu", NULL }, "my-gpu", false },
};

START_TEST(definitions_a_line_allows)
{
	char *globs[3] = { (char *)allowed_rows[_i].globs[0], (char *)allowed_rows[_i].globs[1], NULL };
	struct sf_conf_line line = { .task_definition = (char *)allowed_rows[_i].own,
				     .task_definitions = globs[0] ? globs : NULL };

	ck_assert_int_eq(sf_definition_allowed(&line, allowed_rows[_i].wanted), allowed_rows[_i].allowed);
}
END_TEST

static const struct {
	const char *text;
	enum sf_spot spot; /* SF_SPOT_DEFAULT = refused */
} spot_rows[] = {
	{ "prefer", SF_SPOT_PREFER }, { "only", SF_SPOT_ONLY }, { "", SF_SPOT_DEFAULT },     { "Only", SF_SPOT_DEFAULT },
	{ "only ", SF_SPOT_DEFAULT }, { "on", SF_SPOT_DEFAULT }, { "yes", SF_SPOT_DEFAULT }, { "default", SF_SPOT_DEFAULT },
};

START_TEST(spot_is_preferred_or_alone)
{
	enum sf_spot spot = SF_SPOT_DEFAULT;
	struct sf_error err = { "" };
	char text[160] = "";

	if (!spot_rows[_i].spot)
		snprintf(text, sizeof(text), "'%s' " NO_SPOT, spot_rows[_i].text);
	ck_assert_int_eq(sf_parse_spot(spot_rows[_i].text, &spot, &err), spot_rows[_i].spot ? 0 : -1);
	ck_assert_int_eq(spot, spot_rows[_i].spot);
	ck_assert_str_eq(err.text, text);
}
END_TEST

START_TEST(empty_options_are_empty_again)
{
	struct sf_options in = { 0 }, out;
	sf_auto_free char *text = sf_options_encode(&in);
	struct sf_error err = { "" };

	ck_assert_msg(sf_options_decode(text, &out, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(out.cpu_units, 0);
	ck_assert_ptr_null(out.env);
	sf_options_free(&out);
	sf_options_free(NULL);
}
END_TEST

static const struct sf_spec sample = {
	.sid = "0123456789abcdef",
	.submit = 1700000000,
	.size = { 4096, 8192 },
	.cpus_asked = 3,
	.cpus_per_task = 3,
	.mem_asked_mib = 5000,
	.mem_per_cpu = true,
	.array = { 3, 1, 7, 3 },
	.storage_gib = 100,
	.spot = SF_SPOT_PREFER,
	.task_definition = (char *)"gpu-job:12",
	.partition = "fargate",
	.args = arg_words,
	.env = env_words,
};

START_TEST(specs_survive_the_round_trip)
{
	sf_auto_free char *text = sf_spec_encode(&sample), *again = NULL;
	struct sf_error err = { "" };
	struct sf_spec out;

	ck_assert_ptr_null(strchr(text, '\n'));
	ck_assert_msg(sf_spec_decode(text, &out, &err) == 0, "%s", err.text);
	ck_assert_str_eq(out.sid, sample.sid);
	ck_assert_int_eq(out.submit, sample.submit);
	ck_assert_uint_eq(out.size.cpu_units, 4096);
	ck_assert_uint_eq(out.size.mem_mib, 8192);
	ck_assert_uint_eq(out.cpus_asked, 3);
	ck_assert_uint_eq(out.cpus_per_task, 3);
	ck_assert_uint_eq(out.mem_asked_mib, 5000);
	ck_assert(out.mem_per_cpu);
	ck_assert_uint_eq(out.array.count, 3);
	ck_assert_uint_eq(out.array.max, 7);
	ck_assert_str_eq(out.partition, "fargate");
	ck_assert_uint_eq(out.storage_gib, 100);
	ck_assert_int_eq(out.spot, SF_SPOT_PREFER);
	ck_assert_str_eq(out.task_definition, "gpu-job:12");
	ck_assert_uint_eq(sf_strv_len(out.args), 4);
	ck_assert_str_eq(out.args[3], arg_words[3]);
	ck_assert_str_eq(out.env[1], env_words[1]);
	again = sf_spec_encode(&out);
	ck_assert_str_eq(again, text);
	sf_spec_free(&out);
	ck_assert_ptr_null(out.partition);
	sf_spec_free(NULL);
}
END_TEST

/* What an older version stamped, and what it would have to read now. */
START_TEST(a_spec_without_spot_has_the_default)
{
	static const char old[] = "{\"v\":1,\"spec\":{\"sid\":\"0123456789abcdef\",\"submit\":1700000000,\"cpu\":1024,\"mem\":2048,"
				  "\"cpus_asked\":1,\"cpus_per_task\":0,\"mem_asked\":0,\"mem_per_cpu\":false,"
				  "\"partition\":\"fargate\",\"args\":[],\"env\":[]}}";
	sf_auto_free char *again = NULL;
	struct sf_error err = { "" };
	struct sf_spec out;

	ck_assert_msg(sf_spec_decode(old, &out, &err) == 0, "%s", err.text);
	ck_assert_int_eq(out.spot, SF_SPOT_DEFAULT);
	again = sf_spec_encode(&out);
	ck_assert_str_eq(again, old);
	sf_spec_free(&out);
}
END_TEST

/* A good spec with one text replaced, and what is said about it. */
static const struct {
	const char *from, *to, *error;
} bad_rows[] = {
	{ "\"v\":1", "\"v\":2", "the spec cannot be read: member 'v' is 2, not within 1 to 1" },
	{ "\"spec\"", "\"options\"", "the spec cannot be read: member 'spec' is missing" },
	{ "{\"v\"", "x{\"v\"", "the spec cannot be read: not JSON: unexpected character" },
	{ "0123456789abcdef", "0123456789abcdeF",
	  "the spec cannot be read: member 'sid' is not 16 hex digits" },
	{ "0123456789abcdef", "0123456789abcdef0",
	  "the spec cannot be read: member 'sid' is not 16 hex digits" },
	{ "\"sid\"", "\"sud\"",
	  "the spec cannot be read: member 'sid' is missing or not a string" },
	{ "1700000000", "-1",
	  "the spec cannot be read: member 'submit' is -1, not within 0 to 9223372036854775807" },
	{ "\"cpu\":4096", "\"cpu\":4097",
	  "the spec cannot be read: 4097 CPU units with 8192 MiB is no Fargate size" },
	{ "\"cpu\":4096", "\"cpu\":\"4096\"",
	  "the spec cannot be read: member 'cpu' is missing or not an integer" },
	{ "\"cpus_asked\":3", "\"cpus_asked\":0",
	  "the spec cannot be read: member 'cpus_asked' is 0, not within 1 to 1024" },
	{ "\"fargate\"", "\"\"",
	  "the spec cannot be read: member 'partition' is empty or longer than 255" },
	{ "\"storage\":100", "\"storage\":20", "the spec cannot be read: member 'storage' is 20, not within 21 to 200" },
	{ "\"storage\":100", "\"storage\":[]", "the spec cannot be read: member 'storage' is missing or not an integer" },
	{ "\"spot\":\"prefer\"", "\"spot\":\"Prefer\"", "the spec cannot be read: 'Prefer' " NO_SPOT },
	{ "\"spot\":\"prefer\"", "\"spot\":0", "the spec cannot be read: member 'spot' is missing or not a string" },
	{ "gpu-job:12", "gpu-job:x",
	  "the spec cannot be read: 'gpu-job:x' is no task definition; give FAMILY or FAMILY:REVISION (letters, digits, - and _)" },
	{ "\"args\":[\"a\"", "\"args\":[1",
	  "the spec cannot be read: member 'args' holds something that is not a string" },
	{ "\"args\"", "\"arks\"",
	  "the spec cannot be read: member 'args' is missing or not a list" },
	{ "A=1", "SLURM_JOB_ID=1",
	  "the spec cannot be read: variable SLURM_JOB_ID cannot be given: names that begin with "
	  "SLURM_ are set for the job by slurm-fargate itself" },
};

START_TEST(bad_specs_are_refused)
{
	sf_auto_free char *text = sf_spec_encode(&sample), *bad = NULL;
	const char *at = strstr(text, bad_rows[_i].from);
	struct sf_error err = { "" };
	struct sf_spec out;

	ck_assert_ptr_nonnull(at);
	ck_assert_int_gt(asprintf(&bad, "%.*s%s%s", (int)(at - text), text, bad_rows[_i].to,
				  at + strlen(bad_rows[_i].from)), 0);
	ck_assert_int_eq(sf_spec_decode(bad, &out, &err), -1);
	ck_assert_str_eq(err.text, bad_rows[_i].error);
	ck_assert_ptr_null(out.partition);
}
END_TEST

START_TEST(a_spec_is_no_options_and_too_long_is_too_long)
{
	sf_auto_free char *text = sf_spec_encode(&sample), *longer = malloc(300001);
	struct sf_error err = { "" };
	struct sf_options out;

	ck_assert_int_eq(sf_options_decode(text, &out, &err), -1);
	ck_assert_str_eq(err.text, "the options cannot be read: member 'options' is missing");
	memset(longer, ' ', 300000);
	longer[300000] = '\0';
	ck_assert_int_eq(sf_options_decode(longer, &out, &err), -1);
	ck_assert_str_eq(err.text, "the options cannot be read: 300000 bytes are more than 262144");
	ck_assert_int_eq(sf_options_decode("{\"v\":1,\"options\":"
					   "{\"cpu\":-1,\"mem\":0,\"env\":[]}}", &out, &err), -1);
	ck_assert_str_eq(err.text, "the options cannot be read: member 'cpu' is -1, not within 0 "
				   "to 4294967295");
}
END_TEST

static const struct {
	const char *assignment, *error; /* NULL = fine */
} env_rows[] = {
	{ "A=1", NULL },
	{ "_=", NULL },
	{ "a_9=x=y", NULL },
	{ "SLURMX=1", NULL },
	{ "A", "variable A has no value; give A=VALUE" },
	{ "=x", "'' is not a variable name; letters, digits and _ only" },
	{ "9A=x", "'9A' is not a variable name; letters, digits and _ only" },
	{ "A-B=x", "'A-B' is not a variable name; letters, digits and _ only" },
	{ "\xc3\xa9=x", "'\xc3\xa9' is not a variable name; letters, digits and _ only" },
	{ "A\n=x", "'A?' is not a variable name; letters, digits and _ only" },
	{ "SLURM_JOB_ID=1", "variable SLURM_JOB_ID cannot be given: names that begin with SLURM_ "
			    "are set for the job by slurm-fargate itself" },
	{ "SHELLOPTS=noexec", "variable SHELLOPTS cannot be given: it would switch options of the container's own shell" },
	{ "BASHOPTS=failglob", "variable BASHOPTS cannot be given: it would switch options of the container's own shell" },
	{ "SF_S=1", "variable SF_S cannot be given: names that begin with SF_ are set for the job "
		    "by slurm-fargate itself" },
	{ "A=\xff", "the value of variable A is not valid UTF-8" },
};

START_TEST(variables_are_checked)
{
	struct sf_error err = { "" };
	int rc = sf_env_check(env_rows[_i].assignment, &err);

	ck_assert_int_eq(rc, env_rows[_i].error ? -1 : 0);
	ck_assert_str_eq(err.text, env_rows[_i].error ? env_rows[_i].error : "");
}
END_TEST

static const struct {
	const char *list;
	int rc;
	struct sf_array array;
} array_rows[] = {
	{ "0-3", 0, { 4, 0, 3, 1 } },
	{ "5", 0, { 1, 5, 5, 1 } },
	{ "1-7:2", 0, { 4, 1, 7, 2 } },
	{ "1-8:3%2", 0, { 3, 1, 7, 3 } },
	{ "9,1,4-5", 0, { 4, 1, 9, 1 } },
	{ "", -1, { 0 } },
	{ "a", -1, { 0 } },
	{ "1,", -1, { 0 } },
	{ "5-2", -1, { 0 } },
	{ "1-9:0", -1, { 0 } },
	{ "1x", -1, { 0 } },
	/* 2^32 elements would count as none */
	{ "0-4294967294", 0, { UINT32_MAX, 0, UINT32_MAX - 1, 1 } },
	{ "0-4294967294,3", -1, { 0 } },
};

START_TEST(array_lists_are_summed_up)
{
	struct sf_array got = { 0 };

	ck_assert_int_eq(sf_array_parse(array_rows[_i].list, &got), array_rows[_i].rc);
	ck_assert_mem_eq(&got, &array_rows[_i].array, sizeof(got));
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ options_survive_the_round_trip, 0 },
		{ empty_options_are_empty_again, 0 },
		{ what_was_chosen_survives_the_round_trip, 0 },
		{ bad_options_are_refused, SF_COUNT(bad_options) },
		{ storage_is_whole_gib, SF_COUNT(storage_rows) },
		{ spot_is_preferred_or_alone, SF_COUNT(spot_rows) },
		{ a_spec_without_spot_has_the_default, 0 },
		{ definitions_a_line_allows, SF_COUNT(allowed_rows) },
		{ specs_survive_the_round_trip, 0 },
		{ bad_specs_are_refused, SF_COUNT(bad_rows) },
		{ a_spec_is_no_options_and_too_long_is_too_long, 0 },
		{ variables_are_checked, SF_COUNT(env_rows) },
		{ array_lists_are_summed_up, SF_COUNT(array_rows) },
	};

	return tap_main("spec", tests, SF_COUNT(tests));
}
