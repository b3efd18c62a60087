/* fargate-attach: stands on the gateway for the task; copies its output, reports signals, leaves on the agent's word. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/base/proto.h"

/* One such process idles per job, so its buffer is small and grows only while a large frame passes. */
#define BUFFER_SMALL (32u * 1024)
#define BUFFER_MOST (SF_FRAME_HEAD + SF_FRAME_BODY_MAX)
#define REATTACH_S 300 /* fargate.conf's ReattachTimeout, unless plugstack.conf's reattach= says otherwise */
#define CONNECT_MS 5000
#define AGAIN_MS 1000
#define LEAVE_FAILED 1 /* end of file without a verdict is never exit 0 */

struct attach {
	const char *socket;
	uint32_t job, restart;
	char token[SF_TOKEN_HEX + 1];
	char *spec;
	int64_t limit_ms;
	int fd;
	int signals;
	sigset_t unsaid; /* caught, not yet reported */
	sigset_t told;   /* the job's user was told of these */
	unsigned char cursor[SF_CURSOR_MAX];
	size_t cursor_len;
	unsigned char *buf;
	size_t cap, have;
	int64_t lost_at; /* ms, 0 = attached */
	bool write_failed;
};

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *fmt, ...)
{
	char line[2048];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if ((size_t)n > sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	/* There is nobody to tell when the job's own stderr cannot be written. */
	if (write(STDERR_FILENO, line, (size_t)n) < 0)
		return;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static bool number_of(const char *name, unsigned long most, unsigned long *out)
{
	const char *text = getenv(name);
	char *end = NULL;

	if (!text || !*text)
		return false;
	errno = 0;
	*out = strtoul(text, &end, 10);
	return *end == '\0' && errno == 0 && *out <= most;
}

static char *text_of(const char *name)
{
	const char *text = getenv(name);

	return strdup(text ? text : "");
}

static int read_environment(struct attach *a)
{
	unsigned long n = 0, restart = 0, limit = REATTACH_S;
	const char *token = getenv("SF_ATTACH_TOKEN");

	a->socket = text_of("SF_ATTACH_SOCKET");
	a->spec = text_of("SF_ATTACH_SPEC");
	/* A number behind which nothing is open would soon be that of a descriptor of ours. */
	a->fd = number_of("SF_ATTACH_FD", 1023, &n) && n > STDERR_FILENO && fcntl((int)n, F_GETFD) >= 0 ? (int)n : -1;
	if (!number_of("SF_ATTACH_JOB", UINT32_MAX, &n) || n == 0 || !number_of("SF_ATTACH_RESTART", UINT16_MAX, &restart) ||
	    !token || strlen(token) != SF_TOKEN_HEX || !a->socket || !*a->socket || !a->spec)
		return -1;
	number_of("SF_ATTACH_TIMEOUT", 86400, &limit);
	a->job = (uint32_t)n;
	a->restart = (uint32_t)restart;
	a->limit_ms = (int64_t)limit * 1000;
	memcpy(a->token, token, SF_TOKEN_HEX + 1);
	clearenv();
	return 0;
}

/* Everything that can be caught is caught: only the agent knows whether it means that the task should stop. */
static int catch_signals(struct attach *a)
{
	sigset_t all;

	sigemptyset(&a->unsaid);
	sigemptyset(&a->told);
	sigfillset(&all);
	sigdelset(&all, SIGCONT);
	sigdelset(&all, SIGTSTP);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_SETMASK, &all, NULL) != 0)
		return -1;
	a->signals = signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
	return a->signals < 0 ? -1 : 0;
}

static bool send_frame(struct attach *a, struct sf_frame_out *o)
{
	size_t n = sf_frame_end(o);

	return n && sf_proto_send(a->fd, o->bytes, n) == 0;
}

static void report_signals(struct attach *a)
{
	unsigned char bytes[64];
	struct sf_frame_out o;
	int number;

	for (number = 1; number < NSIG && a->fd >= 0 && a->lost_at == 0; number++) {
		if (sigismember(&a->unsaid, number) != 1)
			continue;
		sf_frame_begin(&o, bytes, sizeof(bytes), SF_FRAME_SIGNAL);
		sf_frame_put_number(&o, SF_FIELD_NUMBER, (uint64_t)number);
		if (send_frame(a, &o))
			sigdelset(&a->unsaid, number);
	}
}

/* As kill(1) takes it. */
static const char *signal_name(int number, char text[16])
{
	static const struct {
		int number;
		const char *name;
	} names[] = {
		{ SIGHUP, "HUP" },   { SIGINT, "INT" },   { SIGQUIT, "QUIT" }, { SIGUSR1, "USR1" },
		{ SIGUSR2, "USR2" }, { SIGALRM, "ALRM" }, { SIGABRT, "ABRT" }, { SIGTTIN, "TTIN" },
		{ SIGTTOU, "TTOU" }, { SIGURG, "URG" },   { SIGXCPU, "XCPU" }, { SIGWINCH, "WINCH" },
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].number == number)
			return names[i].name;
	snprintf(text, 16, "%d", number);
	return text;
}

/* Once per kind. Of SIGTERM the agent speaks: it alone knows whether Slurm has ended the job. */
static void tell_user(struct attach *a, int number)
{
	char text[16];

	if (number == SIGTERM || sigismember(&a->told, number))
		return;
	sigaddset(&a->told, number);
	say("fargate: signal %s cannot be delivered to the Fargate task: AWS delivers only SIGTERM, by stopping it; "
	    "the job goes on",
	    signal_name(number, text));
}

static void take_signals(struct attach *a)
{
	struct signalfd_siginfo info;

	while (read(a->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGPIPE || info.ssi_signo == SIGCHLD)
			continue;
		sigaddset(&a->unsaid, (int)info.ssi_signo);
		tell_user(a, (int)info.ssi_signo);
	}
	report_signals(a);
}

static void wait_a_moment(struct attach *a)
{
	/* Not all at once: a thousand of these lose the agent at the same moment. */
	struct pollfd p = { .fd = a->signals, .events = POLLIN };
	int jitter = (int)((a->job * 2654435761u) >> 22);

	if (poll(&p, 1, AGAIN_MS / 2 + jitter) > 0)
		take_signals(a);
}

/* Nothing is dropped: a full disk is waited out, and said once. */
static void write_all(struct attach *a, int fd, const unsigned char *bytes, size_t n)
{
	ssize_t done;

	while (n) {
		done = write(fd, bytes, n);
		if (done > 0) {
			bytes += done;
			n -= (size_t)done;
			continue;
		}
		if (done < 0 && errno == EINTR)
			continue;
		if (!a->write_failed)
			say("fargate: the job's output cannot be written: %s; trying on until it can", strerror(errno));
		a->write_failed = true;
		wait_a_moment(a);
	}
}

static void lose(struct attach *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	a->have = 0;
	if (a->lost_at == 0)
		a->lost_at = now_ms();
}

static int send_attach(struct attach *a)
{
	size_t cap = strlen(a->spec) + sizeof(a->cursor) + 512;
	unsigned char *bytes = malloc(cap);
	struct sf_frame_out o;
	bool sent;

	if (!bytes)
		return -1;
	sf_frame_begin(&o, bytes, cap, SF_FRAME_ATTACH);
	sf_frame_put_number(&o, SF_FIELD_JOB, a->job);
	sf_frame_put_number(&o, SF_FIELD_RESTART, a->restart);
	sf_frame_put_string(&o, SF_FIELD_TOKEN, a->token);
	if (a->cursor_len)
		sf_frame_put_bytes(&o, SF_FIELD_CURSOR, a->cursor, a->cursor_len);
	sf_frame_put_string(&o, SF_FIELD_SPEC, a->spec);
	sent = send_frame(a, &o);
	free(bytes);
	return sent ? 0 : -1;
}

static void on_accept(struct attach *a, const struct sf_frame *f)
{
	(void)f;
	a->lost_at = 0;
	report_signals(a);
}

static void on_refused(struct attach *a, const struct sf_frame *f)
{
	uint64_t retry = 0;
	char text[1024] = "";

	if (sf_frame_number(f, SF_FIELD_RETRY, &retry) && retry) {
		lose(a);
		a->lost_at = now_ms(); /* the agent lives, so the limit starts anew */
		return;
	}
	sf_frame_string(f, SF_FIELD_TEXT, text, sizeof(text));
	say("fargate: the agent refused this job: %s", text);
	exit(LEAVE_FAILED);
}

static void on_output(struct attach *a, const struct sf_frame *f)
{
	const struct sf_field *bytes = sf_frame_field(f, SF_FIELD_BYTES), *cursor = sf_frame_field(f, SF_FIELD_CURSOR);
	uint64_t stream = 0;

	if (!bytes || !sf_frame_number(f, SF_FIELD_STREAM, &stream) || (stream != 1 && stream != 2))
		return;
	write_all(a, (int)stream, bytes->bytes, bytes->len);
	if (cursor && cursor->len <= sizeof(a->cursor)) {
		memcpy(a->cursor, cursor->bytes, cursor->len);
		a->cursor_len = cursor->len;
	}
}

static void on_note(struct attach *a, const struct sf_frame *f)
{
	char text[1536] = "";

	(void)a;
	if (sf_frame_string(f, SF_FIELD_TEXT, text, sizeof(text)))
		say("fargate: %s", text);
}

static void on_exit_frame(struct attach *a, const struct sf_frame *f)
{
	uint64_t status = LEAVE_FAILED;

	(void)a;
	if (!sf_frame_number(f, SF_FIELD_NUMBER, &status) || status > 255)
		status = LEAVE_FAILED;
	exit((int)status);
}

static void handle(struct attach *a, const struct sf_frame *f)
{
	static const struct {
		uint8_t type;
		void (*handle)(struct attach *a, const struct sf_frame *f);
	} handlers[] = {
		{ SF_FRAME_ACCEPT, on_accept }, { SF_FRAME_REFUSED, on_refused }, { SF_FRAME_OUTPUT, on_output },
		{ SF_FRAME_NOTE, on_note },     { SF_FRAME_EXIT, on_exit_frame },
	};
	size_t i;

	for (i = 0; i < sizeof(handlers) / sizeof(handlers[0]); i++)
		if (handlers[i].type == f->type)
			handlers[i].handle(a, f);
}

/* Room for more, or the small buffer again once a large frame has passed. */
static bool fit_buffer(struct attach *a)
{
	size_t want = a->cap;
	unsigned char *fitted;

	if (a->have == a->cap)
		want = a->cap * 2 < BUFFER_MOST ? a->cap * 2 : BUFFER_MOST;
	else if (a->have == 0)
		want = BUFFER_SMALL;
	if (want == a->cap)
		return a->have < a->cap;
	fitted = realloc(a->buf, want);
	if (!fitted)
		return a->have < a->cap;
	a->buf = fitted;
	a->cap = want;
	return true;
}

static void read_frames(struct attach *a)
{
	struct sf_frame frame;
	ssize_t n = -1, len;

	if (fit_buffer(a))
		n = recv(a->fd, a->buf + a->have, a->cap - a->have, MSG_DONTWAIT);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (n <= 0) {
		lose(a);
		return;
	}
	a->have += (size_t)n;
	while (a->fd >= 0 && a->have && (len = sf_frame_parse(a->buf, a->have, &frame, NULL)) != 0) {
		if (len < 0) {
			lose(a);
			return;
		}
		handle(a, &frame);
		if (a->fd >= 0)
			sf_proto_consume(a->buf, &a->have, (size_t)len);
	}
	/* The room of a large frame is given back now: the next frame may be hours away. */
	fit_buffer(a);
}

/* One more try: connected, with the ATTACH on its way, or still not. */
static void reconnect(struct attach *a)
{
	/* Always: an agent that takes every connection and drops it must not be asked without pause either. */
	wait_a_moment(a);
	if (now_ms() - a->lost_at > a->limit_ms) {
		say("fargate: the agent did not answer for %lld s; giving up on this job", (long long)a->limit_ms / 1000);
		exit(LEAVE_FAILED);
	}
	a->fd = sf_proto_connect(a->socket, CONNECT_MS);
	if (a->fd < 0 || send_attach(a) != 0)
		lose(a);
}

static void start(struct attach *a)
{
	struct timeval patience = { CONNECT_MS / 1000, 0 };

	a->lost_at = now_ms();
	if (a->fd < 0)
		a->fd = sf_proto_connect(a->socket, CONNECT_MS);
	/* The hand-over's connection still has the short timeouts of the hook that made it. */
	else
		setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (a->fd < 0 || send_attach(a) != 0)
		lose(a);
}

int main(void)
{
	static struct attach a = { .fd = -1, .signals = -1 };
	struct pollfd p[2];

	if (read_environment(&a) != 0) {
		say("fargate: fargate-attach is started by the SPANK plugin on a gateway, not by hand");
		return LEAVE_FAILED;
	}
	a.buf = malloc(BUFFER_SMALL);
	a.cap = BUFFER_SMALL;
	if (!a.buf || catch_signals(&a) != 0) {
		say("fargate: fargate-attach cannot start: %s", strerror(errno));
		return LEAVE_FAILED;
	}
	start(&a);
	for (;;) {
		while (a.fd < 0)
			reconnect(&a);
		p[0] = (struct pollfd){ .fd = a.fd, .events = POLLIN };
		p[1] = (struct pollfd){ .fd = a.signals, .events = POLLIN };
		if (poll(p, 2, -1) < 0 && errno != EINTR)
			return LEAVE_FAILED;
		if (p[1].revents)
			take_signals(&a);
		if (p[0].revents)
			read_frames(&a);
	}
}
