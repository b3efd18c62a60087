/* Fuzzes the way from a spec and a script to the container: its environment, and the request that carries both. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/jobenv.h"
#include "common/base/json.h"
#include "common/base/request.h"
#include "tests/fuzz/fuzz.h"

static void sound_env(char *const *env, size_t users)
{
	size_t slurms = 0;

	for (; env && *env; env++) {
		HOLDS(sf_env_name_valid(*env, strcspn(*env, "=")) && strchr(*env, '=') && sf_utf8_valid(*env, strlen(*env)));
		slurms += strncmp(*env, "SLURM_", 6) == 0;
		HOLDS(strncmp(*env, "SLURM_", 6) != 0 || fuzz_clean(*env));
		users -= strncmp(*env, "SLURM_", 6) != 0;
	}
	HOLDS(slurms > 5 && users == 0);
}

/* It fits, it is JSON, and the arguments and variables stand in it as they came. */
static void sound_request(const char *text, const struct sf_overrides *o)
{
	sf_auto_json sf_json *j = NULL;
	struct sf_error err = { "" };
	sf_json *container, *env, *command;
	size_t n = sf_strv_len(o->args), i;

	HOLDS(strlen(text) <= SF_OVERRIDES_MAX);
	HOLDS(sf_json_parse(text, strlen(text), &j, &err) == 0);
	container = sf_json_at(sf_json_array(j, "containerOverrides"), 0);
	env = sf_json_array(container, "environment");
	command = sf_json_array(container, "command");
	HOLDS(sf_json_len(env) == sf_strv_len(o->env) + 4 && sf_json_len(command) >= n + 2);
	for (i = 0; i < n; i++)
		HOLDS(strcmp(sf_json_string(sf_json_at(command, sf_json_len(command) - n + i)), o->args[i]) == 0);
	for (i = 0; o->env && o->env[i]; i++)
		HOLDS(strcmp(sf_json_str(sf_json_at(env, i + 4), "value"), strchr(o->env[i], '=') + 1) == 0);
}

static void request(const struct sf_spec *spec, char *const *env, const char *script)
{
	const struct sf_overrides o = { .container = "main",
					.size = spec->size,
					.nonce = "0123456789abcdef",
					.framing = true,
					.storage_gib = spec->storage_gib,
					.script = script,
					.script_len = strlen(script),
					.args = spec->args,
					.env = env };
	struct sf_error err = { "" };
	sf_auto_free char *text = NULL;

	if (sf_overrides_build(&o, &text, &err) != 0)
		HOLDS(err.text[0] && !text && fuzz_clean(err.text));
	else
		sound_request(text, &o);
}

/* One line of spec, then the script. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = fuzz_string(data, size);
	const char *script = fuzz_split(text);
	sf_auto_strv char **env = NULL;
	struct sf_spec spec = { 0 };
	struct sf_job_facts facts = { .job_id = 7, .name = script, .account = script };
	struct sf_error err = { "" };

	sf_job_facts_worst(&facts);
	if (sf_spec_decode(text, &spec, &err) != 0)
		return 0;
	HOLDS(sf_job_env_build(&facts, &spec, &env, &err) == 0);
	sound_env(env, sf_strv_len(spec.env));
	request(&spec, env, script);
	sf_spec_free(&spec);
	return 0;
}
