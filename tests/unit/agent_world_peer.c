/* The world's clients: prologs, stepds, attaches and sfargates that speak proto.h over the agent's socket. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/agent_world.h"

#define PEERS_MAX 512
#define BUFFER (2 * 1024 * 1024)

static struct peer *peers;
static uid_t uids[PEERS_MAX]; /* of the connections not accepted yet, in the order of connect() */
static size_t uids_head, uids_tail;

int __real_getsockopt(int fd, int level, int name, void *value, socklen_t *n);
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n);

/* The agent asks who connects: the uid the world gave to that peer. */
int __wrap_getsockopt(int fd, int level, int name, void *value, socklen_t *n)
{
	int rc = __real_getsockopt(fd, level, name, value, n);

	if (rc == 0 && level == SOL_SOCKET && name == SO_PEERCRED && uids_head != uids_tail)
		((struct ucred *)value)->uid = uids[uids_head++ % PEERS_MAX];
	return rc;
}

struct peer *peer_open(uid_t uid)
{
	struct peer *p = calloc(1, sizeof(*p));

	uids[uids_tail++ % PEERS_MAX] = uid;
	p->fd = sf_proto_connect(world.conf->socket, 1000);
	ck_assert_msg(p->fd >= 0, "%s: %s", world.conf->socket, strerror(errno));
	p->buf = malloc(BUFFER);
	p->status = -1;
	p->next = peers;
	peers = p;
	return p;
}

void peer_shut(struct peer *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}

void peers_end(void)
{
	struct peer *p;

	while ((p = peers)) {
		peers = p->next;
		peer_shut(p);
		sf_buf_free(&p->out);
		sf_buf_free(&p->err);
		sf_buf_free(&p->notes);
		sf_buf_free(&p->text);
		free(p->buf);
		free(p);
	}
}

static void take_output(struct peer *p, const struct sf_frame *f)
{
	const struct sf_field *bytes = sf_frame_field(f, SF_FIELD_BYTES), *cursor = sf_frame_field(f, SF_FIELD_CURSOR);
	uint64_t stream = 0;

	ck_assert(sf_frame_number(f, SF_FIELD_STREAM, &stream) && (stream == 1 || stream == 2) && bytes && cursor);
	ck_assert_uint_le(cursor->len, sizeof(p->cursor));
	sf_buf_add(stream == 1 ? &p->out : &p->err, bytes->bytes, bytes->len);
	memcpy(p->cursor, cursor->bytes, cursor->len);
	p->cursor_n = cursor->len;
	p->outputs++;
}

static void take_refused(struct peer *p, const struct sf_frame *f)
{
	uint64_t retry = 0;

	ck_assert(sf_frame_string(f, SF_FIELD_TEXT, p->refused, sizeof(p->refused)));
	sf_frame_number(f, SF_FIELD_RETRY, &retry);
	p->retry = retry == 1;
}

static void take_text(const struct sf_frame *f, struct sf_buf *into)
{
	const struct sf_field *text = sf_frame_field(f, SF_FIELD_TEXT);

	ck_assert_ptr_nonnull(text);
	sf_buf_add(into, text->bytes, text->len);
	sf_buf_puts(into, "\n");
}

static void take_frame(struct peer *p, const struct sf_frame *f)
{
	uint64_t n = 0;

	switch (f->type) {
	case SF_FRAME_ACCEPT:
		p->accepted++;
		break;
	case SF_FRAME_REFUSED:
		take_refused(p, f);
		break;
	case SF_FRAME_RELEASE:
		p->released++;
		break;
	case SF_FRAME_OUTPUT:
		take_output(p, f);
		break;
	case SF_FRAME_NOTE:
		take_text(f, &p->notes);
		break;
	case SF_FRAME_EXIT:
		ck_assert(sf_frame_number(f, SF_FIELD_NUMBER, &n));
		p->status = (int)n;
		p->exits++;
		break;
	case SF_FRAME_TEXT:
		take_text(f, &p->text);
		break;
	default:
		ck_abort_msg("a frame of type %u came", f->type);
	}
}

static void pump(struct peer *p)
{
	struct sf_frame frame;
	ssize_t n, len;

	if (p->fd < 0 || p->eof)
		return;
	while ((n = recv(p->fd, p->buf + p->have, BUFFER - p->have, MSG_DONTWAIT)) > 0) {
		p->have += (size_t)n;
		while ((len = sf_frame_parse(p->buf, p->have, &frame, NULL)) > 0) {
			take_frame(p, &frame);
			sf_proto_consume(p->buf, &p->have, (size_t)len);
		}
		ck_assert_int_eq(len, 0);
	}
	/* As the real ones do: the agent's end of file ends the connection. */
	if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK)) {
		p->eof = true;
		peer_shut(p);
	}
}

void peers_pump(void)
{
	struct peer *p;

	for (p = peers; p; p = p->next)
		pump(p);
}

void peer_bytes(struct peer *p, const void *bytes, size_t n)
{
	ck_assert_int_eq(sf_proto_send(p->fd, bytes, n), 0);
}

static void finish(struct peer *p, struct sf_frame_out *o)
{
	size_t n = sf_frame_end(o);

	ck_assert_uint_gt(n, 0);
	peer_bytes(p, o->bytes, n);
}

void peer_launch(struct peer *p, uint32_t job, uint32_t restart, const char *spec)
{
	unsigned char bytes[8192];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), SF_FRAME_LAUNCH);
	sf_frame_put_number(&o, SF_FIELD_JOB, job);
	sf_frame_put_number(&o, SF_FIELD_RESTART, restart);
	sf_frame_put_string(&o, SF_FIELD_SPEC, spec);
	finish(p, &o);
}

void peer_handover(struct peer *p, uint32_t job, uid_t uid, const char *token, const char *spec)
{
	unsigned char bytes[8192];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), SF_FRAME_HANDOVER);
	sf_frame_put_number(&o, SF_FIELD_JOB, job);
	sf_frame_put_number(&o, SF_FIELD_UID, uid);
	sf_frame_put_string(&o, SF_FIELD_TOKEN, token);
	sf_frame_put_string(&o, SF_FIELD_SPEC, spec);
	finish(p, &o);
}

void peer_attach_at(struct peer *p, uint32_t job, uint32_t restart, const char *token, const char *spec, const void *cursor,
		    size_t n)
{
	unsigned char bytes[8192];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), SF_FRAME_ATTACH);
	sf_frame_put_number(&o, SF_FIELD_JOB, job);
	sf_frame_put_number(&o, SF_FIELD_RESTART, restart);
	sf_frame_put_string(&o, SF_FIELD_TOKEN, token);
	if (n)
		sf_frame_put_bytes(&o, SF_FIELD_CURSOR, cursor, n);
	sf_frame_put_string(&o, SF_FIELD_SPEC, spec);
	finish(p, &o);
}

void peer_attach(struct peer *p, uint32_t job, uint32_t restart, const char *token, const char *spec)
{
	peer_attach_at(p, job, restart, token, spec, NULL, 0);
}

void peer_signal(struct peer *p, int number)
{
	unsigned char bytes[64];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), SF_FRAME_SIGNAL);
	sf_frame_put_number(&o, SF_FIELD_NUMBER, (uint64_t)number);
	finish(p, &o);
}

void peer_ask(struct peer *p, enum sf_frame_type type, uint32_t job)
{
	unsigned char bytes[64];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), type);
	if (job)
		sf_frame_put_number(&o, SF_FIELD_JOB, job);
	finish(p, &o);
}

void peer_resume(struct peer *p, const char *partition)
{
	unsigned char bytes[128];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), SF_FRAME_RESUME);
	sf_frame_put_string(&o, SF_FIELD_TEXT, partition);
	finish(p, &o);
}

void peer_reap(struct peer *p, unsigned how)
{
	unsigned char bytes[64];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), SF_FRAME_REAP);
	sf_frame_put_number(&o, SF_FIELD_NUMBER, how);
	finish(p, &o);
}

struct peer *peer_attached(uint32_t job, uint32_t restart, const char *token, const char *spec)
{
	struct peer *p = peer_open(0);

	peer_handover(p, job, ALICE, token, spec);
	peer_attach(p, job, restart, token, spec);
	UNTIL(p->accepted == 2);
	return p;
}
