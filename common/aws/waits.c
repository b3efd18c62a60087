/* Timers and descriptors that share the one timer and the watching of struct aws_loop with libcurl. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/waits.h"

#include <time.h>

#include "common/base/util.h"

struct aws_wait {
	struct aws_wait *next;
	aws_wait_cb cb;
	void *arg;
	int64_t at; /* monotonic ms */
	int fd;     /* -1 = a timer */
	void *slot; /* of the loop */
};

static int64_t monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void aws_waits_init(struct aws_waits *w, const struct aws_loop *loop)
{
	*w = (struct aws_waits){ .loop = loop, .curl_at = -1 };
}

/* Tell the loop of the earliest wish. */
static void ask(const struct aws_waits *w)
{
	const struct aws_wait *one;
	int64_t at = w->curl_at, now = monotonic_ms();

	for (one = w->first; one; one = one->next)
		if (one->fd < 0 && (at < 0 || one->at < at))
			at = one->at;
	w->loop->timer(w->loop->ctx, at < 0 ? -1 : at > now ? (long)(at - now) : 0);
}

/* Take *p out of the list and give it back to the loop and the heap. */
static void drop(const struct aws_waits *w, struct aws_wait **p)
{
	struct aws_wait *one = *p;

	*p = one->next;
	if (one->fd >= 0)
		w->loop->watch(w->loop->ctx, one->fd, 0, &one->slot);
	free(one);
}

void aws_waits_free(struct aws_waits *w)
{
	while (w->first)
		drop(w, &w->first);
}

void aws_waits_curl(struct aws_waits *w, long ms)
{
	w->curl_at = ms < 0 ? -1 : monotonic_ms() + ms;
	ask(w);
}

bool aws_waits_curl_due(struct aws_waits *w)
{
	if (w->curl_at < 0 || w->curl_at > monotonic_ms())
		return false;
	w->curl_at = -1;
	return true;
}

void aws_waits_due(struct aws_waits *w)
{
	int64_t now = monotonic_ms();
	struct aws_wait **p = &w->first;
	aws_wait_cb cb;
	void *arg;

	/* A callback may change the list, so look from its start after each. */
	while (*p) {
		if ((*p)->fd >= 0 || (*p)->at > now) {
			p = &(*p)->next;
			continue;
		}
		cb = (*p)->cb;
		arg = (*p)->arg;
		drop(w, p);
		cb(arg);
		p = &w->first;
	}
	ask(w);
}

bool aws_waits_ready(struct aws_waits *w, int fd)
{
	struct aws_wait *one;

	for (one = w->first; one; one = one->next)
		if (one->fd == fd) {
			one->cb(one->arg);
			return true;
		}
	return false;
}

static struct aws_wait *add(struct aws_waits *w, aws_wait_cb cb, void *arg, struct sf_error *err)
{
	struct aws_wait *one = calloc(1, sizeof(*one));

	if (!one) {
		sf_err(err, "out of memory");
		return NULL;
	}
	*one = (struct aws_wait){ .next = w->first, .cb = cb, .arg = arg, .fd = -1 };
	w->first = one;
	return one;
}

int aws_waits_after(struct aws_waits *w, long ms, aws_wait_cb cb, void *arg, struct sf_error *err)
{
	struct aws_wait *one = add(w, cb, arg, err);

	if (!one)
		return -1;
	one->at = monotonic_ms() + ms;
	ask(w);
	return 0;
}

int aws_waits_watch(struct aws_waits *w, int fd, aws_wait_cb cb, void *arg, struct sf_error *err)
{
	struct aws_wait *one = add(w, cb, arg, err);

	if (!one)
		return -1;
	one->fd = fd;
	w->loop->watch(w->loop->ctx, fd, AWS_WATCH_IN, &one->slot);
	return 0;
}

void aws_waits_unwatch(struct aws_waits *w, int fd)
{
	struct aws_wait **p = &w->first;

	while (*p && (*p)->fd != fd)
		p = &(*p)->next;
	if (*p)
		drop(w, p);
}

void aws_waits_forget(struct aws_waits *w, const void *arg)
{
	struct aws_wait **p = &w->first;

	while (*p)
		if ((*p)->arg == arg)
			drop(w, p);
		else
			p = &(*p)->next;
	ask(w);
}
