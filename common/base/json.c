/* json-c wrapped once: typed getters, builders that own, no escaped slashes. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/json.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <string.h>

#include <json-c/json.h>

#include "common/base/text.h"

#define MAX_DEPTH 32

int sf_json_parse(const char *text, size_t n, sf_json **out, struct sf_error *err)
{
	struct json_tokener *tok = NULL;
	sf_json *parsed = NULL;
	int rc = -1;

	if (n > INT_MAX - 1)
		return sf_err(err, "JSON of %zu bytes is too long", n);
	tok = json_tokener_new_ex(MAX_DEPTH);
	if (!tok)
		return sf_err(err, "out of memory");
	json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
	parsed = json_tokener_parse_ex(tok, text, (int)n);
	/* A bare number at the end of the input is complete only once a delimiter follows. */
	if (json_tokener_get_error(tok) == json_tokener_continue)
		parsed = json_tokener_parse_ex(tok, "", -1);
	if (json_tokener_get_error(tok) != json_tokener_success) {
		sf_err(err, "not JSON: %s", json_tokener_error_desc(json_tokener_get_error(tok)));
		goto out;
	}
	*out = sf_steal(parsed);
	rc = 0;
out:
	json_object_put(parsed);
	json_tokener_free(tok);
	return rc;
}

sf_json *sf_json_keep(sf_json *j)
{
	return json_object_get(j);
}

void sf_json_free(sf_json *j)
{
	json_object_put(j);
}

static sf_json *get(const sf_json *obj, const char *key, enum json_type type)
{
	sf_json *value = NULL;

	if (!json_object_is_type(obj, json_type_object) || !json_object_object_get_ex(obj, key, &value))
		return NULL;
	return json_object_is_type(value, type) ? value : NULL;
}

const char *sf_json_string(const sf_json *value)
{
	if (!value || !json_object_is_type(value, json_type_string))
		return NULL;
	return json_object_get_string((sf_json *)value);
}

const char *sf_json_str(const sf_json *obj, const char *key)
{
	return sf_json_string(get(obj, key, json_type_string));
}

const char *sf_json_bytes(const sf_json *obj, const char *key, size_t *n)
{
	sf_json *value = get(obj, key, json_type_string);

	*n = value ? (size_t)json_object_get_string_len(value) : 0;
	return value ? json_object_get_string(value) : NULL;
}

bool sf_json_is_object(const sf_json *value)
{
	return value && json_object_is_type(value, json_type_object);
}

bool sf_json_has(const sf_json *obj, const char *key)
{
	return json_object_is_type(obj, json_type_object) && json_object_object_get_ex(obj, key, NULL);
}

sf_json *sf_json_object(const sf_json *obj, const char *key)
{
	return get(obj, key, json_type_object);
}

sf_json *sf_json_array(const sf_json *obj, const char *key)
{
	return get(obj, key, json_type_array);
}

bool sf_json_bool(const sf_json *obj, const char *key, bool fallback)
{
	sf_json *value = get(obj, key, json_type_boolean);

	return value ? json_object_get_boolean(value) : fallback;
}

bool sf_json_int(const sf_json *obj, const char *key, int64_t *out)
{
	sf_json *value = get(obj, key, json_type_int);
	int64_t n;

	if (!value)
		return false;
	errno = 0;
	n = json_object_get_int64(value);
	/* json-c saturates what does not fit; a saturated value is not the number that was sent. */
	if (n == INT64_MAX || n == INT64_MIN)
		return false;
	*out = n;
	return true;
}

bool sf_json_double(const sf_json *obj, const char *key, double *out)
{
	sf_json *value = get(obj, key, json_type_double);
	double d;

	if (!value)
		value = get(obj, key, json_type_int);
	if (!value)
		return false;
	d = json_object_get_double(value);
	if (!isfinite(d))
		return false;
	*out = d;
	return true;
}

size_t sf_json_len(const sf_json *array)
{
	if (!array || !json_object_is_type(array, json_type_array))
		return 0;
	return json_object_array_length(array);
}

sf_json *sf_json_at(const sf_json *array, size_t i)
{
	return i < sf_json_len(array) ? json_object_array_get_idx(array, i) : NULL;
}

int sf_json_need_str(const sf_json *obj, const char *key, const char **out, struct sf_error *err)
{
	const char *s = sf_json_str(obj, key);

	if (!s)
		return sf_err(err, "member '%s' is missing or not a string", key);
	*out = s;
	return 0;
}

int sf_json_need_int(const sf_json *obj, const char *key, int64_t min, int64_t max, int64_t *out, struct sf_error *err)
{
	int64_t n = 0;

	if (!sf_json_int(obj, key, &n))
		return sf_err(err, "member '%s' is missing or not an integer", key);
	if (n < min || n > max)
		return sf_err(err, "member '%s' is %" PRId64 ", not within %" PRId64 " to %" PRId64, key, n, min, max);
	*out = n;
	return 0;
}

int sf_json_strv(const sf_json *obj, const char *key, char ***out, struct sf_error *err)
{
	sf_auto_strv char **v = NULL;
	sf_json *array = sf_json_array(obj, key);
	const char *s;
	size_t i;

	for (i = 0; i < sf_json_len(array); i++) {
		s = sf_json_string(sf_json_at(array, i));
		if (!s)
			return sf_err(err, "member '%s' holds something that is not a string", key);
		if (sf_strv_add(&v, s) != 0)
			return sf_err(err, "out of memory");
	}
	*out = sf_steal(v);
	return 0;
}

sf_json *sf_json_new_object(void)
{
	return json_object_new_object();
}

sf_json *sf_json_new_array(void)
{
	return json_object_new_array();
}

void sf_json_set(sf_json *obj, const char *key, sf_json *value)
{
	if (value && (!obj || json_object_object_add(obj, key, value) != 0))
		json_object_put(value);
}

void sf_json_add(sf_json *array, sf_json *value)
{
	if (value && (!array || json_object_array_add(array, value) != 0))
		json_object_put(value);
}

void sf_json_set_str(sf_json *obj, const char *key, const char *value)
{
	if (value)
		sf_json_set(obj, key, json_object_new_string(value));
}

void sf_json_set_int(sf_json *obj, const char *key, int64_t value)
{
	sf_json_set(obj, key, json_object_new_int64(value));
}

void sf_json_set_bool(sf_json *obj, const char *key, bool value)
{
	sf_json_set(obj, key, json_object_new_boolean(value));
}

void sf_json_set_strv(sf_json *obj, const char *key, char *const *v)
{
	sf_json *array;

	if (!v)
		return;
	array = sf_json_new_array();
	for (; array && *v; v++)
		sf_json_add_str(array, *v);
	sf_json_set(obj, key, array);
}

void sf_json_add_str(sf_json *array, const char *value)
{
	sf_json_add(array, json_object_new_string(value));
}

char *sf_json_text(const sf_json *j)
{
	const char *s = json_object_to_json_string_ext((sf_json *)j, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);

	return s ? strdup(s) : NULL;
}
