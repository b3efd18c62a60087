/* Which URL a service has in a region, and how requests to it are signed. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/endpoints.h"

#include <ctype.h>
#include <string.h>

#include "common/aws/profile.h"
#include "common/base/text.h"

/* Source: botocore's endpoint rule sets and its list of service ids. */
static const struct service {
	const char *host;         /* first label of the host name, the signing name too */
	const char *env;          /* AWS_ENDPOINT_URL_<env> */
	const char *services_key; /* in a [services] section */
	bool gov_fips_is_plain;   /* in us-gov the FIPS endpoint has the plain name */
} services[AWS_SERVICE_COUNT] = {
	[AWS_ECS] = { "ecs", "AWS_ENDPOINT_URL_ECS", "ecs", false },
	[AWS_LOGS] = { "logs", "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", "cloudwatch_logs", true },
	[AWS_SNS] = { "sns", "AWS_ENDPOINT_URL_SNS", "sns", true },
	[AWS_QUOTAS] = { "servicequotas", "AWS_ENDPOINT_URL_SERVICE_QUOTAS", "service_quotas", true },
	[AWS_MONITORING] = { "monitoring", "AWS_ENDPOINT_URL_CLOUDWATCH", "cloudwatch", true },
	[AWS_STS] = { "sts", "AWS_ENDPOINT_URL_STS", "sts", true },
};

/* The first prefix that fits; a NULL suffix = a partition whose names are not known here. */
static const struct partition {
	const char *prefix;
	const char *suffix;
	const char *dual_suffix;
	bool gov;
} partitions[] = {
	{ "cn-", "amazonaws.com.cn", "api.amazonwebservices.com.cn", false },
	{ "us-gov-", "amazonaws.com", "api.aws", true },
	{ "us-iso", NULL, NULL, false },
	{ "eu-iso", NULL, NULL, false },
	{ "eusc-", NULL, NULL, false },
	{ "", "amazonaws.com", "api.aws", false },
};

bool aws_region_valid(const char *region)
{
	size_t n = strlen(region);

	return n > 0 && n <= 63 && strspn(region, "abcdefghijklmnopqrstuvwxyz0123456789-") == n &&
	       region[0] != '-' && region[n - 1] != '-';
}

/* A switch: the environment, else the profile; anything but "true" in any case is no (botocore's ensure_boolean). */
static int find_switch(const char *profile, const char *variable, const char *key, bool *out, struct sf_error *err)
{
	sf_auto_free char *from_profile = NULL;
	const char *value = getenv(variable);

	if (!value || !*value) {
		if (aws_profile_setting(profile, NULL, key, &from_profile, err) != 0)
			return -1;
		value = from_profile;
	}
	*out = value && strcasecmp(value, "true") == 0;
	return 0;
}

/* The configured URL and where it stands, both NULL when there is none. Caller frees *url. */
static int find_url(const struct service *s, const char *profile, char **url, const char **where, struct sf_error *err)
{
	const char *names[] = { s->env, "AWS_ENDPOINT_URL" };
	const char *value;
	bool ignore = false;
	size_t i;

	*url = NULL;
	*where = NULL;
	if (find_switch(profile, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls", &ignore,
			err) != 0)
		return -1;
	for (i = 0; i < SF_COUNT(names) && !ignore; i++) {
		value = getenv(names[i]);
		if (!value || !*value)
			continue;
		*where = names[i];
		*url = strdup(value);
		return *url ? 0 : sf_err(err, "out of memory");
	}
	if (ignore)
		return 0;
	*where = "the profile's endpoint_url";
	if (aws_profile_setting(profile, s->services_key, "endpoint_url", url, err) != 0)
		return -1;
	if (!*url && aws_profile_setting(profile, NULL, "endpoint_url", url, err) != 0)
		return -1;
	return 0;
}

static bool port_valid(const char *s, size_t n)
{
	unsigned long port = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!isdigit((unsigned char)s[i]) || port > 65535)
			return false;
		port = port * 10 + (unsigned long)(s[i] - '0');
	}
	return port > 0 && port <= 65535;
}

/* host[:port] of n bytes into out->host, without the scheme's own port. */
static bool take_host(const char *s, size_t n, const char *own_port, struct aws_endpoint *out)
{
	static const char alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t name, port;

	if (n > 0 && s[0] == '[') {
		name = strspn(s + 1, "0123456789abcdefABCDEF:.") + 2;
		if (name > n || s[name - 1] != ']')
			return false;
	} else {
		name = strspn(s, alphabet);
	}
	if (name == 0 || name > n || n >= sizeof(out->host))
		return false;
	port = name + 1;
	if (n > name && (s[name] != ':' || !port_valid(s + port, n - port)))
		return false;
	if (n > name && n - port == strlen(own_port) && strncmp(s + port, own_port, n - port) == 0)
		n = name;
	memcpy(out->host, s, n);
	out->host[n] = '\0';
	return true;
}

static int take_url(const char *url, const char *where, struct aws_endpoint *out, struct sf_error *err)
{
	static const char path_alphabet[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~%/+:@=,";
	bool plain = strncasecmp(url, "http://", 7) == 0;
	bool tls = strncasecmp(url, "https://", 8) == 0;
	const char *host = url + (tls ? 8 : 7), *path;

	if (plain || tls) {
		path = strchrnul(host, '/');
		if (strspn(path, path_alphabet) == strlen(path) &&
		    take_host(host, (size_t)(path - host), tls ? "443" : "80", out) &&
		    sf_copy(out->path, sizeof(out->path), *path ? path : "/") &&
		    (size_t)snprintf(out->url, sizeof(out->url), "%s%s", url, *path ? "" : "/") <
			    sizeof(out->url))
			return 0;
	}
	return sf_err(err, "%s is '%s', not http(s)://host[:port][/path] of less than %d characters", where, url,
		      AWS_ENDPOINT_URL_MAX);
}

/* AWS's own name for the service. */
static int standard_url(const struct service *s, const char *region, bool fips, bool dual, struct aws_endpoint *out,
			struct sf_error *err)
{
	const struct partition *p = partitions;

	while (strncmp(region, p->prefix, strlen(p->prefix)) != 0)
		p++;
	if (!p->suffix)
		return sf_err(err, "region '%s' is in a partition whose host names are not known here; set %s", region,
			      s->env);
	if (p->gov && s->gov_fips_is_plain && !dual)
		fips = false;
	snprintf(out->host, sizeof(out->host), "%s%s.%s.%s", s->host, fips ? "-fips" : "", region,
		 dual ? p->dual_suffix : p->suffix);
	snprintf(out->url, sizeof(out->url), "https://%.*s/", AWS_ENDPOINT_URL_MAX - 10, out->host);
	sf_copy(out->path, sizeof(out->path), "/");
	return 0;
}

int aws_endpoint_find(enum aws_service service, const char *region, const char *profile, struct aws_endpoint *out,
		      struct sf_error *err)
{
	const struct service *s = &services[service];
	sf_auto_free char *url = NULL;
	const char *where = NULL;
	bool fips = false, dual = false;

	if (!aws_region_valid(region))
		return sf_err(err, "'%s' is not the name of an AWS region", region);
	if (find_url(s, profile, &url, &where, err) != 0 ||
	    find_switch(profile, "AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", &fips, err) != 0 ||
	    find_switch(profile, "AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint", &dual, err) != 0)
		return -1;
	sf_copy(out->signing_region, sizeof(out->signing_region), region);
	sf_copy(out->signing_name, sizeof(out->signing_name), s->host);
	if (!url)
		return standard_url(s, region, fips, dual, out, err);
	if (fips || dual)
		return sf_err(err, "%s is set together with %s; give up one of them", where,
			      fips ? "AWS_USE_FIPS_ENDPOINT" : "AWS_USE_DUALSTACK_ENDPOINT");
	return take_url(url, where, out, err);
}
