/* Fuzzes job_submit's decision inside slurmctld: a user's submission is refused in clean words or gets a spec that holds. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/job_submit/job.h"
#include "tests/fuzz/fuzz.h"

#define LINE(name, more)                                                                                                         \
	"PartitionName=" name                                                                                                    \
	" Cluster=hpc TaskDefinition=slurm-job TaskDefinitions=gpu-* Subnets=subnet-a SecurityGroups=sg-1 " more "\n"
#define CONF LINE("fargate", "Default=YES Allow32Vcpu=YES Providers=FARGATE,FARGATE_SPOT") LINE("all", "Implicit=YES MaxVcpu=4")

static const struct sf_conf *conf(void)
{
	static struct sf_conf *c;
	struct sf_error err = { "" };

	if (!c)
		HOLDS(sf_conf_parse("fuzz.conf", CONF, &c, &err) == 0);
	return c;
}

/* Lines for the user's terminal, each of them clean. */
static bool clean_lines(const char *text)
{
	sf_auto_free char *copy = strdup(text);
	char *line, *rest = copy;
	bool clean = copy != NULL;

	while (clean && (line = strsep(&rest, "\n")))
		clean = fuzz_clean(line);
	return clean;
}

static void sound(const struct js_outcome *out)
{
	struct sf_spec spec = { 0 };
	struct sf_error err = { "" };

	HOLDS(strnlen(out->text, sizeof(out->text)) < sizeof(out->text) && clean_lines(out->text));
	HOLDS((out->verdict == JS_REFUSE) == (out->why != JS_WHY_NONE) && out->why < JS_WHY_COUNT);
	HOLDS(out->verdict != JS_REFUSE || out->text[0]);
	if (out->verdict != JS_OFFLOAD)
		return;
	HOLDS(out->spec_text && fuzz_clean(out->comment) && out->cpus * 1024 >= out->spec.size.cpu_units);
	HOLDS(sf_spec_decode(out->spec_text, &spec, &err) == 0);
	HOLDS(sf_strv_len(spec.args) == sf_strv_len(out->spec.args) && sf_strv_len(spec.env) == sf_strv_len(out->spec.env));
	HOLDS(sf_conf_find(conf(), spec.partition));
	sf_spec_free(&spec);
}

static const char *given(const char *line)
{
	return *line ? line : NULL;
}

/* Lines: packed options, partition, array, what a job can be called, two variables of the environment; then the script. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	sf_auto_free char *text = fuzz_string(data, size);
	char *line[7];
	char *argv[3], *env[2];
	struct js_job job = { .uid = 1000, .gid = 1000, .min_cpus = 1, .argv = argv, .argc = 3, .env = env, .env_size = 2 };
	struct js_world world = { .conf = conf(), .agent = JS_AGENT_ALIVE, .now = 1700000000, .sid = "0123456789abcdef" };
	struct js_outcome out;
	size_t i;

	line[0] = text;
	for (i = 1; i < SF_COUNT(line); i++)
		line[i] = fuzz_split(line[i - 1]);
	job.packed = given(line[0]);
	job.partition = given(line[1]);
	job.array = given(line[2]);
	job.name = job.work_dir = line[3];
	job.account = job.std_err = job.qos = given(line[3]);
	argv[0] = argv[1] = line[3];
	argv[2] = line[5];
	env[0] = line[4];
	env[1] = line[5];
	job.script = line[6];
	js_check(&job, &world, &out);
	sound(&out);
	js_outcome_free(&out);
	js_check_update(&job, line[2], &world, &out);
	sound(&out);
	js_outcome_free(&out);
	return 0;
}
