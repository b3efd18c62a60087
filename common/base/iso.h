/* Times in UTC as ISO 8601 writes them, to the second. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_ISO_H
#define SF_BASE_ISO_H

#include <stdbool.h>
#include <stdint.h>

#define SF_ISO_MAX 24

/* "2026-11-28T09:20:33Z" of seconds since the epoch into out; false (out "") outside the years 0 to 9999. */
bool sf_iso_text(int64_t seconds, char out[SF_ISO_MAX]);
/*
 * Exactly YYYY-MM-DDThh:mm:ss[.fraction]Z of a day that exists; the fraction is dropped. false = anything else: another zone
 * than UTC, blanks, a leap second.
 */
bool sf_iso_parse(const char *text, int64_t *seconds);

#endif
