/* Unit tests of common/base/request.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "common/base/json.h"
#include "common/base/text.h"
#include "tests/unit/tap.h"

#define NONCE "0123456789abcdef"

static const char script[] = "#!/bin/sh\necho hello\n";

static struct sf_overrides overrides(void)
{
	return (struct sf_overrides){
		.container = "main",
		.size = { .cpu_units = 1024, .mem_mib = 2048 },
		.nonce = NONCE,
		.framing = true,
		.script = script,
		.script_len = sizeof(script) - 1,
	};
}

static sf_json *parse(const char *text)
{
	struct sf_error err = { "" };
	sf_json *j = NULL;

	ck_assert_msg(sf_json_parse(text, strlen(text), &j, &err) == 0, "%s", err.text);
	return j;
}

static sf_json *build(const struct sf_overrides *o)
{
	sf_auto_free char *text = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_overrides_build(o, &text, &err) == 0, "%s", err.text);
	ck_assert_uint_le(strlen(text), SF_OVERRIDES_MAX);
	return parse(text);
}

static sf_json *container(const sf_json *j)
{
	return sf_json_at(sf_json_array(j, "containerOverrides"), 0);
}

/* The value of one variable, NULL when absent. */
static const char *variable(const sf_json *j, const char *name)
{
	sf_json *env = sf_json_array(container(j), "environment");
	size_t i;

	for (i = 0; i < sf_json_len(env); i++)
		if (strcmp(sf_json_str(sf_json_at(env, i), "name"), name) == 0)
			return sf_json_str(sf_json_at(env, i), "value");
	return NULL;
}

static const char *command(const sf_json *j, size_t i)
{
	return sf_json_string(sf_json_at(sf_json_array(container(j), "command"), i));
}

START_TEST(overrides_have_the_documented_shape)
{
	char *args[] = { "a b", "", "\"q\"\\\n\xc3\xa9", NULL };
	char *env[] = { "SLURM_JOB_ID=17", "EMPTY=", "TWO=a=b", NULL };
	struct sf_overrides o = overrides();
	sf_auto_json sf_json *j = NULL;
	sf_auto_free char *encoded = sf_base64_encode(script, sizeof(script) - 1);
	int64_t number = 0;

	o.args = args;
	o.env = env;
	j = build(&o);
	ck_assert_str_eq(sf_json_str(j, "cpu"), "1024");
	ck_assert_str_eq(sf_json_str(j, "memory"), "2048");
	ck_assert_uint_eq(sf_json_len(sf_json_array(j, "containerOverrides")), 1);
	ck_assert_str_eq(sf_json_str(container(j), "name"), "main");
	ck_assert(!sf_json_int(container(j), "cpu", &number));
	ck_assert(!sf_json_int(container(j), "memory", &number));
	ck_assert_str_eq(command(j, 0), "/bin/sh");
	ck_assert_str_eq(command(j, 1), "-c");
	ck_assert_ptr_nonnull(strstr(command(j, 2), "bootstrap:"));
	ck_assert_str_eq(command(j, 3), "slurm_script");
	ck_assert_str_eq(command(j, 4), args[0]);
	ck_assert_str_eq(command(j, 5), "");
	ck_assert_str_eq(command(j, 6), args[2]);
	ck_assert_ptr_null(command(j, 7));
	ck_assert_str_eq(variable(j, "SF_SCRIPT"), encoded);
	ck_assert_str_eq(variable(j, "SF_ENC"), "b");
	ck_assert_str_eq(variable(j, "SF_NONCE"), NONCE);
	ck_assert_str_eq(variable(j, "SF_FRAME"), "1");
	ck_assert_str_eq(variable(j, "SLURM_JOB_ID"), "17");
	ck_assert_str_eq(variable(j, "EMPTY"), "");
	ck_assert_str_eq(variable(j, "TWO"), "a=b");
}
END_TEST

START_TEST(storage_is_asked_for_by_number)
{
	struct sf_overrides o = overrides();
	sf_auto_json sf_json *without = build(&o), *with = NULL;
	int64_t gib = 0;

	ck_assert(!sf_json_has(without, "ephemeralStorage"));
	o.storage_gib = 100;
	with = build(&o);
	ck_assert(sf_json_int(sf_json_object(with, "ephemeralStorage"), "sizeInGiB", &gib));
	ck_assert_int_eq(gib, 100);
}
END_TEST

START_TEST(entrypoint_container_limits_and_framing)
{
	struct sf_overrides o = overrides();
	sf_auto_json sf_json *j = NULL;
	int64_t cpu = 0, memory = 0;

	o.shell_entrypoint = true;
	o.container_cpu = 960;
	o.container_mem_mib = 1900;
	o.framing = false;
	j = build(&o);
	ck_assert_ptr_nonnull(strstr(command(j, 0), "bootstrap:"));
	ck_assert_str_eq(command(j, 1), "slurm_script");
	ck_assert_ptr_null(command(j, 2));
	ck_assert(sf_json_int(container(j), "cpu", &cpu) && cpu == 960);
	ck_assert(sf_json_int(container(j), "memory", &memory) && memory == 1900);
	ck_assert_str_eq(variable(j, "SF_FRAME"), "0");
}
END_TEST

static void decode64(const char *text, struct sf_buf *out)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned value = 0, bits = 0;
	char byte;

	for (; *text && *text != '='; text++) {
		value = value << 6 | (unsigned)(strchr(digits, *text) - digits);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			byte = (char)(value >> bits & 0xff);
			sf_buf_add(out, &byte, 1);
		}
	}
}

static void gunzip(const struct sf_buf *in, char *out, size_t size, size_t *got)
{
	z_stream z = { .next_in = (unsigned char *)in->data, .avail_in = (uInt)in->len, .next_out = (unsigned char *)out };

	z.avail_out = (uInt)size;
	ck_assert_int_eq(inflateInit2(&z, 15 + 16), Z_OK);
	ck_assert_int_eq(inflate(&z, Z_FINISH), Z_STREAM_END);
	*got = z.total_out;
	inflateEnd(&z);
}

/* Plain up to the last byte that fits; one byte more is gzipped, and unpacks to the same bytes. */
START_TEST(compressed_only_when_it_must_be)
{
	static char text[SF_SCRIPT_MAX], back[SF_SCRIPT_MAX];
	struct sf_overrides o = overrides();
	size_t n, last_plain = 0, got = 0;

	memset(text, 'x', sizeof(text));
	memcpy(text, "#!/bin/sh\n", 10);
	o.script = text;
	for (n = 10; n <= SF_SCRIPT_MAX; n += n < 6000 ? 1 : 9922) {
		sf_auto_json sf_json *j = NULL;
		sf_auto_buf struct sf_buf packed = SF_BUF_INIT;

		o.script_len = n;
		j = build(&o);
		if (strcmp(variable(j, "SF_ENC"), "b") == 0) {
			ck_assert_uint_eq(last_plain, n == 10 ? 0 : n - 1);
			last_plain = n;
			continue;
		}
		decode64(variable(j, "SF_SCRIPT"), &packed);
		ck_assert_mem_eq(packed.data + 4, "\0\0\0\0", 4); /* no time: the same bytes every time */
		gunzip(&packed, back, sizeof(back), &got);
		ck_assert_uint_eq(got, n);
		ck_assert_mem_eq(back, text, n);
	}
	/* What README may promise. */
	ck_assert_uint_ge(last_plain, 3500);
	printf("# %zu bytes of script fit as they are\n", last_plain);
}
END_TEST

static void refused(const struct sf_overrides *o, const char *wanted)
{
	char *text = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(sf_overrides_build(o, &text, &err), -1);
	ck_assert_ptr_null(text);
	ck_assert_str_eq(err.text, wanted);
	ck_assert_int_eq(sf_overrides_build(o, &text, NULL), -1);
}

START_TEST(too_long_names_both_numbers_and_the_cure)
{
	static char text[12000];
	struct sf_overrides o = overrides();
	struct sf_error err = { "" };
	char *out = NULL;
	size_t i, taken = 0, zipped = 0;
	char wanted[SF_ERROR_MAX];

	srandom(1);
	for (i = 0; i < sizeof(text); i++)
		text[i] = (char)(1 + random() % 255);
	o.script = text;
	o.script_len = sizeof(text);
	ck_assert_int_eq(sf_overrides_build(&o, &out, &err), -1);
	ck_assert_int_eq(sscanf(err.text, "the script and its values take %zu characters in the RunTask request, the limit is 7372 "
					  "(script 12000 bytes, gzipped %zu)", &taken, &zipped), 2);
	ck_assert_uint_ge(taken, 16000);
	ck_assert_uint_ge(zipped, 11000);
	snprintf(wanted, sizeof(wanted), "(script 12000 bytes, gzipped %zu); make the script shorter or keep its bulk in a file the "
		 "container can read", zipped);
	ck_assert_ptr_nonnull(strstr(err.text, wanted));
	o.script_len = SF_SCRIPT_MAX + 1;
	refused(&o, "the script has 65537 bytes, the limit is 65536; keep its bulk in a file the container can read");
}
END_TEST

START_TEST(what_cannot_be_sent_is_refused)
{
	char *bad_args[] = { "fine", "\xff", NULL };
	char *bad_value[] = { "A=1", "NAME=\xc3", NULL };
	char *no_equals[] = { "A=1", "NAME", NULL };
	char *no_name[] = { "=x", NULL };
	struct sf_overrides o = overrides();

	o.args = bad_args;
	refused(&o, "argument 2 of the script is not valid UTF-8, which a RunTask request must be");
	o.args = NULL;
	o.env = bad_value;
	refused(&o, "the value of NAME is not valid UTF-8, which a RunTask request must be");
	o.env = no_equals;
	refused(&o, "environment entry 2 has no name and '='");
	o.env = no_name;
	refused(&o, "environment entry 1 has no name and '='");
	o.env = NULL;
	o.nonce = "0123";
	refused(&o, "a nonce has 16 hex digits, not 4");
	o.nonce = NONCE;
	o.storage_gib = 20;
	refused(&o, "20 GiB of storage cannot be asked for; Fargate takes 21 to 200");
	o.storage_gib = 201;
	refused(&o, "201 GiB of storage cannot be asked for; Fargate takes 21 to 200");
	o.storage_gib = 0;
	o.script = "#!/bin/sh\n\0x";
	o.script_len = 12;
	refused(&o, "the script contains a NUL byte");
}
END_TEST

static const char *const tags[][2] = { { "slurm:jobid", "17" }, { "slurm:user", "alice" } };
static char *groups[] = { "sg-1", "sg-2", NULL };

static struct sf_run_task run_task(void)
{
	return (struct sf_run_task){
		.overrides = overrides(),
		.cluster = "hpc",
		.task_definition = "arn:aws:ecs:eu-west-1:1:task-definition/slurm-job:3",
		.subnet = "subnet-a",
		.security_groups = groups,
		.provider = "FARGATE",
		.started_by = "slurm/c-0a1b2c3d/17",
		.group = "slurm-1700000000-0-1",
		.client_token = "token",
		.tags = tags,
		.n_tags = 2,
	};
}

/* Everything but the overrides, to the byte: the token is only good for the same body. */
START_TEST(run_task_body)
{
	static const char head[] = "{\"clientToken\":\"token\",\"cluster\":\"hpc\",\"count\":1,"
				   "\"taskDefinition\":\"arn:aws:ecs:eu-west-1:1:task-definition/slurm-job:3\","
				   "\"launchType\":\"FARGATE\",\"networkConfiguration\":{\"awsvpcConfiguration\":{"
				   "\"subnets\":[\"subnet-a\"],\"securityGroups\":[\"sg-1\",\"sg-2\"],"
				   "\"assignPublicIp\":\"DISABLED\"}},\"overrides\":";
	static const char tail[] = ",\"startedBy\":\"slurm/c-0a1b2c3d/17\",\"group\":\"slurm-1700000000-0-1\",\"tags\":["
				   "{\"key\":\"slurm:jobid\",\"value\":\"17\"},{\"key\":\"slurm:user\",\"value\":\"alice\"}]}";
	struct sf_run_task r = run_task();
	struct sf_error err = { "" };
	sf_auto_free char *body = NULL;
	sf_auto_free char *again = NULL;
	sf_auto_free char *inner = NULL;
	sf_auto_buf struct sf_buf wanted = SF_BUF_INIT;

	ck_assert_msg(sf_run_task_build(&r, &body, &err) == 0, "%s", err.text);
	ck_assert_int_eq(sf_run_task_build(&r, &again, &err), 0);
	ck_assert_str_eq(body, again);
	ck_assert_int_eq(sf_overrides_build(&r.overrides, &inner, &err), 0);
	sf_buf_printf(&wanted, "%s%s%s", head, inner, tail);
	ck_assert_str_eq(body, wanted.data);
	ck_assert_ptr_null(strstr(body, "\\/"));
}
END_TEST

START_TEST(run_task_on_spot_with_little_else)
{
	struct sf_run_task r = run_task();
	struct sf_error err = { "" };
	sf_auto_free char *body = NULL;
	sf_auto_json sf_json *j = NULL;
	sf_json *vpc, *strategy;
	int64_t weight = 0;

	r.provider = "FARGATE_SPOT";
	r.security_groups = NULL;
	r.assign_public_ip = true;
	r.n_tags = 0;
	ck_assert_msg(sf_run_task_build(&r, &body, &err) == 0, "%s", err.text);
	j = parse(body);
	strategy = sf_json_array(j, "capacityProviderStrategy");
	ck_assert_uint_eq(sf_json_len(strategy), 1);
	ck_assert_str_eq(sf_json_str(sf_json_at(strategy, 0), "capacityProvider"), "FARGATE_SPOT");
	ck_assert(sf_json_int(sf_json_at(strategy, 0), "weight", &weight) && weight == 1);
	ck_assert_ptr_null(sf_json_str(j, "launchType"));
	vpc = sf_json_object(sf_json_object(j, "networkConfiguration"), "awsvpcConfiguration");
	ck_assert_str_eq(sf_json_str(vpc, "assignPublicIp"), "ENABLED");
	ck_assert_ptr_null(sf_json_array(vpc, "securityGroups"));
	ck_assert_ptr_null(sf_json_array(j, "tags"));
}
END_TEST

START_TEST(run_task_refuses)
{
	struct sf_run_task r = run_task();
	struct sf_error err = { "" };
	char *body = NULL;

	r.provider = "EC2";
	ck_assert_int_eq(sf_run_task_build(&r, &body, &err), -1);
	ck_assert_str_eq(err.text, "provider 'EC2' is neither FARGATE nor FARGATE_SPOT");
	r.provider = NULL;
	ck_assert_int_eq(sf_run_task_build(&r, &body, &err), -1);
	ck_assert_str_eq(err.text, "the partition has no provider left for this job; see Providers in fargate.conf");
	r.provider = "FARGATE";
	r.overrides.nonce = "";
	ck_assert_int_eq(sf_run_task_build(&r, &body, &err), -1);
	ck_assert_str_eq(err.text, "a nonce has 16 hex digits, not 0");
	ck_assert_ptr_null(body);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ overrides_have_the_documented_shape, 0 },
		{ storage_is_asked_for_by_number, 0 },
		{ entrypoint_container_limits_and_framing, 0 },
		{ compressed_only_when_it_must_be, 0 },
		{ too_long_names_both_numbers_and_the_cure, 0 },
		{ what_cannot_be_sent_is_refused, 0 },
		{ run_task_body, 0 },
		{ run_task_on_spot_with_little_else, 0 },
		{ run_task_refuses, 0 },
	};

	return tap_main("request", tests, SF_COUNT(tests));
}
