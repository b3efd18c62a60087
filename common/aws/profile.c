/* A profile of AWS's shared files: its settings, and the region. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/profile.h"

#include <pwd.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/text.h"

/* The variable that names a file, and the usual one. */
static const char *const files[2][2] = { { "AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials" },
					 { "AWS_CONFIG_FILE", "~/.aws/config" } };

const char *aws_env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *home(void)
{
	const char *dir = aws_env("HOME");
	/* cppcheck-suppress getpwuidCalled; no other thread uses its buffer */
	struct passwd *pw = dir ? NULL : getpwuid(geteuid());

	return dir ? dir : pw ? pw->pw_dir : "";
}

/* The file a variable names (a leading ~/ means the home directory), else the usual one. Caller frees. */
static char *file_path(const char *variable, const char *usual)
{
	const char *path = aws_env(variable);
	char *out = NULL;
	int n;

	if (!path)
		path = usual;
	if (strncmp(path, "~/", 2) == 0)
		n = asprintf(&out, "%s/%s", home(), path + 2);
	else
		n = asprintf(&out, "%s", path);
	return n < 0 ? NULL : out;
}

void aws_profile_stamp(struct aws_profile_stamp *out)
{
	struct stat st;
	size_t i;

	*out = (struct aws_profile_stamp){ 0 };
	for (i = 0; i < SF_COUNT(files); i++) {
		sf_auto_free char *path = file_path(files[i][0], files[i][1]);

		if (!path || stat(path, &st) != 0)
			continue;
		out->files[i].inode = (int64_t)st.st_ino;
		out->files[i].size = st.st_size;
		out->files[i].modified_ns = st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec;
		out->files[i].changed_ns = st.st_ctim.tv_sec * 1000000000LL + st.st_ctim.tv_nsec;
	}
}

void aws_profile_free(struct aws_profile *f)
{
	aws_ini_free(&f->credentials);
	aws_ini_free(&f->config);
	free(f->name);
	free(f->config_section);
}

static int load_file(const char *variable, const char *usual, struct aws_ini *out, struct sf_error *err)
{
	sf_auto_free char *path = file_path(variable, usual);

	return path ? aws_ini_load(path, out, err) : sf_err(err, "out of memory");
}

int aws_profile_use(struct aws_profile *f, const char *name, struct sf_error *err)
{
	char *section = NULL, *copy = strdup(name);

	if (!copy || asprintf(&section, "profile %s", name) < 0) {
		free(copy);
		return sf_err(err, "out of memory");
	}
	free(f->name);
	free(f->config_section);
	f->name = copy;
	f->config_section = section;
	/* The default profile may be written [default] or [profile default]. */
	if (strcmp(f->name, "default") == 0 && !aws_ini_has(&f->config, f->config_section))
		sf_copy(f->config_section, strlen(f->config_section) + 1, "default");
	return 0;
}

bool aws_profile_exists(const struct aws_profile *f)
{
	return aws_ini_has(&f->credentials, f->name) || aws_ini_has(&f->config, f->config_section);
}

int aws_profile_load(const char *profile, struct aws_profile *f, struct sf_error *err)
{
	const char *chosen = profile;

	if (!chosen)
		chosen = aws_env("AWS_DEFAULT_PROFILE");
	if (!chosen)
		chosen = aws_env("AWS_PROFILE");
	if (load_file(files[0][0], files[0][1], &f->credentials, err) != 0 ||
	    load_file(files[1][0], files[1][1], &f->config, err) != 0)
		return -1;
	if (aws_profile_use(f, chosen ? chosen : "default", err) != 0)
		return -1;
	if (chosen && !aws_profile_exists(f))
		return sf_err(err, "AWS profile '%s' is neither in %s nor in %s", f->name,
			      f->credentials.path, f->config.path);
	return 0;
}

const char *aws_profile_get(const struct aws_profile *f, const char *key)
{
	const char *value = aws_ini_get(&f->credentials, f->name, NULL, key);

	return value ? value : aws_ini_get(&f->config, f->config_section, NULL, key);
}

static int copy_setting(const char *value, char **out, struct sf_error *err)
{
	*out = value && *value ? strdup(value) : NULL;
	return *out || !value || !*value ? 0 : sf_err(err, "out of memory");
}

int aws_region_load(const char *profile, char **out, struct sf_error *err)
{
	sf_auto_profile struct aws_profile f = { 0 };
	const char *region = aws_env("AWS_REGION");

	if (!region)
		region = aws_env("AWS_DEFAULT_REGION");
	if (region)
		return copy_setting(region, out, err);
	if (aws_profile_load(profile, &f, err) != 0 || copy_setting(aws_profile_get(&f, "region"), out, err) != 0)
		return -1;
	if (!*out)
		return sf_err(err,
			      "no AWS region: set Region= in fargate.conf, AWS_REGION, or region in profile '%s' of %s",
			      f.name, f.config.path);
	return 0;
}

int aws_profile_setting(const char *profile, const char *services_key, const char *key, char **out,
			struct sf_error *err)
{
	sf_auto_profile struct aws_profile f = { 0 };
	sf_auto_free char *section = NULL;
	const char *services;

	*out = NULL;
	if (aws_profile_load(profile, &f, err) != 0)
		return -1;
	if (!services_key)
		return copy_setting(aws_profile_get(&f, key), out, err);
	services = aws_profile_get(&f, "services");
	if (!services)
		return 0;
	if (asprintf(&section, "services %s", services) < 0)
		return sf_err(err, "out of memory");
	if (!aws_ini_has(&f.config, section))
		return sf_err(err, "AWS profile '%s' names services '%s', but %s has no section [services %s]",
			      f.name, services, f.config.path, services);
	return copy_setting(aws_ini_get(&f.config, section, services_key, key), out, err);
}
