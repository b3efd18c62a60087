/* The headers of a call to AWS, signed or not. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_HEADERS_H
#define SF_AWS_HEADERS_H

#include "common/aws/credentials.h"
#include "common/aws/endpoints.h"
#include "common/aws/sigv4.h"

#define AWS_FORM_TYPE "application/x-www-form-urlencoded; charset=utf-8" /* of the query protocol */

struct aws_to_sign {
	const struct aws_endpoint *endpoint;
	const char *content_type;
	const char *target; /* X-Amz-Target, NULL = none */
	const char *body;
	int64_t at; /* AWS's time, seconds */
};

/* All of them signed; Authorization comes last. */
struct aws_headers {
	char host[AWS_ENDPOINT_URL_MAX + 8];
	char type[80];
	char target[128];
	char date[AWS_SIGV4_DATE_MAX + 16];
	char *token;
	char *authorization;
	const char *list[7]; /* NULL-terminated, for struct aws_http_request */
};

/* *h must be all zero and is to be freed whatever the result. keys NULL: not signed. */
int aws_headers_sign(const struct aws_to_sign *what, const struct aws_credentials *keys, struct aws_headers *h,
		     struct sf_error *err);
void aws_headers_free(struct aws_headers *h);

#endif
