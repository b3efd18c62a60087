/* Unit tests of common/base/text.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/text.h"

#include <string.h>

#include "tests/unit/tap.h"

START_TEST(buffer_grows_and_hands_out)
{
	struct sf_buf b = SF_BUF_INIT;
	char *s;
	int i;

	for (i = 0; i < 1000; i++)
		sf_buf_printf(&b, "%d,", i % 10);
	ck_assert_uint_eq(b.len, 2000);
	sf_buf_drop(&b, 1996);
	s = sf_buf_take(&b);
	ck_assert_str_eq(s, "8,9,");
	ck_assert_ptr_null(b.data);
	free(s);
	s = sf_buf_take(&b);
	ck_assert_str_eq(s, "");
	free(s);
}
END_TEST

START_TEST(copy_cuts_and_says_so)
{
	char small[4];

	ck_assert(sf_copy(small, sizeof(small), "abc"));
	ck_assert(!sf_copy(small, sizeof(small), "abcd"));
	ck_assert_str_eq(small, "abc");
}
END_TEST

static const struct {
	const char *in, *out;
} clean_rows[] = {
	{ "plain \xc3\xa9\xe2\x80\x99", "plain \xc3\xa9\xe2\x80\x99" },
	{ "a\033[31mb\nc\td\x7f", "a?[31mb?c?d?" },
	{ "c1 \xc2\x9b" "31m", "c1 ??31m" },
	{ "bad \xff\xc3( \xe2\x80", "bad ?""?( ?""?" },
	{ "overlong \xc0\xaf", "overlong ??" },
	{ "surrogate \xed\xa0\x80", "surrogate ???" },
	/* Right-to-left override and isolate, the two marks, the line separator; zero-width joiner and emoji stay. */
	{ "a\xe2\x80\xae" "fdp\xe2\x81\xa6" "b\xe2\x81\xa9", "a??" "?fdp??" "?b??" "?" },
	{ "\xe2\x80\x8e\xe2\x80\x8f\xd8\x9c\xe2\x80\xa8", "??" "???" "????" "??" },
	{ "\xe2\x80\x8d\xf0\x9f\x92\xa9", "\xe2\x80\x8d\xf0\x9f\x92\xa9" },
	{ "", "" },
};

START_TEST(clean_neutralises)
{
	char s[64];

	sf_copy(s, sizeof(s), clean_rows[_i].in);
	sf_text_clean(s);
	ck_assert_str_eq(s, clean_rows[_i].out);
}
END_TEST

START_TEST(utf8_is_judged)
{
	ck_assert(sf_utf8_valid("\xf0\x9f\x98\x80 ok", 7));
	ck_assert(!sf_utf8_valid("\xf0\x9f\x98", 3));
	ck_assert(!sf_utf8_valid("a\0b", 3));
	ck_assert(!sf_utf8_valid("\xf4\x90\x80\x80", 4));
	ck_assert(sf_utf8_valid("", 0));
}
END_TEST

static const char *const base64_rows[][2] = {
	/* RFC 4648, section 10 */
	{ "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" },
};

START_TEST(base64_encodes)
{
	char *s = sf_base64_encode(base64_rows[_i][0], strlen(base64_rows[_i][0]));

	ck_assert_str_eq(s, base64_rows[_i][1]);
	free(s);
}
END_TEST

START_TEST(hex_and_random)
{
	unsigned char a[16] = { 0 }, b[16] = { 0 };
	char text[33];

	sf_hex("\x00\xab\xff", 3, text);
	ck_assert_str_eq(text, "00abff");
	ck_assert_int_eq(sf_random(a, sizeof(a)), 0);
	ck_assert_int_eq(sf_random(b, sizeof(b)), 0);
	ck_assert_mem_ne(a, b, sizeof(a));
}
END_TEST

START_TEST(string_vectors)
{
	char **v = NULL;

	ck_assert_uint_eq(sf_strv_len(v), 0);
	ck_assert_int_eq(sf_strv_add(&v, "one"), 0);
	ck_assert_int_eq(sf_strv_add(&v, "two"), 0);
	ck_assert_uint_eq(sf_strv_len(v), 2);
	ck_assert(sf_strv_has(v, "two"));
	ck_assert(!sf_strv_has(v, "three"));
	sf_strv_free(v);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ buffer_grows_and_hands_out, 0 },
		{ copy_cuts_and_says_so, 0 },
		{ clean_neutralises, SF_COUNT(clean_rows) },
		{ utf8_is_judged, 0 },
		{ base64_encodes, SF_COUNT(base64_rows) },
		{ hex_and_random, 0 },
		{ string_vectors, 0 },
	};

	return tap_main("text", tests, SF_COUNT(tests));
}
