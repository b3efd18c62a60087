/* The syntax of fargate.conf: logical lines and Key=Value pairs, as Slurm's parser reads them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_CONF_LEX_H
#define SF_BASE_CONF_LEX_H

#include "common/base/error.h"
#include "common/base/text.h"

#define SF_LEX_VALUE_MAX 4096

/* Where the reading of a text stands. */
struct sf_lex {
	const char *next; /* first byte not read yet */
	unsigned line;    /* number of the last physical line read */
};

/*
 * Read the next logical line that holds anything: comments gone, continued lines joined.
 * Returns 1 with the line in *b and the number of its first physical line in *first, 0 at the
 * end, -1 with err filled (an open quote, out of memory). A comment begins at # outside quotes;
 * a backslash at the end of a line (blanks may follow) continues it. Source: slurm.conf(5).
 */
int sf_lex_line(struct sf_lex *lex, struct sf_buf *b, unsigned *first, struct sf_error *err);

/*
 * Take the next Key=Value off *pos, in place: *key and *value point into the line. Blanks may
 * stand around =, a value with blanks stands in "". Returns 1, 0 at the end of the
 * line, -1 with err filled.
 */
int sf_lex_pair(char **pos, char **key, char **value, struct sf_error *err);

#endif
