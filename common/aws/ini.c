/* AWS's shared files: INI with one level of nested blocks. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/ini.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/base/text.h"

static const char blanks[] = " \t\r\v\f";

struct parser {
	struct aws_ini *ini;
	char *section;
	size_t last;   /* index of the key a deeper line continues */
	bool has_last;
	size_t indent; /* of that key */
	unsigned line;
};

static void wipe(char *s)
{
	if (s)
		OPENSSL_cleanse(s, strlen(s));
	free(s);
}

void aws_ini_free(struct aws_ini *ini)
{
	size_t i;

	for (i = 0; i < ini->n; i++) {
		free(ini->entries[i].section);
		free(ini->entries[i].block);
		free(ini->entries[i].key);
		wipe(ini->entries[i].value);
	}
	free(ini->entries);
	free(ini->path);
	*ini = (struct aws_ini){ NULL, NULL, 0 };
}

const char *aws_ini_get(const struct aws_ini *ini, const char *section, const char *block, const char *key)
{
	const struct aws_ini_entry *e;
	size_t i;

	for (i = ini->n; i > 0; i--) {
		e = &ini->entries[i - 1];
		if (!e->key || strcmp(e->section, section) != 0 || strcmp(e->key, key) != 0)
			continue;
		if (block ? e->block && strcmp(e->block, block) == 0 : !e->block)
			return e->value;
	}
	return NULL;
}

bool aws_ini_has(const struct aws_ini *ini, const char *section)
{
	size_t i;

	for (i = 0; i < ini->n; i++)
		if (strcmp(ini->entries[i].section, section) == 0)
			return true;
	return false;
}

/* Cut blanks off both ends, in place. */
static char *trim(char *s)
{
	size_t n;

	s += strspn(s, blanks);
	for (n = strlen(s); n && strchr(blanks, s[n - 1]); n--)
		;
	s[n] = '\0';
	return s;
}

static int add(struct parser *p, const char *block, const char *key, const char *value)
{
	struct aws_ini *ini = p->ini;
	struct aws_ini_entry *grown, *e;

	grown = realloc(ini->entries, (ini->n + 1) * sizeof(*grown));
	if (!grown)
		return -1;
	ini->entries = grown;
	e = &grown[ini->n++];
	e->section = strdup(p->section);
	e->block = block ? strdup(block) : NULL;
	e->key = key ? strdup(key) : NULL;
	e->value = value ? strdup(value) : NULL;
	return e->section && (!block || e->block) && (!key || e->key) && (!value || e->value) ? 0 : -1;
}

/* [profile "my name"] becomes: profile my name */
static int open_section(struct parser *p, char *s, struct sf_error *err)
{
	char *end = strchr(s, ']'), *in, *out;

	if (!end || *trim(end + 1))
		return sf_err(err, "%s:%u: a section must be written as [name]", p->ini->path, p->line);
	*end = '\0';
	s++;
	for (in = out = s; *in; in++)
		if (*in != '"' && *in != '\'' && !(strchr(blanks, *in) && out > s && out[-1] == ' '))
			*out++ = strchr(blanks, *in) ? ' ' : *in;
	*out = '\0';
	free(p->section);
	p->section = strdup(trim(s));
	p->has_last = false;
	return p->section && add(p, NULL, NULL, NULL) == 0 ? 0 : sf_err(err, "out of memory");
}

/* A line deeper than its key: a nested setting when the key has no value of its own, else more of that value. */
static int continue_value(struct parser *p, char *s, struct sf_error *err)
{
	struct aws_ini_entry *last = &p->ini->entries[p->last];
	char *eq, *joined = NULL;

	if (*last->value) {
		if (asprintf(&joined, "%s\n%s", last->value, s) < 0)
			return sf_err(err, "out of memory");
		wipe(last->value);
		last->value = joined;
		return 0;
	}
	eq = strchr(s, '=');
	if (!eq)
		return sf_err(err, "%s:%u: expected 'key = value' below '%s'", p->ini->path, p->line, last->key);
	*eq = '\0';
	return add(p, last->key, trim(s), trim(eq + 1)) == 0 ? 0 : sf_err(err, "out of memory");
}

static int parse_line(struct parser *p, char *raw, struct sf_error *err)
{
	size_t indent = strspn(raw, blanks);
	char *s = trim(raw), *delimiter, *c;

	if (!*s || *s == '#' || *s == ';')
		return 0;
	if (p->has_last && indent > p->indent)
		return continue_value(p, s, err);
	if (*s == '[')
		return open_section(p, s, err);
	delimiter = strpbrk(s, "=:");
	if (!delimiter || delimiter == s)
		return sf_err(err, "%s:%u: expected [section] or 'key = value'", p->ini->path, p->line);
	if (!p->section)
		return sf_err(err, "%s:%u: a setting before the first [section]", p->ini->path, p->line);
	*delimiter = '\0';
	s = trim(s);
	for (c = s; *c; c++)
		*c = (char)tolower((unsigned char)*c);
	p->last = p->ini->n;
	p->has_last = true;
	p->indent = indent;
	return add(p, NULL, s, trim(delimiter + 1)) == 0 ? 0 : sf_err(err, "out of memory");
}

int aws_ini_parse(const char *path, char *text, struct aws_ini *out, struct sf_error *err)
{
	struct aws_ini ini = { strdup(path), NULL, 0 };
	struct parser p = { &ini, NULL, 0, false, 0, 0 };
	char *line, *rest = text;
	int rc = ini.path ? 0 : sf_err(err, "out of memory");

	while (rc == 0 && (line = strsep(&rest, "\n"))) {
		p.line++;
		rc = parse_line(&p, line, err);
	}
	free(p.section);
	if (rc != 0) {
		aws_ini_free(&ini);
		return -1;
	}
	*out = ini;
	return 0;
}

/* At most AWS_INI_MAX bytes into text[AWS_INI_MAX + 1]; O_NONBLOCK so that a FIFO without a writer does not hang us. */
static int slurp(const char *path, char *text, size_t *len, struct sf_error *err)
{
	sf_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	size_t used = 0;
	ssize_t got = 0;

	*len = 0;
	text[0] = '\0';
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	if (fd < 0)
		return sf_err(err, "%s: %s", path, strerror(errno));
	while (used <= AWS_INI_MAX && (got = read(fd, text + used, AWS_INI_MAX + 1 - used)) > 0)
		used += (size_t)got;
	*len = used;
	if (got < 0)
		return sf_err(err, "%s: %s", path, strerror(errno));
	if (used > AWS_INI_MAX)
		return sf_err(err, "%s: longer than %u bytes", path, AWS_INI_MAX);
	text[used] = '\0';
	if (strlen(text) != used)
		return sf_err(err, "%s: holds a NUL byte", path);
	return 0;
}

int aws_ini_load(const char *path, struct aws_ini *out, struct sf_error *err)
{
	char *text = malloc(AWS_INI_MAX + 1);
	size_t len = 0;
	int rc = -1;

	if (!text)
		return sf_err(err, "out of memory");
	if (slurp(path, text, &len, err) == 0)
		rc = aws_ini_parse(path, text, out, err);
	OPENSSL_cleanse(text, len);
	free(text);
	return rc;
}
