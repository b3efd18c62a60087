/* Keys to AWS: taken with care, wiped when done with. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/credentials.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>

#include <openssl/crypto.h>

static bool is_clean(const char *s)
{
	for (; *s; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

/* Z, or +hh:mm of a time; *end is moved behind it. */
static bool take_offset(const char **end, int64_t *offset)
{
	const char *s = *end;
	int sign = *s == '-' ? -1 : 1, hours, minutes;

	*offset = 0;
	if (*s == 'Z' || *s == 'z') {
		*end = s + 1;
		return true;
	}
	if ((*s != '+' && *s != '-') || !isdigit((unsigned char)s[1]) || !isdigit((unsigned char)s[2]) || s[3] != ':' ||
	    !isdigit((unsigned char)s[4]) || !isdigit((unsigned char)s[5]))
		return false;
	hours = (s[1] - '0') * 10 + s[2] - '0';
	minutes = (s[4] - '0') * 10 + s[5] - '0';
	*offset = sign * (hours * 3600 + minutes * 60);
	*end = s + 6;
	return hours < 24 && minutes < 60;
}

int aws_time_parse(const char *text, int64_t *out)
{
	struct tm tm = { 0 };
	const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int64_t offset;

	if (!end || !isdigit((unsigned char)*text))
		return -1;
	if (*end == '.')
		for (end++; isdigit((unsigned char)*end); end++)
			;
	if (!take_offset(&end, &offset) || *end)
		return -1;
	*out = (int64_t)timegm(&tm) - offset;
	return *out > 0 ? 0 : -1;
}

/* A copy, NULL for nothing; *ok stays true only if there was memory. */
static char *copy(const char *s, bool *ok)
{
	char *out = s && *s ? strdup(s) : NULL;

	*ok = *ok && (out || !s || !*s);
	return out;
}

int aws_credentials_take(const struct aws_offer *o, struct aws_credentials *out, struct sf_error *err)
{
	struct aws_credentials c = { 0 };
	bool ok = true;

	if (!o->access || !*o->access)
		return sf_err(err, "%s: there is no %s", o->source, o->access_name);
	if (!o->secret || !*o->secret)
		return sf_err(err, "%s: there is %s but no %s", o->source, o->access_name, o->secret_name);
	/* They go into headers: a line break would start a header of its own. */
	if (!is_clean(o->access) || !is_clean(o->secret) || (o->token && !is_clean(o->token)))
		return sf_err(err, "%s: the keys hold a blank, a control character or a byte outside ASCII", o->source);
	if (o->expiration && aws_time_parse(o->expiration, &c.expires) != 0)
		return sf_err(err, "%s: the expiration is not a time like 2026-01-31T10:00:00Z", o->source);
	c.access_key = copy(o->access, &ok);
	c.secret_key = copy(o->secret, &ok);
	c.session_token = copy(o->token, &ok);
	c.source = copy(o->source, &ok);
	if (!ok) {
		aws_credentials_free(&c);
		return sf_err(err, "out of memory");
	}
	*out = c;
	return 0;
}

void aws_wipe(char *secret)
{
	if (secret)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

void aws_credentials_free(struct aws_credentials *c)
{
	aws_wipe(c->access_key);
	aws_wipe(c->secret_key);
	aws_wipe(c->session_token);
	free(c->source);
	*c = (struct aws_credentials){ 0 };
}
