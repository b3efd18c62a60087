/* Fuzzes fargate.conf: what is in force, printed and read again, is the same; an error says file and line. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf.h"
#include "common/base/conf_check.h"
#include "tests/fuzz/fuzz.h"

#define PATH "fuzz.conf"

static void sound_line(const struct sf_conf *conf, const struct sf_conf_line *l)
{
	HOLDS(sf_conf_find(conf, l->name) == l);
	HOLDS(sf_valid_partition(l->name) && sf_valid_ecs_name(l->cluster) && sf_valid_task_definition(l->task_definition));
	HOLDS(l->subnets && l->security_groups && l->providers && l->line > 0);
	HOLDS(!l->region || sf_valid_region(l->region));
	HOLDS(!l->is_default || conf->default_line == l);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = fuzz_string(data, size);
	sf_auto_free char *printed = NULL, *again = NULL, *names = NULL;
	sf_auto_conf struct sf_conf *first = NULL;
	sf_auto_conf struct sf_conf *second = NULL;
	struct sf_error err = { "" };
	size_t i;

	if (sf_conf_parse(PATH, text, &first, &err) != 0) {
		HOLDS(!first && strncmp(err.text, PATH ":", sizeof(PATH)) == 0);
		return 0;
	}
	HOLDS(sf_valid_socket(first->socket) && sf_valid_absolute(first->state_dir));
	for (i = 0; i < first->n_lines; i++)
		sound_line(first, &first->lines[i]);
	printed = sf_conf_text(first);
	names = sf_conf_names(first);
	HOLDS(printed && names);
	if (sf_conf_parse(PATH, printed, &second, &err) != 0)
		fprintf(stderr, "%s\n%s\n", err.text, printed);
	HOLDS(second);
	again = sf_conf_text(second);
	HOLDS(fuzz_same(printed, again));
	HOLDS(first->n_lines == second->n_lines && first->n_rules == second->n_rules);
	return 0;
}
