/* Fuzzes the small words that users and Slurm hand in: sizes, storage, arrays, names, definitions, and names made of them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/names.h"
#include "common/base/sizes.h"
#include "common/base/spec.h"
#include "tests/fuzz/fuzz.h"

#define AWS_NAME "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-/_"

/* A refusal says something, and nothing that acts on a terminal. */
static void refused(struct sf_error *err)
{
	HOLDS(err->text[0] && fuzz_clean(err->text));
	err->text[0] = '\0';
}

static void sizes(const char *text)
{
	struct sf_size_request req = { .allow_32vcpu = true };
	struct sf_size size = { 0 };
	struct sf_error err = { "" };
	char note[SF_SIZE_NOTE_MAX], vcpus[16];

	if (sf_parse_vcpu(text, &req.cpu_units, &err) != 0)
		refused(&err);
	else
		HOLDS(req.cpu_units > 0);
	if (sf_parse_mem(text, &req.mem_mib, &err) != 0)
		refused(&err);
	else
		HOLDS(req.mem_mib > 0);
	if (sf_size_fit(&req, &size, note, &err) != 0) {
		refused(&err);
		return;
	}
	HOLDS(sf_size_valid(&size, true) && size.cpu_units >= req.cpu_units && size.mem_mib >= req.mem_mib && fuzz_clean(note));
	sf_size_vcpu_text(size.cpu_units, vcpus);
	HOLDS(sf_parse_vcpu(vcpus, &req.cpu_units, &err) == 0 && req.cpu_units == size.cpu_units);
}

static void words(const char *text)
{
	struct sf_error err = { "" };
	struct sf_array array = { 0 };
	enum sf_spot spot = SF_SPOT_DEFAULT;
	uint32_t gib = 0;

	if (sf_parse_storage(text, &gib, &err) != 0)
		refused(&err);
	else
		HOLDS(gib >= 1 && gib <= SF_STORAGE_MAX_GIB && sf_storage_to_ask(gib) != SF_STORAGE_OWN_GIB);
	if (sf_parse_spot(text, &spot, &err) != 0)
		refused(&err);
	else
		HOLDS(spot == SF_SPOT_PREFER || spot == SF_SPOT_ONLY);
	if (sf_definition_check(text, &err) != 0)
		refused(&err);
	else
		HOLDS(strspn(text, AWS_NAME ":") == strlen(text));
	if (sf_env_check(text, &err) != 0)
		refused(&err);
	else
		HOLDS(sf_env_name_valid(text, strcspn(text, "=")) && strchr(text, '='));
	if (sf_array_parse(text, &array) == 0)
		HOLDS(array.count >= 1 && array.min <= array.max && array.step >= 1);
}

static void names(const char *text)
{
	const struct sf_comment comment = {
		.phase = SF_PHASE_HELD, .task_id = text, .provider = text, .az = text, .reason = text
	};
	char line[SF_COMMENT_MAX], by[SF_STARTED_BY_MAX], tag[257];

	memset(line, 'x', sizeof(line));
	sf_comment_format(&comment, line);
	HOLDS(memchr(line, '\0', sizeof(line)) && fuzz_clean(line));
	sf_started_by(text, "0123456789ab", UINT32_MAX, by);
	HOLDS(strlen(by) < sizeof(by) && strspn(by, AWS_NAME) == strlen(by) && strstr(by, "-0123456789ab/4294967295"));
	sf_tag_clean(text, tag);
	HOLDS(strlen(tag) < sizeof(tag) && strspn(tag, AWS_NAME " .:=+@") == strlen(tag) && strncasecmp(tag, "aws:", 4) != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = fuzz_string(data, size);

	sizes(text);
	words(text);
	names(text);
	return 0;
}
