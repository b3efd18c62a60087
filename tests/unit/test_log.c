/* Unit tests of common/base/log.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/log.h"

#include <errno.h>
#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static struct {
	int calls;
	enum sf_log_level level;
	char line[4096];
} seen;

static void remember(enum sf_log_level level, const char *line)
{
	seen.calls++;
	seen.level = level;
	sf_copy(seen.line, sizeof(seen.line), line);
	errno = EIO;
}

START_TEST(control_bytes_never_reach_the_sink)
{
	sf_log_to(remember);
	errno = ENOENT;
	sf_log_warn("task %s", "a\033[31m\nforged line");
	ck_assert_str_eq(seen.line, "task a?[31m?forged line");
	ck_assert_int_eq(seen.level, SF_LOG_WARN);
	ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(levels_filter)
{
	sf_log_to(remember);
	sf_log_debug("not by default");
	ck_assert_int_eq(seen.calls, 0);
	sf_log_info("by default");
	ck_assert_int_eq(seen.calls, 1);
	sf_log_max(SF_LOG_DEBUG);
	sf_log_debug("now");
	ck_assert_str_eq(seen.line, "now");
	sf_log_max(SF_LOG_ERROR);
	sf_log_warn("no more");
	ck_assert_str_eq(seen.line, "now");
	sf_log_error("always");
	ck_assert_str_eq(seen.line, "always");
}
END_TEST

START_TEST(long_lines_are_cut)
{
	char longer[5000];

	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	sf_log_to(remember);
	sf_log_error("%s", longer);
	ck_assert_uint_eq(strlen(seen.line), 2047);
}
END_TEST

START_TEST(the_default_is_stderr)
{
	char text[256] = "";
	FILE *file = tmpfile();
	int saved = dup(STDERR_FILENO);

	ck_assert_ptr_nonnull(file);
	fflush(stderr);
	dup2(fileno(file), STDERR_FILENO);
	sf_log_to(NULL);
	sf_log_error("gone: %d", 5);
	fflush(stderr);
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	ck_assert_ptr_nonnull(fgets(text, sizeof(text), file));
	ck_assert_str_eq(text, "fargate: error: gone: 5\n");
	fclose(file);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ control_bytes_never_reach_the_sink, 0 },
		{ levels_filter, 0 },
		{ long_lines_are_cut, 0 },
		{ the_default_is_stderr, 0 },
	};

	return tap_main("log", tests, SF_COUNT(tests));
}
