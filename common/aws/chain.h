/* By which way credentials are to be had: AWS's default chain over the environment and the shared files. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_CHAIN_H
#define SF_AWS_CHAIN_H

#include "common/aws/credentials.h"

#define AWS_CHAIN_ROLES_MAX 8
#define AWS_ROLE_SESSION "slurm-fargate" /* role_session_name when nobody gives one */

enum aws_source { AWS_FROM_KEYS, AWS_FROM_PROCESS, AWS_FROM_WEB, AWS_FROM_CONTAINER, AWS_FROM_IMDS };

struct aws_role {
	char *arn;
	char *session;
	char *external_id; /* NULL = none */
	char *duration;    /* seconds, NULL = STS's default */
	char *where;       /* "profile 'x'", for messages */
};

struct aws_chain {
	enum aws_source source;
	struct aws_credentials keys; /* AWS_FROM_KEYS */
	char *what;                  /* AWS_FROM_PROCESS: the command line; AWS_FROM_WEB: the token's file */
	char *where;                 /* where that stands, for messages */
	struct aws_role web;         /* AWS_FROM_WEB */
	struct aws_role roles[AWS_CHAIN_ROLES_MAX]; /* assumed one after the other, from the last to the first */
	size_t n_roles;
};

/*
 * Find the first way that is configured, in botocore's order: environment (not with a profile given here), role_arn of the
 * profile, web identity, keys in the credentials file, credential_process, keys in the config file, container, IMDS. Only
 * files are read. *out is to be freed whatever the result. Errors, never with a value that may be secret: nothing is
 * configured, a profile of a chain does not exist, a loop, a chain of more than AWS_CHAIN_ROLES_MAX roles, SSO and MFA,
 * which need a person. Source: botocore, credentials.py.
 */
int aws_chain_load(const char *profile, struct aws_chain *out, struct sf_error *err);
void aws_chain_free(struct aws_chain *c);
#define sf_auto_chain sf_auto(aws_chain_free)

#endif
