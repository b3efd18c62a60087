/* AWS's shared files: INI with one level of nested blocks. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_INI_H
#define SF_AWS_INI_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/error.h"
#include "common/base/util.h"

#define AWS_INI_MAX (1u << 20) /* bytes of a file */

struct aws_ini_entry {
	char *section; /* words separated by one blank, quotes removed: "profile dev" */
	char *block;   /* the key above a nested line, NULL = not nested */
	char *key;     /* NULL: the section itself, which may be empty */
	char *value;
};

struct aws_ini {
	char *path;
	struct aws_ini_entry *entries;
	size_t n;
};

/*
 * Read a file; one that does not exist is empty. Lines as Python's configparser reads them, for that is what AWS's own
 * tools use: full-line comments (# or ;), '=' or ':', keys of any case, a deeper indented line continues the value above.
 * Errors: cannot be read, over AWS_INI_MAX, "<file>:<line>: ..." (never the line itself: it may hold a secret).
 */
int aws_ini_load(const char *path, struct aws_ini *out, struct sf_error *err);
/* The same from a string, which is taken apart in place and may hold secrets afterwards; `path` is only for messages. */
int aws_ini_parse(const char *path, char *text, struct aws_ini *out, struct sf_error *err);
/* Zeroise and release. */
void aws_ini_free(struct aws_ini *ini);
#define sf_auto_ini sf_auto(aws_ini_free)

/* Value of the last such line, NULL when there is none; block NULL = not nested. Borrowed. */
const char *aws_ini_get(const struct aws_ini *ini, const char *section, const char *block, const char *key);
bool aws_ini_has(const struct aws_ini *ini, const char *section);

#endif
