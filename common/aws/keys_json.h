/* Keys as JSON: of a credential_process, of a container's endpoint, of the instance metadata service. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_KEYS_JSON_H
#define SF_AWS_KEYS_JSON_H

#include "common/aws/credentials.h"

#define AWS_KEYS_JSON_MAX (64u << 10)

enum aws_dialect { AWS_JSON_PROCESS, AWS_JSON_CONTAINER, AWS_JSON_IMDS };

/*
 * Strict: a member of the wrong type is an error, and so is one that the dialect needs and is absent. Errors name members,
 * never a value.
 */
int aws_keys_json(enum aws_dialect dialect, const char *source, const char *text, size_t n, struct aws_credentials *out,
		  struct sf_error *err);

/*
 * A secret in a file of at most `most` bytes, without blanks and line ends at its end. Caller frees with aws_wipe(). Errors:
 * cannot be read, is empty, is too long, holds a control character.
 */
int aws_secret_read(const char *path, size_t most, char **out, struct sf_error *err);

#endif
