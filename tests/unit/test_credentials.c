/* Unit tests of common/aws/credentials.c, chain.c, profile.c and ini.c: AWS's variables and files. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/chain.h"

#include <string.h>
#include <sys/stat.h>

#include "common/aws/ini.h"
#include "tests/unit/tap.h"

/* Each test runs in a process of its own: what it puts into the environment stays there. */
static char dir[] = "/tmp/test_credentials.XXXXXX";
static char cred_path[64], conf_path[64];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void files(const char *credentials, const char *config)
{
	static const char *const unset[] = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
					     "AWS_SECURITY_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION",
					     "AWS_DEFAULT_REGION", "AWS_WEB_IDENTITY_TOKEN_FILE",
					     "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
					     "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME" };
	size_t i;

	setenv("AWS_EC2_METADATA_DISABLED", "true", 1);

	for (i = 0; i < SF_COUNT(unset); i++)
		unsetenv(unset[i]);
	unlink(cred_path);
	unlink(conf_path);
	if (credentials)
		write_file(cred_path, credentials);
	if (config)
		write_file(conf_path, config);
	setenv("AWS_SHARED_CREDENTIALS_FILE", cred_path, 1);
	setenv("AWS_CONFIG_FILE", conf_path, 1);
}

/* The message with the private directory's name replaced by D, so that rows can be literal. */
static const char *message(const struct sf_error *err)
{
	static char text[SF_ERROR_MAX];
	const char *in = err->text;
	size_t n = 0;

	while (*in) {
		if (strncmp(in, dir, strlen(dir)) == 0) {
			text[n++] = 'D';
			in += strlen(dir);
		} else {
			text[n++] = *in++;
		}
	}
	text[n] = '\0';
	return text;
}

static void check_keys(const char *profile, const char *access, const char *secret, const char *token)
{
	sf_auto_chain struct aws_chain c = { 0 };
	struct sf_error err = { "" };

	ck_assert_msg(aws_chain_load(profile, &c, &err) == 0, "%s", err.text);
	ck_assert_int_eq(c.source, AWS_FROM_KEYS);
	ck_assert_uint_eq(c.n_roles, 0);
	ck_assert_str_eq(c.keys.access_key, access);
	ck_assert_str_eq(c.keys.secret_key, secret);
	ck_assert_pstr_eq(c.keys.session_token, token);
}

#define PLAIN "[default]\naws_access_key_id = AKD\naws_secret_access_key = SD\n" \
	      "[dev]\naws_access_key_id=AKDEV\naws_secret_access_key=S/DEV=\naws_session_token = T=\n"

START_TEST(environment_comes_first)
{
	files(PLAIN, NULL);
	setenv("AWS_ACCESS_KEY_ID", "AKENV", 1);
	setenv("AWS_SECRET_ACCESS_KEY", "SENV", 1);
	check_keys(NULL, "AKENV", "SENV", NULL);
	setenv("AWS_SESSION_TOKEN", "TENV", 1);
	check_keys(NULL, "AKENV", "SENV", "TENV");
	setenv("AWS_SECURITY_TOKEN", "TOLD", 1);
	check_keys(NULL, "AKENV", "SENV", "TOLD");
	/* AWS_PROFILE does not skip the environment, a profile given in code does */
	setenv("AWS_PROFILE", "dev", 1);
	check_keys(NULL, "AKENV", "SENV", "TOLD");
	check_keys("dev", "AKDEV", "S/DEV=", "T=");
	check_keys("default", "AKD", "SD", NULL);
}
END_TEST

START_TEST(profiles_of_the_environment)
{
	files(PLAIN, NULL);
	check_keys(NULL, "AKD", "SD", NULL);
	setenv("AWS_PROFILE", "dev", 1);
	check_keys(NULL, "AKDEV", "S/DEV=", "T=");
	setenv("AWS_DEFAULT_PROFILE", "default", 1);
	check_keys(NULL, "AKD", "SD", NULL);
}
END_TEST

START_TEST(config_file_is_second_and_reload_reads_again)
{
	files("[other]\naws_access_key_id=x\naws_secret_access_key=y\n",
	      "[profile dev]\naws_access_key_id=AKC\naws_secret_access_key=SC\n[profile default]\nregion=r\n");
	check_keys("dev", "AKC", "SC", NULL);
	write_file(cred_path, PLAIN);
	check_keys("dev", "AKDEV", "S/DEV=", "T=");
	unlink(cred_path);
	check_keys("dev", "AKC", "SC", NULL);
}
END_TEST

START_TEST(files_below_home)
{
	char aws[64], path[80];

	files(NULL, NULL);
	unsetenv("AWS_SHARED_CREDENTIALS_FILE");
	setenv("HOME", dir, 1);
	snprintf(aws, sizeof(aws), "%s/.aws", dir);
	ck_assert_int_eq(mkdir(aws, 0700), 0);
	snprintf(path, sizeof(path), "%s/credentials", aws);
	write_file(path, PLAIN);
	check_keys("dev", "AKDEV", "S/DEV=", "T=");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", 1);
	check_keys("dev", "AKDEV", "S/DEV=", "T=");
	unlink(path);
	rmdir(aws);
}
END_TEST

START_TEST(ini_as_configparser_reads_it)
{
	sf_auto_ini struct aws_ini ini = { NULL, NULL, 0 };
	struct sf_error err = { "" };

	files(NULL, "# comment\n; too\n\n[ profile  \"my  dev\" ]\n  Region : eu-west-1\n  output=json\r\n"
		    "s3 =\n  max_concurrent = 5\n  endpoint_url = http://s3\nmulti = a\n  b\nregion = last\n"
		    "[empty]\n[profile ' q ' ]\n[services x]\necs =\n  endpoint_url = http://h:1/?a=b\n");
	ck_assert_msg(aws_ini_load(conf_path, &ini, &err) == 0, "%s", err.text);
	ck_assert_str_eq(aws_ini_get(&ini, "profile my dev", NULL, "region"), "last");
	ck_assert_str_eq(aws_ini_get(&ini, "profile my dev", NULL, "output"), "json");
	ck_assert_str_eq(aws_ini_get(&ini, "profile my dev", "s3", "max_concurrent"), "5");
	ck_assert_str_eq(aws_ini_get(&ini, "profile my dev", NULL, "multi"), "a\nb");
	ck_assert_str_eq(aws_ini_get(&ini, "services x", "ecs", "endpoint_url"), "http://h:1/?a=b");
	ck_assert_ptr_null(aws_ini_get(&ini, "profile my dev", NULL, "endpoint_url"));
	ck_assert_ptr_null(aws_ini_get(&ini, "services x", "logs", "endpoint_url"));
	ck_assert(aws_ini_has(&ini, "empty"));
	ck_assert(aws_ini_has(&ini, "profile q"));
	ck_assert(!aws_ini_has(&ini, "absent"));
}
END_TEST

static const struct {
	const char *credentials, *config, *profile, *env[2], *message;
} refuse_rows[] = {
	{ NULL, NULL, NULL, { NULL },
	  "no AWS credentials: AWS_ACCESS_KEY_ID is not set and profile 'default' has no aws_access_key_id in D/cred or D/conf" },
	{ NULL, "[profile dev]\n", "dev", { NULL },
	  "no AWS credentials: profile 'dev' has no aws_access_key_id in D/cred or D/conf" },
	{ PLAIN, NULL, "nope", { NULL }, "AWS profile 'nope' is neither in D/cred nor in D/conf" },
	{ PLAIN, NULL, NULL, { "AWS_PROFILE", "gone" }, "AWS profile 'gone' is neither in D/cred nor in D/conf" },
	{ NULL, NULL, NULL, { "AWS_ACCESS_KEY_ID", "AKX" },
	  "environment: there is AWS_ACCESS_KEY_ID but no AWS_SECRET_ACCESS_KEY" },
	{ "[default]\naws_access_key_id = AKX\n", NULL, NULL, { NULL },
	  "D/cred, profile 'default': there is aws_access_key_id but no aws_secret_access_key" },
	{ "[default]\naws_access_key_id = AKX\naws_secret_access_key = top secret\n", NULL, NULL, { NULL },
	  "D/cred, profile 'default': the keys hold a blank, a control character or a byte outside ASCII" },
	{ "[default]\naws_access_key_id = AKX\naws_secret_access_key = top\n  secret\n", NULL, NULL, { NULL },
	  "D/cred, profile 'default': the keys hold a blank, a control character or a byte outside ASCII" },
	{ "[default]\ntop-secret\n", NULL, NULL, { NULL }, "D/cred:2: expected [section] or 'key = value'" },
	{ "top=secret\n", NULL, NULL, { NULL }, "D/cred:1: a setting before the first [section]" },
	{ "[default\n", NULL, NULL, { NULL }, "D/cred:1: a section must be written as [name]" },
	{ NULL, "[default]\ns3 =\n  top-secret\n", NULL, { NULL }, "D/conf:3: expected 'key = value' below 's3'" },
	{ PLAIN, "[profile dev]\nsso_session = x\n", "x2", { NULL },
	  "AWS profile 'x2' is neither in D/cred nor in D/conf" },
	{ PLAIN, "[profile p]\nsso_session = x\n", "p", { NULL },
	  "AWS profile 'p' has 'sso_session', a way to credentials that needs a person to sign in; use role_arn, credential_process or keys" },
	{ PLAIN, "[profile p]\nrole_arn = r\n", "p", { NULL },
	  "AWS profile 'p' has role_arn with neither source_profile and credential_source; give it one of them" },
	{ PLAIN, "[profile p]\nrole_arn = r\nsource_profile = default\ncredential_source = Environment\n", "p", { NULL },
	  "AWS profile 'p' has role_arn with both source_profile and credential_source; give it one of them" },
	{ PLAIN, "[profile p]\nrole_arn = r\nsource_profile = none\n", "p", { NULL },
	  "AWS profile 'p': its source_profile 'none' is neither in D/cred nor in D/conf" },
	{ PLAIN, "[profile p]\nrole_arn = r\nsource_profile = p\n", "p", { NULL },
	  "AWS profile 'p': its source_profile 'p' closes a loop" },
	{ PLAIN, "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nrole_arn = s\nsource_profile = p\n", "p", { NULL },
	  "AWS profile 'q': its source_profile 'p' closes a loop" },
	{ PLAIN, "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nregion = s\n", "p", { NULL },
	  "AWS profile 'q' is the source_profile of another, but has no credentials" },
	{ PLAIN, "[profile p]\nrole_arn = r\nsource_profile = default\nmfa_serial = m\n", "p", { NULL },
	  "AWS profile 'p' has 'mfa_serial': there is nobody to type its code; use a role without MFA" },
	{ PLAIN, "[profile p]\nrole_arn = r\nsource_profile = default\nduration_seconds = 899\n", "p", { NULL },
	  "AWS profile 'p': duration_seconds '899' is not a number from 900 to 43200" },
	{ PLAIN, "[profile p]\nrole_arn = r\ncredential_source = Moon\n", "p", { NULL },
	  "AWS profile 'p': credential_source 'Moon' is none of Environment, EcsContainer, Ec2InstanceMetadata" },
	{ PLAIN, "[profile p]\nrole_arn = r\ncredential_source = EcsContainer\n", "p", { NULL },
	  "AWS profile 'p': its credential_source EcsContainer offers no credentials" },
	{ PLAIN, "[profile p0]\nrole_arn = r\nsource_profile = p1\n[profile p1]\nrole_arn = r\nsource_profile = p2\n[profile p2]\nrole_arn = r\nsource_profile = p3\n[profile p3]\nrole_arn = r\nsource_profile = p4\n[profile p4]\nrole_arn = r\nsource_profile = p5\n[profile p5]\nrole_arn = r\nsource_profile = p6\n[profile p6]\nrole_arn = r\nsource_profile = p7\n[profile p7]\nrole_arn = r\nsource_profile = p8\n[profile p8]\nrole_arn = r\nsource_profile = p9\n[profile p9]\naws_access_key_id = a\naws_secret_access_key = b\n", "p0", { NULL },
	  "AWS profile 'p8': a chain of more than 8 roles" },
	{ PLAIN, "", NULL, { "AWS_WEB_IDENTITY_TOKEN_FILE", "/x" },
	  "there is a web identity token (/x) but no role for it; set AWS_ROLE_ARN or role_arn in profile 'default'" },
};

START_TEST(refusals_say_what_and_never_a_secret)
{
	sf_auto_chain struct aws_chain c = { 0 };
	struct sf_error err = { "" };

	files(refuse_rows[_i].credentials, refuse_rows[_i].config);
	if (refuse_rows[_i].env[0])
		setenv(refuse_rows[_i].env[0], refuse_rows[_i].env[1], 1);
	ck_assert_int_eq(aws_chain_load(refuse_rows[_i].profile, &c, &err), -1);
	ck_assert_str_eq(message(&err), refuse_rows[_i].message);
	ck_assert_ptr_null(c.keys.secret_key);
}
END_TEST

START_TEST(files_are_bounded_and_must_be_readable)
{
	sf_auto_chain struct aws_chain c = { 0 };
	struct sf_error err = { "" };
	FILE *f;

	files(NULL, NULL);
	f = fopen(cred_path, "w");
	ck_assert_ptr_nonnull(f);
	fprintf(f, "#%*s\n", (int)AWS_INI_MAX, "");
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(aws_chain_load(NULL, &c, &err), -1);
	ck_assert_str_eq(message(&err), "D/cred: longer than 1048576 bytes");
	setenv("AWS_SHARED_CREDENTIALS_FILE", dir, 1);
	ck_assert_int_eq(aws_chain_load(NULL, &c, &err), -1);
	ck_assert_str_eq(message(&err), "D: Is a directory");
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	ck_assert_int_eq(mkfifo(conf_path, 0600), 0);
	ck_assert_int_eq(aws_chain_load("default", &c, &err), -1);
	ck_assert_str_eq(message(&err), "AWS profile 'default' is neither in /dev/null nor in D/conf");
}
END_TEST

START_TEST(provider_order_static_keys_before_process)
{
	files(PLAIN, "[profile dev]\ncredential_process = /bin/x\n");
	check_keys("dev", "AKDEV", "S/DEV=", "T=");
}
END_TEST

static void check_region(const char *profile, const char *want)
{
	sf_auto_free char *region = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(aws_region_load(profile, &region, &err) == 0, "%s", err.text);
	ck_assert_str_eq(region, want);
}

START_TEST(region_order)
{
	char *region = NULL;
	struct sf_error err = { "" };

	files("[dev]\nregion = from-credentials\n", "[default]\nregion=eu-central-1\n[profile dev]\nregion=x\n[profile bare]\n");
	check_region(NULL, "eu-central-1");
	check_region("dev", "from-credentials");
	ck_assert_int_eq(aws_region_load("bare", &region, &err), -1);
	ck_assert_str_eq(message(&err), "no AWS region: set Region= in fargate.conf, AWS_REGION, or region in profile 'bare' of D/conf");
	setenv("AWS_DEFAULT_REGION", "second", 1);
	check_region("dev", "second");
	setenv("AWS_REGION", "first", 1);
	check_region("dev", "first");
}
END_TEST

START_TEST(settings_and_services)
{
	char *value = NULL;
	struct sf_error err = { "" };

	files(NULL, "[default]\nendpoint_url = http://all\nservices = mine\n[services mine]\necs =\n  endpoint_url = http://ecs\n"
		    "[profile bad]\nservices = none\n");
	ck_assert_int_eq(aws_profile_setting(NULL, NULL, "endpoint_url", &value, &err), 0);
	ck_assert_str_eq(value, "http://all");
	free(value);
	ck_assert_int_eq(aws_profile_setting(NULL, "ecs", "endpoint_url", &value, &err), 0);
	ck_assert_str_eq(value, "http://ecs");
	free(value);
	ck_assert_int_eq(aws_profile_setting(NULL, "cloudwatch_logs", "endpoint_url", &value, &err), 0);
	ck_assert_ptr_null(value);
	ck_assert_int_eq(aws_profile_setting("bad", "ecs", "endpoint_url", &value, &err), -1);
	ck_assert_str_eq(message(&err), "AWS profile 'bad' names services 'none', but D/conf has no section [services none]");
}
END_TEST

START_TEST(free_leaves_nothing)
{
	struct aws_chain c = { 0 };
	struct sf_error err = { "" };

	files(PLAIN, NULL);
	ck_assert_int_eq(aws_chain_load("dev", &c, &err), 0);
	ck_assert_ptr_nonnull(strstr(c.keys.source, "profile 'dev'"));
	ck_assert_ptr_null(strstr(c.keys.source, "DEV"));
	aws_chain_free(&c);
	ck_assert_ptr_null(c.keys.access_key);
	ck_assert_ptr_null(c.keys.secret_key);
	ck_assert_ptr_null(c.keys.session_token);
	ck_assert_ptr_null(c.keys.source);
}
END_TEST

/* botocore's order: each row takes away what the one before it won by. */
static const struct {
	const char *config, *profile, *env[2];
	enum aws_source source;
	size_t roles;
	const char *what;
} order_rows[] = {
	{ "[profile p]\nrole_arn = r\nsource_profile = default\ncredential_process = x\n", "p", { NULL }, AWS_FROM_KEYS, 1, NULL },
	{ "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nrole_arn = s\nsource_profile = default\n", "p", { NULL },
	  AWS_FROM_KEYS, 2, NULL },
	{ "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\ncredential_process = /bin/x a\n", "p", { NULL }, AWS_FROM_PROCESS,
	  1, "/bin/x a" },
	{ "[profile p]\nrole_arn = r\nsource_profile = q\n[profile q]\nrole_arn = s\nweb_identity_token_file = /t\n", "p", { NULL },
	  AWS_FROM_WEB, 1, "/t" },
	{ "[profile p]\nrole_arn = r\nweb_identity_token_file = /t\nsource_profile = default\n", "p", { NULL }, AWS_FROM_WEB, 0, "/t" },
	{ "[profile p]\nrole_arn = r\nsource_profile = p\naws_access_key_id = a\naws_secret_access_key = b\n", "p", { NULL },
	  AWS_FROM_KEYS, 1, NULL },
	{ "[profile p]\ncredential_process = x\naws_access_key_id = a\naws_secret_access_key = b\n", "p", { NULL }, AWS_FROM_PROCESS, 0,
	  "x" },
	{ "[profile p]\nrole_arn = r\ncredential_source = ec2instancemetadata\n", "p", { "AWS_EC2_METADATA_DISABLED", "no" },
	  AWS_FROM_IMDS, 1, NULL },
	{ "[profile p]\nrole_arn = r\ncredential_source = EcsContainer\n", "p", { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/x" },
	  AWS_FROM_CONTAINER, 1, NULL },
	{ "[profile p]\n", "p", { "AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://localhost/" }, AWS_FROM_CONTAINER, 0, NULL },
	{ "[profile p]\n", "p", { "AWS_EC2_METADATA_DISABLED", "false" }, AWS_FROM_IMDS, 0, NULL },
};

START_TEST(the_chain_is_botocores)
{
	sf_auto_chain struct aws_chain c = { 0 };
	struct sf_error err = { "" };

	files(PLAIN, order_rows[_i].config);
	if (order_rows[_i].env[0])
		setenv(order_rows[_i].env[0], order_rows[_i].env[1], 1);
	ck_assert_msg(aws_chain_load(order_rows[_i].profile, &c, &err) == 0, "%s", err.text);
	ck_assert_int_eq(c.source, order_rows[_i].source);
	ck_assert_uint_eq(c.n_roles, order_rows[_i].roles);
	ck_assert_pstr_eq(c.what, order_rows[_i].what);
}
END_TEST

START_TEST(a_role_and_its_settings)
{
	sf_auto_chain struct aws_chain c = { 0 };
	struct sf_error err = { "" };

	files(PLAIN, "[profile p]\nrole_arn = arn:r\nsource_profile = q\nexternal_id = e\nrole_session_name = s\nduration_seconds = 1800\n"
		     "[profile q]\nrole_arn = arn:q\nsource_profile = dev\n");
	ck_assert_msg(aws_chain_load("p", &c, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(c.n_roles, 2);
	ck_assert_str_eq(c.roles[0].arn, "arn:r");
	ck_assert_str_eq(c.roles[0].external_id, "e");
	ck_assert_str_eq(c.roles[0].session, "s");
	ck_assert_str_eq(c.roles[0].duration, "1800");
	ck_assert_str_eq(c.roles[1].arn, "arn:q");
	ck_assert_str_eq(c.roles[1].session, "slurm-fargate");
	ck_assert_ptr_null(c.roles[1].external_id);
	ck_assert_str_eq(c.keys.access_key, "AKDEV");
}
END_TEST

START_TEST(web_identity_of_the_environment)
{
	sf_auto_chain struct aws_chain c = { 0 };
	struct sf_error err = { "" };

	files(PLAIN, NULL);
	setenv("AWS_WEB_IDENTITY_TOKEN_FILE", "/t", 1);
	setenv("AWS_ROLE_ARN", "arn:w", 1);
	setenv("AWS_ROLE_SESSION_NAME", "me", 1);
	ck_assert_msg(aws_chain_load(NULL, &c, &err) == 0, "%s", err.text);
	ck_assert_int_eq(c.source, AWS_FROM_WEB);
	ck_assert_str_eq(c.web.arn, "arn:w");
	ck_assert_str_eq(c.web.session, "me");
	/* a profile given in so many words skips the environment */
	check_keys("dev", "AKDEV", "S/DEV=", "T=");
}
END_TEST

static const struct {
	const char *text;
	int64_t want; /* -1 = refused */
} time_rows[] = {
	{ "2026-11-28T10:00:00Z", 1795860000 }, { "2026-11-28T10:00:00.123Z", 1795860000 }, { "2026-11-28T11:00:00+01:00", 1795860000 },
	{ "2026-11-28T09:30:00-00:30", 1795860000 }, { "", -1 }, { "2026-11-28", -1 }, { "2026-11-28T10:00:00", -1 },
	{ "2026-11-28T10:00:00Zx", -1 }, { "2026-11-28T10:00:00+1:00", -1 }, { "2026-13-28T10:00:00Z", -1 }, { " 2026-11-28T10:00:00Z", -1 },
	{ "1795860000", -1 },
};

START_TEST(times)
{
	int64_t got = -1;

	if (aws_time_parse(time_rows[_i].text, &got) != 0)
		got = -1;
	ck_assert_msg(got == time_rows[_i].want, "%s: %lld", time_rows[_i].text, (long long)got);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ environment_comes_first, 0 },
		{ profiles_of_the_environment, 0 },
		{ config_file_is_second_and_reload_reads_again, 0 },
		{ files_below_home, 0 },
		{ ini_as_configparser_reads_it, 0 },
		{ refusals_say_what_and_never_a_secret, SF_COUNT(refuse_rows) },
		{ files_are_bounded_and_must_be_readable, 0 },
		{ provider_order_static_keys_before_process, 0 },
		{ region_order, 0 },
		{ settings_and_services, 0 },
		{ free_leaves_nothing, 0 },
		{ the_chain_is_botocores, SF_COUNT(order_rows) },
		{ a_role_and_its_settings, 0 },
		{ web_identity_of_the_environment, 0 },
		{ times, SF_COUNT(time_rows) },
	};
	int rc;

	if (!mkdtemp(dir))
		return EXIT_FAILURE;
	snprintf(cred_path, sizeof(cred_path), "%s/cred", dir);
	snprintf(conf_path, sizeof(conf_path), "%s/conf", dir);
	rc = tap_main("credentials", tests, SF_COUNT(tests));
	unlink(cred_path);
	unlink(conf_path);
	rmdir(dir);
	return rc;
}
