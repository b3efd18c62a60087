/* Fuzzes common/aws/ini.c: sections and keys have the promised shape, and an equal file gives equal settings. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/ini.h"
#include "tests/fuzz/fuzz.h"

#define PATH "fuzz.ini"

static bool trimmed(const char *s)
{
	return !*s || (!strchr(" \t\r\v\f", *s) && !strchr(" \t\r\v\f", s[strlen(s) - 1]));
}

static void sound(const struct aws_ini_entry *e)
{
	HOLDS(e->section && trimmed(e->section) && !strstr(e->section, "  ") && !strpbrk(e->section, "\t\n\r\v\f\"'"));
	HOLDS(!e->key == !e->value && (e->key || !e->block));
	if (!e->key)
		return;
	HOLDS(trimmed(e->key) && !strchr(e->key, '\n') && trimmed(e->value));
	HOLDS(e->block || strcspn(e->key, "=:ABCDEFGHIJKLMNOPQRSTUVWXYZ") == strlen(e->key));
}

/* As a person would write it: longer values on deeper lines. */
static void print(const struct aws_ini *ini, struct sf_buf *b)
{
	const char *c;
	size_t i;

	for (i = 0; i < ini->n; i++) {
		const struct aws_ini_entry *e = &ini->entries[i];

		if (!e->key) {
			sf_buf_printf(b, "[%s]\n", e->section);
			continue;
		}
		sf_buf_printf(b, "%s%s = ", e->block ? "  " : "", e->key);
		for (c = e->value; *c; c++)
			sf_buf_printf(b, *c == '\n' ? "%c  " : "%c", *c);
		sf_buf_puts(b, "\n");
	}
}

static void equal(const struct aws_ini *a, const struct aws_ini *b)
{
	size_t i;

	HOLDS(a->n == b->n);
	for (i = 0; i < a->n; i++) {
		HOLDS(fuzz_same(a->entries[i].section, b->entries[i].section));
		HOLDS(fuzz_same(a->entries[i].block, b->entries[i].block));
		HOLDS(fuzz_same(a->entries[i].key, b->entries[i].key));
		HOLDS(fuzz_same(a->entries[i].value, b->entries[i].value));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_ini struct aws_ini first = { 0 };
	sf_auto_ini struct aws_ini second = { 0 };
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	sf_auto_free char *text = fuzz_string(data, size);
	struct sf_error err = { "" };
	size_t i;

	if (aws_ini_parse(PATH, text, &first, &err) != 0) {
		HOLDS(strncmp(err.text, PATH ":", sizeof(PATH)) == 0 && first.n == 0);
		return 0;
	}
	for (i = 0; i < first.n; i++) {
		sound(&first.entries[i]);
		HOLDS(aws_ini_has(&first, first.entries[i].section));
		if (first.entries[i].key)
			HOLDS(aws_ini_get(&first, first.entries[i].section, first.entries[i].block, first.entries[i].key));
	}
	print(&first, &b);
	sf_buf_puts(&b, "");
	HOLDS(aws_ini_parse(PATH, b.data, &second, &err) == 0);
	equal(&first, &second);
	return 0;
}
