/* What the values of fargate.conf may look like: one predicate per kind of name. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_CONF_CHECK_H
#define SF_BASE_CONF_CHECK_H

#include <stdbool.h>
#include <stddef.h>

bool sf_valid_partition(const char *s);       /* a Slurm partition but DEFAULT */
bool sf_valid_region(const char *s);          /* eu-west-1 */
bool sf_valid_profile(const char *s);         /* a section of AWS's files */
bool sf_valid_ecs_name(const char *s);        /* cluster, container; ECS CreateCluster */
bool sf_valid_task_definition(const char *s); /* ECS RunTask, taskDefinition */
bool sf_valid_definition_glob(const char *s); /* a glob over FAMILY[:REVISION] */
bool sf_valid_group(const char *s);           /* a group of the name service, a Slurm account */
bool sf_valid_subnet(const char *s);          /* subnet-… */
bool sf_valid_security_group(const char *s);  /* sg-… */
bool sf_valid_provider(const char *s);        /* FARGATE, FARGATE_SPOT */
bool sf_valid_license(const char *s);         /* slurm.conf Licenses= */
bool sf_valid_topic(const char *s);           /* the ARN of an SNS topic */
bool sf_valid_glob(const char *s);            /* a pattern over AWS's texts */
bool sf_valid_exit_glob(const char *s);       /* a pattern over 0 to 255 */
bool sf_valid_instance(const char *s);        /* part of startedBy */
bool sf_valid_absolute(const char *s);        /* an absolute path without control bytes */
bool sf_valid_socket(const char *s);          /* an absolute path that fits sockaddr_un */

/* The Region of an ARN into out[size], "" when s is no ARN or names none. */
void sf_arn_region(const char *s, char *out, size_t size);

#endif
