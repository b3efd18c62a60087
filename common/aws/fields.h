/* Members of AWS's JSON as strings of our own, and request bodies as text. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_FIELDS_H
#define SF_AWS_FIELDS_H

#include <string.h>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/base/text.h"

/* A copy of a string member as it is (tokens go back to AWS); NULL when it is absent or no string. */
static inline int aws_take_raw(const sf_json *obj, const char *key, char **out, struct sf_error *err)
{
	const char *s = sf_json_str(obj, key);

	*out = s ? strdup(s) : NULL;
	return s && !*out ? sf_err(err, "out of memory") : 0;
}

/* The same, cleaned. */
static inline int aws_take_str(const sf_json *obj, const char *key, char **out, struct sf_error *err)
{
	if (aws_take_raw(obj, key, out, err) != 0)
		return -1;
	if (*out)
		sf_text_clean(*out);
	return 0;
}

static inline int aws_body_text(const sf_json *body, char **out, struct sf_error *err)
{
	*out = body ? sf_json_text(body) : NULL;
	return *out ? 0 : sf_err(err, "out of memory");
}

#endif
