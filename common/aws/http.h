/* HTTPS to AWS: one wrapper over libcurl's multi socket interface that knows no event loop. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_HTTP_H
#define SF_AWS_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

#define AWS_WATCH_IN 1
#define AWS_WATCH_OUT 2

#define AWS_HTTP_CONNECT_TIMEOUT_MS 5000
#define AWS_HTTP_TIMEOUT_MS 30000
#define AWS_HTTP_BODY_MAX (16u << 20)

/*
 * What the owner of the event loop provides. watch() and timer() must only take note: they never call back into this
 * file before they return.
 */
struct aws_loop {
	void *ctx;
	/* Watch fd for `what` (AWS_WATCH_*; 0 = forget fd). *slot is storage of the loop, one per fd, NULL at first. */
	void (*watch)(void *ctx, int fd, int what, void **slot);
	/* Call aws_http_timeout() once in `ms` milliseconds, replacing any earlier wish; -1 = not at all. */
	void (*timer)(void *ctx, long ms);
	/* Wall clock, milliseconds since the epoch. */
	int64_t (*now_ms)(void *ctx);
};

struct aws_http;

/*
 * Start; *loop is copied. AWS_CA_BUNDLE (a PEM file) is read from the environment here and replaces the system's
 * certificates. NULL with err when libcurl refuses.
 */
struct aws_http *aws_http_new(const struct aws_loop *loop, struct sf_error *err);
/* Cancel everything under way (no callback is called) and release. NULL-safe. Never from within a callback. */
void aws_http_free(struct aws_http *h);
/* The loop's clock. */
int64_t aws_http_now_ms(const struct aws_http *h);

/* The loop reports: fd is ready for `what`, or the timer has run out. Callbacks of finished transfers run in here. */
void aws_http_socket(struct aws_http *h, int fd, int what);
void aws_http_timeout(struct aws_http *h);

struct aws_http_request {
	const char *method;         /* "POST", "GET", ... */
	const char *url;            /* https://..., or http://... when an endpoint says so explicitly */
	const char *const *headers; /* "Name: value", NULL-terminated; NULL = none */
	const void *body;           /* NULL = no body */
	size_t body_len;
	bool once;                  /* over a new connection: these bytes are sent at most once, see below */
	long timeout_ms;            /* whole transfer; 0 = AWS_HTTP_TIMEOUT_MS */
	bool secret;                /* headers, body and answer are zeroised before their memory is given back */
	bool direct;                /* past any proxy: the address means something on this host only */
};

/* Valid during the callback only. Nothing in here is cleaned yet (sf_text_clean). */
struct aws_http_result {
	bool ok;                /* an HTTP answer, whatever its status, arrived complete */
	bool sent;              /* the server may have received (part of) the request; false: certainly not */
	char error[512];        /* !ok: what happened, "<url>: <cause>" */
	int status;             /* 0 = none */
	const char *body;       /* NUL-terminated, "" when empty */
	size_t body_len;
	char date[64];          /* headers, "" when absent */
	char error_type[256];   /* x-amzn-ErrorType */
	char request_id[128];   /* x-amzn-RequestId */
};
typedef void (*aws_http_cb)(void *arg, const struct aws_http_result *result);

/*
 * Start a transfer; the request is copied. 0: cb runs exactly once, later, never from within this call. -1: it never
 * runs. No redirects, certificates are verified, HTTP/1.1 with reuse of connections. libcurl repeats the same bytes
 * by itself in one case: a reused connection turned out closed before any byte of an answer. `once` rules that out.
 */
int aws_http_send(struct aws_http *h, const struct aws_http_request *req, aws_http_cb cb, void *arg,
		  struct sf_error *err);
/* Drop every transfer that was started with this arg; their callbacks never run. Safe from within callbacks. */
void aws_http_cancel(struct aws_http *h, const void *arg);

/*
 * The same loop for what is not HTTP. after: cb once in `ms` milliseconds. watch: cb whenever fd can be read, until
 * aws_http_unwatch(); the caller closes fd after that. forget: drop what was asked for with this arg. Safe from within callbacks.
 */
typedef void (*aws_wait_cb)(void *arg);
int aws_http_after(struct aws_http *h, long ms, aws_wait_cb cb, void *arg, struct sf_error *err);
int aws_http_watch(struct aws_http *h, int fd, aws_wait_cb cb, void *arg, struct sf_error *err);
void aws_http_unwatch(struct aws_http *h, int fd);
void aws_http_forget(struct aws_http *h, const void *arg);

#endif
