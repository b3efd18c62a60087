/* The agent's socket: listening, frames in and out, who is on the other end. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/agent.h"

#define SMALL_FRAME 2048
#define SILENT_MS 30000 /* a connection says by then what it wants, and goes when it has been answered */
/* Of one user, but for the jobs' own: nobody else is locked out. An attach that is one too many comes again. */
#define USER_CONNS_MAX 256
#define USER_INPUT_MAX (320 * 1024) /* the largest frame of a user: an ATTACH with its spec */

static void conn_free(struct conn *c)
{
	struct agent *a = c->agent;

	dispatch_gone(c);
	if (c->prev)
		c->prev->next = c->next;
	else
		a->conns = c->next;
	if (c->next)
		c->next->prev = c->prev;
	bufferevent_free(c->bev);
	free(c->handed_spec);
	free(c);
}

static void conn_write(struct conn *c, const unsigned char *bytes, size_t n)
{
	if (n == 0 || bufferevent_write(c->bev, bytes, n) != 0)
		sf_log_error("a frame for uid %u could not be queued", (unsigned)c->uid);
}

static void send_number(struct conn *c, enum sf_frame_type type, enum sf_field_tag tag, uint64_t value)
{
	unsigned char bytes[64];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), type);
	if (tag)
		sf_frame_put_number(&o, tag, value);
	conn_write(c, bytes, sf_frame_end(&o));
}

static void send_text(struct conn *c, enum sf_frame_type type, const char *text, bool retry)
{
	size_t cap = strlen(text) + SMALL_FRAME;
	sf_auto_free unsigned char *bytes = malloc(cap);
	struct sf_frame_out o;

	if (!bytes)
		return;
	sf_frame_begin(&o, bytes, cap, type);
	sf_frame_put_string(&o, SF_FIELD_TEXT, text);
	if (retry)
		sf_frame_put_number(&o, SF_FIELD_RETRY, 1);
	conn_write(c, bytes, sf_frame_end(&o));
}

void conn_send_output(struct conn *c, int stream, const char *cursor, size_t cursor_n, const char *bytes, size_t n)
{
	size_t cap = n + cursor_n + SMALL_FRAME;
	sf_auto_free unsigned char *frame = malloc(cap);
	struct sf_frame_out o;

	if (!frame)
		return;
	sf_frame_begin(&o, frame, cap, SF_FRAME_OUTPUT);
	sf_frame_put_number(&o, SF_FIELD_STREAM, (uint64_t)stream);
	sf_frame_put_bytes(&o, SF_FIELD_CURSOR, cursor, cursor_n);
	sf_frame_put_bytes(&o, SF_FIELD_BYTES, bytes, n);
	conn_write(c, frame, sf_frame_end(&o));
}

size_t conn_pending(const struct conn *c)
{
	return evbuffer_get_length(bufferevent_get_output(c->bev));
}

void conn_note(struct conn *c, const char *text)
{
	send_text(c, SF_FRAME_NOTE, text, false);
}

void conn_answer(struct conn *c, const char *text, const char *cursor)
{
	size_t cap = strlen(text) + SMALL_FRAME;
	sf_auto_free unsigned char *bytes = malloc(cap);
	struct sf_frame_out o;

	if (!bytes)
		return;
	sf_frame_begin(&o, bytes, cap, SF_FRAME_TEXT);
	sf_frame_put_string(&o, SF_FIELD_TEXT, text);
	if (cursor[0])
		sf_frame_put_string(&o, SF_FIELD_CURSOR, cursor);
	conn_write(c, bytes, sf_frame_end(&o));
}

static void close_when_written(struct conn *c)
{
	c->closing = true;
	c->closed_at = agent_now_ms(c->agent);
	bufferevent_disable(c->bev, EV_READ);
}

void conn_refuse(struct conn *c, const char *text, bool retry)
{
	send_text(c, SF_FRAME_REFUSED, text, retry);
	close_when_written(c);
}

void conn_exit(struct conn *c, unsigned status)
{
	send_number(c, SF_FRAME_EXIT, SF_FIELD_NUMBER, status);
	if (c->job && c->job->attach == c)
		c->job->attach = NULL;
	c->job = NULL;
	close_when_written(c);
}

void conn_accept(struct conn *c)
{
	send_number(c, SF_FRAME_ACCEPT, 0, 0);
}

void job_release_prologs(struct job *job)
{
	struct conn *c;

	for (c = job->agent->conns; job->prologs && c; c = c->next)
		if (c->role == CONN_PROLOG && c->job == job) {
			send_number(c, SF_FRAME_RELEASE, 0, 0);
			c->job = NULL;
			job->prologs--;
			close_when_written(c);
		}
}

/* One question at a time: the next one waits in its buffer until the answer has been written, whatever a user sends. */
static bool busy(const struct conn *c)
{
	return c->role == CONN_QUERY && (c->reader || c->reap || conn_pending(c));
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	struct sf_frame frame;
	const char *why = NULL;
	ssize_t len;

	while (!c->closing && !busy(c) && evbuffer_get_length(in)) {
		len = sf_frame_parse(evbuffer_pullup(in, -1), evbuffer_get_length(in), &frame, &why);
		if (len == 0)
			return;
		if (len < 0) {
			sf_log_warn("uid %u sent no frame of ours (%s); its connection is closed", (unsigned)c->uid, why);
			conn_free(c);
			return;
		}
		dispatch_frame(c, &frame);
		evbuffer_drain(in, (size_t)len);
	}
}

static void on_written(struct bufferevent *bev, void *arg)
{
	struct conn *c = arg;

	/* The peer closes first, so that it reads everything; its EOF ends the connection in on_event(). */
	if (c->closing && evbuffer_get_length(bufferevent_get_output(bev)) == 0) {
		shutdown(bufferevent_getfd(bev), SHUT_WR);
		bufferevent_enable(bev, EV_READ);
	} else if (c->role == CONN_QUERY && !c->closing) {
		on_read(bev, c);
	}
}

static void on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		conn_free(arg);
}

static bool peer_uid(int fd, uid_t *uid)
{
	struct ucred cred;
	socklen_t n = sizeof(cred);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &n) != 0)
		return false;
	*uid = cred.uid;
	return true;
}

static bool one_too_many(const struct conn *c)
{
	const struct conn *other;
	unsigned n = 0;

	if (conn_is_admin(c))
		return false;
	for (other = c->agent->conns; other; other = other->next)
		n += other->uid == c->uid && other->role != CONN_ATTACH;
	return n >= USER_CONNS_MAX;
}

/* Out of descriptors: the tick listens again, rather than the loop at once and for ever. */
static void on_accept_error(struct evconnlistener *l, void *arg)
{
	struct agent *a = arg;

	if (!a->deaf)
		sf_log_error("Socket '%s': %s; new connections wait", a->conf->socket, strerror(errno));
	a->deaf = true;
	evconnlistener_disable(l);
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *addr, int n, void *arg)
{
	struct agent *a = arg;
	struct conn *c = calloc(1, sizeof(*c));

	(void)l;
	(void)addr;
	(void)n;
	a->deaf = false;
	if (c && peer_uid(fd, &c->uid)) {
		c->agent = a;
		if (one_too_many(c))
			goto drop;
		c->bev = bufferevent_socket_new(a->base, fd, BEV_OPT_CLOSE_ON_FREE);
	}
	if (!c || !c->bev) {
		sf_log_error("a connection was dropped: out of memory");
		goto drop;
	}
	c->opened_at = agent_now_ms(a);
	c->next = a->conns;
	if (a->conns)
		a->conns->prev = c;
	a->conns = c;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_setwatermark(c->bev, EV_READ, 0, conn_is_admin(c) ? SF_FRAME_HEAD + SF_FRAME_BODY_MAX : USER_INPUT_MAX);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	return;
drop:
	close(fd);
	free(c);
}

static int make_directory(const char *path, struct sf_error *err)
{
	sf_auto_free char *dir = strdup(path);
	char *slash = dir ? strrchr(dir, '/') : NULL;

	if (!slash)
		return sf_err(err, "Socket '%s' is no absolute path", path);
	*slash = '\0';
	if (dir[0] && mkdir(dir, 0755) != 0 && errno != EEXIST)
		return sf_err(err, "the directory of Socket '%s' cannot be made: %s", path, strerror(errno));
	return 0;
}

static int bind_socket(const char *path, struct sf_error *err)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	sf_auto_close int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (!sf_copy(addr.sun_path, sizeof(addr.sun_path), path))
		return sf_err(err, "Socket '%s' is longer than %zu bytes", path, sizeof(addr.sun_path) - 1);
	if (fd < 0)
		return sf_err(err, "Socket '%s': %s", path, strerror(errno));
	/* The lock in StateDir already keeps a second agent away, so what is left here is a dead one's. */
	if (unlink(path) != 0 && errno != ENOENT)
		return sf_err(err, "Socket '%s': %s", path, strerror(errno));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr)) != 0 || chmod(path, 0666) != 0 || listen(fd, 1024) != 0)
		return sf_err(err, "Socket '%s': %s", path, strerror(errno));
	return sf_steal_fd(&fd);
}

/* It has its last word and stays. (A suspended fargate-attach reads that when it is resumed.) */
static bool overdue(const struct conn *c, int64_t now)
{
	return c->closing && c->role != CONN_ATTACH && conn_pending(c) == 0 && now - c->closed_at > SILENT_MS;
}

void server_tick(struct agent *a, int64_t now)
{
	struct conn *c, *next;

	if (a->deaf)
		evconnlistener_enable(a->listener);
	for (c = a->conns; c; c = next) {
		next = c->next;
		if ((c->role == CONN_NEW && now - c->opened_at > SILENT_MS) || overdue(c, now))
			conn_free(c);
	}
}

int server_start(struct agent *a, struct sf_error *err)
{
	int fd;

	if (make_directory(a->conf->socket, err) != 0)
		return -1;
	fd = bind_socket(a->conf->socket, err);
	if (fd < 0)
		return -1;
	a->listener = evconnlistener_new(a->base, on_accept, a, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	if (!a->listener) {
		close(fd);
		return sf_err(err, "Socket '%s' cannot be listened on", a->conf->socket);
	}
	evconnlistener_set_error_cb(a->listener, on_accept_error);
	return 0;
}

void server_stop(struct agent *a)
{
	struct conn *c;

	if (a->listener) {
		evconnlistener_free(a->listener);
		unlink(a->conf->socket);
	}
	while ((c = a->conns)) {
		a->conns = c->next;
		if (c->next)
			c->next->prev = NULL;
		reader_gone(c);
		bufferevent_free(c->bev);
		free(c->handed_spec);
		free(c);
	}
}
