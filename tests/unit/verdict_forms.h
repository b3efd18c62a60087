/* The forms in which AWS sends one and the same text: either apostrophe, with and without the pointer to its documentation. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_VERDICT_FORMS_H
#define TESTS_UNIT_VERDICT_FORMS_H

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define FORMS 4
#define FORM_MAX 2048
#define TAIL ". For more information, see the Troubleshooting section of the Amazon ECS Developer Guide."

/* Form 0 to FORMS - 1 of a text: bit 0 is U+2019 for each ASCII apostrophe, bit 1 the tail. NULL stays NULL. */
static inline const char *form_of(const char *text, int form, char out[FORM_MAX])
{
	size_t n = 0;

	if (!text)
		return NULL;
	for (; *text && n + sizeof(TAIL) + 4 < FORM_MAX; text++) {
		if ((form & 1) && *text == '\'') {
			memcpy(out + n, "\xe2\x80\x99", 3);
			n += 3;
		} else {
			out[n++] = *text;
		}
	}
	snprintf(out + n, FORM_MAX - n, "%s", form & 2 ? TAIL : "");
	return out;
}

#endif
