/* Growing buffers, base64, UTF-8 and the neutralising of foreign text. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_TEXT_H
#define SF_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/util.h"

/*
 * A growing byte string, always NUL-terminated when data is not NULL.
 * Start it as `struct sf_buf b = SF_BUF_INIT;`. A failed allocation is sticky
 * (failed = true, later calls do nothing), so only the taker has to check.
 */
struct sf_buf {
	char *data;
	size_t len;
	size_t cap;
	bool failed;
};
#define SF_BUF_INIT { NULL, 0, 0, false }
#define sf_auto_buf sf_auto(sf_buf_free)

void sf_buf_add(struct sf_buf *b, const void *bytes, size_t n);
void sf_buf_puts(struct sf_buf *b, const char *s);
void sf_buf_printf(struct sf_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Drop the first n bytes (n <= len); the rest moves to the front. */
void sf_buf_drop(struct sf_buf *b, size_t n);
/* Hand out the string (caller frees; "" when empty) or NULL if an allocation failed; b is empty afterwards. */
char *sf_buf_take(struct sf_buf *b);
/* Release and reset to SF_BUF_INIT. NULL-safe. */
void sf_buf_free(struct sf_buf *b);

/* Copy src into dst[size], cut if needed and always terminated; returns false when it was cut. */
bool sf_copy(char *dst, size_t size, const char *src);

/*
 * The choke point for foreign text: every C0 control byte, DEL, C1 control
 * characters, line separators, marks and overrides of the text's direction, and every byte that is not valid UTF-8 becomes '?',
 * in place. Text from AWS or from users passes here before it
 * reaches a log, a comment or a terminal (design section 5.6).
 */
void sf_text_clean(char *s);

/* True when the n bytes are valid UTF-8 (RFC 3629: no surrogates, no overlong forms, <= U+10FFFF) and hold no NUL. */
bool sf_utf8_valid(const char *s, size_t n);

/* Standard base64 with padding, no line breaks. Caller frees; NULL when out of memory. */
char *sf_base64_encode(const void *bytes, size_t n);

/* Lower-case hex of n bytes into out[2 * n + 1]. */
void sf_hex(const void *bytes, size_t n, char *out);

/* n random bytes from the kernel (getrandom(2)). Returns 0, or -1 with errno. */
int sf_random(void *out, size_t n);

/* NULL-terminated vectors of strings, each string and the vector on the heap. */
size_t sf_strv_len(char *const *v);
/* Append a copy of s; returns 0 or -1 (ENOMEM, *v unchanged). *v may be NULL. */
int sf_strv_add(char ***v, const char *s);
bool sf_strv_has(char *const *v, const char *s);
void sf_strv_free(char **v);
static inline void sf_strv_cleanup(char ***v)
{
	sf_strv_free(*v);
}
#define sf_auto_strv sf_auto(sf_strv_cleanup)

#endif
