/* Keys to AWS: one set of them, where it came from and until when it is good. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_CREDENTIALS_H
#define SF_AWS_CREDENTIALS_H

#include <stdint.h>

#include "common/aws/profile.h"
#include "common/base/error.h"
#include "common/base/util.h"

struct aws_credentials {
	char *access_key;
	char *secret_key;
	char *session_token; /* NULL = permanent keys */
	char *source;        /* where they came from, for messages; never a secret */
	int64_t expires;     /* seconds since the epoch, 0 = not known to end */
};

/* What somebody offers as keys; pointers are borrowed. */
struct aws_offer {
	const char *access, *secret, *token;
	const char *access_name, *secret_name; /* how its source calls them, for messages */
	const char *source;
	const char *expiration; /* ISO 8601, NULL = none */
};

/*
 * Take keys; *out is to be freed. Errors, never with a value: one of the two is missing, or holds what does not belong into a
 * header, or the expiration is not a time.
 */
int aws_credentials_take(const struct aws_offer *offer, struct aws_credentials *out, struct sf_error *err);
/* Zeroise and release; *c is all zero afterwards. */
void aws_credentials_free(struct aws_credentials *c);
#define sf_auto_credentials sf_auto(aws_credentials_free)

/* Zeroise and release a secret; NULL-safe. */
void aws_wipe(char *secret);
static inline void aws_wipe_cleanup(char **secret)
{
	aws_wipe(*secret);
}
#define sf_auto_secret sf_auto(aws_wipe_cleanup)

/* "2026-11-28T10:00:00Z", with a fraction or an offset (+01:00) if it must be, as seconds since the epoch. */
int aws_time_parse(const char *text, int64_t *out);

#endif
