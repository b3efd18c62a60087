/* Unit tests of common/base/error.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/error.h"

#include <errno.h>
#include <string.h>

#include "common/base/util.h"
#include "tests/unit/tap.h"

START_TEST(context_grows_from_the_inside_out)
{
	struct sf_error err;

	errno = EBUSY;
	ck_assert_int_eq(sf_err(&err, "%d is too many", 7), -1);
	ck_assert_int_eq(sf_err_wrap(&err, "%s:%u", "a.conf", 3), -1);
	ck_assert_int_eq(sf_err_wrap(&err, "start"), -1);
	ck_assert_str_eq(err.text, "start: a.conf:3: 7 is too many");
	ck_assert_int_eq(errno, EBUSY);
}
END_TEST

START_TEST(without_an_error_object_the_value_speaks)
{
	ck_assert_int_eq(sf_err(NULL, "lost"), -1);
	ck_assert_int_eq(sf_err_wrap(NULL, "lost"), -1);
}
END_TEST

START_TEST(long_texts_are_cut)
{
	char longer[SF_ERROR_MAX * 2];
	struct sf_error err;

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	sf_err(&err, "%s", longer);
	ck_assert_uint_eq(strlen(err.text), SF_ERROR_MAX - 1);
	sf_err_wrap(&err, "outer");
	ck_assert_uint_eq(strlen(err.text), SF_ERROR_MAX - 1);
	ck_assert_int_eq(strncmp(err.text, "outer: xxx", 10), 0);
	sf_err_wrap(&err, "%s", longer);
	ck_assert_uint_eq(strlen(err.text), SF_ERROR_MAX - 1);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ context_grows_from_the_inside_out, 0 },
		{ without_an_error_object_the_value_speaks, 0 },
		{ long_texts_are_cut, 0 },
	};

	return tap_main("error", tests, SF_COUNT(tests));
}
