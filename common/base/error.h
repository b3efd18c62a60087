/* The one error type: a text that grows context from the inside out. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_ERROR_H
#define SF_BASE_ERROR_H

#include <stdarg.h>

#define SF_ERROR_MAX 768

struct sf_error {
	char text[SF_ERROR_MAX];
};

/*
 * Set *err to the formatted text (cut at SF_ERROR_MAX - 1 bytes) and return -1,
 * so that callers can write `return sf_err(err, ...)`. errno is preserved.
 * err may be NULL: then only the return value speaks.
 */
int sf_err(struct sf_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/*
 * Put "<formatted>: " before the text that *err already holds and return -1.
 * errno is preserved; err may be NULL.
 */
int sf_err_wrap(struct sf_error *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__
/* The analyser reads one file at a time: tell it that these functions, defined in another one, always answer -1. */
static inline int sf_minus_one(void)
{
	return -1;
}
#define sf_err(...) ((void)(sf_err)(__VA_ARGS__), sf_minus_one())
#define sf_err_wrap(...) ((void)(sf_err_wrap)(__VA_ARGS__), sf_minus_one())
#endif

#endif
