/* AWS Signature Version 4 on OpenSSL, stage by stage so that a test can name the broken one. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_SIGV4_H
#define SF_AWS_SIGV4_H

#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

/* What is signed. All pointers are borrowed. Source: IAM User Guide, "Create a signed AWS API request". */
struct aws_sigv4_request {
	const char *method;
	const char *path;           /* as in the URL, "" counts as "/" */
	const char *query;          /* as in the URL without '?', NULL or "" = none */
	const char *const *headers; /* every header to sign as "Name: value" (Host and X-Amz-Date too), NULL-terminated */
	const void *body;           /* NULL = empty */
	size_t body_len;
};

/* Who signs, when, for what. */
struct aws_sigv4_key {
	const char *access_key;
	const char *secret_key;
	const char *region;
	const char *service; /* signing name: ecs, logs */
};

#define AWS_SIGV4_DATE_MAX 17
/* Seconds since the epoch as the X-Amz-Date value, 20261123T180233Z. */
void aws_sigv4_date(int64_t seconds, char out[AWS_SIGV4_DATE_MAX]);

/*
 * Stage 1: the canonical request and the list of signed headers. Caller frees both. Errors: a header without ':',
 * the same header twice, out of memory.
 */
int aws_sigv4_canonical(const struct aws_sigv4_request *req, char **canonical, char **signed_headers,
			struct sf_error *err);
/* Stage 2: the string to sign; `date` is the X-Amz-Date value. Caller frees; NULL when out of memory. */
char *aws_sigv4_string_to_sign(const char *canonical, const char *date, const struct aws_sigv4_key *key);
/* Stage 3: the signature in hex. */
int aws_sigv4_signature(const char *string_to_sign, const char *date, const struct aws_sigv4_key *key, char out[65],
			struct sf_error *err);
/* All stages: the value of the Authorization header. Caller frees. */
int aws_sigv4_authorization(const struct aws_sigv4_request *req, const char *date, const struct aws_sigv4_key *key,
			    char **out, struct sf_error *err);

/* SHA-256 of n bytes as lower-case hex. */
void aws_sha256_hex(const void *bytes, size_t n, char out[65]);

#endif
