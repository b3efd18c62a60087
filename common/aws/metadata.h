/* Keys by HTTP from close by: a container's credential endpoint, or the instance metadata service (IMDSv2). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_METADATA_H
#define SF_AWS_METADATA_H

#include "common/aws/credentials.h"
#include "common/aws/http.h"

/* Keys (the callee takes them out) or why there are none. */
typedef void (*aws_keys_cb)(void *arg, struct aws_credentials *keys, const struct sf_error *err);

struct aws_metadata;
/*
 * Ask, past any proxy. Container: AWS_CONTAINER_CREDENTIALS_RELATIVE_URI at 169.254.170.2, or AWS_CONTAINER_CREDENTIALS_FULL_URI,
 * which must be https, or http to this host, 169.254.170.2, 169.254.170.23 or fd00:ec2::23; Authorization from
 * AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, read each time, or AWS_CONTAINER_AUTHORIZATION_TOKEN. IMDS: version 2 only, at
 * AWS_EC2_METADATA_SERVICE_ENDPOINT or that of _ENDPOINT_MODE; AWS_METADATA_SERVICE_TIMEOUT seconds for each request (1).
 * 0: cb runs exactly once, never from within this call, and *out is gone then. Source: botocore, utils.py.
 */
int aws_metadata_start(struct aws_http *http, bool imds, aws_keys_cb cb, void *arg, struct aws_metadata **out, struct sf_error *err);
/* Cancel; NULL-safe. Not from within its callback. */
void aws_metadata_free(struct aws_metadata *m);

/* The container rule for a full URI. */
bool aws_container_uri_allowed(const char *uri);

#endif
