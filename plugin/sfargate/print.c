/* Printing for people: tables as wide as their content, times, sizes; text of others is cleaned here and nowhere else. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <pwd.h>
#include <string.h>
#include <time.h>

#include "common/base/sizes.h"
#include "common/base/text.h"
#include "plugin/sfargate/sfargate.h"

#define LABEL_WIDTH 16

char *clean_copy(const char *text)
{
	char *copy = strdup(text && *text ? text : "-");

	if (copy)
		sf_text_clean(copy);
	return copy;
}

void print_pair(const char *label, const char *text)
{
	sf_auto_free char *clean = text ? clean_copy(text) : NULL;

	if (clean)
		printf("%-*s %s\n", LABEL_WIDTH, label, clean);
}

void print_json(const sf_json *j)
{
	sf_auto_free char *text = sf_json_text(j);

	if (text)
		puts(text);
}

void time_text(int64_t seconds, char out[32])
{
	time_t t = (time_t)seconds;
	struct tm tm;

	out[0] = '\0';
	if (seconds > 0 && localtime_r(&t, &tm))
		strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
}

void age_text(int64_t s, char out[32])
{
	static const struct {
		int64_t unit, part;
		const char *format;
	} rows[] = { { 86400, 3600, "%" PRId64 "d%02" PRId64 "h" },
		     { 3600, 60, "%" PRId64 "h%02" PRId64 "m" },
		     { 60, 1, "%" PRId64 "m%02" PRId64 "s" } };
	size_t i;

	s = s < 0 ? 0 : s;
	for (i = 0; i < SF_COUNT(rows); i++)
		if (s >= rows[i].unit) {
			snprintf(out, 32, rows[i].format, s / rows[i].unit, s % rows[i].unit / rows[i].part);
			return;
		}
	snprintf(out, 32, "%" PRId64 "s", s);
}

void job_text(const sf_json *start, char out[32])
{
	int64_t job = 0, array = 0, task = 0;

	sf_json_int(start, "job", &job);
	if (sf_json_int(start, "array_job", &array) && array && sf_json_int(start, "array_task", &task))
		snprintf(out, 32, "%" PRIu32 "_%" PRIu32, (uint32_t)array, (uint32_t)task);
	else
		snprintf(out, 32, "%" PRIu32, (uint32_t)job);
}

void size_text(const sf_json *start, char out[48])
{
	int64_t cpu = 0, mem = 0;
	char vcpu[16], gb[16];

	sf_json_int(start, "cpu_units", &cpu);
	sf_json_int(start, "mem_mib", &mem);
	sf_size_vcpu_text((uint32_t)cpu, vcpu);
	sf_size_gb_text((uint32_t)mem, gb);
	snprintf(out, 48, "%svCPU/%sGB", vcpu, gb);
}

char *user_text(const sf_json *start)
{
	const char *name = sf_json_str(start, "user");
	const struct passwd *pw;
	char number[24];
	int64_t uid = -1;

	if (name && *name)
		return strdup(name);
	if (!sf_json_int(start, "uid", &uid) || uid < 0)
		return NULL;
	pw = getpwuid((uid_t)uid);
	snprintf(number, sizeof(number), "%" PRId64, uid);
	return strdup(pw ? pw->pw_name : number);
}

void table_add(struct table *t, const char *text)
{
	size_t cap = t->cap ? t->cap * 2 : 256;
	char **more;

	if (t->rows == t->cap) {
		more = realloc(t->cells, cap * sizeof(*more));
		if (!more) {
			t->failed = true;
			return;
		}
		t->cells = more;
		t->cap = cap;
	}
	t->cells[t->rows] = clean_copy(text);
	if (t->cells[t->rows])
		t->rows++;
	else
		t->failed = true;
}

/* Columns of a terminal that valid UTF-8 takes, wide characters aside: everything but continuation bytes. */
static size_t width(const char *s)
{
	size_t n = 0;

	for (; *s; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static void print_cell(const char *text, size_t wide, bool last)
{
	fputs(text, stdout);
	if (last)
		putchar('\n');
	else
		printf("%*s", (int)(wide - width(text) + 2), "");
}

void table_print(const struct table *t, bool header)
{
	size_t wide[16] = { 0 }, i, c;

	for (i = 0; i < t->rows; i++)
		if (width(t->cells[i]) > wide[i % t->columns])
			wide[i % t->columns] = width(t->cells[i]);
	for (c = 0; header && c < t->columns; c++)
		if (width(t->titles[c]) > wide[c])
			wide[c] = width(t->titles[c]);
	for (c = 0; header && c < t->columns; c++)
		print_cell(t->titles[c], wide[c], c + 1 == t->columns);
	for (i = 0; i < t->rows; i++)
		print_cell(t->cells[i], wide[i % t->columns], (i + 1) % t->columns == 0);
}

void table_free(struct table *t)
{
	size_t i;

	for (i = 0; i < t->rows; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}
