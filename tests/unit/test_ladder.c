/* Unit tests of common/base/ladder.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/ladder.h"

#include <string.h>

#include "tests/unit/tap.h"

#define OD "FARGATE"
#define SPOT "FARGATE_SPOT"

static const struct {
	const char *line[3]; /* Providers= */
	enum sf_spot spot;
	bool avoid_spot;
	const char *rungs[SF_LADDER_MAX];
} rows[] = {
	{ { OD }, SF_SPOT_DEFAULT, false, { OD } },
	{ { SPOT }, SF_SPOT_DEFAULT, false, { SPOT } },
	{ { SPOT, OD }, SF_SPOT_DEFAULT, false, { SPOT, OD } },
	{ { OD, SPOT }, SF_SPOT_DEFAULT, false, { OD, SPOT } },
	{ { OD }, SF_SPOT_PREFER, false, { OD } }, /* refused before; whoever asks still stays on the line's own */
	{ { SPOT }, SF_SPOT_PREFER, false, { SPOT } },
	{ { SPOT, OD }, SF_SPOT_PREFER, false, { SPOT, OD } },
	{ { OD, SPOT }, SF_SPOT_PREFER, false, { SPOT, OD } },
	{ { OD }, SF_SPOT_ONLY, false, { NULL } },
	{ { SPOT }, SF_SPOT_ONLY, false, { SPOT } },
	{ { SPOT, OD }, SF_SPOT_ONLY, false, { SPOT } },
	{ { OD, SPOT }, SF_SPOT_ONLY, false, { SPOT } },
	/* interrupted often enough */
	{ { OD }, SF_SPOT_DEFAULT, true, { OD } },
	{ { SPOT }, SF_SPOT_DEFAULT, true, { SPOT } },
	{ { SPOT, OD }, SF_SPOT_DEFAULT, true, { OD } },
	{ { OD, SPOT }, SF_SPOT_DEFAULT, true, { OD } },
	{ { OD }, SF_SPOT_PREFER, true, { OD } },
	{ { SPOT }, SF_SPOT_PREFER, true, { SPOT } },
	{ { SPOT, OD }, SF_SPOT_PREFER, true, { OD } },
	{ { OD, SPOT }, SF_SPOT_PREFER, true, { OD } },
	{ { OD }, SF_SPOT_ONLY, true, { NULL } },
	{ { SPOT }, SF_SPOT_ONLY, true, { SPOT } },
	{ { SPOT, OD }, SF_SPOT_ONLY, true, { SPOT } },
	{ { OD, SPOT }, SF_SPOT_ONLY, true, { SPOT } },
	/* the line of a job whose partition has none */
	{ { NULL }, SF_SPOT_DEFAULT, false, { NULL } },
	{ { NULL }, SF_SPOT_PREFER, true, { NULL } },
};

static struct sf_conf_line line_of(int i)
{
	struct sf_conf_line line = { .providers = rows[i].line[0] ? (char **)rows[i].line : NULL };

	return line;
}

START_TEST(rungs_of_a_line)
{
	const struct sf_conf_line line = line_of(_i);
	const char *got[SF_LADDER_MAX] = { "x", "x" };
	size_t n = sf_ladder(&line, rows[_i].spot, rows[_i].avoid_spot, got), i;

	for (i = 0; i < SF_LADDER_MAX; i++)
		ck_assert_pstr_eq(got[i], rows[_i].rungs[i]);
	ck_assert_uint_eq(n, (size_t)(rows[_i].rungs[0] != NULL) + (rows[_i].rungs[1] != NULL));
	ck_assert_pstr_eq(sf_ladder_first(&line, rows[_i].spot, rows[_i].avoid_spot), rows[_i].rungs[0]);
}
END_TEST

START_TEST(spot_needs_a_line_that_has_it)
{
	const struct sf_conf_line line = line_of(_i);
	bool has = false;
	size_t i;

	for (i = 0; i < 2; i++)
		has = has || (rows[_i].line[i] && strcmp(rows[_i].line[i], SPOT) == 0);
	ck_assert(sf_spot_allowed(&line, SF_SPOT_DEFAULT));
	ck_assert_int_eq(sf_spot_allowed(&line, SF_SPOT_PREFER), has);
	ck_assert_int_eq(sf_spot_allowed(&line, SF_SPOT_ONLY), has);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ rungs_of_a_line, SF_COUNT(rows) },
		{ spot_needs_a_line_that_has_it, SF_COUNT(rows) },
	};

	return tap_main("ladder", tests, SF_COUNT(tests));
}
