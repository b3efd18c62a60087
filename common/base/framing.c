/* The output framing: from awslogs events back to stdout and stderr, blank lines, end marks and bootstrap errors. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/framing.h"

#include <string.h>

#define STDOUT 1
#define STDERR 2
/* The letters of the two streams, by stream number. */
static const char letters[] = " oe";

/* What save() packs, by bit. */
#define SAVED_BASE '0'
#define SAVED_OUT 1
#define SAVED_ERR 2
#define SAVED_CONTINUED_SHIFT 2
#define SAVED_LIMIT 16

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define TORN_MAX (3 * 3)           /* what is left of one character that the driver's buffer tore */

void sf_framing_init(struct sf_framing *f, const char *nonce, bool framed)
{
	*f = (struct sf_framing){ .framed = framed };
	sf_copy(f->nonce, sizeof(f->nonce), nonce);
}

/* The text behind `<nonce> <word>`, NULL when the message is something else. */
static const char *after_mark(const struct sf_framing *f, const char *message, size_t n, const char *word, size_t *left)
{
	size_t nonce_len = strlen(f->nonce), word_len = strlen(word), head = nonce_len + 1 + word_len;

	if (nonce_len == 0 || n < head || memcmp(message, f->nonce, nonce_len) != 0 || message[nonce_len] != ' ' ||
	    memcmp(message + nonce_len + 1, word, word_len) != 0)
		return NULL;
	*left = n - head;
	return message + head;
}

static bool take_bootstrap(struct sf_framing *f, const char *message, size_t n)
{
	size_t left = 0, i;
	const char *cause = after_mark(f, message, n, "bootstrap: ", &left);

	if (!cause)
		return false;
	if (f->bootstrap[0])
		return true;
	if (left >= sizeof(f->bootstrap))
		left = sizeof(f->bootstrap) - 1;
	for (i = 0; i < left; i++)
		f->bootstrap[i] = cause[i] ? cause[i] : '?';
	f->bootstrap[left] = '\0';
	sf_text_clean(f->bootstrap);
	return true;
}

static bool take_end(struct sf_framing *f, const char *message, size_t n)
{
	size_t left = 0, i;
	const char *code;

	if (n == 0 || (message[0] != letters[STDOUT] && message[0] != letters[STDERR]))
		return false;
	code = after_mark(f, message + 1, n - 1, "end ", &left);
	if (!code || left < 1 || left > 3)
		return false;
	for (i = 0; i < left; i++)
		if (code[i] < '0' || code[i] > '9')
			return false;
	if (message[0] == letters[STDOUT])
		f->out_ended = true;
	else
		f->err_ended = true;
	return true;
}

/*
 * The driver cuts at its buffer's size, in the middle of a character too; the torn bytes, replaced, no longer fit and
 * travel as an event of their own. It is not the end of the line.
 */
static bool is_torn_character(const char *message, size_t n)
{
	size_t i;

	if (n == 0 || n > TORN_MAX || n % 3 != 0)
		return false;
	for (i = 0; i < n; i += 3)
		if (memcmp(message + i, REPLACEMENT, 3) != 0)
			return false;
	return true;
}

int sf_framing_event(struct sf_framing *f, const char *message, size_t n, struct sf_buf *out)
{
	bool cut = n >= SF_FRAMING_CUT || (f->continued && is_torn_character(message, n));
	int stream = f->continued;

	/* Marks first: they count wherever they stand, a line of the job's cannot contain the nonce by accident. */
	if (take_bootstrap(f, message, n))
		return 0;
	if (f->framed && (n == 0 || take_end(f, message, n)))
		return 0;
	if (stream) {
		sf_buf_add(out, message, n);
	} else if (!f->framed) {
		stream = STDOUT;
		sf_buf_add(out, message, n);
	} else if (message[0] == letters[STDOUT] || message[0] == letters[STDERR]) {
		stream = message[0] == letters[STDOUT] ? STDOUT : STDERR;
		sf_buf_add(out, message + 1, n - 1);
	} else {
		/* Not from a filter: words of the container's shell itself, or a piece whose beginning was lost. */
		stream = STDERR;
		sf_buf_add(out, message, n);
	}
	if (!cut)
		sf_buf_add(out, "\n", 1);
	f->continued = cut ? stream : 0;
	return stream;
}

bool sf_framing_complete(const struct sf_framing *f)
{
	return f->framed && f->out_ended && f->err_ended;
}

char sf_framing_save(const struct sf_framing *f)
{
	int bits = (f->out_ended ? SAVED_OUT : 0) | (f->err_ended ? SAVED_ERR : 0) | f->continued << SAVED_CONTINUED_SHIFT;

	return (char)(SAVED_BASE + bits);
}

int sf_framing_load(struct sf_framing *f, char saved)
{
	int bits = saved - SAVED_BASE, continued = bits >> SAVED_CONTINUED_SHIFT;

	if (bits < 0 || bits >= SAVED_LIMIT || continued > STDERR || (!f->framed && (bits & (SAVED_OUT | SAVED_ERR))))
		return -1;
	f->out_ended = bits & SAVED_OUT;
	f->err_ended = bits & SAVED_ERR;
	f->continued = continued;
	return 0;
}
