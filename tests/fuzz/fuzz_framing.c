/* Fuzzes common/base/framing.c: no byte of the output is lost or doubled, whatever a task prints, and across a restart too. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/framing.h"
#include "tests/fuzz/fuzz.h"

#define NONCE "0123456789abcdef"
#define BIG_MAX 3 /* pieces of the driver's size in one input */

/* A line that begins with ^ stands for one that the driver cut: filled up to its buffer's size. */
static char *grow(const char *line, size_t *n)
{
	char *big = malloc(SF_FRAMING_CUT);

	HOLDS(big && *n <= SF_FRAMING_CUT);
	memset(big, 'x', SF_FRAMING_CUT);
	memcpy(big, line + 1, *n - 1);
	*n = SF_FRAMING_CUT;
	return big;
}

/* What came out is the event, but for its letter and with a newline unless it goes on. */
static void nothing_lost(const struct sf_framing *f, const char *event, size_t n, int stream, const char *out, size_t got)
{
	const size_t newline = f->continued ? 0 : 1;

	if (stream == 0) {
		HOLDS(got == 0);
		return;
	}
	HOLDS(stream == 1 || stream == 2);
	HOLDS(f->framed || stream == 1);
	HOLDS(got == n + newline || (f->framed && got == n - 1 + newline));
	HOLDS(memcmp(out, event + n - (got - newline), got - newline) == 0);
	HOLDS(!newline || out[got - 1] == '\n');
}

/* What a cursor keeps is enough to go on with. */
static void restart(struct sf_framing *f)
{
	struct sf_framing g;

	sf_framing_init(&g, f->nonce, f->framed);
	HOLDS(sf_framing_load(&g, sf_framing_save(f)) == 0);
	HOLDS(g.out_ended == f->out_ended && g.err_ended == f->err_ended && g.continued == f->continued);
	HOLDS(sf_framing_complete(&g) == sf_framing_complete(f));
	memcpy(g.bootstrap, f->bootstrap, sizeof(g.bootstrap));
	*f = g;
}

static void event(struct sf_framing *f, const char *line, size_t n, unsigned *big)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	sf_auto_free char *grown = NULL;
	int stream;

	if (n && *line == '^' && (*big)++ < BIG_MAX)
		line = grown = grow(line, &n);
	stream = sf_framing_event(f, line, n, &out);
	HOLDS(f->continued >= 0 && f->continued <= 2 && fuzz_clean(f->bootstrap) && strlen(f->bootstrap) < sizeof(f->bootstrap));
	HOLDS(!sf_framing_complete(f) || f->framed);
	nothing_lost(f, line, n, stream, out.data, out.len);
	restart(f);
}

static void log_of(const uint8_t *data, size_t size, bool framed)
{
	const uint8_t *end = data + size, *line, *next;
	struct sf_framing f;
	unsigned big = 0;

	sf_framing_init(&f, NONCE, framed);
	for (line = data; line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		if (!next)
			next = end;
		event(&f, (const char *)line, (size_t)(next - line), &big);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sf_framing f;
	char saved = size ? (char)data[0] : '\0';

	log_of(data, size, true);
	log_of(data, size, false);
	sf_framing_init(&f, NONCE, true);
	if (sf_framing_load(&f, saved) == 0)
		HOLDS(sf_framing_save(&f) == saved);
	return 0;
}
