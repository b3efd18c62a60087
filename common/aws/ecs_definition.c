/* ECS task definitions held against the container contract (design section 3). */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/ecs.h"

#include <string.h>

#include "common/aws/fields.h"

/* The container of that name, or the only one. */
static int choose(const sf_json *containers, const char *wanted, const sf_json **out, struct sf_error *err)
{
	sf_auto_buf struct sf_buf names = SF_BUF_INIT;
	size_t n = sf_json_len(containers), i;
	const char *name;

	*out = NULL;
	for (i = 0; i < n; i++) {
		if (sf_json_need_str(sf_json_at(containers, i), "name", &name, err) != 0)
			return sf_err_wrap(err, "container %zu", i + 1);
		sf_buf_printf(&names, "%s%s", i ? ", " : "", name);
		if (wanted ? strcmp(name, wanted) == 0 : n == 1)
			*out = sf_json_at(containers, i);
	}
	if (*out)
		return 0;
	if (!n)
		return sf_err(err, "it has no container");
	if (names.failed)
		return sf_err(err, "out of memory");
	sf_text_clean(names.data);
	if (!wanted)
		return sf_err(err, "it has %zu containers (%s); name ours with Container=", n, names.data);
	return sf_err(err, "it has no container '%s', only %s", wanted, names.data);
}

static int check_entrypoint(const sf_json *c, bool *shell, struct sf_error *err)
{
	sf_auto_free char *text = NULL;
	sf_json *entry = sf_json_array(c, "entryPoint");

	*shell = sf_json_len(entry) > 0;
	if (!*shell)
		return 0;
	text = sf_json_text(entry);
	if (!text)
		return sf_err(err, "out of memory");
	if (strcmp(text, "[\"/bin/sh\",\"-c\"]") == 0)
		return 0;
	sf_text_clean(text);
	return sf_err(err, "its entryPoint is %s; it must be absent or [\"/bin/sh\",\"-c\"]", text);
}

/* Ours must be the only essential container: when it ends, the task ends, and nothing else may end it. */
static int check_essential(const sf_json *containers, const sf_json *ours, struct sf_error *err)
{
	const sf_json *c;
	size_t i;

	for (i = 0; i < sf_json_len(containers); i++) {
		c = sf_json_at(containers, i);
		if (sf_json_bool(c, "essential", true) == (c == ours))
			continue;
		if (c == ours)
			return sf_err(err, "it is not essential; set essential to true");
		return sf_err(err, "container '%s' is essential too; only ours may be", sf_json_str(c, "name"));
	}
	return 0;
}

static int limit(const sf_json *c, const char *key, uint32_t *out, struct sf_error *err)
{
	int64_t n = 0;

	if (sf_json_int(c, key, &n) && (n < 0 || n > INT32_MAX))
		return sf_err(err, "%s is %lld", key, (long long)n);
	*out = (uint32_t)n;
	return 0;
}

static int take_limits(const sf_json *containers, const sf_json *ours, struct ecs_definition *def, struct sf_error *err)
{
	uint32_t cpu = 0, mem = 0;
	const sf_json *c;
	size_t i;

	for (i = 0; i < sf_json_len(containers); i++) {
		c = sf_json_at(containers, i);
		if (limit(c, "cpu", &cpu, err) != 0 || limit(c, "memory", &mem, err) != 0)
			return -1;
		if (c == ours) {
			def->container_cpu = cpu;
			def->container_mem_mib = mem;
			continue;
		}
		if (!mem && limit(c, "memoryReservation", &mem, err) != 0)
			return -1;
		def->others_cpu += cpu;
		def->others_mem_mib += mem;
	}
	return 0;
}

/* The fourth part of arn:aws:ecs:REGION:ACCOUNT:…, into out; "" when there is none. */
static void region_of(const char *arn, char out[64])
{
	int part;

	for (part = 0; part < 3 && arn; part++) {
		arn = strchr(arn, ':');
		arn = arn ? arn + 1 : NULL;
	}
	out[0] = '\0';
	if (arn && strcspn(arn, ":") < 64)
		snprintf(out, 64, "%.*s", (int)strcspn(arn, ":"), arn);
}

/* The agent reads a task's log where it runs the task. */
static int check_log_region(const struct ecs_definition *def, struct sf_error *err)
{
	char region[64];

	region_of(def->arn, region);
	if (!def->log_region || !region[0] || strcmp(def->log_region, region) == 0)
		return 0;
	return sf_err(err, "its log goes to region %s, but the task runs in %s and its log is read there; set awslogs-region to %s",
		      def->log_region, region, region);
}

static int take_logs(const sf_json *c, struct ecs_definition *def, struct sf_error *err)
{
	sf_json *log = sf_json_object(c, "logConfiguration");
	sf_json *options = sf_json_object(log, "options");
	const char *driver = sf_json_str(log, "logDriver");

	if (!driver)
		return sf_err(err, "it has no logConfiguration; the job's output needs logDriver awslogs");
	if (strcmp(driver, "awslogs") != 0)
		return sf_err(err, "its logDriver is '%s'; the job's output needs awslogs", driver);
	if (aws_take_str(options, "awslogs-group", &def->log_group, err) != 0 ||
	    aws_take_str(options, "awslogs-stream-prefix", &def->log_prefix, err) != 0 ||
	    aws_take_str(options, "awslogs-region", &def->log_region, err) != 0 ||
	    aws_take_str(options, "mode", &def->log_mode, err) != 0)
		return -1;
	if (!def->log_group || !*def->log_group)
		return sf_err(err, "its log options have no awslogs-group");
	if (!def->log_prefix || !*def->log_prefix)
		return sf_err(err, "its log options have no awslogs-stream-prefix; without it the log of a task "
				   "cannot be found");
	return check_log_region(def, err);
}

/* The bootstrap's own variables: what the definition says of them is either lost or (secrets) refused by AWS. */
static int check_names(const sf_json *c, struct sf_error *err)
{
	static const char *const lists[] = { "environment", "secrets" };
	const sf_json *list;
	const char *name;
	size_t k, i;

	for (k = 0; k < SF_COUNT(lists); k++) {
		list = sf_json_array(c, lists[k]);
		for (i = 0; i < sf_json_len(list); i++) {
			name = sf_json_str(sf_json_at(list, i), "name");
			if (name && strncmp(name, "SF_", 3) == 0)
				return sf_err(err, "its %s has %s; names that begin with SF_ belong to slurm-fargate", lists[k], name);
		}
	}
	return 0;
}

/* A terminal would join the two streams and change their line ends; a restart would run the job again. */
static int check_manners(const sf_json *c, struct sf_error *err)
{
	if (sf_json_bool(c, "pseudoTerminal", false))
		return sf_err(err, "its pseudoTerminal is true; the job's output needs two plain streams, remove it");
	if (sf_json_bool(sf_json_object(c, "restartPolicy"), "enabled", false))
		return sf_err(err, "its restartPolicy is enabled; it would run the job again and again, remove it");
	return check_names(c, err);
}

static int check_usable(const sf_json *td, struct sf_error *err)
{
	const char *status = sf_json_str(td, "status");
	const char *system = sf_json_str(sf_json_object(td, "runtimePlatform"), "operatingSystemFamily");

	if (status && strcmp(status, "ACTIVE") != 0)
		return sf_err(err, "it is %s; name a revision that is registered", status);
	if (system && strncmp(system, "WINDOWS", 7) == 0)
		return sf_err(err, "its operatingSystemFamily is %s; batch scripts need LINUX", system);
	if (!sf_json_has(td, "cpu") || !sf_json_has(td, "memory"))
		return sf_err(err, "it has no cpu and memory of the task; register it with both, the job's size then takes their place");
	return 0;
}

static int take_storage(const sf_json *td, struct ecs_definition *def, struct sf_error *err)
{
	const sf_json *storage = sf_json_object(td, "ephemeralStorage");
	int64_t gib = 0;

	if (storage && sf_json_need_int(storage, "sizeInGiB", 1, UINT16_MAX, &gib, err) != 0)
		return sf_err_wrap(err, "ephemeralStorage");
	def->storage_gib = (uint32_t)gib;
	return 0;
}

static int check_fargate(const sf_json *td, struct sf_error *err)
{
	const char *mode = sf_json_str(td, "networkMode"), *pids = sf_json_str(td, "pidMode");
	const char *const keys[] = { "compatibilities", "requiresCompatibilities" };
	sf_json *list;
	const char *s;
	size_t k, i;

	if (!mode || strcmp(mode, "awsvpc") != 0)
		return sf_err(err, "its networkMode is %s; Fargate needs awsvpc", mode ? mode : "not set");
	/* The bootstrap ends what its script leaves behind, and must see no other container's processes. */
	if (pids && strcmp(pids, "task") == 0)
		return sf_err(err, "its pidMode is task; the job's container needs its own processes, remove pidMode");
	for (k = 0; k < SF_COUNT(keys); k++) {
		list = sf_json_array(td, keys[k]);
		for (i = 0; i < sf_json_len(list); i++) {
			s = sf_json_string(sf_json_at(list, i));
			if (s && strcmp(s, "FARGATE") == 0)
				return 0;
		}
	}
	return sf_err(err, "it is not made for FARGATE; register it with requiresCompatibilities FARGATE");
}

static int read_container(const sf_json *td, const char *wanted, struct ecs_definition *def, struct sf_error *err)
{
	sf_json *containers = sf_json_array(td, "containerDefinitions");
	const sf_json *ours = NULL;

	if (choose(containers, wanted, &ours, err) != 0)
		return -1;
	if (aws_take_str(ours, "name", &def->container, err) != 0)
		return -1;
	if (check_entrypoint(ours, &def->shell_entrypoint, err) != 0 || check_essential(containers, ours, err) != 0 ||
	    take_limits(containers, ours, def, err) != 0 || take_logs(ours, def, err) != 0 || check_manners(ours, err) != 0)
		return sf_err_wrap(err, "container '%s'", def->container);
	return 0;
}

int ecs_definition_parse(const sf_json *body, const char *container, struct ecs_definition *out, struct sf_error *err)
{
	sf_auto_ecs_definition struct ecs_definition def = { 0 };
	sf_json *td = sf_json_object(body, "taskDefinition");
	const char *name;

	if (sf_json_need_str(td, "taskDefinitionArn", &name, err) != 0)
		return sf_err_wrap(err, "DescribeTaskDefinition's answer");
	if (aws_take_str(td, "taskDefinitionArn", &def.arn, err) != 0 || aws_take_str(td, "family", &def.family, err) != 0 ||
	    aws_take_str(td, "status", &def.status, err) != 0)
		return -1;
	if (check_fargate(td, err) != 0 || check_usable(td, err) != 0 || take_storage(td, &def, err) != 0 || read_container(td, container, &def, err) != 0) {
		sf_err_wrap(err, "task definition %s", ecs_id_of(def.arn));
		if (err)
			sf_text_clean(err->text);
		return -1;
	}
	*out = def;
	def = (struct ecs_definition){ 0 };
	return 0;
}

void ecs_definition_free(struct ecs_definition *def)
{
	free(def->arn);
	free(def->family);
	free(def->status);
	free(def->container);
	free(def->log_group);
	free(def->log_prefix);
	free(def->log_region);
	free(def->log_mode);
	*def = (struct ecs_definition){ 0 };
}

char *ecs_log_stream(const struct ecs_definition *def, const char *task_id)
{
	char *out = NULL;

	return asprintf(&out, "%s/%s/%s", def->log_prefix, def->container, task_id) < 0 ? NULL : out;
}
