/* The socket protocol between agent, prolog, attach, plugins and sfargate: every frame on one page. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_PROTO_H
#define SF_BASE_PROTO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A frame is an 8-byte head and a body:   u8 version (1) | u8 type | u16 zero | u32 length of the body, big-endian
 * The body is a list of fields:           u8 tag | u32 length, big-endian | bytes
 * Numbers are 8 bytes big-endian; strings are UTF-8 without NUL. Unknown tags are skipped, unknown types refused.
 * The connection's peer uid (SO_PEERCRED, the uid that called connect()) decides what is allowed: root and SlurmUser may
 * LAUNCH, HANDOVER, SNAPSHOT and ask about every job; the job's own user may ATTACH and ask about his own jobs.
 *
 * who -> agent
 *   LAUNCH    prolog    JOB RESTART SPEC                     launch and hold me; answered by RELEASE (exit 0) or REFUSED
 *   HANDOVER  stepd     JOB UID TOKEN SPEC                   a batch step of UID begins; answered by ACCEPT or REFUSED
 *   ATTACH    attach    JOB RESTART TOKEN [CURSOR] SPEC      on the hand-over's connection or a new one; ACCEPT or REFUSED, then OUTPUT …
 *   SIGNAL    attach    NUMBER                               a signal was caught
 *   STATUS    sfargate  -                                    TEXT (JSON)
 *   SHOW      sfargate  JOB [ARRAY] [CURSOR]                 TEXT [CURSOR] (JSON) or REFUSED; JOB may be an array's id, ARRAY its element
 *   SNAPSHOT  slurmctld -                                    TEXT (JSON {"default_partition":…,"fleet":[{"partition":…,"jobs":"3-7,12"},…],"quotas":[…]})
 *   TASKS     sfargate  [NUMBER] [CURSOR]                    TEXT [CURSOR] (JSON); NUMBER: also those that ended in the last so many seconds
 *   LOGS      sfargate  JOB [ARRAY] [FOLLOW]                 OUTPUT and NOTE …, then EXIT 0; or REFUSED
 *   CONF      sfargate  -                                    TEXT (JSON)
 *   RESUME    sfargate  TEXT                                 TEXT (JSON {"resumed":true}) or REFUSED; TEXT is a partition; root and SlurmUser only
 *   QUOTA     sfargate  -                                    TEXT (JSON {"quotas":[…]})
 *   REAP      sfargate  [NUMBER]                             TEXT (JSON) or REFUSED; NUMBER: enum sf_reap; root and SlurmUser only
 * agent -> who
 *   ACCEPT    -                         the request is taken
 *   REFUSED   TEXT [RETRY]              it is not; the text says why. RETRY=1: not now, ask again (agent still reading its jobs)
 *   RELEASE   -                         prolog: exit 0
 *   OUTPUT    STREAM CURSOR BYTES       write BYTES to stdout (1) or stderr (2), then remember CURSOR
 *   NOTE      TEXT                      one line of ours for the job's stderr
 *   EXIT      NUMBER                    the verdict is with Slurm: exit with this status
 *   TEXT      TEXT [CURSOR]             an answer; with CURSOR it goes on: the same question again, with that cursor
 *
 * STATUS, SHOW, SNAPSHOT, TASKS, LOGS, CONF, RESUME, QUOTA and REAP are questions: a connection's next one is read when the answer to the last is
 * written, and a user has at most 16 connections that ask. The frames of one kind keep their numbers: new ones are appended.
 */
#define SF_PROTO_VERSION 1
#define SF_FRAME_HEAD 8
#define SF_FRAME_BODY_MAX (1024 * 1024)
#define SF_FRAME_FIELDS_MAX 16
#define SF_TOKEN_HEX 32 /* a job's attach token: 32 hex digits */
#define SF_CURSOR_MAX 1024

enum sf_frame_type {
	SF_FRAME_LAUNCH = 1,
	SF_FRAME_HANDOVER,
	SF_FRAME_ATTACH,
	SF_FRAME_SIGNAL,
	SF_FRAME_STATUS,
	SF_FRAME_SHOW,
	SF_FRAME_SNAPSHOT,
	SF_FRAME_TASKS,
	SF_FRAME_LOGS,
	SF_FRAME_CONF,
	SF_FRAME_RESUME,
	SF_FRAME_QUOTA,
	SF_FRAME_REAP,
	SF_FRAME_ACCEPT = 64,
	SF_FRAME_REFUSED,
	SF_FRAME_RELEASE,
	SF_FRAME_OUTPUT,
	SF_FRAME_NOTE,
	SF_FRAME_EXIT,
	SF_FRAME_TEXT
};

/* Of REAP, added up. */
enum sf_reap { SF_REAP_DRY_RUN = 1, SF_REAP_FORCE = 2 };

enum sf_field_tag {
	SF_FIELD_JOB = 1, /* number */
	SF_FIELD_RESTART, /* number */
	SF_FIELD_UID,     /* number */
	SF_FIELD_NUMBER,  /* number */
	SF_FIELD_STREAM,  /* number: 1 or 2 */
	SF_FIELD_RETRY,   /* number: 0 or 1 */
	SF_FIELD_TOKEN,   /* string, SF_TOKEN_HEX */
	SF_FIELD_SPEC,    /* string */
	SF_FIELD_CURSOR,  /* opaque bytes <= SF_CURSOR_MAX */
	SF_FIELD_BYTES,   /* bytes */
	SF_FIELD_TEXT,    /* string */
	SF_FIELD_ARRAY,   /* number: an element of the array JOB */
	SF_FIELD_FOLLOW   /* number: 0 or 1 */
};

struct sf_field {
	uint8_t tag;
	uint32_t len;
	const unsigned char *bytes; /* borrowed from the frame's memory, not NUL-terminated */
};

struct sf_frame {
	uint8_t type;
	size_t n_fields;
	struct sf_field fields[SF_FRAME_FIELDS_MAX];
};

/*
 * Look at the first n received bytes. Returns the frame's whole length when a complete, well-formed frame stands there
 * (*frame then borrows from bytes), 0 when more bytes are needed, -1 when the stream is not ours (bad version or
 * reserved bytes, over-long, fields that do not add up): close the connection. `why` (may be NULL) then names it.
 */
ssize_t sf_frame_parse(const unsigned char *bytes, size_t n, struct sf_frame *frame, const char **why);

/* Typed reading: false when the field is absent or not of that shape. */
bool sf_frame_number(const struct sf_frame *f, uint8_t tag, uint64_t *out);
/* Copy a string field into out[size]; false when absent, too long, or holding a NUL. */
bool sf_frame_string(const struct sf_frame *f, uint8_t tag, char *out, size_t size);
/* The same on the heap (caller frees); NULL when absent, longer than max, holding a NUL, or out of memory. */
char *sf_frame_dup(const struct sf_frame *f, uint8_t tag, size_t max);
const struct sf_field *sf_frame_field(const struct sf_frame *f, uint8_t tag);

/* A frame under construction: begin, add fields, end. Uses a caller's buffer; overflow is sticky and makes end return 0. */
struct sf_frame_out {
	unsigned char *bytes;
	size_t cap;
	size_t len;
	bool overflow;
};
void sf_frame_begin(struct sf_frame_out *o, unsigned char *bytes, size_t cap, enum sf_frame_type type);
void sf_frame_put_number(struct sf_frame_out *o, enum sf_field_tag tag, uint64_t value);
void sf_frame_put_bytes(struct sf_frame_out *o, enum sf_field_tag tag, const void *bytes, size_t n);
void sf_frame_put_string(struct sf_frame_out *o, enum sf_field_tag tag, const char *s); /* NULL: left out */
/* Total length to send, 0 when the buffer was too small. */
size_t sf_frame_end(struct sf_frame_out *o);

/* Blocking helpers for the small clients (attach, prolog, stepd, sfargate); all return -1 with errno on failure. */
/* Connect to a Unix socket; close-on-exec; timeout_ms bounds connect and every later read and write (0 = none). */
int sf_proto_connect(const char *path, int timeout_ms);
/* Write all n bytes (MSG_NOSIGNAL); 0 or -1. */
int sf_proto_send(int fd, const unsigned char *bytes, size_t n);
/*
 * Receive until one frame is complete in buf (which keeps leftovers between calls: *have bytes are valid; the frame returned
 * last is dropped first by the caller through sf_proto_consume). Returns its length, 0 at end of file, -1 with errno (EPROTO, EAGAIN on timeout, EMSGSIZE).
 */
ssize_t sf_proto_recv(int fd, unsigned char *buf, size_t cap, size_t *have, struct sf_frame *frame);
void sf_proto_consume(unsigned char *buf, size_t *have, size_t frame_len);

#endif
