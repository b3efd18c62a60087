/* The real function table: clients by profile and region, created when first needed. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/client.h"

#include <stdlib.h>
#include <string.h>

#include "common/base/util.h"

struct entry {
	struct entry *next;
	char *profile; /* as the caller named them, NULL included */
	char *region;
	struct aws_client *client;
};

struct api {
	struct aws_http *http;
	struct entry *entries;
};

static bool same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static void entry_free(struct entry *e)
{
	aws_client_free(e->client);
	free(e->profile);
	free(e->region);
	free(e);
}

static struct entry *new_entry(struct api *api, const char *profile, const char *region, struct sf_error *err)
{
	struct entry *e = calloc(1, sizeof(*e));

	if (!e) {
		sf_err(err, "out of memory");
		return NULL;
	}
	e->profile = profile ? strdup(profile) : NULL;
	e->region = region ? strdup(region) : NULL;
	if ((profile && !e->profile) || (region && !e->region))
		sf_err(err, "out of memory");
	else
		e->client = aws_client_new(api->http, profile, region, err);
	if (e->client)
		return e;
	entry_free(e);
	return NULL;
}

static int call(void *ctx, const char *profile, const char *region, enum aws_op op, const char *body, aws_reply_cb cb,
		void *arg, struct sf_error *err)
{
	struct api *api = ctx;
	struct entry *e = api->entries;

	while (e && !(same(e->profile, profile) && same(e->region, region)))
		e = e->next;
	if (!e) {
		e = new_entry(api, profile, region, err);
		if (!e)
			return -1;
		e->next = api->entries;
		api->entries = e;
	}
	return aws_client_call(e->client, op, body, cb, arg, err);
}

static int64_t now_ms(void *ctx)
{
	struct api *api = ctx;

	return aws_http_now_ms(api->http);
}

int aws_api_real(struct aws_http *http, struct aws_api *out, struct sf_error *err)
{
	struct api *api = calloc(1, sizeof(*api));

	if (!api)
		return sf_err(err, "out of memory");
	api->http = http;
	*out = (struct aws_api){ api, call, now_ms };
	return 0;
}

void aws_api_real_free(struct aws_api *table)
{
	struct api *api = table->ctx;
	struct entry *e;

	while (api && (e = api->entries)) {
		api->entries = e->next;
		entry_free(e);
	}
	free(api);
	*table = (struct aws_api){ NULL, NULL, NULL };
}
