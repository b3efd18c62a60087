/* What the fuzz targets share: the entry that libFuzzer and replay.c call, and properties that must hold. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/text.h"

/* One input; returns 0. A property that does not hold ends the program. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOLDS(what)                                                                                                              \
	do {                                                                                                                     \
		if (!(what)) {                                                                                                   \
			fprintf(stderr, "%s:%d: '%s' does not hold\n", __FILE__, __LINE__, #what);                               \
			abort();                                                                                                 \
		}                                                                                                                \
	} while (0)

/* The input as a string: up to its first NUL. A block of exactly that size, so that ASan sees what reads past it. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	size_t n = size ? strnlen((const char *)data, size) : 0;
	char *s = malloc(n + 1);

	HOLDS(s);
	if (n)
		memcpy(s, data, n);
	s[n] = '\0';
	return s;
}

/* Cut the string behind its first line; gives the rest, "" when there is none. */
static inline char *fuzz_split(char *text)
{
	char *end = strchrnul(text, '\n');

	if (*end)
		*end++ = '\0';
	return end;
}

/* Cleaned text: UTF-8 without any control character. Written apart from sf_text_clean(), which it judges. */
static inline bool fuzz_clean(const char *s)
{
	const char *p;

	for (p = s; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f || (p[0] == '\xc2' && (unsigned char)p[1] < 0xa0))
			return false;
	return sf_utf8_valid(s, strlen(s));
}

static inline bool fuzz_clean_or_null(const char *s)
{
	return !s || fuzz_clean(s);
}

static inline bool fuzz_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

#endif
