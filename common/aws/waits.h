/* Timers and descriptors that share the one timer and the watching of struct aws_loop with libcurl. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_WAITS_H
#define SF_AWS_WAITS_H

#include "common/aws/http.h"

struct aws_wait;
struct aws_waits {
	const struct aws_loop *loop;
	struct aws_wait *first;
	int64_t curl_at; /* monotonic ms, -1 = libcurl wants no timer */
};

void aws_waits_init(struct aws_waits *w, const struct aws_loop *loop);
/* Forget everything; no callback is called. */
void aws_waits_free(struct aws_waits *w);

/* libcurl's own wish, as CURLMOPT_TIMERFUNCTION tells it. */
void aws_waits_curl(struct aws_waits *w, long ms);
/* The loop's timer ran out: libcurl's wish is among what is due; it is forgotten then. */
bool aws_waits_curl_due(struct aws_waits *w);
/* The same for ours: call what is due, and ask for the next. */
void aws_waits_due(struct aws_waits *w);
/* The loop reports fd; false: it is not one of ours. */
bool aws_waits_ready(struct aws_waits *w, int fd);

/* As aws_http_after() and its like say. */
int aws_waits_after(struct aws_waits *w, long ms, aws_wait_cb cb, void *arg, struct sf_error *err);
int aws_waits_watch(struct aws_waits *w, int fd, aws_wait_cb cb, void *arg, struct sf_error *err);
void aws_waits_unwatch(struct aws_waits *w, int fd);
void aws_waits_forget(struct aws_waits *w, const void *arg);

#endif
