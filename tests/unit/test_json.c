/* Unit tests of common/base/json.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/json.h"

#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static sf_json *parse(const char *text)
{
	sf_json *j = NULL;
	struct sf_error err;

	ck_assert_int_eq(sf_json_parse(text, strlen(text), &j, &err), 0);
	return j;
}

static const char *const bad_rows[] = {
	"", "{", "{\"a\":1} x", "['a']", "[1,]", "{\"a\":\"\xff\"}", "nul",
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
};

START_TEST(bad_text_is_refused)
{
	const char *text = bad_rows[_i];
	struct sf_error err = { "" };
	sf_json *j = NULL;

	ck_assert_int_eq(sf_json_parse(text, strlen(text), &j, &err), -1);
	ck_assert_msg(strncmp(err.text, "not JSON: ", 10) == 0, "%s", err.text);
	ck_assert_ptr_null(j);
}
END_TEST

START_TEST(exactly_n_bytes_are_read)
{
	sf_auto_json sf_json *j = NULL;
	struct sf_error err;

	ck_assert_int_eq(sf_json_parse("12345", 2, &j, &err), 0);
	sf_json_free(sf_steal(j));
	ck_assert_int_eq(sf_json_parse("{\"a\":1}garbage", 7, &j, &err), 0);
}
END_TEST

START_TEST(getters_are_typed)
{
	sf_auto_json sf_json *j = parse("{\"s\":\"x\",\"n\":5,\"d\":1.5,\"b\":true,\"z\":null,"
					"\"a\":[\"p\",\"q\"],\"o\":{\"k\":\"v\"}}");
	int64_t n = 0;
	double d = 0;

	ck_assert_str_eq(sf_json_str(j, "s"), "x");
	ck_assert_ptr_null(sf_json_str(j, "n"));
	ck_assert_ptr_null(sf_json_str(j, "z"));
	ck_assert_ptr_null(sf_json_str(j, "absent"));
	ck_assert_ptr_null(sf_json_str(NULL, "s"));
	ck_assert(sf_json_int(j, "n", &n));
	ck_assert_int_eq(n, 5);
	ck_assert(!sf_json_int(j, "d", &n));
	ck_assert(sf_json_double(j, "d", &d) && d > 1.4 && d < 1.6);
	ck_assert(sf_json_double(j, "n", &d) && d > 4.9 && d < 5.1);
	ck_assert(!sf_json_double(j, "s", &d));
	ck_assert(sf_json_bool(j, "b", false));
	ck_assert(sf_json_bool(j, "s", true));
	ck_assert_uint_eq(sf_json_len(sf_json_array(j, "a")), 2);
	ck_assert_str_eq(sf_json_string(sf_json_at(sf_json_array(j, "a"), 1)), "q");
	ck_assert_ptr_null(sf_json_at(sf_json_array(j, "a"), 2));
	ck_assert_uint_eq(sf_json_len(sf_json_object(j, "o")), 0);
	ck_assert_str_eq(sf_json_str(sf_json_object(j, "o"), "k"), "v");
	ck_assert_ptr_null(sf_json_array(j, "o"));
}
END_TEST

START_TEST(integers_out_of_range_do_not_count)
{
	sf_auto_json sf_json *j = parse("{\"n\":99999999999999999999999}");
	int64_t n = 42;

	ck_assert(!sf_json_int(j, "n", &n));
	ck_assert_int_eq(n, 42);
}
END_TEST

START_TEST(strict_getters_name_the_member)
{
	sf_auto_json sf_json *j = parse("{\"n\":5,\"s\":\"x\",\"a\":[\"p\",7]}");
	struct sf_error err;
	const char *s = NULL;
	char **v = NULL;
	int64_t n = 0;

	ck_assert_int_eq(sf_json_need_int(j, "n", 1, 9, &n, &err), 0);
	ck_assert_int_eq(sf_json_need_int(j, "n", 6, 9, &n, &err), -1);
	ck_assert_str_eq(err.text, "member 'n' is 5, not within 6 to 9");
	ck_assert_int_eq(sf_json_need_int(j, "s", 6, 9, &n, &err), -1);
	ck_assert_str_eq(err.text, "member 's' is missing or not an integer");
	ck_assert_int_eq(sf_json_need_str(j, "n", &s, &err), -1);
	ck_assert_str_eq(err.text, "member 'n' is missing or not a string");
	ck_assert_int_eq(sf_json_strv(j, "a", &v, &err), -1);
	ck_assert_str_eq(err.text, "member 'a' holds something that is not a string");
	ck_assert_int_eq(sf_json_strv(j, "absent", &v, &err), 0);
	ck_assert_ptr_null(v);
}
END_TEST

START_TEST(what_is_built_is_read_back)
{
	char *const words[] = { "a/b", "", "\xe2\x80\x99\n\"", NULL };
	sf_auto_json sf_json *j = sf_json_new_object(), *back = NULL;
	sf_auto_free char *text = NULL;
	sf_auto_strv char **v = NULL;
	struct sf_error err;

	sf_json_set_str(j, "s", "x/y");
	sf_json_set_str(j, "none", NULL);
	sf_json_set_int(j, "n", -3);
	sf_json_set_bool(j, "b", true);
	sf_json_set_strv(j, "v", words);
	sf_json_set_strv(j, "nov", NULL);
	sf_json_set(j, "null", NULL);
	text = sf_json_text(j);
	ck_assert_str_eq(text, "{\"s\":\"x/y\",\"n\":-3,\"b\":true,"
			       "\"v\":[\"a/b\",\"\",\"\xe2\x80\x99\\n\\\"\"]}");
	back = parse(text);
	ck_assert_int_eq(sf_json_strv(back, "v", &v, &err), 0);
	ck_assert_uint_eq(sf_strv_len(v), 3);
	ck_assert_str_eq(v[2], words[2]);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ bad_text_is_refused, SF_COUNT(bad_rows) },
		{ exactly_n_bytes_are_read, 0 },
		{ getters_are_typed, 0 },
		{ integers_out_of_range_do_not_count, 0 },
		{ strict_getters_name_the_member, 0 },
		{ what_is_built_is_read_back, 0 },
	};

	return tap_main("json", tests, SF_COUNT(tests));
}
