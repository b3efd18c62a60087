/* Unit tests of common/aws/endpoints.c; the host names are those of botocore's endpoint rule sets. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/endpoints.h"

#include <string.h>

#include "common/base/util.h"
#include "tests/unit/tap.h"

static char conf_path[] = "/tmp/test_endpoints.XXXXXX";

static const struct {
	enum aws_service service;
	const char *region, *fips, *dual, *host;
} standard_rows[] = {
	{ AWS_ECS, "eu-west-1", NULL, NULL, "ecs.eu-west-1.amazonaws.com" },
	{ AWS_ECS, "eu-west-1", NULL, "true", "ecs.eu-west-1.api.aws" },
	{ AWS_ECS, "us-east-1", "TRUE", NULL, "ecs-fips.us-east-1.amazonaws.com" },
	{ AWS_ECS, "us-east-1", "true", "true", "ecs-fips.us-east-1.api.aws" },
	{ AWS_ECS, "us-east-1", "false", "no", "ecs.us-east-1.amazonaws.com" },
	{ AWS_ECS, "us-gov-west-1", NULL, NULL, "ecs.us-gov-west-1.amazonaws.com" },
	{ AWS_ECS, "us-gov-west-1", "true", NULL, "ecs-fips.us-gov-west-1.amazonaws.com" },
	{ AWS_ECS, "cn-north-1", NULL, NULL, "ecs.cn-north-1.amazonaws.com.cn" },
	{ AWS_ECS, "cn-north-1", NULL, "true", "ecs.cn-north-1.api.amazonwebservices.com.cn" },
	{ AWS_ECS, "cn-north-1", "true", NULL, "ecs-fips.cn-north-1.amazonaws.com.cn" },
	{ AWS_ECS, "us-mars-1", NULL, NULL, "ecs.us-mars-1.amazonaws.com" },
	{ AWS_LOGS, "eu-west-1", NULL, NULL, "logs.eu-west-1.amazonaws.com" },
	{ AWS_LOGS, "us-gov-west-1", "true", NULL, "logs.us-gov-west-1.amazonaws.com" },
	{ AWS_LOGS, "us-gov-west-1", "true", "true", "logs-fips.us-gov-west-1.api.aws" },
	{ AWS_LOGS, "us-east-1", "true", NULL, "logs-fips.us-east-1.amazonaws.com" },
	{ AWS_SNS, "eu-west-1", NULL, NULL, "sns.eu-west-1.amazonaws.com" },
	{ AWS_SNS, "eu-west-1", NULL, "true", "sns.eu-west-1.api.aws" },
	{ AWS_SNS, "us-east-1", "true", NULL, "sns-fips.us-east-1.amazonaws.com" },
	{ AWS_SNS, "us-gov-east-1", NULL, NULL, "sns.us-gov-east-1.amazonaws.com" },
	{ AWS_SNS, "us-gov-west-1", "true", NULL, "sns.us-gov-west-1.amazonaws.com" },
	{ AWS_SNS, "us-gov-west-1", "true", "true", "sns-fips.us-gov-west-1.api.aws" },
	{ AWS_SNS, "cn-north-1", NULL, NULL, "sns.cn-north-1.amazonaws.com.cn" },
	{ AWS_QUOTAS, "eu-west-1", NULL, NULL, "servicequotas.eu-west-1.amazonaws.com" },
	{ AWS_QUOTAS, "eu-west-1", NULL, "true", "servicequotas.eu-west-1.api.aws" },
	{ AWS_QUOTAS, "us-east-1", "true", NULL, "servicequotas-fips.us-east-1.amazonaws.com" },
	{ AWS_QUOTAS, "us-gov-west-1", "true", NULL, "servicequotas.us-gov-west-1.amazonaws.com" },
	{ AWS_QUOTAS, "cn-north-1", NULL, NULL, "servicequotas.cn-north-1.amazonaws.com.cn" },
	{ AWS_MONITORING, "eu-west-1", NULL, NULL, "monitoring.eu-west-1.amazonaws.com" },
	{ AWS_MONITORING, "eu-west-1", NULL, "true", "monitoring.eu-west-1.api.aws" },
	{ AWS_MONITORING, "us-east-1", "true", NULL, "monitoring-fips.us-east-1.amazonaws.com" },
	{ AWS_MONITORING, "us-gov-west-1", "true", NULL, "monitoring.us-gov-west-1.amazonaws.com" },
	{ AWS_MONITORING, "cn-north-1", NULL, NULL, "monitoring.cn-north-1.amazonaws.com.cn" },
	{ AWS_SNS, "cn-north-1", NULL, "true", "sns.cn-north-1.api.amazonwebservices.com.cn" },
};
static const char *const signing_names[AWS_SERVICE_COUNT] = { [AWS_ECS] = "ecs", [AWS_LOGS] = "logs", [AWS_SNS] = "sns",
							      [AWS_QUOTAS] = "servicequotas", [AWS_MONITORING] = "monitoring" };

static void set(const char *name, const char *value)
{
	if (value)
		setenv(name, value, 1);
	else
		unsetenv(name);
}

static void config(const char *text)
{
	static const char *const unset[] = { "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_ECS", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
					     "AWS_ENDPOINT_URL_SNS", "AWS_ENDPOINT_URL_SERVICE_QUOTAS", "AWS_ENDPOINT_URL_CLOUDWATCH",
					     "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_USE_FIPS_ENDPOINT",
					     "AWS_USE_DUALSTACK_ENDPOINT", "AWS_PROFILE", "AWS_DEFAULT_PROFILE" };
	FILE *f = fopen(conf_path, "w");
	size_t i;

	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
	setenv("AWS_CONFIG_FILE", conf_path, 1);
	setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
	for (i = 0; i < SF_COUNT(unset); i++)
		unsetenv(unset[i]);
}

START_TEST(standard_names)
{
	struct aws_endpoint ep;
	struct sf_error err = { "" };
	char url[300];

	config("");
	set("AWS_USE_FIPS_ENDPOINT", standard_rows[_i].fips);
	set("AWS_USE_DUALSTACK_ENDPOINT", standard_rows[_i].dual);
	ck_assert_msg(aws_endpoint_find(standard_rows[_i].service, standard_rows[_i].region, NULL, &ep, &err) == 0, "%s", err.text);
	ck_assert_str_eq(ep.host, standard_rows[_i].host);
	snprintf(url, sizeof(url), "https://%s/", standard_rows[_i].host);
	ck_assert_str_eq(ep.url, url);
	ck_assert_str_eq(ep.path, "/");
	ck_assert_str_eq(ep.signing_region, standard_rows[_i].region);
	ck_assert_str_eq(ep.signing_name, signing_names[standard_rows[_i].service]);
}
END_TEST

static const char *url_now(enum aws_service service, const char *profile)
{
	static struct aws_endpoint ep;
	struct sf_error err = { "" };

	ck_assert_msg(aws_endpoint_find(service, "eu-west-1", profile, &ep, &err) == 0, "%s", err.text);
	return ep.url;
}

START_TEST(configured_urls_in_order)
{
	config("[default]\nendpoint_url=http://d\n[profile p]\nendpoint_url = http://p\nservices = s\n"
	       "[services s]\necs =\n  endpoint_url = http://s\n[profile i]\nignore_configured_endpoint_urls = true\n"
	       "endpoint_url = http://i\n[profile f]\nuse_fips_endpoint = true\n");
	ck_assert_str_eq(url_now(AWS_ECS, NULL), "http://d/");
	ck_assert_str_eq(url_now(AWS_LOGS, "p"), "http://p/");
	ck_assert_str_eq(url_now(AWS_ECS, "p"), "http://s/");
	ck_assert_str_eq(url_now(AWS_ECS, "i"), "https://ecs.eu-west-1.amazonaws.com/");
	ck_assert_str_eq(url_now(AWS_ECS, "f"), "https://ecs-fips.eu-west-1.amazonaws.com/");
	setenv("AWS_ENDPOINT_URL", "http://env", 1);
	ck_assert_str_eq(url_now(AWS_ECS, "p"), "http://env/");
	setenv("AWS_ENDPOINT_URL_ECS", "http://env-ecs", 1);
	ck_assert_str_eq(url_now(AWS_ECS, "p"), "http://env-ecs/");
	ck_assert_str_eq(url_now(AWS_LOGS, "p"), "http://env/");
	setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "http://env-logs", 1);
	ck_assert_str_eq(url_now(AWS_LOGS, "p"), "http://env-logs/");
	setenv("AWS_ENDPOINT_URL_SNS", "http://env-sns", 1);
	ck_assert_str_eq(url_now(AWS_SNS, "p"), "http://env-sns/");
	setenv("AWS_ENDPOINT_URL_SERVICE_QUOTAS", "http://env-quotas", 1);
	ck_assert_str_eq(url_now(AWS_QUOTAS, "p"), "http://env-quotas/");
	setenv("AWS_ENDPOINT_URL_CLOUDWATCH", "http://env-cloudwatch", 1);
	ck_assert_str_eq(url_now(AWS_MONITORING, "p"), "http://env-cloudwatch/");
	setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true", 1);
	ck_assert_str_eq(url_now(AWS_ECS, "p"), "https://ecs.eu-west-1.amazonaws.com/");
}
END_TEST

static const struct {
	const char *in, *url, *host, *path;
} url_rows[] = {
	{ "http://127.0.0.1:4566", "http://127.0.0.1:4566/", "127.0.0.1:4566", "/" },
	{ "https://vpce-1.ecs.eu-west-1.vpce.amazonaws.com:443", "https://vpce-1.ecs.eu-west-1.vpce.amazonaws.com:443/",
	  "vpce-1.ecs.eu-west-1.vpce.amazonaws.com", "/" },
	{ "http://h:80/base/x", "http://h:80/base/x", "h", "/base/x" },
	{ "http://h:443/", "http://h:443/", "h:443", "/" },
	{ "HTTPS://[::1]:8443/a%20b", "HTTPS://[::1]:8443/a%20b", "[::1]:8443", "/a%20b" },
};

START_TEST(urls_are_taken_apart)
{
	struct aws_endpoint ep;
	struct sf_error err = { "" };

	config("");
	setenv("AWS_ENDPOINT_URL", url_rows[_i].in, 1);
	ck_assert_msg(aws_endpoint_find(AWS_ECS, "eu-west-1", NULL, &ep, &err) == 0, "%s", err.text);
	ck_assert_str_eq(ep.url, url_rows[_i].url);
	ck_assert_str_eq(ep.host, url_rows[_i].host);
	ck_assert_str_eq(ep.path, url_rows[_i].path);
	ck_assert_str_eq(ep.signing_region, "eu-west-1");
}
END_TEST

static const char *const bad_urls[] = {
	"ftp://h",	"h:80",		     "http://",		 "http:///x",	   "http://h:0",   "http://h:65536",  "http://h:",
	"http://h:8x",	"http://u:p@h/",     "http://h/?a=b",	 "http://h/#f",	   "http://h/a b", "http://h\r\nX: y", "http://[::1",
	"http://[x]",	"http://h/\xc3\xbc", "http://h\\evil",
};

START_TEST(bad_urls_are_refused)
{
	char want[SF_ERROR_MAX];
	struct aws_endpoint ep;
	struct sf_error err = { "" };

	config("");
	setenv("AWS_ENDPOINT_URL_ECS", bad_urls[_i], 1);
	ck_assert_int_eq(aws_endpoint_find(AWS_ECS, "eu-west-1", NULL, &ep, &err), -1);
	snprintf(want, sizeof(want), "AWS_ENDPOINT_URL_ECS is '%s', not http(s)://host[:port][/path] of less than 512 characters",
		 bad_urls[_i]);
	ck_assert_str_eq(err.text, want);
}
END_TEST

START_TEST(long_urls_are_refused)
{
	char url[600] = "http://h/";
	struct aws_endpoint ep;
	struct sf_error err = { "" };

	config("");
	memset(url + 9, 'a', sizeof(url) - 10);
	url[511] = '\0';
	setenv("AWS_ENDPOINT_URL", url, 1);
	ck_assert_int_eq(aws_endpoint_find(AWS_ECS, "eu-west-1", NULL, &ep, &err), 0);
	url[511] = 'a';
	url[512] = '\0';
	setenv("AWS_ENDPOINT_URL", url, 1);
	ck_assert_int_eq(aws_endpoint_find(AWS_ECS, "eu-west-1", NULL, &ep, &err), -1);
	memmove(url + 7, url + 9, 500);
	memcpy(url, "http://", 7);
	ck_assert_int_eq(aws_endpoint_find(AWS_ECS, "eu-west-1", NULL, &ep, &err), -1);
}
END_TEST

static const struct {
	const char *region, *message;
} region_rows[] = {
	{ "", "'' is not the name of an AWS region" },
	{ "eu-west-1.evil.example/", "'eu-west-1.evil.example/' is not the name of an AWS region" },
	{ "EU-west-1", "'EU-west-1' is not the name of an AWS region" },
	{ "-a", "'-a' is not the name of an AWS region" },
	{ "a-", "'a-' is not the name of an AWS region" },
	{ "us-iso-east-1", "region 'us-iso-east-1' is in a partition whose host names are not known here; set AWS_ENDPOINT_URL_ECS" },
	{ "us-isob-east-1", "region 'us-isob-east-1' is in a partition whose host names are not known here; set AWS_ENDPOINT_URL_ECS" },
	{ "eusc-de-east-1", "region 'eusc-de-east-1' is in a partition whose host names are not known here; set AWS_ENDPOINT_URL_ECS" },
};

START_TEST(bad_regions_are_refused)
{
	struct aws_endpoint ep;
	struct sf_error err = { "" };

	config("");
	ck_assert_int_eq(aws_endpoint_find(AWS_ECS, region_rows[_i].region, NULL, &ep, &err), -1);
	ck_assert_str_eq(err.text, region_rows[_i].message);
}
END_TEST

START_TEST(an_endpoint_excludes_fips_and_dual_stack)
{
	struct aws_endpoint ep;
	struct sf_error err = { "" };

	config("");
	setenv("AWS_ENDPOINT_URL", "http://h", 1);
	setenv("AWS_USE_FIPS_ENDPOINT", "true", 1);
	ck_assert_int_eq(aws_endpoint_find(AWS_ECS, "eu-west-1", NULL, &ep, &err), -1);
	ck_assert_str_eq(err.text, "AWS_ENDPOINT_URL is set together with AWS_USE_FIPS_ENDPOINT; give up one of them");
	config("[default]\nendpoint_url=http://h\nuse_dualstack_endpoint=true\n");
	ck_assert_int_eq(aws_endpoint_find(AWS_ECS, "eu-west-1", NULL, &ep, &err), -1);
	ck_assert_str_eq(err.text,
			 "the profile's endpoint_url is set together with AWS_USE_DUALSTACK_ENDPOINT; give up one of them");
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ standard_names, SF_COUNT(standard_rows) },
		{ configured_urls_in_order, 0 },
		{ urls_are_taken_apart, SF_COUNT(url_rows) },
		{ bad_urls_are_refused, SF_COUNT(bad_urls) },
		{ long_urls_are_refused, 0 },
		{ bad_regions_are_refused, SF_COUNT(region_rows) },
		{ an_endpoint_excludes_fips_and_dual_stack, 0 },
	};
	int fd = mkstemp(conf_path), rc;

	if (fd < 0)
		return EXIT_FAILURE;
	close(fd);
	rc = tap_main("endpoints", tests, SF_COUNT(tests));
	unlink(conf_path);
	return rc;
}
