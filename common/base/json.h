/* json-c wrapped once: typed getters, builders that own, no escaped slashes. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_JSON_H
#define SF_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"
#include "common/base/util.h"

typedef struct json_object sf_json;

/* Parse exactly n bytes as one JSON value (nesting <= 32, trailing bytes refused). Free *out with sf_json_free(). */
int sf_json_parse(const char *text, size_t n, sf_json **out, struct sf_error *err);
/* One more reference to a value somebody else owns; NULL-safe. */
sf_json *sf_json_keep(sf_json *j);
/* Drop one reference; NULL-safe. */
void sf_json_free(sf_json *j);
static inline void sf_json_cleanup(sf_json **j)
{
	sf_json_free(*j);
}
#define sf_auto_json sf_auto(sf_json_cleanup)

/*
 * Getters. `obj` may be NULL or of another type: the answer is then the same as for an absent key.
 * What they return is borrowed from obj. JSON null counts as absent.
 */
const char *sf_json_str(const sf_json *obj, const char *key);
sf_json *sf_json_object(const sf_json *obj, const char *key);
sf_json *sf_json_array(const sf_json *obj, const char *key);
bool sf_json_bool(const sf_json *obj, const char *key, bool fallback);
/* True and *out set when the key holds an integer; a number with a fraction or out of int64 range does not count. */
bool sf_json_int(const sf_json *obj, const char *key, int64_t *out);
/* True and *out set when the key holds a finite number. */
bool sf_json_double(const sf_json *obj, const char *key, double *out);
/* Elements of an array value; 0 and NULL for anything else. */
size_t sf_json_len(const sf_json *array);
sf_json *sf_json_at(const sf_json *array, size_t i);
/* The value itself as a string, NULL when it is not one (for elements of arrays). */
const char *sf_json_string(const sf_json *value);
bool sf_json_is_object(const sf_json *value);
/* The key is there, of whatever type. */
bool sf_json_has(const sf_json *obj, const char *key);
/* Like sf_json_str() with the length in bytes, for strings that may hold NUL; *n is 0 when absent. */
const char *sf_json_bytes(const sf_json *obj, const char *key, size_t *n);

/* Strict getters: an absent or wrongly typed key is an error that names the key. */
int sf_json_need_str(const sf_json *obj, const char *key, const char **out, struct sf_error *err);
int sf_json_need_int(const sf_json *obj, const char *key, int64_t min, int64_t max, int64_t *out, struct sf_error *err);
/* An array of strings as a heap vector (caller frees with sf_strv_free); an absent key gives NULL. */
int sf_json_strv(const sf_json *obj, const char *key, char ***out, struct sf_error *err);

/* Builders. set/add take ownership of `value` and accept NULL (nothing happens). */
sf_json *sf_json_new_object(void);
sf_json *sf_json_new_array(void);
void sf_json_set(sf_json *obj, const char *key, sf_json *value);
void sf_json_add(sf_json *array, sf_json *value);
void sf_json_set_str(sf_json *obj, const char *key, const char *value); /* NULL value: key left out */
void sf_json_set_int(sf_json *obj, const char *key, int64_t value);
void sf_json_set_bool(sf_json *obj, const char *key, bool value);
void sf_json_set_strv(sf_json *obj, const char *key, char *const *v); /* NULL vector: key left out */
void sf_json_add_str(sf_json *array, const char *value);

/* Serialise without blanks and without escaping slashes. Caller frees; NULL when out of memory. */
char *sf_json_text(const sf_json *j);

#endif
