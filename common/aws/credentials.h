/* Credentials, region and other settings from AWS's own environment variables and shared files. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_CREDENTIALS_H
#define SF_AWS_CREDENTIALS_H

#include "common/base/error.h"
#include "common/base/util.h"

struct aws_credentials {
	char *access_key;
	char *secret_key;
	char *session_token; /* NULL = permanent keys */
	char *source;        /* where they came from, for messages; never a secret */
};

/*
 * Load credentials. profile NULL: the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SECURITY_TOKEN or
 * AWS_SESSION_TOKEN), then the profile that AWS_DEFAULT_PROFILE or AWS_PROFILE names, else "default". A profile given
 * here skips the environment. Files: AWS_SHARED_CREDENTIALS_FILE (~/.aws/credentials) before AWS_CONFIG_FILE
 * (~/.aws/config). To reload, call again. Errors name files, profiles, lines and keys, never a value that may be
 * secret; a profile that needs a provider other than static keys is refused with that key's name. Source: botocore,
 * credentials.py.
 */
int aws_credentials_load(const char *profile, struct aws_credentials *out, struct sf_error *err);
/* Zeroise and release; *c is all NULL afterwards. */
void aws_credentials_free(struct aws_credentials *c);
#define sf_auto_credentials sf_auto(aws_credentials_free)

/*
 * The region from AWS_REGION, AWS_DEFAULT_REGION or the profile (chosen as above). Caller frees. An error says where
 * was looked when there is none. The alphabet is checked by aws_region_valid() of endpoints.h, not here.
 */
int aws_region_load(const char *profile, char **out, struct sf_error *err);

/*
 * A setting of the profile (chosen as above), or *out = NULL when it has none. Caller frees. With services_key (such as
 * "ecs") the key is looked for in that block of the [services NAME] section which the profile's `services` names.
 */
int aws_profile_setting(const char *profile, const char *services_key, const char *key, char **out,
			struct sf_error *err);

#endif
