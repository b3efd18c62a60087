/* By which way credentials are to be had: AWS's default chain over the environment and the shared files. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/chain.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* What a step of the chain says: found, not configured, or -1 with err. */
enum { FOUND = 0, NONE = 1 };

/* Ways that need a person at a browser. */
static const char *const sso_keys[] = { "sso_session", "sso_start_url", "sso_account_id" };
static const char *const login_keys[] = { "login_session" };

static void role_free(struct aws_role *r)
{
	free(r->arn);
	free(r->session);
	free(r->external_id);
	free(r->duration);
	free(r->where);
}

void aws_chain_free(struct aws_chain *c)
{
	size_t i;

	aws_credentials_free(&c->keys);
	free(c->what);
	free(c->where);
	role_free(&c->web);
	for (i = 0; i < c->n_roles; i++)
		role_free(&c->roles[i]);
	*c = (struct aws_chain){ 0 };
}

static int copy(const char *value, char **out, struct sf_error *err)
{
	*out = value && *value ? strdup(value) : NULL;
	return *out || !value || !*value ? 0 : sf_err(err, "out of memory");
}

static int name_profile(const struct aws_profile *p, char **out, struct sf_error *err)
{
	return asprintf(out, "AWS profile '%s'", p->name) < 0 ? sf_err(err, "out of memory") : 0;
}

static int refuse(const struct aws_profile *p, const char *const *keys, size_t n, struct sf_error *err)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (aws_profile_get(p, keys[i]))
			return sf_err(err,
				      "AWS profile '%s' has '%s', a way to credentials that needs a person to sign in; use "
				      "role_arn, credential_process or keys",
				      p->name, keys[i]);
	return NONE;
}

static int from_environment(struct aws_chain *c, struct sf_error *err)
{
	struct aws_offer k = { .access_name = "AWS_ACCESS_KEY_ID", .secret_name = "AWS_SECRET_ACCESS_KEY",
			       .source = "environment" };

	k.access = aws_env("AWS_ACCESS_KEY_ID");
	if (!k.access)
		return NONE;
	k.secret = aws_env("AWS_SECRET_ACCESS_KEY");
	k.token = aws_env("AWS_SECURITY_TOKEN");
	if (!k.token)
		k.token = aws_env("AWS_SESSION_TOKEN");
	k.expiration = aws_env("AWS_CREDENTIAL_EXPIRATION");
	c->source = AWS_FROM_KEYS;
	return aws_credentials_take(&k, &c->keys, err);
}

/* Keys of a profile in one of the files. */
static int static_keys(const struct aws_ini *ini, const char *section, const char *profile, struct aws_chain *c,
		       struct sf_error *err)
{
	sf_auto_free char *source = NULL;
	struct aws_offer k = { .access_name = "aws_access_key_id", .secret_name = "aws_secret_access_key" };

	k.access = aws_ini_get(ini, section, NULL, "aws_access_key_id");
	if (!k.access || !*k.access)
		return NONE;
	k.secret = aws_ini_get(ini, section, NULL, "aws_secret_access_key");
	k.token = aws_ini_get(ini, section, NULL, "aws_security_token");
	if (!k.token)
		k.token = aws_ini_get(ini, section, NULL, "aws_session_token");
	if (asprintf(&source, "%s, profile '%s'", ini->path, profile) < 0)
		return sf_err(err, "out of memory");
	k.source = source;
	c->source = AWS_FROM_KEYS;
	return aws_credentials_take(&k, &c->keys, err);
}

/* A setting of web identity; the variable goes first, unless the profile was given in so many words. */
static const char *web_setting(const struct aws_profile *p, bool with_env, const char *variable, const char *key)
{
	const char *value = with_env ? aws_env(variable) : NULL;

	return value ? value : aws_profile_get(p, key);
}

static int web_identity(const struct aws_profile *p, bool with_env, struct aws_chain *c, struct sf_error *err)
{
	const char *file = web_setting(p, with_env, "AWS_WEB_IDENTITY_TOKEN_FILE", "web_identity_token_file");
	const char *arn = web_setting(p, with_env, "AWS_ROLE_ARN", "role_arn");
	const char *session = web_setting(p, with_env, "AWS_ROLE_SESSION_NAME", "role_session_name");

	if (!file || !*file)
		return NONE;
	if (!arn || !*arn)
		return sf_err(err, "there is a web identity token (%s) but no role for it; set AWS_ROLE_ARN or role_arn in profile '%s'",
			      file, p->name);
	c->source = AWS_FROM_WEB;
	if (copy(file, &c->what, err) != 0 || copy(arn, &c->web.arn, err) != 0 ||
	    copy(session && *session ? session : AWS_ROLE_SESSION, &c->web.session, err) != 0)
		return -1;
	if (asprintf(&c->where, "web identity token %s", file) < 0)
		return sf_err(err, "out of memory");
	return FOUND;
}

static int process(const struct aws_profile *p, struct aws_chain *c, struct sf_error *err)
{
	const char *command = aws_profile_get(p, "credential_process");

	if (!command)
		return NONE;
	c->source = AWS_FROM_PROCESS;
	if (asprintf(&c->where, "credential_process of profile '%s'", p->name) < 0)
		return sf_err(err, "out of memory");
	return copy(command, &c->what, err);
}

/* The ways that a profile itself can give, roles apart. */
static int from_profile(const struct aws_profile *p, bool with_env, struct aws_chain *c, struct sf_error *err)
{
	int rc = web_identity(p, with_env, c, err);

	if (rc == NONE)
		rc = refuse(p, sso_keys, SF_COUNT(sso_keys), err);
	if (rc == NONE)
		rc = static_keys(&p->credentials, p->name, p->name, c, err);
	if (rc == NONE)
		rc = refuse(p, login_keys, SF_COUNT(login_keys), err);
	if (rc == NONE)
		rc = process(p, c, err);
	if (rc == NONE)
		rc = static_keys(&p->config, p->config_section, p->name, c, err);
	return rc;
}

static int from_container(struct aws_chain *c)
{
	if (!aws_env("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") && !aws_env("AWS_CONTAINER_CREDENTIALS_FULL_URI"))
		return NONE;
	c->source = AWS_FROM_CONTAINER;
	return FOUND;
}

static int from_imds(struct aws_chain *c)
{
	const char *off = aws_env("AWS_EC2_METADATA_DISABLED");

	if (off && strcasecmp(off, "true") == 0)
		return NONE;
	c->source = AWS_FROM_IMDS;
	return FOUND;
}

static bool has_role(const struct aws_profile *p)
{
	return aws_profile_get(p, "role_arn") && !aws_profile_get(p, "web_identity_token_file");
}

static bool has_keys(const struct aws_profile *p)
{
	return aws_profile_get(p, "aws_access_key_id") || aws_profile_get(p, "aws_secret_access_key");
}

static int named_source(const struct aws_profile *p, const char *name, struct aws_chain *c, struct sf_error *err)
{
	int rc;

	if (strcasecmp(name, "Environment") == 0)
		rc = from_environment(c, err);
	else if (strcasecmp(name, "EcsContainer") == 0)
		rc = from_container(c);
	else if (strcasecmp(name, "Ec2InstanceMetadata") == 0)
		rc = from_imds(c);
	else
		return sf_err(err, "AWS profile '%s': credential_source '%s' is none of Environment, EcsContainer, Ec2InstanceMetadata",
			      p->name, name);
	return rc == NONE ? sf_err(err, "AWS profile '%s': its credential_source %s offers no credentials", p->name, name) : rc;
}

static int check_duration(const struct aws_profile *p, const char *text, struct sf_error *err)
{
	char *end = NULL;
	long n = text ? strtol(text, &end, 10) : 0;

	if (text && (!*text || *end || n < 900 || n > 43200))
		return sf_err(err, "AWS profile '%s': duration_seconds '%s' is not a number from 900 to 43200", p->name, text);
	return 0;
}

static int add_role(const struct aws_profile *p, struct aws_chain *c, struct sf_error *err)
{
	const char *session = aws_profile_get(p, "role_session_name");
	const char *duration = aws_profile_get(p, "duration_seconds");
	struct aws_role *r;

	if (c->n_roles == AWS_CHAIN_ROLES_MAX)
		return sf_err(err, "AWS profile '%s': a chain of more than %d roles", p->name, AWS_CHAIN_ROLES_MAX);
	if (aws_profile_get(p, "mfa_serial"))
		return sf_err(err, "AWS profile '%s' has 'mfa_serial': there is nobody to type its code; use a role without MFA",
			      p->name);
	if (check_duration(p, duration, err) != 0)
		return -1;
	r = &c->roles[c->n_roles++];
	if (copy(aws_profile_get(p, "role_arn"), &r->arn, err) != 0 ||
	    copy(session && *session ? session : AWS_ROLE_SESSION, &r->session, err) != 0 ||
	    copy(aws_profile_get(p, "external_id"), &r->external_id, err) != 0 || copy(duration, &r->duration, err) != 0 ||
	    name_profile(p, &r->where, err) != 0)
		return -1;
	return r->arn ? 0 : sf_err(err, "%s: role_arn is empty", r->where);
}

/* Go over to the source profile; a loop never gives credentials, but a profile may name itself for its own keys. */
static int to_source(struct aws_profile *p, const char *source, const struct aws_chain *c, struct sf_error *err)
{
	sf_auto_free char *parent = strdup(p->name), *where = NULL;
	size_t i;

	if (!parent || aws_profile_use(p, source, err) != 0)
		return sf_err(err, "out of memory");
	if (!aws_profile_exists(p))
		return sf_err(err, "AWS profile '%s': its source_profile '%s' is neither in %s nor in %s", parent, p->name,
			      p->credentials.path, p->config.path);
	if (name_profile(p, &where, err) != 0)
		return -1;
	for (i = 0; i < c->n_roles; i++)
		if (strcmp(c->roles[i].where, where) == 0 && !(strcmp(parent, p->name) == 0 && has_keys(p)))
			return sf_err(err, "AWS profile '%s': its source_profile '%s' closes a loop", parent, p->name);
	return 0;
}

/* p has a role: it and those behind it, down to the profile or source that has credentials of its own. */
static int from_roles(struct aws_profile *p, struct aws_chain *c, struct sf_error *err)
{
	int rc;

	do {
		sf_auto_free char *source = NULL;
		const char *named = aws_profile_get(p, "credential_source"), *from = aws_profile_get(p, "source_profile");

		if (add_role(p, c, err) != 0 || copy(from, &source, err) != 0)
			return -1;
		if (!named == !source)
			return sf_err(err, "AWS profile '%s' has role_arn with %s source_profile and credential_source; give it one of them",
				      p->name, named ? "both" : "neither");
		if (named)
			return named_source(p, named, c, err);
		if (to_source(p, source, c, err) != 0)
			return -1;
	} while (!has_keys(p) && has_role(p));
	rc = from_profile(p, false, c, err);
	return rc == NONE ? sf_err(err, "AWS profile '%s' is the source_profile of another, but has no credentials", p->name) : rc;
}

int aws_chain_load(const char *profile, struct aws_chain *c, struct sf_error *err)
{
	sf_auto_profile struct aws_profile p = { 0 };
	int rc = profile ? NONE : from_environment(c, err);

	if (rc == NONE && aws_profile_load(profile, &p, err) != 0)
		return -1;
	if (rc == NONE)
		rc = has_role(&p) ? from_roles(&p, c, err) : from_profile(&p, !profile, c, err);
	if (rc == NONE)
		rc = from_container(c);
	if (rc == NONE)
		rc = from_imds(c);
	if (rc == NONE)
		return sf_err(err, "no AWS credentials: %sprofile '%s' has no aws_access_key_id in %s or %s",
			      profile ? "" : "AWS_ACCESS_KEY_ID is not set and ", p.name, p.credentials.path, p.config.path);
	return rc;
}
