/* What test_http and test_client share: the little server, and an event loop on poll(2). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_AWS_SERVER_H
#define TESTS_UNIT_AWS_SERVER_H

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "common/aws/http.h"
#include "common/base/util.h"
#include "tests/unit/tap.h"

static struct {
	pid_t pid;
	int control; /* its stdin: it ends when this closes */
	int port, tls_port, self_port;
	char ca[200];
} server;

static inline void server_start(void)
{
	int in[2], out[2];
	char line[300] = "";
	FILE *f;

	if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		exit(EXIT_FAILURE);
	server.pid = fork();
	if (server.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(TOP_SRCDIR "/tests/unit/aws-server", "aws-server", (char *)NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	server.control = in[1];
	f = fdopen(out[0], "r");
	if (!f || !fgets(line, sizeof(line), f) ||
	    sscanf(line, "%d %d %d %199s", &server.port, &server.tls_port, &server.self_port, server.ca) != 4) {
		fprintf(stderr, "tests/unit/aws-server does not start\n");
		exit(EXIT_FAILURE);
	}
	fclose(f);
}

static inline void server_stop(void)
{
	close(server.control);
	waitpid(server.pid, NULL, 0);
}

#define LOOP_FDS 16
struct test_loop {
	struct pollfd fds[LOOP_FDS];
	nfds_t n;
	bool timed;
	int64_t due;
	int64_t clock_offset; /* of the wall clock that our code sees, ms */
};

static inline int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void loop_watch(void *ctx, int fd, int what, void **slot)
{
	struct test_loop *loop = ctx;
	nfds_t i = 0;

	/* The slot tells whether the fd is known: it must come back as it was left. */
	while (i < loop->n && loop->fds[i].fd != fd)
		i++;
	ck_assert_ptr_eq(*slot, i < loop->n ? (void *)loop : NULL);
	if (!what) {
		loop->fds[i] = loop->fds[--loop->n];
		return;
	}
	ck_assert_uint_lt(i, LOOP_FDS);
	loop->n += i == loop->n;
	*slot = loop;
	loop->fds[i] = (struct pollfd){ .fd = fd };
	loop->fds[i].events = (short)(((what & AWS_WATCH_IN) ? POLLIN : 0) | ((what & AWS_WATCH_OUT) ? POLLOUT : 0));
}

static inline void loop_timer(void *ctx, long ms)
{
	struct test_loop *loop = ctx;

	loop->timed = ms >= 0;
	loop->due = monotonic_ms() + ms;
}

static inline int64_t loop_now(void *ctx)
{
	struct test_loop *loop = ctx;
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + loop->clock_offset;
}

static inline struct aws_http *loop_http(struct test_loop *loop)
{
	struct aws_loop hooks = { loop, loop_watch, loop_timer, loop_now };
	struct sf_error err = { "" };
	struct aws_http *h = aws_http_new(&hooks, &err);

	ck_assert_msg(h != NULL, "%s", err.text);
	return h;
}

/* Turn the loop until *done or the time is over; returns *done. */
static inline bool loop_run(struct test_loop *loop, struct aws_http *h, const bool *done, int64_t timeout_ms)
{
	int64_t end = monotonic_ms() + timeout_ms, now, wait;
	struct pollfd ready[LOOP_FDS];
	nfds_t n, i;
	int what;

	while (!*done && (now = monotonic_ms()) < end) {
		wait = loop->timed && loop->due < end ? loop->due - now : end - now;
		n = loop->n;
		memcpy(ready, loop->fds, sizeof(ready));
		poll(ready, n, wait < 0 ? 0 : (int)wait);
		for (i = 0; i < n; i++) {
			what = ((ready[i].revents & (POLLIN | POLLHUP | POLLERR)) ? AWS_WATCH_IN : 0) |
			       ((ready[i].revents & POLLOUT) ? AWS_WATCH_OUT : 0);
			if (what)
				aws_http_socket(h, ready[i].fd, what);
		}
		if (loop->timed && monotonic_ms() >= loop->due) {
			loop->timed = false;
			aws_http_timeout(h);
		}
	}
	return *done;
}

#endif
