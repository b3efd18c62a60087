/* The one error type: a text that grows context from the inside out. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int(sf_err)(struct sf_error *err, const char *fmt, ...)
{
	int saved = errno;
	va_list ap;

	if (err) {
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
	}
	errno = saved;
	return -1;
}

int(sf_err_wrap)(struct sf_error *err, const char *fmt, ...)
{
	int saved = errno;
	char inner[SF_ERROR_MAX];
	size_t used;
	va_list ap;

	if (err) {
		memcpy(inner, err->text, sizeof(inner));
		va_start(ap, fmt);
		vsnprintf(err->text, sizeof(err->text), fmt, ap);
		va_end(ap);
		used = strlen(err->text);
		snprintf(err->text + used, sizeof(err->text) - used, ": %s", inner);
	}
	errno = saved;
	return -1;
}
