/* Fuzzes common/base/text.c: what is cleaned stays as long as it was and can act on nothing. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/fuzz.h"

static int digit(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Decoded by hand it is the input again. */
static void base64_comes_back(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = sf_base64_encode(data, size);
	size_t n, i;

	HOLDS(text);
	n = strlen(text);
	HOLDS(n == (size + 2) / 3 * 4);
	for (i = 0; i < size; i++) {
		size_t at = i / 3 * 4 + i % 3;
		int high = digit(text[at]), low = digit(text[at + 1]);
		unsigned shift = 2 * (unsigned)(i % 3);

		HOLDS(high >= 0 && low >= 0);
		HOLDS((uint8_t)(high << (2 + shift) | low >> (4 - shift)) == data[i]);
	}
	HOLDS(strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") == n - (3 - size % 3) % 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = fuzz_string(data, size);
	sf_auto_free char *clean = strdup(text);
	sf_auto_free char *again = NULL;
	char cut[17];

	HOLDS(clean);
	sf_text_clean(clean);
	HOLDS(strlen(clean) == strlen(text));
	HOLDS(fuzz_clean(clean));
	again = strdup(clean);
	HOLDS(again);
	sf_text_clean(again);
	HOLDS(strcmp(again, clean) == 0);
	if (fuzz_clean(text))
		HOLDS(sf_utf8_valid(text, strlen(text)));
	HOLDS(sf_copy(cut, sizeof(cut), text) == (strlen(text) < sizeof(cut)));
	HOLDS(strncmp(cut, text, strlen(cut)) == 0);
	base64_comes_back(data, size);
	return 0;
}
