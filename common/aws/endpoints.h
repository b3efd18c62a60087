/* Which URL a service has in a region, and how requests to it are signed. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_ENDPOINTS_H
#define SF_AWS_ENDPOINTS_H

#include <stdbool.h>

#include "common/base/error.h"

enum aws_service { AWS_ECS, AWS_LOGS, AWS_SNS, AWS_QUOTAS, AWS_MONITORING, AWS_STS, AWS_SERVICE_COUNT };

#define AWS_ENDPOINT_URL_MAX 512
struct aws_endpoint {
	char url[AWS_ENDPOINT_URL_MAX];  /* scheme://host[:port]/path, always with a path */
	char host[AWS_ENDPOINT_URL_MAX]; /* Host header: with the port unless it is the scheme's own */
	char path[AWS_ENDPOINT_URL_MAX]; /* "/" unless an endpoint URL has one */
	char signing_region[64];
	char signing_name[32];
};

/*
 * The endpoint of a service. Order: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's `services` section, the
 * profile's endpoint_url (all skipped with AWS_IGNORE_CONFIGURED_ENDPOINT_URLS), then AWS's own name for the region's
 * partition (aws, aws-cn, aws-us-gov) with AWS_USE_FIPS_ENDPOINT and AWS_USE_DUALSTACK_ENDPOINT. Errors: a region
 * outside the alphabet or of another partition, a URL that is not http(s)://host[:port][/path]. Source: botocore,
 * configprovider.py and the endpoint rule sets.
 */
int aws_endpoint_find(enum aws_service service, const char *region, const char *profile, struct aws_endpoint *out,
		      struct sf_error *err);

/* Lower-case letters, digits and inner hyphens, at most 63: the region becomes part of a host name. */
bool aws_region_valid(const char *region);

#endif
