/* Credentials, region and other settings from AWS's own environment variables and shared files. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/credentials.h"

#include <pwd.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/aws/ini.h"
#include "common/base/text.h"

/* The two files and the profile that counts. */
struct files {
	struct aws_ini credentials;
	struct aws_ini config;
	char *profile;
	char *config_section; /* of that profile */
};

/* Where static keys stand. */
struct keys {
	const char *access, *secret, *token;
	const char *access_name, *secret_name; /* for messages */
	const char *source;
};

/* Keys of providers that come before static keys of the credentials file in AWS's order, and of those after it. */
static const char *const providers_before[] = { "role_arn", "web_identity_token_file", "sso_session", "sso_start_url",
						"sso_account_id" };
static const char *const providers_after[] = { "login_session", "credential_process" };
static const char *const providers_env[] = { "AWS_WEB_IDENTITY_TOKEN_FILE" };
static const char *const providers_env_last[] = { "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
						  "AWS_CONTAINER_CREDENTIALS_FULL_URI" };

static const char *env(const char *name)
{
	const char *value = getenv(name);

	return value && *value ? value : NULL;
}

static const char *home(void)
{
	const char *dir = env("HOME");
	/* cppcheck-suppress getpwuidCalled; no other thread uses its buffer */
	struct passwd *pw = dir ? NULL : getpwuid(geteuid());

	return dir ? dir : pw ? pw->pw_dir : "";
}

/* The file a variable names (a leading ~/ means the home directory), else the usual one. Caller frees. */
static char *file_path(const char *variable, const char *usual)
{
	const char *path = env(variable);
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

static void files_free(struct files *f)
{
	aws_ini_free(&f->credentials);
	aws_ini_free(&f->config);
	free(f->profile);
	free(f->config_section);
}
#define sf_auto_files sf_auto(files_free)

static int load_file(const char *variable, const char *usual, struct aws_ini *out, struct sf_error *err)
{
	sf_auto_free char *path = file_path(variable, usual);

	return path ? aws_ini_load(path, out, err) : sf_err(err, "out of memory");
}

/* *f must be all zero; it is to be freed whatever the result. */
static int files_load(const char *profile, struct files *f, struct sf_error *err)
{
	const char *chosen = profile;

	if (!chosen)
		chosen = env("AWS_DEFAULT_PROFILE");
	if (!chosen)
		chosen = env("AWS_PROFILE");
	f->profile = strdup(chosen ? chosen : "default");
	if (!f->profile || asprintf(&f->config_section, "profile %s", f->profile) < 0)
		return sf_err(err, "out of memory");
	if (load_file("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials", &f->credentials, err) != 0 ||
	    load_file("AWS_CONFIG_FILE", "~/.aws/config", &f->config, err) != 0)
		return -1;
	/* The default profile may be written [default] or [profile default]. */
	if (strcmp(f->profile, "default") == 0 && !aws_ini_has(&f->config, f->config_section))
		sf_copy(f->config_section, strlen(f->config_section) + 1, "default");
	if (chosen && !aws_ini_has(&f->credentials, f->profile) && !aws_ini_has(&f->config, f->config_section))
		return sf_err(err, "AWS profile '%s' is neither in %s nor in %s", f->profile,
			      f->credentials.path, f->config.path);
	return 0;
}

/* A setting of the profile; the credentials file goes first, as in botocore. */
static const char *setting(const struct files *f, const char *key)
{
	const char *value = aws_ini_get(&f->credentials, f->profile, NULL, key);

	return value ? value : aws_ini_get(&f->config, f->config_section, NULL, key);
}

static bool is_clean(const char *s)
{
	for (; *s; s++)
		if (*s < 0x21 || *s > 0x7e)
			return false;
	return true;
}

static int take_keys(const struct keys *k, struct aws_credentials *out, struct sf_error *err)
{
	struct aws_credentials c = { NULL, NULL, NULL, NULL };

	if (!k->secret || !*k->secret)
		return sf_err(err, "%s: there is %s but no %s", k->source, k->access_name, k->secret_name);
	/* They go into headers: a line break would start a header of its own. */
	if (!is_clean(k->access) || !is_clean(k->secret) || (k->token && !is_clean(k->token)))
		return sf_err(err, "%s: the keys hold a blank, a control character or a byte outside ASCII",
			      k->source);
	c.access_key = strdup(k->access);
	c.secret_key = strdup(k->secret);
	c.session_token = k->token && *k->token ? strdup(k->token) : NULL;
	c.source = strdup(k->source);
	if (!c.access_key || !c.secret_key || !c.source || (k->token && *k->token && !c.session_token)) {
		aws_credentials_free(&c);
		return sf_err(err, "out of memory");
	}
	*out = c;
	return 0;
}

/* Keys of a profile in one file: 1 = none there, 0 = taken, -1 = err. */
static int static_keys(const struct aws_ini *ini, const char *section, const char *profile, struct aws_credentials *out,
		       struct sf_error *err)
{
	sf_auto_free char *source = NULL;
	struct keys k = { .access_name = "aws_access_key_id", .secret_name = "aws_secret_access_key" };

	k.access = aws_ini_get(ini, section, NULL, "aws_access_key_id");
	if (!k.access || !*k.access)
		return 1;
	k.secret = aws_ini_get(ini, section, NULL, "aws_secret_access_key");
	k.token = aws_ini_get(ini, section, NULL, "aws_security_token");
	if (!k.token)
		k.token = aws_ini_get(ini, section, NULL, "aws_session_token");
	if (asprintf(&source, "%s, profile '%s'", ini->path, profile) < 0)
		return sf_err(err, "out of memory");
	k.source = source;
	return take_keys(&k, out, err);
}

static int refuse_provider(const struct files *f, const char *const *keys, size_t n, struct sf_error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (setting(f, keys[i]))
			return sf_err(err,
				      "AWS profile '%s' has '%s', a way to credentials that is not supported yet; give "
				      "it aws_access_key_id and aws_secret_access_key instead",
				      f->profile, keys[i]);
	return 0;
}

static int refuse_env(const char *const *names, size_t n, struct sf_error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (env(names[i]))
			return sf_err(err,
				      "%s is set, a way to credentials that is not supported yet; set AWS_ACCESS_KEY_ID "
				      "and AWS_SECRET_ACCESS_KEY or a profile with keys",
				      names[i]);
	return 0;
}

static int from_profile(const char *profile, struct aws_credentials *out, struct sf_error *err)
{
	sf_auto_files struct files f = { 0 };
	int rc;

	if (files_load(profile, &f, err) != 0 ||
	    refuse_provider(&f, providers_before, SF_COUNT(providers_before), err) != 0)
		return -1;
	if (!profile && refuse_env(providers_env, SF_COUNT(providers_env), err) != 0)
		return -1;
	rc = static_keys(&f.credentials, f.profile, f.profile, out, err);
	if (rc <= 0)
		return rc;
	if (refuse_provider(&f, providers_after, SF_COUNT(providers_after), err) != 0)
		return -1;
	rc = static_keys(&f.config, f.config_section, f.profile, out, err);
	if (rc <= 0)
		return rc;
	if (!profile && refuse_env(providers_env_last, SF_COUNT(providers_env_last), err) != 0)
		return -1;
	return sf_err(err, "no AWS credentials: %sprofile '%s' has no aws_access_key_id in %s or %s",
		      profile ? "" : "AWS_ACCESS_KEY_ID is not set and ", f.profile, f.credentials.path,
		      f.config.path);
}

int aws_credentials_load(const char *profile, struct aws_credentials *out, struct sf_error *err)
{
	struct keys k = { .access_name = "AWS_ACCESS_KEY_ID", .secret_name = "AWS_SECRET_ACCESS_KEY",
			  .source = "environment" };

	k.access = profile ? NULL : env("AWS_ACCESS_KEY_ID");
	if (!k.access)
		return from_profile(profile, out, err);
	k.secret = env("AWS_SECRET_ACCESS_KEY");
	k.token = env("AWS_SECURITY_TOKEN");
	if (!k.token)
		k.token = env("AWS_SESSION_TOKEN");
	return take_keys(&k, out, err);
}

static void wipe(char *s)
{
	if (s)
		OPENSSL_cleanse(s, strlen(s));
	free(s);
}

void aws_credentials_free(struct aws_credentials *c)
{
	wipe(c->access_key);
	wipe(c->secret_key);
	wipe(c->session_token);
	free(c->source);
	*c = (struct aws_credentials){ NULL, NULL, NULL, NULL };
}

static int copy_setting(const char *value, char **out, struct sf_error *err)
{
	*out = value && *value ? strdup(value) : NULL;
	return *out || !value || !*value ? 0 : sf_err(err, "out of memory");
}

int aws_region_load(const char *profile, char **out, struct sf_error *err)
{
	sf_auto_files struct files f = { 0 };
	const char *region = env("AWS_REGION");

	if (!region)
		region = env("AWS_DEFAULT_REGION");
	if (region)
		return copy_setting(region, out, err);
	if (files_load(profile, &f, err) != 0 || copy_setting(setting(&f, "region"), out, err) != 0)
		return -1;
	if (!*out)
		return sf_err(err,
			      "no AWS region: set Region= in fargate.conf, AWS_REGION, or region in profile '%s' of %s",
			      f.profile, f.config.path);
	return 0;
}

int aws_profile_setting(const char *profile, const char *services_key, const char *key, char **out,
			struct sf_error *err)
{
	sf_auto_files struct files f = { 0 };
	sf_auto_free char *section = NULL;
	const char *services;

	*out = NULL;
	if (files_load(profile, &f, err) != 0)
		return -1;
	if (!services_key)
		return copy_setting(setting(&f, key), out, err);
	services = setting(&f, "services");
	if (!services)
		return 0;
	if (asprintf(&section, "services %s", services) < 0)
		return sf_err(err, "out of memory");
	if (!aws_ini_has(&f.config, section))
		return sf_err(err, "AWS profile '%s' names services '%s', but %s has no section [services %s]",
			      f.profile, services, f.config.path, services);
	return copy_setting(aws_ini_get(&f.config, section, services_key, key), out, err);
}
