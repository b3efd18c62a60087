/* Times in UTC as ISO 8601 writes them, to the second. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/iso.h"

#include <ctype.h>
#include <string.h>
#include <time.h>

#define SHAPE "dddd-dd-ddTdd:dd:dd" /* d = a digit */

bool sf_iso_text(int64_t seconds, char out[SF_ISO_MAX])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	out[0] = '\0';
	if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 8099)
		return false;
	return strftime(out, SF_ISO_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0;
}

/* What follows the seconds: "Z", or a fraction and "Z". */
static bool tail_valid(const char *s)
{
	size_t n = *s == '.' ? strspn(s + 1, "0123456789") : 0;

	if (*s == '.')
		s += n > 0 ? n + 1 : 0;
	return strcmp(s, "Z") == 0;
}

/* Of n digits. */
static int number(const char *s, int n)
{
	int value = 0;

	while (n-- > 0)
		value = value * 10 + (*s++ - '0');
	return value;
}

bool sf_iso_parse(const char *text, int64_t *seconds)
{
	char again[SF_ISO_MAX];
	struct tm tm;
	int64_t t;
	size_t i;

	for (i = 0; i < strlen(SHAPE); i++)
		if (SHAPE[i] == 'd' ? !isdigit((unsigned char)text[i]) : text[i] != SHAPE[i])
			return false;
	if (!tail_valid(text + i))
		return false;
	tm = (struct tm){.tm_year = number(text, 4) - 1900,
			 .tm_mon = number(text + 5, 2) - 1,
			 .tm_mday = number(text + 8, 2),
			 .tm_hour = number(text + 11, 2),
			 .tm_min = number(text + 14, 2),
			 .tm_sec = number(text + 17, 2)};
	t = (int64_t)timegm(&tm);
	/* timegm() makes the 30th of February the 2nd of March. */
	if (!sf_iso_text(t, again) || strncmp(again, text, strlen(SHAPE)) != 0)
		return false;
	*seconds = t;
	return true;
}
