/* Fuzzes common/base/json.c: what is read, printed and read again is the same, and no getter invents anything. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <math.h>

#include "common/base/json.h"
#include "tests/fuzz/fuzz.h"

static const char *const keys[] = { "a", "message", "exitCode", "tasks", "v" };

static void strict_getters(const sf_json *j, const char *key)
{
	sf_auto_strv char **v = NULL;
	const char *s = NULL;
	struct sf_error err = { "" };
	int64_t n = 0, bounded = 0;
	size_t i;

	HOLDS((sf_json_need_str(j, key, &s, &err) == 0) == (sf_json_str(j, key) != NULL));
	if (sf_json_need_int(j, key, -5, 5, &bounded, &err) == 0)
		HOLDS(bounded >= -5 && bounded <= 5 && sf_json_int(j, key, &n) && n == bounded);
	if (sf_json_strv(j, key, &v, &err) != 0)
		return;
	HOLDS(sf_strv_len(v) == sf_json_len(sf_json_array(j, key)));
	for (i = 0; i < sf_strv_len(v); i++)
		HOLDS(strcmp(v[i], sf_json_string(sf_json_at(sf_json_array(j, key), i))) == 0);
}

static void getters(const sf_json *j, const char *key)
{
	size_t len = 0;
	const char *s = sf_json_str(j, key), *bytes = sf_json_bytes(j, key, &len);
	int64_t n = 0;
	double d = 0;

	HOLDS(s == bytes && (s != NULL || len == 0));
	HOLDS(!s || strnlen(s, len + 1) <= len);
	if (sf_json_int(j, key, &n))
		HOLDS(n != INT64_MAX && n != INT64_MIN && sf_json_double(j, key, &d));
	if (sf_json_double(j, key, &d))
		HOLDS(isfinite(d));
	/* A value has one type. */
	HOLDS(!!s + !!sf_json_object(j, key) + !!sf_json_array(j, key) + sf_json_double(j, key, &d) <= 1);
	HOLDS(sf_json_has(j, key) || (!s && !sf_json_object(j, key) && !sf_json_array(j, key)));
	HOLDS(!sf_json_at(sf_json_array(j, key), sf_json_len(sf_json_array(j, key))));
	strict_getters(j, key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_json sf_json *first = NULL;
	sf_auto_json sf_json *second = NULL;
	sf_auto_free char *text = NULL, *again = NULL;
	struct sf_error err = { "" };
	size_t i;

	if (sf_json_parse((const char *)data, size, &first, &err) != 0) {
		HOLDS(err.text[0] && !first);
		return 0;
	}
	text = sf_json_text(first);
	HOLDS(text && sf_utf8_valid(text, strlen(text)));
	HOLDS(sf_json_parse(text, strlen(text), &second, &err) == 0);
	again = sf_json_text(second);
	HOLDS(fuzz_same(text, again));
	for (i = 0; i < SF_COUNT(keys); i++)
		getters(first, keys[i]);
	return 0;
}
