/* The output framing: from awslogs events back to stdout and stderr, blank lines, end marks and bootstrap errors. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_FRAMING_H
#define SF_BASE_FRAMING_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/text.h"

/*
 * From this size on an event is taken for a piece of a line that the log driver cut. The driver reads into a buffer of
 * 262144 - 26 bytes and sends what it holds when that is full (aws/shim-loggers-for-containerd, logger/common.go); the
 * awslogs code then cuts before the character that would not fit, so up to 3 bytes earlier.
 */
#define SF_FRAMING_CUT (262144 - 26 - 3)

/*
 * State of one task's log as far as it was read. It is small and plain so that the agent can put it into an
 * output cursor (sf_framing_save/load) and rebuild it after a restart.
 */
struct sf_framing {
	char nonce[17];
	bool framed;          /* LogFraming; false: every event is a stdout line */
	bool out_ended;       /* `<nonce> end <rc>` seen on stdout */
	bool err_ended;       /* ... on stderr */
	int continued;        /* 0, or the stream (1, 2) whose last event was cut at the driver's 256 KiB */
	char bootstrap[256];  /* cause from `<nonce> bootstrap: <cause>`, "" when none; cleaned */
};

void sf_framing_init(struct sf_framing *f, const char *nonce, bool framed);

/*
 * Take one log event's message (n bytes, without newline). Returns the stream its bytes belong to, 1 or 2, with the bytes
 * appended to out; or 0 when the event was one of our marks, or empty while framed (nothing appended).
 * A newline follows each line. A line that the driver cut is put together again: its pieces come without newline, and a
 * piece carries no letter, so the event after a cut one continues its stream. Where that guess fails (a line of exactly the
 * driver's size; the other stream's line between two pieces) a newline is missing or a letter is left in, but no byte is lost.
 * Without framing everything is stream 1. A framed event with an unknown letter goes to stream 2 whole.
 */
int sf_framing_event(struct sf_framing *f, const char *message, size_t n, struct sf_buf *out);

/* Both end marks were seen: the log is complete. Never true when framing is off. */
bool sf_framing_complete(const struct sf_framing *f);

/* Flags as one character '0'..'?' for a cursor, and back; load refuses (returns -1) what save cannot have written. */
char sf_framing_save(const struct sf_framing *f);
int sf_framing_load(struct sf_framing *f, char saved);

#endif
