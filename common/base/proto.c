/* The socket protocol: parsing and building frames, and blocking helpers for small clients. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Only libc: this file is also compiled into the static fargate-attach and fargate-prolog. */
#include "common/base/proto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FIELD_HEAD 5

static uint64_t get_be(const unsigned char *p, size_t n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

static void put_be(unsigned char *p, size_t n, uint64_t v)
{
	while (n--) {
		p[n] = v & 0xff;
		v >>= 8;
	}
}

static bool known_type(uint8_t type)
{
	return (type >= SF_FRAME_LAUNCH && type <= SF_FRAME_REAP) ||
	       (type >= SF_FRAME_ACCEPT && type <= SF_FRAME_TEXT);
}

static ssize_t refuse(const char **why, const char *text)
{
	if (why)
		*why = text;
	return -1;
}

static ssize_t parse_fields(const unsigned char *p, size_t left, struct sf_frame *frame,
			    const char **why)
{
	struct sf_field *f;

	frame->n_fields = 0;
	while (left) {
		if (frame->n_fields == SF_FRAME_FIELDS_MAX)
			return refuse(why, "too many fields");
		if (left < FIELD_HEAD)
			return refuse(why, "a field is cut off");
		f = &frame->fields[frame->n_fields++];
		f->tag = p[0];
		f->len = (uint32_t)get_be(p + 1, 4);
		f->bytes = p + FIELD_HEAD;
		if (f->len > left - FIELD_HEAD)
			return refuse(why, "a field is longer than its frame");
		p += FIELD_HEAD + f->len;
		left -= FIELD_HEAD + f->len;
	}
	return 0;
}

ssize_t sf_frame_parse(const unsigned char *bytes, size_t n, struct sf_frame *frame,
		       const char **why)
{
	size_t body;

	/*
	 * Judge each byte as soon as it is there: a stranger need not send a whole head to be
	 * refused.
	 */
	if (n >= 1 && bytes[0] != SF_PROTO_VERSION)
		return refuse(why, "another protocol version");
	if (n >= 2 && !known_type(bytes[1]))
		return refuse(why, "unknown frame type");
	if (n < SF_FRAME_HEAD)
		return 0;
	if (bytes[2] || bytes[3])
		return refuse(why, "reserved bytes are not zero");
	body = (size_t)get_be(bytes + 4, 4);
	if (body > SF_FRAME_BODY_MAX)
		return refuse(why, "the frame is too long");
	if (n - SF_FRAME_HEAD < body)
		return 0;
	frame->type = bytes[1];
	if (parse_fields(bytes + SF_FRAME_HEAD, body, frame, why) != 0)
		return -1;
	return (ssize_t)(SF_FRAME_HEAD + body);
}

const struct sf_field *sf_frame_field(const struct sf_frame *f, uint8_t tag)
{
	size_t i;

	for (i = 0; i < f->n_fields; i++)
		if (f->fields[i].tag == tag)
			return &f->fields[i];
	return NULL;
}

bool sf_frame_number(const struct sf_frame *f, uint8_t tag, uint64_t *out)
{
	const struct sf_field *field = sf_frame_field(f, tag);

	if (!field || field->len != 8)
		return false;
	*out = get_be(field->bytes, 8);
	return true;
}

bool sf_frame_string(const struct sf_frame *f, uint8_t tag, char *out, size_t size)
{
	const struct sf_field *field = sf_frame_field(f, tag);

	if (!field || field->len >= size || memchr(field->bytes, '\0', field->len))
		return false;
	memcpy(out, field->bytes, field->len);
	out[field->len] = '\0';
	return true;
}

char *sf_frame_dup(const struct sf_frame *f, uint8_t tag, size_t max)
{
	const struct sf_field *field = sf_frame_field(f, tag);
	char *copy;

	if (!field || field->len > max || memchr(field->bytes, '\0', field->len))
		return NULL;
	copy = malloc((size_t)field->len + 1);
	if (copy) {
		memcpy(copy, field->bytes, field->len);
		copy[field->len] = '\0';
	}
	return copy;
}

void sf_frame_begin(struct sf_frame_out *o, unsigned char *bytes, size_t cap,
		    enum sf_frame_type type)
{
	*o = (struct sf_frame_out){ .bytes = bytes, .cap = cap, .len = SF_FRAME_HEAD };
	if (cap < SF_FRAME_HEAD) {
		o->overflow = true;
		return;
	}
	bytes[0] = SF_PROTO_VERSION;
	bytes[1] = (unsigned char)type;
	put_be(bytes + 2, 6, 0);
}

void sf_frame_put_bytes(struct sf_frame_out *o, enum sf_field_tag tag, const void *bytes, size_t n)
{
	unsigned char *p;

	if (o->overflow || o->cap - o->len < FIELD_HEAD || n > o->cap - o->len - FIELD_HEAD ||
	    n > SF_FRAME_BODY_MAX) {
		o->overflow = true;
		return;
	}
	p = o->bytes + o->len;
	p[0] = (unsigned char)tag;
	put_be(p + 1, 4, n);
	if (n)
		memcpy(p + FIELD_HEAD, bytes, n);
	o->len += FIELD_HEAD + n;
}

void sf_frame_put_number(struct sf_frame_out *o, enum sf_field_tag tag, uint64_t value)
{
	unsigned char be[8];

	put_be(be, sizeof(be), value);
	sf_frame_put_bytes(o, tag, be, sizeof(be));
}

void sf_frame_put_string(struct sf_frame_out *o, enum sf_field_tag tag, const char *s)
{
	if (s)
		sf_frame_put_bytes(o, tag, s, strlen(s));
}

size_t sf_frame_end(struct sf_frame_out *o)
{
	if (o->overflow || o->len - SF_FRAME_HEAD > SF_FRAME_BODY_MAX)
		return 0;
	put_be(o->bytes + 4, 4, o->len - SF_FRAME_HEAD);
	return o->len;
}

static int set_timeout(int fd, int timeout_ms)
{
	struct timeval tv = { .tv_sec = timeout_ms / 1000,
			      .tv_usec = timeout_ms % 1000 * 1000 };

	if (timeout_ms <= 0)
		return 0;
	/* For Unix sockets SO_SNDTIMEO also bounds connect() on a full backlog. */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) != 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) != 0)
		return -1;
	return 0;
}

int sf_proto_connect(const char *path, int timeout_ms)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd, rc, saved;

	if (strlen(path) >= sizeof(addr.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(addr.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	rc = set_timeout(fd, timeout_ms);
	/*
	 * An interrupted connect() of a Unix socket has done nothing yet and may simply be
	 * repeated.
	 */
	if (rc == 0)
		do
			rc = connect(fd, (struct sockaddr *)&addr, sizeof(addr));
		while (rc != 0 && errno == EINTR);
	if (rc == 0)
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

int sf_proto_send(int fd, const unsigned char *bytes, size_t n)
{
	ssize_t sent;

	while (n) {
		sent = send(fd, bytes, n, MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return -1;
		bytes += sent;
		n -= (size_t)sent;
	}
	return 0;
}

ssize_t sf_proto_recv(int fd, unsigned char *buf, size_t cap, size_t *have, struct sf_frame *frame)
{
	ssize_t got;

	for (;;) {
		got = sf_frame_parse(buf, *have, frame, NULL);
		if (got > 0)
			return got;
		if (got < 0 || *have == cap) {
			errno = got < 0 ? EPROTO : EMSGSIZE;
			return -1;
		}
		got = recv(fd, buf + *have, cap - *have, 0);
		if (got < 0 && errno == EINTR)
			continue;
		/* A frame cut off by the end of the stream counts as the end: its sender died. */
		if (got <= 0)
			return got;
		*have += (size_t)got;
	}
}

void sf_proto_consume(unsigned char *buf, size_t *have, size_t frame_len)
{
	memmove(buf, buf + frame_len, *have - frame_len);
	*have -= frame_len;
}
