/* A plain --fargate submission as values, and the decision about it; for the tests of plugin/job_submit/check.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef TESTS_UNIT_JOB_SUBMIT_PLAIN_H
#define TESTS_UNIT_JOB_SUBMIT_PLAIN_H

#include <string.h>

#include "common/base/text.h"
#include "common/base/json.h"
#include "plugin/job_submit/job.h"
#include "plugin/job_submit/quotas.h"
#include "tests/unit/tap.h"

#define LINE(name, more) \
	"PartitionName=" name " " more " Cluster=hpc TaskDefinition=slurm-job Subnets=subnet-a SecurityGroups=sg-1 " \
	"Providers=FARGATE\n"
#define CONF LINE("fargate", "Default=YES") LINE("spot", "Container=main")
#define CONF_NO_DEFAULT LINE("fargate", "") LINE("spot", "")

static struct sf_conf *conf;
static struct js_outcome out;

static inline struct sf_conf *parse(const char *text)
{
	struct sf_error err = { "" };
	struct sf_conf *c = NULL;

	ck_assert_msg(!sf_conf_parse("/etc/fargate.conf", text, &c, &err), "%s", err.text);
	return c;
}

static inline char *pack(uint32_t cpu_units, uint64_t mem_mib, char **env)
{
	const struct sf_options o = { .cpu_units = cpu_units, .mem_mib = mem_mib, .env = env };
	char *text = sf_options_encode(&o);

	ck_assert_ptr_nonnull(text);
	return text;
}

static inline struct js_quotas *quotas_of(const char *text)
{
	sf_auto_json sf_json *json = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(!sf_json_parse(text, strlen(text), &json, &err), "%s", err.text);
	return js_quotas_parse(json);
}

/* Quotas for any partition of these tests that no job comes near to. */
static inline const struct js_quotas *plenty(void)
{
	static const char names[] = "[\"fargate\",\"spot\",\"mixed\",\"other\"]";
	static struct js_quotas *quotas;
	char text[512];

	snprintf(text, sizeof(text),
		 "[{\"partitions\":%s,\"provider\":\"FARGATE\",\"limit\":16000,\"free\":16000,\"age\":1},"
		 "{\"partitions\":%s,\"provider\":\"FARGATE_SPOT\",\"limit\":16000,\"free\":16000,\"age\":1}]",
		 names, names);
	if (!quotas)
		quotas = quotas_of(text);
	ck_assert_ptr_nonnull(quotas);
	return quotas;
}

static inline struct js_world world_of(const struct sf_conf *c)
{
	struct js_world w = { .conf = c, .conf_error = "/etc/fargate.conf:3: unknown key 'Colour'", .agent = JS_AGENT_ALIVE,
			      .quotas = plenty(), .now = 1700000000, .sid = "0123456789abcdef" };

	return w;
}

/* A batch job with --fargate and nothing else. */
static inline struct js_job plain(void)
{
	static char *argv[] = { (char *)"job.sh", NULL };
	struct js_job j = { .script = "#!/bin/sh\ntrue\n", .min_cpus = 1, .name = "job", .work_dir = "/home/alice",
			    .argv = argv, .argc = 1 };

	return j;
}

static inline void decide(struct js_job *job, const struct js_world *world, uint32_t cpu_units, uint64_t mem_mib, char **env)
{
	char *packed = pack(cpu_units, mem_mib, env);

	job->packed = packed;
	js_check(job, world, &out);
	job->packed = NULL;
	free(packed);
}

#endif
