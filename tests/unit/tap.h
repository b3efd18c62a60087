/* Runs one check suite and speaks TAP: `return tap_main("text", cases);` */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_TAP_H
#define TESTS_UNIT_TAP_H

#include <check.h>
#include <stdlib.h>

/* Like ck_assert, for loops that go round 100,000 times: check writes to a pipe for every ck_assert, good or bad. */
#define must(what)                                                   \
	do {                                                         \
		if (!(what))                                         \
			ck_abort_msg("'%s' does not hold", #what); \
	} while (0)

struct tap_test {
	const TTest *test;
	int loops; /* 0 = run once; n = run with _i from 0 to n - 1 */
};

static inline int tap_main(const char *name, const struct tap_test *tests, size_t n)
{
	Suite *suite = suite_create(name);
	TCase *tcase = tcase_create(name);
	SRunner *runner;
	size_t i;
	int failed;

	for (i = 0; i < n; i++)
		if (tests[i].loops)
			tcase_add_loop_test(tcase, tests[i].test, 0, tests[i].loops);
		else
			tcase_add_test(tcase, tests[i].test);
	tcase_set_timeout(tcase, 30);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

#endif
