/* The headers of a call to AWS, signed or not. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/headers.h"

#include <string.h>

void aws_headers_free(struct aws_headers *h)
{
	aws_wipe(h->token);
	free(h->authorization);
}

static int sign(const struct aws_to_sign *what, const struct aws_credentials *keys, const char *date, struct aws_headers *h,
		struct sf_error *err)
{
	const struct aws_endpoint *ep = what->endpoint;
	const struct aws_sigv4_key key = { keys->access_key, keys->secret_key, ep->signing_region, ep->signing_name };
	struct aws_sigv4_request req = { .method = "POST", .path = ep->path, .headers = h->list, .body = what->body };
	sf_auto_free char *value = NULL;

	req.body_len = strlen(what->body);
	if (aws_sigv4_authorization(&req, date, &key, &value, err) != 0)
		return -1;
	return asprintf(&h->authorization, "Authorization: %s", value) < 0 ? sf_err(err, "out of memory") : 0;
}

int aws_headers_sign(const struct aws_to_sign *what, const struct aws_credentials *keys, struct aws_headers *h,
		     struct sf_error *err)
{
	char date[AWS_SIGV4_DATE_MAX];
	size_t n = 0;

	aws_sigv4_date(what->at, date);
	snprintf(h->host, sizeof(h->host), "Host: %s", what->endpoint->host);
	snprintf(h->type, sizeof(h->type), "Content-Type: %s", what->content_type);
	snprintf(h->date, sizeof(h->date), "X-Amz-Date: %s", date);
	h->list[n++] = h->host;
	h->list[n++] = h->type;
	h->list[n++] = h->date;
	if (what->target) {
		snprintf(h->target, sizeof(h->target), "X-Amz-Target: %s", what->target);
		h->list[n++] = h->target;
	}
	if (!keys)
		return 0;
	if (keys->session_token) {
		if (asprintf(&h->token, "X-Amz-Security-Token: %s", keys->session_token) < 0)
			return sf_err(err, "out of memory");
		h->list[n++] = h->token;
	}
	if (sign(what, keys, date, h, err) != 0)
		return -1;
	h->list[n] = h->authorization;
	return 0;
}
