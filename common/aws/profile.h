/* A profile of AWS's shared files: its settings, and the region. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_PROFILE_H
#define SF_AWS_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/aws/ini.h"
#include "common/base/error.h"
#include "common/base/util.h"

/* The two files and the profile that counts. */
struct aws_profile {
	struct aws_ini credentials; /* AWS_SHARED_CREDENTIALS_FILE, else ~/.aws/credentials */
	struct aws_ini config;      /* AWS_CONFIG_FILE, else ~/.aws/config */
	char *name;
	char *config_section; /* of that profile */
};

/*
 * Read the files and choose a profile: this one, else that of AWS_DEFAULT_PROFILE or AWS_PROFILE, else "default". *f must be
 * all zero; it is to be freed whatever the result. Errors: of aws_ini_load(); a profile somebody named that is in neither file.
 */
int aws_profile_load(const char *profile, struct aws_profile *f, struct sf_error *err);
void aws_profile_free(struct aws_profile *f);
#define sf_auto_profile sf_auto(aws_profile_free)
/* Go over to another profile of the same files, which need not exist. */
int aws_profile_use(struct aws_profile *f, const char *name, struct sf_error *err);
bool aws_profile_exists(const struct aws_profile *f);
/* A setting of the profile; the credentials file goes first, as in botocore. Borrowed; NULL when there is none. */
const char *aws_profile_get(const struct aws_profile *f, const char *key);
/* What tells that a file has changed; to be compared by memcmp(). */
struct aws_profile_stamp {
	struct {
		int64_t inode, size, modified_ns, changed_ns;
	} files[2];
};
void aws_profile_stamp(struct aws_profile_stamp *out);

/* A variable of the environment, NULL when it is unset or empty. */
const char *aws_env(const char *name);

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
