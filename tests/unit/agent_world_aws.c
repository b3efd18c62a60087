/* The world's AWS: tasks and logs in memory behind the agent's function table, every call recorded byte for byte. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/base/json.h"
#include "tests/unit/agent_world.h"

#define SCRIPTED_MAX 64

void (*aws_watcher)(const struct aws_seen *call);
size_t aws_page = 100;
bool aws_offline;
double aws_limit[2] = { 4000, 4000 };
const char *aws_usage = "";

static struct aws_seen *seen, **seen_tail = &seen;
static struct fake_task *tasks;
static size_t n_tasks;
static struct fake_answer scripted[SCRIPTED_MAX];
static size_t n_scripted;
static bool held[AWS_OP_COUNT];

/* --- the table ---------------------------------------------------------------------------------------------------- */
static int take_call(void *ctx, const char *profile, const char *region, enum aws_op op, const char *body, aws_reply_cb cb,
		     void *arg, struct sf_error *err)
{
	struct aws_seen *c;

	(void)ctx;
	ck_assert_ptr_null(profile);
	if (op != AWS_OP_PUBLISH) /* a topic has a Region of its own */
		ck_assert_str_eq(region, "eu-west-1");
	if (aws_offline)
		return sf_err(err, "no credentials");
	c = calloc(1, sizeof(*c));
	*c = (struct aws_seen){ .op = op, .body = strdup(body), .at = world_now, .cb = cb, .arg = arg };
	sf_copy(c->region, sizeof(c->region), region);
	*seen_tail = c;
	seen_tail = &c->next;
	if (aws_watcher)
		aws_watcher(c);
	return 0;
}

static int64_t now_ms(void *ctx)
{
	(void)ctx;
	return world_now;
}

/* In the place of common/aws/api.c. */
int aws_api_real(struct aws_http *http, struct aws_api *out, struct sf_error *err)
{
	(void)http;
	(void)err;
	*out = (struct aws_api){ .call = take_call, .now_ms = now_ms };
	return 0;
}

void aws_api_real_free(struct aws_api *api)
{
	(void)api;
}

/* --- what the tests see -------------------------------------------------------------------------------------------- */
size_t aws_count(enum aws_op op)
{
	const struct aws_seen *c;
	size_t n = 0;

	for (c = seen; c; c = c->next)
		n += c->op == op;
	return n;
}

const struct aws_seen *aws_nth(enum aws_op op, size_t n)
{
	const struct aws_seen *c;

	for (c = seen; c; c = c->next)
		if (c->op == op && n-- == 0)
			return c;
	ck_abort_msg("AWS never saw that call of %s", aws_op_name(op));
	return NULL;
}

const char *aws_body(enum aws_op op, size_t n)
{
	return aws_nth(op, n)->body;
}

void aws_script(struct fake_answer answer)
{
	ck_assert_uint_lt(n_scripted, SCRIPTED_MAX);
	if (!answer.times)
		answer.times = 1;
	if (!answer.http)
		answer.http = answer.code ? 400 : 200;
	scripted[n_scripted++] = answer;
}

void aws_hold(enum aws_op op, bool hold)
{
	held[op] = hold;
}

void aws_forget_calls(void)
{
	struct aws_seen *c;

	for (c = seen; c; c = c->next)
		c->answered = true;
}

size_t aws_tasks(void)
{
	return n_tasks;
}

struct fake_task *aws_task(size_t n)
{
	struct fake_task *t;
	size_t skip;

	ck_assert_msg(n < n_tasks, "AWS has only %zu tasks", n_tasks);
	for (t = tasks, skip = n_tasks - 1 - n; skip; skip--)
		t = t->next;
	return t;
}

void aws_status(struct fake_task *t, const char *last)
{
	t->last = last;
}

void aws_running(struct fake_task *t)
{
	t->last = "RUNNING";
	t->started = true;
}

void aws_exit(struct fake_task *t, int code)
{
	t->last = t->desired = "STOPPED";
	t->stop_code = "EssentialContainerExited";
	t->stopped_reason = "Essential container in task exited";
	t->started = t->has_exit = true;
	t->exit_code = code;
}

void aws_stopped(struct fake_task *t, const char *stop_code, const char *reason)
{
	t->last = t->desired = "STOPPED";
	t->stop_code = stop_code;
	t->stopped_reason = reason;
}

void aws_log(struct fake_task *t, const char *line)
{
	sf_strv_add(&t->log, line);
}

void aws_nonce(const struct fake_task *t, char out[17])
{
	const char *at = strstr(t->body, "{\"name\":\"SF_NONCE\",\"value\":\"");

	ck_assert_ptr_nonnull(at);
	sf_copy(out, 17, at + strlen("{\"name\":\"SF_NONCE\",\"value\":\""));
}

void aws_log_end(struct fake_task *t, int rc)
{
	char nonce[17], line[64];

	aws_nonce(t, nonce);
	snprintf(line, sizeof(line), "o%s end %d", nonce, rc);
	aws_log(t, line);
	line[0] = 'e';
	aws_log(t, line);
}

/* --- what AWS does ------------------------------------------------------------------------------------------------- */
struct made {
	int http;
	const char *code, *message;
	sf_json *body;
};

static void set_opt(sf_json *o, const char *key, const char *value)
{
	if (value)
		sf_json_set_str(o, key, value);
}

/* As the request says. */
static void set_asked(sf_json *o, const struct fake_task *t, const char *key)
{
	char head[32], value[160];
	const char *at;

	snprintf(head, sizeof(head), "\"%s\":\"", key);
	at = strstr(t->body, head);
	if (!at)
		return;
	at += strlen(head);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(at, "\""), at);
	sf_json_set_str(o, key, value);
}

static sf_json *task_json(const struct fake_task *t)
{
	sf_json *o = sf_json_new_object(), *c = sf_json_new_object(), *list = sf_json_new_array();
	char arn[160];

	snprintf(arn, sizeof(arn), "arn:aws:ecs:eu-west-1:123456789012:task/" CLUSTER "/%s", t->id);
	sf_json_set_str(o, "taskArn", arn);
	set_opt(o, "lastStatus", t->last);
	set_opt(o, "desiredStatus", t->desired);
	set_opt(o, "stopCode", t->stop_code);
	set_opt(o, "stoppedReason", t->stopped_reason);
	sf_json_set_str(o, "launchType", "FARGATE");
	if (strstr(t->body, "\"capacityProvider\":\"FARGATE_SPOT\""))
		sf_json_set_str(o, "capacityProviderName", "FARGATE_SPOT");
	sf_json_set_str(o, "availabilityZone", "eu-west-1a");
	sf_json_set_int(o, "createdAt", t->created / 1000);
	set_asked(o, t, "group");
	set_asked(o, t, "startedBy");
	if (t->pull_started)
		sf_json_set_int(o, "pullStartedAt", t->pull_started);
	if (t->started)
		sf_json_set_int(o, "startedAt", t->created / 1000 + 1);
	sf_json_set_str(c, "name", "main");
	set_opt(c, "reason", t->container_reason);
	if (t->has_exit)
		sf_json_set_int(c, "exitCode", t->exit_code);
	sf_json_add(list, c);
	sf_json_set(o, "containers", list);
	return o;
}

static sf_json *wrapped(const char *key, sf_json *value)
{
	sf_json *o = sf_json_new_object(), *list = sf_json_new_array();

	if (value)
		sf_json_add(list, value);
	sf_json_set(o, key, list);
	return o;
}

static struct fake_task *new_task(const char *token, const char *body)
{
	struct fake_task *t = calloc(1, sizeof(*t));

	snprintf(t->id, sizeof(t->id), "%032zx", n_tasks + 0xabc0);
	t->token = strdup(token);
	t->body = strdup(body);
	t->last = "PROVISIONING";
	t->desired = "RUNNING";
	t->created = world_now;
	t->next = tasks;
	tasks = t;
	n_tasks++;
	return t;
}

struct fake_task *aws_made(const char *started_by, const char *group, int64_t age_s)
{
	struct fake_task *t;
	char body[512];
	size_t n = (size_t)snprintf(body, sizeof(body), "{\"cluster\":\"" CLUSTER "\",\"taskDefinition\":\"slurm-job:7\"");

	if (started_by)
		n += (size_t)snprintf(body + n, sizeof(body) - n, ",\"startedBy\":\"%s\"", started_by);
	if (group)
		n += (size_t)snprintf(body + n, sizeof(body) - n, ",\"group\":\"%s\"", group);
	snprintf(body + n, sizeof(body) - n, "}");
	t = new_task("", body);
	t->created = world_now - age_s * 1000;
	return t;
}

static struct made run_task(const char *text, sf_json *in)
{
	const char *token = sf_json_str(in, "clientToken");
	struct fake_task *t;

	ck_assert_ptr_nonnull(token);
	for (t = tasks; t && strcmp(t->token, token) != 0; t = t->next)
		;
	if (t && strcmp(t->body, text) != 0)
		return (struct made){ 400, "ConflictException", "clientToken was used with other parameters",
				      wrapped("resourceIds", NULL) };
	return (struct made){ 200, NULL, NULL, wrapped("tasks", task_json(t ? t : new_task(token, text))) };
}

static struct fake_task *task_of(const char *id)
{
	struct fake_task *t;

	for (t = tasks; t && strcmp(t->id, ecs_id_of(id)) != 0; t = t->next)
		;
	return t && !t->missing ? t : NULL;
}

static struct made describe_tasks(const char *text, sf_json *in)
{
	sf_json *ids = sf_json_array(in, "tasks"), *out = sf_json_new_object(), *found = sf_json_new_array(),
		*failures = sf_json_new_array();
	struct fake_task *t;
	sf_json *f;
	size_t i;

	(void)text;
	ck_assert_uint_le(sf_json_len(ids), 100);
	for (i = 0; i < sf_json_len(ids); i++) {
		t = task_of(sf_json_string(sf_json_at(ids, i)));
		if (t) {
			sf_json_add(found, task_json(t));
			continue;
		}
		f = sf_json_new_object();
		sf_json_set_str(f, "arn", sf_json_string(sf_json_at(ids, i)));
		sf_json_set_str(f, "reason", "MISSING");
		sf_json_add(failures, f);
	}
	sf_json_set(out, "tasks", found);
	sf_json_set(out, "failures", failures);
	return (struct made){ 200, NULL, NULL, out };
}

static struct made stop_task(const char *text, sf_json *in)
{
	struct fake_task *t = task_of(sf_json_str(in, "task"));
	sf_json *out = sf_json_new_object();

	(void)text;
	if (!t)
		return (struct made){ 400, "InvalidParameterException", "The referenced task was not found.", out };
	t->desired = "STOPPED";
	if (!t->stop_code) {
		t->stop_code = "UserInitiated";
		t->stopped_reason = "stopped";
	}
	sf_json_set(out, "task", task_json(t));
	return (struct made){ 200, NULL, NULL, out };
}

static struct made list_tasks(const char *text, sf_json *in)
{
	(void)text;
	return (struct made){ 200, NULL, NULL, world_list_tasks(in) };
}

#define DEFINITION_JSON                                                                                                          \
	"{\"taskDefinition\":{\"taskDefinitionArn\":\"" DEFINITION "\",\"family\":\"slurm-job\",\"revision\":7,\"status\":"      \
	"\"ACTIVE\",\"networkMode\":\"awsvpc\",\"cpu\":\"256\",\"memory\":\"512\",\"compatibilities\":[\"EC2\",\"FARGATE\"],\"containerDefinitions\":[{\"name\":"   \
	"\"main\",\"image\":\"img\",\"essential\":true,\"logConfiguration\":{\"logDriver\":\"awslogs\",\"options\":{"            \
	"\"awslogs-group\":\"/"                                                                                                  \
	"slurm\",\"awslogs-stream-prefix\":\"job\",\"awslogs-region\":\"eu-west-1\",\"mode\":\"blocking\"}}}]}}"

const char *aws_definition;

static sf_json *parsed(const char *text)
{
	sf_json *j = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_json_parse(text, strlen(text), &j, &err) == 0, "%s", err.text);
	return j;
}

static struct made describe_definition(const char *text, sf_json *in)
{
	sf_json *out = parsed(aws_definition ? aws_definition : DEFINITION_JSON);
	const char *name = sf_json_str(in, "taskDefinition");
	char arn[512];

	ck_assert_msg(name != NULL, "%s", text);
	if (!aws_definition && strcmp(name, "slurm-job") != 0) {
		snprintf(arn, sizeof(arn), "arn:aws:ecs:eu-west-1:123456789012:task-definition/%s%s", name, strchr(name, ':') ? "" : ":7");
		sf_json_set_str(sf_json_object(out, "taskDefinition"), "taskDefinitionArn", arn);
	}
	return (struct made){ 200, NULL, NULL, out };
}

static struct made get_log_events(const char *text, sf_json *in)
{
	const char *token = sf_json_str(in, "nextToken"), *stream = sf_json_str(in, "logStreamName");
	size_t from = token ? strtoul(token + 2, NULL, 10) : 0, i, all;
	sf_json *out, *events, *e;
	struct fake_task *t;
	char next[32];

	(void)text;
	ck_assert_str_eq(sf_json_str(in, "logGroupName"), "/slurm");
	ck_assert_int_eq(strncmp(stream, "job/main/", 9), 0);
	t = task_of(stream + 9);
	if (!t || !t->log)
		return (struct made){ 400, "ResourceNotFoundException", "The specified log stream does not exist.", NULL };
	out = sf_json_new_object();
	events = sf_json_new_array();
	all = sf_strv_len(t->log);
	for (i = from; i < all && i < from + aws_page; i++) {
		e = sf_json_new_object();
		sf_json_set_str(e, "message", t->log[i]);
		sf_json_set_int(e, "timestamp", world_now);
		sf_json_add(events, e);
	}
	snprintf(next, sizeof(next), "f/%08zu", i);
	sf_json_set(out, "events", events);
	sf_json_set_str(out, "nextForwardToken", next);
	return (struct made){ 200, NULL, NULL, out };
}

static struct made publish(const char *text, sf_json *in)
{
	(void)in;
	ck_assert_ptr_nonnull(strstr(text, "Action=Publish&Version=2010-03-31&TopicArn="));
	return (struct made){ 200, NULL, NULL, NULL };
}

static struct made limit_answer(const char *text, double vcpu)
{
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"Quota\":{\"QuotaArn\":\"arn:aws:servicequotas:eu-west-1:123456789012:fargate/L-1\",\"ServiceCode\":\"fargate\","
		 "\"Value\":%g}}", vcpu);
	ck_assert_ptr_nonnull(strstr(text, "\"ServiceCode\":\"fargate\""));
	return (struct made){ 200, NULL, NULL, parsed(body) };
}

static struct made get_limit(const char *text, sf_json *in)
{
	double vcpu = aws_limit[strcmp(sf_json_str(in, "QuotaCode"), "L-36FBB829") == 0];

	if (vcpu < 0)
		return (struct made){ 400, "NoSuchResourceException", "The request failed because the specified quota does not exist.", NULL };
	return limit_answer(text, vcpu);
}

static struct made get_default(const char *text, sf_json *in)
{
	(void)in;
	return limit_answer(text, 6);
}

static struct made get_usage(const char *text, sf_json *in)
{
	(void)in;
	ck_assert_ptr_nonnull(strstr(text, "Action=GetMetricStatistics&"));
	return (struct made){ 200, NULL, NULL, NULL };
}

static bool is_query(enum aws_op op)
{
	return op == AWS_OP_PUBLISH || op == AWS_OP_GET_METRIC_STATISTICS;
}

static struct aws_xml *usage_xml(void)
{
	struct aws_xml *out = NULL;
	struct sf_error err = { "" };
	char text[8192];

	snprintf(text, sizeof(text), "<GetMetricStatisticsResponse><GetMetricStatisticsResult><Datapoints>%s</Datapoints>"
		 "</GetMetricStatisticsResult></GetMetricStatisticsResponse>", aws_usage);
	ck_assert_msg(aws_xml_parse(text, strlen(text), &out, &err) == 0, "%s", err.text);
	return out;
}

static struct made (*const doers[AWS_OP_COUNT])(const char *text, sf_json *in) = {
	[AWS_OP_RUN_TASK] = run_task,
	[AWS_OP_DESCRIBE_TASKS] = describe_tasks,
	[AWS_OP_STOP_TASK] = stop_task,
	[AWS_OP_LIST_TASKS] = list_tasks,
	[AWS_OP_DESCRIBE_TASK_DEFINITION] = describe_definition,
	[AWS_OP_GET_LOG_EVENTS] = get_log_events,
	[AWS_OP_PUBLISH] = publish,
	[AWS_OP_GET_SERVICE_QUOTA] = get_limit,
	[AWS_OP_GET_DEFAULT_QUOTA] = get_default,
	[AWS_OP_GET_METRIC_STATISTICS] = get_usage,
};

static bool next_scripted(enum aws_op op, struct fake_answer *out)
{
	size_t i;

	for (i = 0; i < n_scripted; i++)
		if (scripted[i].op == op && scripted[i].times > 0) {
			scripted[i].times--;
			*out = scripted[i];
			return true;
		}
	return false;
}

static void answer(struct aws_seen *c)
{
	sf_auto_json sf_json *in = is_query(c->op) ? NULL : parsed(c->body);
	aws_auto_xml struct aws_xml *xml = c->op == AWS_OP_GET_METRIC_STATISTICS ? usage_xml() : NULL;
	sf_auto_json sf_json *body = NULL;
	struct fake_answer a = { 0 };
	struct made m = { 0 };
	bool mine = !next_scripted(c->op, &a);
	struct aws_reply r = { .op = c->op };

	if (mine || a.effect)
		m = doers[c->op](c->body, in);
	if (!mine && !a.transport) {
		sf_json_free(m.body);
		m = (struct made){ a.http, a.code, a.message, a.body ? parsed(a.body) : NULL };
	}
	body = m.body;
	if (!mine && a.transport) {
		r.transport_failed = true;
		r.sent = !a.unsent;
		r.error = "https://ecs: connection reset";
	} else {
		r.http = m.http;
		r.ok = m.http < 300;
		r.code = m.code;
		r.message = m.message;
		r.body = body;
		r.xml = r.ok ? xml : NULL;
	}
	c->cb(c->arg, &r);
}

void aws_deliver(void)
{
	struct aws_seen *c;

	for (c = seen; c; c = c->next)
		if (!c->answered && !held[c->op]) {
			c->answered = true;
			answer(c);
		}
}
