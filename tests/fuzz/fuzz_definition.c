/* Fuzzes the reading of task definitions: one that is taken keeps the container contract, one that is not says why in clean
 * words. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/ecs.h"
#include "tests/fuzz/fuzz.h"

static void sound(const struct ecs_definition *d, const char *wanted)
{
	const char *const texts[] = { d->arn,	    d->family,	   d->status,	  d->container,
				      d->log_group, d->log_prefix, d->log_region, d->log_mode };
	sf_auto_free char *stream = ecs_log_stream(d, "id");
	size_t i;

	for (i = 0; i < SF_COUNT(texts); i++)
		HOLDS(fuzz_clean_or_null(texts[i]));
	HOLDS(d->arn && (!d->status || strcmp(d->status, "ACTIVE") == 0));
	HOLDS(d->container && d->log_group && *d->log_group && d->log_prefix && *d->log_prefix);
	HOLDS(!wanted || strcmp(d->container, wanted) == 0);
	HOLDS(stream && strlen(stream) == strlen(d->log_prefix) + strlen(d->container) + 4);
}

static void definition(const sf_json *body, const char *wanted)
{
	struct ecs_definition d = { 0 };
	struct sf_error err = { "" };

	if (ecs_definition_parse(body, wanted, &d, &err) != 0) {
		HOLDS(err.text[0] && fuzz_clean(err.text));
		return;
	}
	sound(&d, wanted);
	ecs_definition_free(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_json sf_json *body = NULL;
	struct sf_error err = { "" };

	if (sf_json_parse((const char *)data, size, &body, &err) != 0)
		return 0;
	definition(body, NULL);
	definition(body, "main");
	return 0;
}
