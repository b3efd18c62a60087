/* Fuzzes common/base/proto.c: a frame lies within its bytes, a part of one is none yet, and one built anew reads the same. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/proto.h"
#include "tests/fuzz/fuzz.h"

#define EVERY_PREFIX_UP_TO 512

static void sound_field(const struct sf_frame *f, const struct sf_field *field)
{
	char word[16];
	sf_auto_free char *copy = sf_frame_dup(f, field->tag, 64);
	uint64_t number = 0;
	const struct sf_field *first = sf_frame_field(f, field->tag);

	HOLDS(first && first <= field);
	HOLDS(sf_frame_number(f, field->tag, &number) == (first->len == 8));
	if (sf_frame_string(f, field->tag, word, sizeof(word)))
		HOLDS(copy && strcmp(copy, word) == 0 && strlen(word) == first->len);
	HOLDS(!copy || (strlen(copy) == first->len && first->len <= 64));
}

/* Taken apart and put together it is the same, byte for byte. */
static void comes_back(const uint8_t *data, size_t n, const struct sf_frame *f)
{
	sf_auto_free unsigned char *bytes = malloc(n), *less = malloc(n - 1);
	struct sf_frame_out o;
	size_t i;

	HOLDS(bytes && less);
	sf_frame_begin(&o, bytes, n, (enum sf_frame_type)f->type);
	for (i = 0; i < f->n_fields; i++)
		sf_frame_put_bytes(&o, (enum sf_field_tag)f->fields[i].tag, f->fields[i].bytes, f->fields[i].len);
	HOLDS(sf_frame_end(&o) == n && memcmp(bytes, data, n) == 0);
	/* One byte less is too little. */
	sf_frame_begin(&o, less, n - 1, (enum sf_frame_type)f->type);
	for (i = 0; i < f->n_fields; i++)
		sf_frame_put_bytes(&o, (enum sf_field_tag)f->fields[i].tag, f->fields[i].bytes, f->fields[i].len);
	HOLDS(sf_frame_end(&o) == 0);
}

static ssize_t prefix(const uint8_t *data, size_t n)
{
	sf_auto_free uint8_t *exact = malloc(n ? n : 1);
	struct sf_frame f;

	HOLDS(exact);
	memcpy(exact, data, n);
	return sf_frame_parse(exact, n, &f, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sf_frame f = { 0 };
	const char *why = NULL;
	const ssize_t n = sf_frame_parse(data, size, &f, &why);
	size_t i;

	HOLDS(n <= (ssize_t)size && (n < 0) == (why != NULL));
	for (i = 0; n >= 0 && i < size && i < EVERY_PREFIX_UP_TO && (n == 0 || i < (size_t)n); i++)
		HOLDS(prefix(data, i) == 0);
	if (n <= 0)
		return 0;
	HOLDS(n >= SF_FRAME_HEAD && n <= SF_FRAME_HEAD + SF_FRAME_BODY_MAX && f.n_fields <= SF_FRAME_FIELDS_MAX);
	for (i = 0; i < f.n_fields; i++) {
		HOLDS(f.fields[i].bytes >= data + SF_FRAME_HEAD && f.fields[i].bytes + f.fields[i].len <= data + n);
		sound_field(&f, &f.fields[i]);
	}
	comes_back(data, (size_t)n, &f);
	return 0;
}
