/* Unit tests of common/aws/ecs.c and ecs_definition.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/aws/ecs.h"

#include <string.h>

#include "common/base/text.h"
#include "tests/unit/tap.h"

static sf_json *parse(const char *text)
{
	sf_json *j = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_json_parse(text, strlen(text), &j, &err) == 0, "%s: %s", err.text, text);
	return j;
}

START_TEST(describe_and_list_bodies)
{
	static const char *const ids[] = { "a1", "arn:aws:ecs:r:1:task/hpc/b2" };
	const char *many[ECS_DESCRIBE_MAX + 1];
	sf_auto_free char *tasks = NULL, *family = NULL, *cluster = NULL, *hundred = NULL;
	char *none = NULL;
	struct sf_error err = { "" };
	size_t i;

	ck_assert_int_eq(ecs_describe_tasks_body("hpc", ids, 2, &tasks, &err), 0);
	ck_assert_str_eq(tasks, "{\"cluster\":\"hpc\",\"tasks\":[\"a1\",\"arn:aws:ecs:r:1:task/hpc/b2\"]}");
	for (i = 0; i < SF_COUNT(many); i++)
		many[i] = "x";
	ck_assert_int_eq(ecs_describe_tasks_body("hpc", many, ECS_DESCRIBE_MAX, &hundred, &err), 0);
	ck_assert_int_eq(ecs_describe_tasks_body("hpc", many, ECS_DESCRIBE_MAX + 1, &none, &err), -1);
	ck_assert_str_eq(err.text, "DescribeTasks takes 1 to 100 tasks, not 101");
	ck_assert_int_eq(ecs_describe_tasks_body("hpc", many, 0, &none, &err), -1);
	ck_assert_str_eq(err.text, "DescribeTasks takes 1 to 100 tasks, not 0");
	ck_assert_int_eq(ecs_describe_definition_body("slurm-job:3", &family, &err), 0);
	ck_assert_str_eq(family, "{\"taskDefinition\":\"slurm-job:3\"}");
	ck_assert_int_eq(ecs_describe_cluster_body("hpc", &cluster, &err), 0);
	ck_assert_str_eq(cluster, "{\"clusters\":[\"hpc\"]}");
}
END_TEST

static const struct {
	struct ecs_list list;
	const char *body, *message;
} list_rows[] = {
	{ { "hpc", "slurm/c-1/7", NULL, NULL, NULL }, "{\"cluster\":\"hpc\",\"startedBy\":\"slurm/c-1/7\"}", NULL },
	{ { "hpc", NULL, "slurm-job", "STOPPED", "tok" },
	  "{\"cluster\":\"hpc\",\"family\":\"slurm-job\",\"desiredStatus\":\"STOPPED\",\"nextToken\":\"tok\"}", NULL },
	{ { "hpc", "s", "f", NULL, NULL }, NULL, "ListTasks takes either startedBy or family" },
	{ { "hpc", NULL, NULL, NULL, NULL }, "{\"cluster\":\"hpc\"}", NULL },
	{ { "hpc", "s", NULL, "STOPPED", NULL }, NULL, "ListTasks takes startedBy alone, without desiredStatus" },
};

START_TEST(list_body)
{
	sf_auto_free char *body = NULL;
	struct sf_error err = { "" };
	int rc = ecs_list_tasks_body(&list_rows[_i].list, &body, &err);

	ck_assert_int_eq(rc, list_rows[_i].body ? 0 : -1);
	ck_assert_pstr_eq(body, list_rows[_i].body);
	ck_assert_str_eq(err.text, list_rows[_i].message ? list_rows[_i].message : "");
}
END_TEST

START_TEST(stop_body_cuts_the_reason_at_a_character)
{
	sf_auto_free char *small = NULL, *large = NULL, *want = NULL;
	char reason[300];
	struct sf_error err = { "" };

	ck_assert_int_eq(ecs_stop_task_body("hpc", "a1", "slurm: job 7 cancelled", &small, &err), 0);
	ck_assert_str_eq(small, "{\"cluster\":\"hpc\",\"task\":\"a1\",\"reason\":\"slurm: job 7 cancelled\"}");
	memset(reason, 'x', sizeof(reason));
	memcpy(reason + 254, "\xc3\xa9", 2);
	reason[299] = '\0';
	ck_assert_int_eq(ecs_stop_task_body("hpc", "a1", reason, &large, &err), 0);
	ck_assert_int_gt(asprintf(&want, "{\"cluster\":\"hpc\",\"task\":\"a1\",\"reason\":\"%.254s\"}", reason), 0);
	ck_assert_str_eq(large, want);
}
END_TEST

START_TEST(list_answers)
{
	sf_auto_json sf_json *page = parse("{\"taskArns\":[\"arn/a\",\"arn/b\"],\"nextToken\":\"t\"}");
	sf_auto_json sf_json *last = parse("{\"taskArns\":[]}");
	sf_auto_json sf_json *odd = parse("{\"taskArns\":[5]}");
	sf_auto_json sf_json *empty = parse("{}");
	sf_auto_strv char **arns = NULL;
	sf_auto_free char *token = NULL;
	char **none = NULL, *no_token = NULL;
	struct sf_error err = { "" };

	ck_assert_int_eq(ecs_list_tasks_parse(page, &arns, &token, &err), 0);
	ck_assert_uint_eq(sf_strv_len(arns), 2);
	ck_assert_str_eq(arns[1], "arn/b");
	ck_assert_str_eq(token, "t");
	ck_assert_int_eq(ecs_list_tasks_parse(last, &none, &no_token, &err), 0);
	ck_assert_ptr_null(none);
	ck_assert_ptr_null(no_token);
	ck_assert_int_eq(ecs_list_tasks_parse(odd, &none, &no_token, &err), -1);
	ck_assert_str_eq(err.text, "ListTasks: member 'taskArns' holds something that is not a string");
	ck_assert_int_eq(ecs_list_tasks_parse(empty, &none, &no_token, &err), -1);
	ck_assert_str_eq(err.text, "ListTasks: the answer has no taskArns");
}
END_TEST

#define ARN "arn:aws:ecs:eu-west-1:123456789012:task/hpc/0123456789abcdef0123456789abcdef"

START_TEST(a_stopped_task)
{
	sf_auto_json sf_json *j = parse(
		"{\"taskArn\":\"" ARN "\",\"taskDefinitionArn\":\"td:1\",\"lastStatus\":\"STOPPED\",\"desiredStatus\":\"STOPPED\","
		"\"stopCode\":\"EssentialContainerExited\",\"stoppedReason\":\"Essential container\\nin task exited\","
		"\"availabilityZone\":\"eu-west-1a\",\"capacityProviderName\":\"FARGATE_SPOT\",\"launchType\":\"FARGATE\","
		"\"group\":\"slurm-1-0-1\",\"startedBy\":\"slurm/c-1/7\",\"createdAt\":1479765460.842,"
		"\"pullStartedAt\":\"2016-11-21T21:57:45.5Z\",\"startedAt\":1479765470,\"stoppingAt\":\"1479765480.25\","
		"\"stoppedAt\":\"2016-11-21T22:58:10+01:00\",\"containers\":[{\"name\":\"side\",\"exitCode\":9},"
		"{\"name\":\"main\",\"lastStatus\":\"STOPPED\",\"exitCode\":137,\"reason\":\"OutOfMemoryError: x\\u0007\"}]}");
	sf_auto_ecs_task struct ecs_task t = { 0 };
	struct sf_error err = { "" };

	ck_assert_msg(ecs_task_parse(j, "main", &t, &err) == 0, "%s", err.text);
	ck_assert_str_eq(t.arn, ARN);
	ck_assert_str_eq(t.id, "0123456789abcdef0123456789abcdef");
	ck_assert_str_eq(t.definition, "td:1");
	ck_assert_str_eq(t.last_status, "STOPPED");
	ck_assert_str_eq(t.desired_status, "STOPPED");
	ck_assert_str_eq(t.stop_code, "EssentialContainerExited");
	ck_assert_str_eq(t.stopped_reason, "Essential container?in task exited");
	ck_assert_str_eq(t.az, "eu-west-1a");
	ck_assert_str_eq(t.provider, "FARGATE_SPOT");
	ck_assert_str_eq(t.group, "slurm-1-0-1");
	ck_assert_str_eq(t.started_by, "slurm/c-1/7");
	ck_assert_double_eq_tol(t.created_at, 1479765460.842, 1e-4);
	ck_assert_double_eq_tol(t.pull_started_at, 1479765465.5, 1e-4);
	ck_assert_double_eq_tol(t.started_at, 1479765470, 1e-4);
	ck_assert_double_eq_tol(t.stopping_at, 1479765480.25, 1e-4);
	ck_assert_double_eq_tol(t.stopped_at, 1479765490, 1e-4);
	ck_assert(t.container.found);
	ck_assert(t.container.has_exit_code);
	ck_assert_int_eq(t.container.exit_code, 137);
	ck_assert_str_eq(t.container.reason, "OutOfMemoryError: x?");
	ck_assert_str_eq(t.container.last_status, "STOPPED");
}
END_TEST

START_TEST(a_short_answer_has_little)
{
	sf_auto_json sf_json *j = parse("{\"taskArn\":\"old-id\",\"lastStatus\":\"STOPPED\",\"launchType\":\"FARGATE\",\"stopCode\":null}");
	sf_auto_ecs_task struct ecs_task t = { 0 };
	struct sf_error err = { "" };

	ck_assert_int_eq(ecs_task_parse(j, NULL, &t, &err), 0);
	ck_assert_str_eq(t.id, "old-id");
	ck_assert_str_eq(t.provider, "FARGATE");
	ck_assert_ptr_null(t.stop_code);
	ck_assert_ptr_null(t.desired_status);
	ck_assert(t.started_at == 0);
	ck_assert(!t.container.found);
	ck_assert(!t.container.has_exit_code);
}
END_TEST

static const struct {
	const char *containers;
	bool found, has;
	int code;
} exit_rows[] = {
	{ "[{\"name\":\"main\",\"exitCode\":0}]", true, true, 0 },
	{ "[{\"name\":\"main\"}]", true, false, 0 },
	{ "[{\"name\":\"main\",\"exitCode\":null}]", true, false, 0 },
	{ "[{\"name\":\"main\",\"exitCode\":\"0\"}]", true, false, 0 },
	{ "[{\"name\":\"main\",\"exitCode\":0.5}]", true, false, 0 },
	{ "[{\"name\":\"main\",\"exitCode\":-1}]", true, true, -1 },
	{ "[{\"name\":\"other\",\"exitCode\":0}]", false, false, 0 },
	{ "[]", false, false, 0 },
	{ "[5]", false, false, 0 },
};

START_TEST(exit_codes_are_never_made_up)
{
	sf_auto_free char *text = NULL;
	sf_auto_json sf_json *j = NULL;
	sf_auto_ecs_task struct ecs_task t = { 0 };
	struct sf_error err = { "" };

	ck_assert_int_gt(asprintf(&text, "{\"taskArn\":\"a/b\",\"containers\":%s}", exit_rows[_i].containers), 0);
	j = parse(text);
	ck_assert_int_eq(ecs_task_parse(j, "main", &t, &err), 0);
	ck_assert_int_eq(t.container.found, exit_rows[_i].found);
	ck_assert_int_eq(t.container.has_exit_code, exit_rows[_i].has);
	ck_assert_int_eq(t.container.exit_code, exit_rows[_i].code);
}
END_TEST

static const struct {
	const char *task, *container, *message;
} task_rows[] = {
	{ "{}", "main", "a task without taskArn" },
	{ "[]", "main", "a task without taskArn" },
	{ "{\"taskArn\":5}", "main", "a task without taskArn" },
	{ "{\"taskArn\":\"a/b\",\"createdAt\":\"yesterday\"}", "main", "task b: createdAt is not a time" },
	{ "{\"taskArn\":\"a/b\",\"startedAt\":\"2016-11-21T21:57:45 noon\"}", "main", "task b: startedAt is not a time" },
	{ "{\"taskArn\":\"a/b\",\"startedAt\":\"2016-11-21T21:57:45+1\"}", "main", "task b: startedAt is not a time" },
	{ "{\"taskArn\":\"a/b\",\"startedAt\":\"nan\"}", "main", "task b: startedAt is not a time" },
	{ "{\"taskArn\":\"a/b\",\"stoppedAt\":-1}", "main", "task b: stoppedAt is before 1970" },
	{ "{\"taskArn\":\"a/b\",\"containers\":[{\"name\":\"x\"},{\"name\":\"y\"}]}", NULL,
	  "task b: the task has 2 containers and none was named" },
	{ "{\"taskArn\":\"a/b\",\"containers\":[{\"name\":\"x\",\"exitCode\":4294967296}]}", "x",
	  "task b: exitCode 4294967296 is no exit code" },
};

START_TEST(wrong_tasks_are_refused)
{
	sf_auto_json sf_json *j = parse(task_rows[_i].task);
	struct ecs_task t = { 0 };
	struct sf_error err = { "" };

	ck_assert_int_eq(ecs_task_parse(j, task_rows[_i].container, &t, &err), -1);
	ck_assert_str_eq(err.text, task_rows[_i].message);
	ck_assert_ptr_null(t.arn);
}
END_TEST

START_TEST(failures)
{
	sf_auto_json sf_json *capacity = parse("{\"reason\":\"Capacity is unavailable\\u001b at this time\"}");
	sf_auto_json sf_json *missing = parse("{\"arn\":\"a/b\",\"reason\":\"MISSING\",\"detail\":\"d\"}");
	sf_auto_json sf_json *odd = parse("[]");
	sf_auto_ecs_failure struct ecs_failure a = { 0 }, b = { 0 };
	struct ecs_failure none;
	struct sf_error err = { "" };

	ck_assert_int_eq(ecs_failure_parse(capacity, &a, &err), 0);
	ck_assert_ptr_null(a.arn);
	ck_assert_str_eq(a.reason, "Capacity is unavailable? at this time");
	ck_assert_ptr_null(a.detail);
	ck_assert_int_eq(ecs_failure_parse(missing, &b, &err), 0);
	ck_assert_str_eq(b.arn, "a/b");
	ck_assert_str_eq(b.reason, "MISSING");
	ck_assert_str_eq(b.detail, "d");
	ck_assert_int_eq(ecs_failure_parse(odd, &none, &err), -1);
	ck_assert_str_eq(err.text, "an element of failures that is not an object");
}
END_TEST

#define LOG(options) "\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{" options "}}"
#define GOOD_LOG LOG("\"awslogs-group\":\"/hpc\",\"awslogs-stream-prefix\":\"job\"")
#define TD(rest, containers)                                                                                          \
	"{\"taskDefinition\":{\"taskDefinitionArn\":\"arn:aws:ecs:r:1:task-definition/slurm-job:7\",\"family\":"       \
	"\"slurm-job\",\"status\":\"ACTIVE\"," rest ",\"containerDefinitions\":[" containers "]}}"
#define SIZE "\"cpu\":\"256\",\"memory\":\"512\""
#define FARGATE "\"networkMode\":\"awsvpc\"," SIZE ",\"compatibilities\":[\"EC2\",\"FARGATE\"]"
#define MAIN(rest) "{\"name\":\"main\"," rest "}"

static struct ecs_definition definition(const char *text, const char *container)
{
	sf_auto_json sf_json *j = parse(text);
	struct ecs_definition def = { 0 };
	struct sf_error err = { "" };

	ck_assert_msg(ecs_definition_parse(j, container, &def, &err) == 0, "%s", err.text);
	return def;
}

START_TEST(a_plain_definition)
{
	sf_auto_ecs_definition struct ecs_definition def = definition(TD(FARGATE, MAIN(GOOD_LOG)), NULL);
	sf_auto_free char *stream = ecs_log_stream(&def, "0123");

	ck_assert_str_eq(def.arn, "arn:aws:ecs:r:1:task-definition/slurm-job:7");
	ck_assert_str_eq(def.family, "slurm-job");
	ck_assert_str_eq(def.status, "ACTIVE");
	ck_assert_str_eq(def.container, "main");
	ck_assert(!def.shell_entrypoint);
	ck_assert_uint_eq(def.container_cpu, 0);
	ck_assert_uint_eq(def.container_mem_mib, 0);
	ck_assert_str_eq(def.log_group, "/hpc");
	ck_assert_str_eq(def.log_prefix, "job");
	ck_assert_ptr_null(def.log_region);
	ck_assert_uint_eq(def.storage_gib, 0);
	ck_assert_ptr_null(def.log_mode);
	ck_assert_str_eq(stream, "job/main/0123");
}
END_TEST

/* What a container may have besides: its command is replaced, the rest is the image's business. */
#define RICH                                                                                                          \
	",\"command\":[\"x\"],\"user\":\"1000:1000\",\"readonlyRootFilesystem\":true,\"dependsOn\":[{\"containerName\":"     \
	"\"side\",\"condition\":\"HEALTHY\"}],\"healthCheck\":{\"command\":[\"CMD\",\"true\"]},\"workingDirectory\":\"/w\","  \
	"\"environment\":[{\"name\":\"TMPDIR\",\"value\":\"/x\"}],\"secrets\":[{\"name\":\"PASSWORD\",\"valueFrom\":\"a\"}]," \
	"\"restartPolicy\":{\"enabled\":false},\"pseudoTerminal\":false"

START_TEST(a_rich_definition)
{
	sf_auto_ecs_definition struct ecs_definition def = definition(
		TD("\"networkMode\":\"awsvpc\",\"requiresCompatibilities\":[\"FARGATE\"]," SIZE ",\"ephemeralStorage\":{\"sizeInGiB\":50},"
		   "\"runtimePlatform\":{\"cpuArchitecture\":\"ARM64\",\"operatingSystemFamily\":\"LINUX\"}",
		   "{\"name\":\"side\",\"essential\":false,\"cpu\":64,\"memoryReservation\":128},"
		   "{\"name\":\"side2\",\"essential\":false,\"cpu\":32,\"memory\":100,\"memoryReservation\":50}," MAIN(
			   "\"essential\":true,\"entryPoint\":[\"/bin/sh\",\"-c\"],\"cpu\":128,\"memory\":256," LOG(
				   "\"awslogs-group\":\"/hpc\",\"awslogs-stream-prefix\":\"job\",\"awslogs-region\":\"r\","
				   "\"mode\":\"blocking\"") RICH)),
		"main");

	ck_assert(def.shell_entrypoint);
	ck_assert_uint_eq(def.container_cpu, 128);
	ck_assert_uint_eq(def.container_mem_mib, 256);
	ck_assert_uint_eq(def.others_cpu, 96);
	ck_assert_uint_eq(def.others_mem_mib, 228);
	ck_assert_str_eq(def.log_region, "r");
	ck_assert_uint_eq(def.storage_gib, 50);
	ck_assert_str_eq(def.log_mode, "blocking");
}
END_TEST

START_TEST(an_empty_entrypoint_is_none)
{
	sf_auto_ecs_definition struct ecs_definition def = definition(TD(FARGATE, MAIN("\"entryPoint\":[]," GOOD_LOG)), "main");

	ck_assert(!def.shell_entrypoint);
}
END_TEST

#define LOG_IN(region) LOG("\"awslogs-group\":\"/hpc\",\"awslogs-stream-prefix\":\"job\",\"awslogs-region\":\"" region "\"")
#define W "task definition slurm-job:7: "
#define WM W "container 'main': "
static const struct {
	const char *text, *container, *message;
} refuse_rows[] = {
	{ "{}", NULL, "DescribeTaskDefinition's answer: member 'taskDefinitionArn' is missing or not a string" },
	{ TD(FARGATE, MAIN(GOOD_LOG)), "job", W "it has no container 'job', only main" },
	{ TD(FARGATE, MAIN(GOOD_LOG) ",{\"name\":\"b\\u001b\"}"), "job", W "it has no container 'job', only main, b?" },
	{ TD(FARGATE, MAIN(GOOD_LOG) ",{\"name\":\"b\"}"), NULL, W "it has 2 containers (main, b); name ours with Container=" },
	{ TD(FARGATE, ""), NULL, W "it has no container" },
	{ TD(FARGATE, "{}"), NULL, W "container 1: member 'name' is missing or not a string" },
	{ TD(FARGATE, MAIN("\"entryPoint\":[\"/bin/bash\",\"-c\"]," GOOD_LOG)), NULL,
	  WM "its entryPoint is [\"/bin/bash\",\"-c\"]; it must be absent or [\"/bin/sh\",\"-c\"]" },
	{ TD(FARGATE, MAIN("\"entryPoint\":[\"/bin/sh\"]," GOOD_LOG)), NULL,
	  WM "its entryPoint is [\"/bin/sh\"]; it must be absent or [\"/bin/sh\",\"-c\"]" },
	{ TD(FARGATE, MAIN(GOOD_LOG) ",{\"name\":\"b\"}"), "main", WM "container 'b' is essential too; only ours may be" },
	{ TD(FARGATE, MAIN("\"essential\":false," GOOD_LOG)), NULL, WM "it is not essential; set essential to true" },
	{ TD(FARGATE, MAIN("\"cpu\":-1," GOOD_LOG)), NULL, WM "cpu is -1" },
	{ TD(FARGATE, "{\"name\":\"main\"}"), NULL, WM "it has no logConfiguration; the job's output needs logDriver awslogs" },
	{ TD(FARGATE, MAIN("\"logConfiguration\":{\"logDriver\":\"splunk\"}")), NULL,
	  WM "its logDriver is 'splunk'; the job's output needs awslogs" },
	{ TD(FARGATE, MAIN(LOG("\"awslogs-stream-prefix\":\"job\""))), NULL, WM "its log options have no awslogs-group" },
	{ TD(FARGATE, MAIN(LOG("\"awslogs-group\":\"/hpc\""))), NULL,
	  WM "its log options have no awslogs-stream-prefix; without it the log of a task cannot be found" },
	{ TD(FARGATE, MAIN(LOG_IN("eu-north-1"))), NULL,
	  WM "its log goes to region eu-north-1, but the task runs in r and its log is read there; set awslogs-region to r" },
	{ TD(FARGATE, MAIN("\"pseudoTerminal\":true," GOOD_LOG)), NULL,
	  WM "its pseudoTerminal is true; the job's output needs two plain streams, remove it" },
	{ TD(FARGATE, MAIN("\"restartPolicy\":{\"enabled\":true}," GOOD_LOG)), NULL,
	  WM "its restartPolicy is enabled; it would run the job again and again, remove it" },
	{ TD(FARGATE, MAIN("\"environment\":[{\"name\":\"A\"},{\"name\":\"SF_NONCE\",\"value\":\"x\"}]," GOOD_LOG)), NULL,
	  WM "its environment has SF_NONCE; names that begin with SF_ belong to slurm-fargate" },
	{ TD(FARGATE, MAIN("\"secrets\":[{\"name\":\"SF_\\u001b\",\"valueFrom\":\"x\"}]," GOOD_LOG)), NULL,
	  WM "its secrets has SF_?; names that begin with SF_ belong to slurm-fargate" },
	{ TD(FARGATE ",\"status\":\"INACTIVE\"", MAIN(GOOD_LOG)), NULL, W "it is INACTIVE; name a revision that is registered" },
	{ TD(FARGATE ",\"status\":\"DELETE_IN_PROGRESS\"", MAIN(GOOD_LOG)), NULL,
	  W "it is DELETE_IN_PROGRESS; name a revision that is registered" },
	{ TD(FARGATE ",\"runtimePlatform\":{\"operatingSystemFamily\":\"WINDOWS_SERVER_2019_CORE\"}", MAIN(GOOD_LOG)), NULL,
	  W "its operatingSystemFamily is WINDOWS_SERVER_2019_CORE; batch scripts need LINUX" },
	{ TD("\"networkMode\":\"awsvpc\",\"compatibilities\":[\"FARGATE\"],\"cpu\":\"256\"", MAIN(GOOD_LOG)), NULL,
	  W "it has no cpu and memory of the task; register it with both, the job's size then takes their place" },
	{ TD(FARGATE ",\"ephemeralStorage\":{\"sizeInGiB\":\"x\"}", MAIN(GOOD_LOG)), NULL,
	  W "ephemeralStorage: member 'sizeInGiB' is missing or not an integer" },
	{ TD("\"networkMode\":\"bridge\"", MAIN(GOOD_LOG)), NULL, W "its networkMode is bridge; Fargate needs awsvpc" },
	{ TD("\"x\":1", MAIN(GOOD_LOG)), NULL, W "its networkMode is not set; Fargate needs awsvpc" },
	{ TD("\"pidMode\":\"task\"," FARGATE, MAIN(GOOD_LOG)), NULL,
	  W "its pidMode is task; the job's container needs its own processes, remove pidMode" },
	{ TD("\"networkMode\":\"awsvpc\",\"compatibilities\":[\"EC2\"]", MAIN(GOOD_LOG)), NULL,
	  W "it is not made for FARGATE; register it with requiresCompatibilities FARGATE" },
};

START_TEST(definitions_are_refused_in_words)
{
	sf_auto_json sf_json *j = parse(refuse_rows[_i].text);
	struct ecs_definition def = { 0 };
	struct sf_error err = { "" };

	ck_assert_int_eq(ecs_definition_parse(j, refuse_rows[_i].container, &def, &err), -1);
	ck_assert_str_eq(err.text, refuse_rows[_i].message);
	ck_assert_ptr_null(def.arn);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ describe_and_list_bodies, 0 },
		{ list_body, SF_COUNT(list_rows) },
		{ stop_body_cuts_the_reason_at_a_character, 0 },
		{ list_answers, 0 },
		{ a_stopped_task, 0 },
		{ a_short_answer_has_little, 0 },
		{ exit_codes_are_never_made_up, SF_COUNT(exit_rows) },
		{ wrong_tasks_are_refused, SF_COUNT(task_rows) },
		{ failures, 0 },
		{ a_plain_definition, 0 },
		{ a_rich_definition, 0 },
		{ an_empty_entrypoint_is_none, 0 },
		{ definitions_are_refused_in_words, SF_COUNT(refuse_rows) },
	};

	return tap_main("ecs", tests, SF_COUNT(tests));
}
