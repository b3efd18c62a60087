/* Keys as JSON: of a credential_process, of a container's endpoint, of the instance metadata service. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/keys_json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <openssl/crypto.h>

#include "common/base/json.h"

static const struct dialect {
	const char *token;
	bool version; /* "Version": 1 must be there */
	bool code;    /* "Code", if there, must be Success */
	bool lasting; /* without a token and an expiration it is good, too */
} dialects[] = {
	[AWS_JSON_PROCESS] = { "SessionToken", true, false, true },
	[AWS_JSON_CONTAINER] = { "Token", false, false, false },
	[AWS_JSON_IMDS] = { "Token", false, true, false },
};

static int member(const sf_json *j, const char *key, bool needed, const char **out, struct sf_error *err)
{
	*out = sf_json_str(j, key);
	if (*out || (!needed && !sf_json_has(j, key)))
		return 0;
	return sf_err(err, sf_json_has(j, key) ? "'%s' is not a string" : "there is no '%s'", key);
}

static int read_members(const struct dialect *d, const sf_json *j, struct aws_offer *offer, struct sf_error *err)
{
	const char *code = sf_json_str(j, "Code");
	int64_t version = 0;

	if (!sf_json_is_object(j))
		return sf_err(err, "not a JSON object");
	if (d->version && (!sf_json_int(j, "Version", &version) || version != 1))
		return sf_err(err, "its Version is not 1");
	if (d->code && code && strcmp(code, "Success") != 0)
		return sf_err(err, "its Code is not Success");
	if (member(j, "AccessKeyId", true, &offer->access, err) != 0 ||
	    member(j, "SecretAccessKey", true, &offer->secret, err) != 0 || member(j, d->token, !d->lasting, &offer->token, err) != 0)
		return -1;
	return member(j, "Expiration", !d->lasting, &offer->expiration, err);
}

/* json-c gives its memory back as it is. */
static void wipe_member(const sf_json *j, const char *key)
{
	union {
		const char *lent;
		char *wiped;
	} text;
	size_t n;

	text.lent = sf_json_bytes(j, key, &n);
	if (text.lent)
		OPENSSL_cleanse(text.wiped, n);
}

int aws_keys_json(enum aws_dialect dialect, const char *source, const char *text, size_t n, struct aws_credentials *out,
		  struct sf_error *err)
{
	const struct dialect *d = &dialects[dialect];
	struct aws_offer offer = { .access_name = "AccessKeyId", .secret_name = "SecretAccessKey", .source = source };
	sf_auto_json sf_json *j = NULL;
	int rc = -1;

	if (n > AWS_KEYS_JSON_MAX || sf_json_parse(text, n, &j, NULL) != 0)
		return sf_err(err, "%s: the answer is not JSON of at most %u bytes", source, AWS_KEYS_JSON_MAX);
	if (read_members(d, j, &offer, err) == 0)
		rc = aws_credentials_take(&offer, out, err);
	else
		sf_err_wrap(err, "%s: the answer cannot be used", source);
	wipe_member(j, "SecretAccessKey");
	wipe_member(j, d->token);
	return rc;
}

int aws_secret_read(const char *path, size_t most, char **out, struct sf_error *err)
{
	sf_auto_close int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	sf_auto_secret char *text = calloc(1, most + 2);
	size_t n = 0;
	ssize_t got = -1;

	if (fd < 0)
		return sf_err(err, "%s: %s", path, strerror(errno));
	if (!text)
		return sf_err(err, "out of memory");
	while (n <= most && (got = read(fd, text + n, most + 1 - n)) > 0)
		n += (size_t)got;
	if (got < 0)
		return sf_err(err, "%s: %s", path, strerror(errno));
	if (n > most)
		return sf_err(err, "%s: longer than %zu bytes", path, most);
	while (n && strchr(" \t\r\n", text[n - 1]))
		text[--n] = '\0';
	if (!n || strlen(text) != n || strpbrk(text, "\r\n"))
		return sf_err(err, "%s: empty, or more than one line", path);
	*out = sf_steal(text);
	return 0;
}
