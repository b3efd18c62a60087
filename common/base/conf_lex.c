/* The syntax of fargate.conf: logical lines and their Key=Value pairs. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf_lex.h"

#include <ctype.h>
#include <string.h>

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void strip_end(struct sf_buf *b)
{
	while (b->len && is_blank(b->data[b->len - 1]))
		b->data[--b->len] = '\0';
}

/* Append a physical line, comment gone; *quoted lives on in a continued line. Is it continued? */
static bool add_physical(struct sf_lex *lex, struct sf_buf *b, bool *quoted)
{
	const char *start = lex->next, *p = start;

	lex->line++;
	for (; *p && *p != '\n' && (*quoted || *p != '#'); p++)
		if (*p == '"')
			*quoted = !*quoted;
	sf_buf_add(b, start, (size_t)(p - start));
	p += strcspn(p, "\n");
	lex->next = *p ? p + 1 : p;
	if (b->failed)
		return false;
	strip_end(b);
	if (!b->len || b->data[b->len - 1] != '\\')
		return false;
	b->data[--b->len] = '\0';
	return *lex->next != '\0';
}

int sf_lex_line(struct sf_lex *lex, struct sf_buf *b, unsigned *first, struct sf_error *err)
{
	bool quoted;

	while (*lex->next) {
		sf_buf_free(b);
		quoted = false;
		*first = lex->line + 1;
		while (add_physical(lex, b, &quoted))
			;
		if (b->failed)
			return sf_err(err, "out of memory");
		if (quoted)
			return sf_err(err, "a quote is not closed");
		if (b->data[strspn(b->data, " \t\r")])
			return 1;
	}
	return 0;
}

static char *skip_blanks(char *p)
{
	while (is_blank(*p))
		p++;
	return p;
}

/*
 * Take a value off at p, which stands on its first byte; returns where to go on, NULL with err
 * filled.
 */
static char *take_value(char *p, const char *key, char **value, struct sf_error *err)
{
	bool quoted = *p == '"';
	char *end;

	if (quoted) {
		*value = p + 1;
		end = p + 1 + strcspn(p + 1, "\"");
		*end++ = '\0';
	} else {
		*value = p;
		end = p + strcspn(p, " \t\r");
	}
	if ((quoted && *end && !is_blank(*end)) || (!quoted && memchr(p, '"', (size_t)(end - p)))) {
		sf_err(err, "%.64s: a quote may only enclose a whole value", key);
		return NULL;
	}
	if (*end)
		*end++ = '\0';
	if (!**value) {
		sf_err(err, "%.64s has no value", key);
		return NULL;
	}
	if (strlen(*value) > SF_LEX_VALUE_MAX) {
		sf_err(err, "the value of %.64s is longer than %d bytes", key, SF_LEX_VALUE_MAX);
		return NULL;
	}
	return end;
}

int sf_lex_pair(char **pos, char **key, char **value, struct sf_error *err)
{
	char *p = skip_blanks(*pos), *end;

	if (!*p)
		return 0;
	for (end = p; isascii(*end) && isalnum((unsigned char)*end); end++)
		;
	*key = p;
	p = skip_blanks(end);
	if (end == *key || *p != '=')
		return sf_err(err, "'%.64s' is not Key=Value", *key);
	*end = '\0';
	*pos = take_value(skip_blanks(p + 1), *key, value, err);
	return *pos ? 1 : -1;
}
