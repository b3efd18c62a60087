/* The keys of one client: fetched, kept fresh, and never waited for by blocking. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_KEYRING_H
#define SF_AWS_KEYRING_H

#include <stdbool.h>

#include "common/aws/credentials.h"
#include "common/aws/http.h"

struct aws_keyring;

/* What was waited for has come (NULL), or why not. */
typedef void (*aws_keyring_cb)(void *arg, const struct sf_error *problem);

/*
 * profile NULL = AWS's own choice; region is that of STS. Reads the files; keys that stand there are there at once. `http` must
 * outlive it. NULL with err when no way to credentials is configured.
 */
struct aws_keyring *aws_keyring_new(struct aws_http *http, const char *profile, const char *region, aws_keyring_cb cb, void *arg,
				    struct sf_error *err);
/* Cancels a refresh; NULL-safe. Not from within the callback. */
void aws_keyring_free(struct aws_keyring *k);

/*
 * May a call be signed now? Starts a refresh when one is due: 15 minutes before the end of the keys' life while they go on
 * being used; 10 minutes before it they are waited for, unless that just failed. (Half and a third of a shorter life.) Files
 * that changed are read again. False: the callback comes, once, never from within this call.
 */
bool aws_keyring_ready(struct aws_keyring *k);
/* AWS refused the keys: 0 = there are others now (or the same, read again), 1 = the callback comes, -1 = none to be had. */
int aws_keyring_renew(struct aws_keyring *k, struct sf_error *err);
/* To sign with, after aws_keyring_ready() was true; borrowed until the loop turns. */
const struct aws_credentials *aws_keyring_keys(const struct aws_keyring *k);

/* AWS's clock less ours; kept here because STS is asked with it, too. */
int64_t aws_keyring_offset_ms(const struct aws_keyring *k);
/* The answer to a call says that our clock is off: true when that is so by enough to matter, and is taken into account now. */
bool aws_keyring_clock(struct aws_keyring *k, const char *date, const char *operation);

#endif
