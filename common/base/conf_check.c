/* What the values of fargate.conf may look like. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf_check.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/un.h>

#define DIGITS "0123456789"
#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define ALNUM LOWER UPPER DIGITS
#define ECS_NAME ALNUM "-_"
#define ECS_NAME_MAX 255

/* 1 to max bytes, all of them of this alphabet. */
static bool spelled(const char *s, const char *alphabet, size_t max)
{
	size_t n = strspn(s, alphabet);

	return n > 0 && n <= max && !s[n];
}

/* Printable ASCII without the bytes of `without`. */
static bool printable(const char *s, const char *without, size_t max)
{
	size_t n = strlen(s), i;

	for (i = 0; i < n; i++)
		if (s[i] < ' ' || s[i] > '~' || strchr(without, s[i]))
			return false;
	return n > 0 && n <= max;
}

static bool prefixed(const char *s, const char *prefix, const char *alphabet, size_t max)
{
	size_t n = strlen(prefix);

	return strncmp(s, prefix, n) == 0 && spelled(s + n, alphabet, max);
}

bool sf_valid_partition(const char *s)
{
	return printable(s, " ,=\"'/\\#", 255) && strcasecmp(s, "DEFAULT") != 0;
}

bool sf_valid_region(const char *s)
{
	return spelled(s, LOWER DIGITS "-", 32) && isalpha((unsigned char)*s);
}

bool sf_valid_profile(const char *s)
{
	return printable(s, "[]", 128);
}

bool sf_valid_ecs_name(const char *s)
{
	return spelled(s, ECS_NAME, ECS_NAME_MAX);
}

static bool family_and_revision(const char *s)
{
	size_t n = strspn(s, ECS_NAME);

	if (n == 0 || n > ECS_NAME_MAX)
		return false;
	return !s[n] || (s[n] == ':' && s[n + 1] != '0' && spelled(s + n + 1, DIGITS, 9));
}

/* The length of arn:PARTITION:SERVICE:REGION:ACCOUNT: at the front of s, 0 when it is none of that service. */
static size_t arn_head(const char *s, const char *service)
{
	static const char *const parts[] = { LOWER "-", LOWER, LOWER DIGITS "-", DIGITS };
	const char *p = s + 4;
	size_t i, n;

	if (strncmp(s, "arn:", 4) != 0)
		return 0;
	for (i = 0; i < sizeof(parts) / sizeof(parts[0]); i++, p += n + 1) {
		n = strspn(p, parts[i]);
		if (n == 0 || n > 32 || p[n] != ':')
			return 0;
		if (i == 1 && (n != strlen(service) || strncmp(p, service, n) != 0))
			return 0;
	}
	return (size_t)(p - s);
}

static bool task_definition_arn(const char *s)
{
	static const char kind[] = "task-definition/";
	size_t n = arn_head(s, "ecs");

	return n && strncmp(s + n, kind, sizeof(kind) - 1) == 0 && family_and_revision(s + n + sizeof(kind) - 1);
}

bool sf_valid_task_definition(const char *s)
{
	return family_and_revision(s) || task_definition_arn(s);
}

/* Is every [ of a pattern followed by its ]? fnmatch(3) takes the others for themselves, which nobody means. */
static bool closed(const char *s)
{
	while ((s = strchr(s, '[')))
		if (!(s = strchr(s + 1, ']')))
			return false;
	return true;
}

bool sf_valid_definition_glob(const char *s)
{
	return spelled(s, ECS_NAME "*?[]!^:", ECS_NAME_MAX) && closed(s);
}

bool sf_valid_group(const char *s)
{
	return printable(s, ",\"", 255);
}

bool sf_valid_subnet(const char *s)
{
	return prefixed(s, "subnet-", ALNUM, 32);
}

bool sf_valid_security_group(const char *s)
{
	return prefixed(s, "sg-", ALNUM, 32);
}

bool sf_valid_provider(const char *s)
{
	return strcmp(s, "FARGATE") == 0 || strcmp(s, "FARGATE_SPOT") == 0;
}

bool sf_valid_license(const char *s)
{
	return spelled(s, ALNUM "_-.@", 64);
}

bool sf_valid_topic(const char *s)
{
	size_t n = arn_head(s, "sns");

	return n && spelled(s + n, ECS_NAME ".", 256);
}

bool sf_valid_glob(const char *s)
{
	return printable(s, "\"", 1024) && closed(s);
}

bool sf_valid_exit_glob(const char *s)
{
	unsigned long n;

	if (!spelled(s, DIGITS "*?[]-", 16) || !closed(s))
		return false;
	n = strtoul(s, NULL, 10);
	return s[strspn(s, DIGITS)] || (strlen(s) <= 3 && n <= 255);
}

bool sf_valid_instance(const char *s)
{
	return spelled(s, ALNUM "_", 32);
}

/* These are shown on terminals and in logs. */
static bool clean(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 127)
			return false;
	return true;
}

bool sf_valid_absolute(const char *s)
{
	return s[0] == '/' && strlen(s) < PATH_MAX && clean(s);
}

bool sf_valid_socket(const char *s)
{
	return s[0] == '/' && strlen(s) < sizeof(((struct sockaddr_un *)0)->sun_path) && clean(s);
}

void sf_arn_region(const char *s, char *out, size_t size)
{
	int colons = 0;
	size_t n;

	out[0] = '\0';
	if (strncmp(s, "arn:", 4) != 0)
		return;
	for (; *s && colons < 3; s++)
		colons += *s == ':';
	n = strcspn(s, ":");
	if (n < size) {
		memcpy(out, s, n);
		out[n] = '\0';
	}
}
