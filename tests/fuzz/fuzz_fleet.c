/* Fuzzes job_submit's side of the agent's snapshot: the jobs on Fargate, and which of those an update names. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/job_submit/fleet.h"
#include "tests/fuzz/fuzz.h"

static bool names(const sf_json *array, const char *partition)
{
	size_t i;

	for (i = 0; i < sf_json_len(array); i++)
		if (fuzz_same(sf_json_str(sf_json_at(array, i), "partition"), partition))
			return true;
	return false;
}

/* The first job of each entry is found, in whatever form it is named. */
static void first_jobs(const struct js_fleet *fleet, const sf_json *array)
{
	const char *partition, *jobs;
	char ids[64];
	size_t i, n;

	for (i = 0; i < sf_json_len(array); i++) {
		jobs = sf_json_str(sf_json_at(array, i), "jobs");
		n = jobs ? strspn(jobs, "0123456789") : 0;
		if (n == 0 || n > 10 || strtoul(jobs, NULL, 10) == 0)
			continue;
		snprintf(ids, sizeof(ids), "%.*s_[1-3,7]", (int)n, jobs);
		partition = js_fleet_partition(fleet, ids);
		HOLDS(partition && names(array, partition));
	}
}

/* The ids of an update, a line break, then the snapshot's "fleet". */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *ids = fuzz_string(data, size);
	const char *text = fuzz_split(ids), *partition;
	sf_auto_json sf_json *json = NULL;
	struct sf_error err = { "" };
	struct js_fleet *fleet;
	const sf_json *array;

	if (sf_json_parse(text, strlen(text), &json, &err) != 0)
		return 0;
	array = sf_json_array(json, "fleet");
	fleet = array ? js_fleet_parse(array) : NULL;
	partition = js_fleet_partition(fleet, ids);
	HOLDS(!partition || names(array, partition));
	if (fleet)
		first_jobs(fleet, array);
	js_fleet_free(fleet);
	return 0;
}
