/* Unit tests of common/aws/keyring.c, process.c and waits.c: keys that come from a program, end, and change. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/keyring.h"

#include <sys/stat.h>

#include "common/aws/process.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "tests/unit/aws_server.h"

static struct test_loop loop;
static struct aws_http *http;
static char dir[] = "/tmp/test_keyring.XXXXXX";
static char logged[8192];

static void keep_log(enum sf_log_level level, const char *line)
{
	size_t n = strlen(logged);

	(void)level;
	snprintf(logged + n, sizeof(logged) - n, "%s\n", line);
}

struct told {
	bool done;
	int times;
	struct sf_error problem;
};

static void on_told(void *arg, const struct sf_error *problem)
{
	struct told *told = arg;

	told->times++;
	told->problem = problem ? *problem : (struct sf_error){ "" };
	told->done = true;
}

static void put(const char *name, const char *text, mode_t mode)
{
	char path[96], fresh[104];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	f = fopen(fresh, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	chmod(fresh, mode);
	ck_assert_int_eq(rename(fresh, path), 0);
}

/* A credential_process whose keys are good for so many seconds of the loop's clock (0: for ever). */
static void put_process(const char *key, int life)
{
	char text[512], when[32] = "", expiration[64] = "";
	time_t at = loop_now(&loop) / 1000 + life;
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&at, &tm));
	if (life)
		snprintf(expiration, sizeof(expiration), ", \"Expiration\": \"%s\"", when);
	snprintf(text, sizeof(text), "#!/bin/sh\necho '{\"Version\": 1, \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"s\"%s}'\n", key, expiration);
	put("process", text, 0755);
}

static struct aws_keyring *start(struct told *told)
{
	struct sf_error err = { "" };
	struct aws_keyring *k;
	char conf[128];

	snprintf(conf, sizeof(conf), "[default]\ncredential_process = \"%s/process\"\n", dir);
	put("config", conf, 0600);
	http = loop_http(&loop);
	sf_log_to(keep_log);
	k = aws_keyring_new(http, NULL, "eu-west-1", on_told, told, &err);
	ck_assert_msg(k != NULL, "%s", err.text);
	return k;
}

static void stop(struct aws_keyring *k)
{
	aws_keyring_free(k);
	aws_http_free(http);
	ck_assert_uint_eq(loop.n, 0);
}

static void wait_told(struct told *told)
{
	ck_assert(loop_run(&loop, http, &told->done, 60000));
	told->done = false;
}

START_TEST(keys_come_and_are_renewed)
{
	struct told told = { 0 };
	struct aws_keyring *k;

	put_process("AKONE", 3600);
	k = start(&told);
	ck_assert(!aws_keyring_ready(k));
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	ck_assert_str_eq(told.problem.text, "");
	ck_assert_int_eq(told.times, 1);
	ck_assert(aws_keyring_ready(k));
	ck_assert_str_eq(aws_keyring_keys(k)->access_key, "AKONE");
	/* 14 minutes left: the old ones are used while new ones are fetched */
	put_process("AKTWO", 2 * 3600);
	loop.clock_offset += (3600 - 14 * 60) * 1000;
	ck_assert(aws_keyring_ready(k));
	ck_assert_str_eq(aws_keyring_keys(k)->access_key, "AKONE");
	wait_told(&told);
	ck_assert_str_eq(aws_keyring_keys(k)->access_key, "AKTWO");
	stop(k);
}
END_TEST

START_TEST(a_failure_keeps_the_old_ones_until_they_end)
{
	struct told told = { 0 };
	struct aws_keyring *k;

	put_process("AKONE", 3600);
	k = start(&told);
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	put("process", "#!/bin/sh\necho hush; exit 9\n", 0755);
	loop.clock_offset += (3600 - 9 * 60) * 1000;
	/* 9 minutes left: waited for, and as that fails, used */
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	ck_assert_ptr_nonnull(strstr(told.problem.text, "credential_process of profile 'default': ended with code 9; run it by hand"));
	ck_assert(aws_keyring_ready(k));
	ck_assert_ptr_nonnull(strstr(logged, "no new AWS credentials (the old ones are good still): "));
	ck_assert_ptr_null(strstr(logged, "hush"));
	loop.clock_offset += 9 * 60 * 1000;
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	ck_assert_str_ne(told.problem.text, "");
	/* cooling down: said again, without another start */
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	ck_assert_str_ne(told.problem.text, "");
	put_process("AKTWO", 3600);
	loop.clock_offset += 60 * 1000;
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	ck_assert(aws_keyring_ready(k));
	ck_assert_str_eq(aws_keyring_keys(k)->access_key, "AKTWO");
	ck_assert_ptr_nonnull(strstr(logged, "AWS credentials are there again"));
	stop(k);
}
END_TEST

START_TEST(changed_files_are_read_again)
{
	struct told told = { 0 };
	struct aws_keyring *k;

	put_process("AKONE", 0);
	k = start(&told);
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	put("config", "[default]\naws_access_key_id = AKFILE\naws_secret_access_key = s\n", 0600);
	loop.clock_offset += 2000;
	ck_assert(aws_keyring_ready(k));
	ck_assert_str_eq(aws_keyring_keys(k)->access_key, "AKFILE");
	put("config", "[default\n", 0600);
	loop.clock_offset += 2000;
	ck_assert(aws_keyring_ready(k));
	ck_assert_str_eq(aws_keyring_keys(k)->access_key, "AKFILE");
	ck_assert_ptr_nonnull(strstr(logged, "cannot be used, so what was read before goes on: "));
	stop(k);
}
END_TEST

START_TEST(free_kills_the_process)
{
	struct told told = { 0 };
	struct aws_keyring *k;

	put("process", "#!/bin/sh\nsleep 600\n", 0755);
	k = start(&told);
	ck_assert(!aws_keyring_ready(k));
	ck_assert(!loop_run(&loop, http, &told.done, 300));
	stop(k);
	ck_assert_int_eq(told.times, 0);
}
END_TEST

START_TEST(a_program_that_is_not_there)
{
	const char *preload = getenv("LD_PRELOAD");
	struct aws_process *p = NULL;

	/* valgrind makes a fork of posix_spawn()'s vfork, which cannot tell its parent. */
	if (preload && strstr(preload, "vgpreload"))
		return;
	http = loop_http(&loop);
	ck_assert_int_eq(aws_process_start(http, "no-such-program-anywhere", NULL, NULL, &p, NULL), -1);
	ck_assert_ptr_null(p);
	aws_http_free(http);
}
END_TEST

static const struct {
	const char *script, *problem;
} bad_rows[] = {
	{ "head -c 70000 /dev/zero", "wrote more than 65536 bytes" },
	{ "kill -9 $$", "ended by signal 9" },
	{ "exit 3", "ended with code 3; run it by hand as SlurmUser to see what it says" },
	{ "echo {}", "the answer cannot be used: its Version is not 1" },
	{ "true", "the answer is not JSON of at most 65536 bytes" },
};

START_TEST(bad_programs)
{
	struct told told = { 0 };
	struct aws_keyring *k;
	char text[128];

	snprintf(text, sizeof(text), "#!/bin/sh\n%s\n", bad_rows[_i].script);
	put("process", text, 0755);
	k = start(&told);
	ck_assert(!aws_keyring_ready(k));
	wait_told(&told);
	ck_assert_msg(strstr(told.problem.text, bad_rows[_i].problem) != NULL, "%s", told.problem.text);
	ck_assert_int_eq(aws_keyring_renew(k, &told.problem), -1);
	stop(k);
}
END_TEST

static const struct {
	const char *command, *words; /* joined by |, NULL = refused */
} split_rows[] = {
	{ "a b", "a|b" }, { "  a\t\"b c\" 'd \\e'\n", "a|b c|d \\e" }, { "a\\ b", "a b" }, { "\"a\\\"b\\\\c\\d\"", "a\"b\\c\\d" },
	{ "a'b'\"c\"", "abc" }, { "a ''", "a|" }, { "a $HOME `x` ; b", "a|$HOME|`x`|;|b" }, { "", NULL }, { "  ", NULL }, { "'a", NULL },
	{ "\"a", NULL }, { "a\\", NULL },
};

START_TEST(commands_are_split)
{
	sf_auto_strv char **v = NULL;
	sf_auto_buf struct sf_buf joined = SF_BUF_INIT;
	int rc = aws_process_split(split_rows[_i].command, &v, NULL);
	size_t i;

	ck_assert_int_eq(rc, split_rows[_i].words ? 0 : -1);
	for (i = 0; rc == 0 && v[i]; i++)
		sf_buf_printf(&joined, "%s%s", i ? "|" : "", v[i]);
	if (rc == 0)
		ck_assert_str_eq(joined.data, split_rows[_i].words);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ keys_come_and_are_renewed, 0 },    { a_failure_keeps_the_old_ones_until_they_end, 0 },
		{ changed_files_are_read_again, 0 }, { free_kills_the_process, 0 },
		{ a_program_that_is_not_there, 0 },
		{ bad_programs, SF_COUNT(bad_rows) }, { commands_are_split, SF_COUNT(split_rows) },
	};
	static const char *const unset[] = { "AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE" };
	char path[96], clean[64];
	size_t i;
	int rc;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	for (i = 0; i < SF_COUNT(unset); i++)
		unsetenv(unset[i]);
	snprintf(path, sizeof(path), "%s/config", dir);
	setenv("AWS_CONFIG_FILE", path, 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
	rc = tap_main("keyring", tests, SF_COUNT(tests));
	snprintf(clean, sizeof(clean), "%s/process", dir);
	unlink(clean);
	unlink(path);
	rmdir(dir);
	return rc;
}
