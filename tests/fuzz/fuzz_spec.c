/* Fuzzes common/base/spec.c: options and specs keep to their bounds, and one that is written again reads the same. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/spec.h"
#include "tests/fuzz/fuzz.h"

static void sound_env(char *const *env)
{
	struct sf_error err = { "" };

	for (; env && *env; env++)
		HOLDS(sf_env_check(*env, &err) == 0);
}

static void options(const char *text)
{
	struct sf_options o = { 0 }, again = { 0 };
	struct sf_error err = { "" };
	sf_auto_free char *first = NULL, *second = NULL;

	if (sf_options_decode(text, &o, &err) != 0) {
		HOLDS(err.text[0] && !o.env && !o.task_definition);
		return;
	}
	HOLDS(o.storage_gib <= SF_STORAGE_MAX_GIB && o.spot <= SF_SPOT_ONLY);
	HOLDS(!o.task_definition || sf_definition_check(o.task_definition, &err) == 0);
	sound_env(o.env);
	first = sf_options_encode(&o);
	HOLDS(first && !strchr(first, '\n'));
	HOLDS(sf_options_decode(first, &again, &err) == 0);
	second = sf_options_encode(&again);
	HOLDS(fuzz_same(first, second));
	sf_options_free(&o);
	sf_options_free(&again);
}

static void sound_spec(const struct sf_spec *s)
{
	struct sf_error err = { "" };

	HOLDS(strlen(s->sid) == 16 && s->submit >= 0 && s->cpus_asked >= 1 && s->spot <= SF_SPOT_ONLY);
	HOLDS(sf_size_valid(&s->size, true) && s->partition && *s->partition);
	HOLDS(sf_storage_to_ask(s->storage_gib) == s->storage_gib && s->storage_gib <= SF_STORAGE_MAX_GIB);
	HOLDS(!s->task_definition || sf_definition_check(s->task_definition, &err) == 0);
	sound_env(s->env);
}

static void spec(const char *text)
{
	struct sf_spec s = { 0 }, again = { 0 };
	struct sf_error err = { "" };
	sf_auto_free char *first = NULL, *second = NULL;

	if (sf_spec_decode(text, &s, &err) != 0) {
		HOLDS(err.text[0] && !s.partition && !s.args && !s.env);
		return;
	}
	sound_spec(&s);
	first = sf_spec_encode(&s);
	HOLDS(first && !strchr(first, '\n') && sf_utf8_valid(first, strlen(first)));
	HOLDS(sf_spec_decode(first, &again, &err) == 0);
	second = sf_spec_encode(&again);
	HOLDS(fuzz_same(first, second));
	sf_spec_free(&s);
	sf_spec_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = fuzz_string(data, size);

	options(text);
	spec(text);
	return 0;
}
