/* How a signal from AWS becomes a class: the one table. Nothing else compares AWS's texts. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/verdict.h"

#include <string.h>

#include "common/base/util.h"
#include "common/base/verdict_rules.h"

#define TEXTS_MAX 16

/* What a signal is, as far as it is no text. A rule holds when all of its facts do. */
enum fact {
	READ = 1 << 0,        /* answer: of Describe*, List*, Get* */
	MODIFY = 1 << 1,      /* answer: of everything else */
	TRANSPORT = 1 << 2,   /* answer: there is none */
	HTTP_AGAIN = 1 << 3,  /* answer: 429 or 5xx */
	OWN_STOP = 1 << 4,    /* task: we stopped it */
	UNSTARTED = 1 << 5,   /* task: our container never ran */
	NO_START = 1 << 6,    /* task: it never ran, or AWS says that it failed to start */
	BOOTSTRAP = 1 << 7,   /* task: our bootstrap reported a failure */
	NOT_ZERO = 1 << 8,    /* task: the exit code is absent or not 0 */
	EXIT_COUNTS = 1 << 9, /* task: the exit code may be believed */
	EXIT_EARLY = 1 << 10, /* task: there is an exit code, but not yet a word on why it stops */
	NO_EXIT = 1 << 11,    /* task: no exit code */
};

static const struct {
	unsigned facts;
	const char *words, *alone; /* with texts, and without */
} fact_words[] = {
	{ READ, "a call that only reads", "any other call that only reads" },
	{ MODIFY, "a call that changes something", "any other call that changes something" },
	{ TRANSPORT, NULL, "a call without any answer" },
	{ HTTP_AGAIN, NULL, "HTTP 429 or 5xx" },
	{ OWN_STOP, NULL, "a task that we stopped" },
	{ UNSTARTED, "a task that never ran", NULL },
	{ NO_START, "a task that failed to start", "any other task that failed to start" },
	{ BOOTSTRAP, NULL, "a task whose bootstrap reports a failure" },
	{ NOT_ZERO, "a task with an exit code other than 0, or with none", NULL },
	{ EXIT_COUNTS, NULL, "an exit code with stopCode EssentialContainerExited, or before there is any word of a stop" },
	{ EXIT_EARLY, NULL, "an exit code while the stopCode is still to come" },
	{ NO_EXIT, NULL, "any other task that has no exit code" },
};

/* The texts of a signal, and where a rule looks. */
enum field { FAILURE, CODE, MESSAGE, STOP_CODE, STOPPED, CONTAINER, FIELDS };
#define IN(field) (1U << (field))
#define WHO (IN(STOP_CODE) | IN(STOPPED))
#define WHY (IN(STOPPED) | IN(CONTAINER))

static const struct {
	unsigned fields;
	const char *words;
} field_words[] = {
	{ IN(FAILURE), "failures[].reason" },
	{ IN(CODE), "the exception's code" },
	{ IN(MESSAGE), "the exception's message" },
	{ IN(STOP_CODE), "stopCode" },
	{ IN(STOPPED), "stoppedReason" },
	{ IN(CONTAINER), "the container's reason" },
	{ WHO, "stopCode or stoppedReason" },
	{ WHY, "stoppedReason or the container's reason" },
};

/*
 * One rule: its facts hold, and one of `fields` (0 = texts do not matter) has one of `texts` and, if
 * there is one, `with`. Texts are lower-case with ASCII quotes here, and AWS's are made so before
 * they are compared.
 */
struct rule {
	enum sf_class class;
	unsigned facts;
	unsigned fields;
	const char *with;
	const char *texts[TEXTS_MAX];
};

#define WHEN(class, facts) { class, facts, 0, NULL, { NULL } }
#define TEXT(class, facts, fields, ...) { class, facts, fields, NULL, { __VA_ARGS__ } }
#define PAIR(class, facts, fields, with, ...) { class, facts, fields, with, { __VA_ARGS__ } }

/* clang-format off */
#define THROTTLING \
	"throttl", "requestlimitexceeded", "toomanyrequests", "throughputexceeded", \
	"transactioninprogress", "bandwidthlimitexceeded", "slowdown", "priorrequestnotcomplete", \
	"requesttimeout", "serverexception"
#define NO_ADDRESSES "insufficientfreeaddresses", "free addresses", "free ip addresses"
#define SPOT "spotinterruption", "terminationnotice", "your spot task was interrupted"
/* Spelled out: "not authorized to … on resource: arn:…" is no lack of capacity. */
#define RESOURCES \
	"resource:cpu", "resource:memory", "resource:eni", "resource:ports", "resource:gpu", \
	"resource:fargate"
#define PULL_AGAIN \
	"i/o timeout", ": eof", "unexpected eof", "toomanyrequests", "too many requests", \
	"tls handshake timeout", "connection reset", "503 service unavailable", \
	"502 bad gateway", "500 internal server error"
#define PULL_NEVER \
	"not found", "denied", "manifest", "platform", "unauthorized", "no basic auth", "forbidden"
#define START_AGAIN \
	"timeout waiting for network interface", "timeout waiting for ephemeralstorage", \
	"unexpected ec2 error while attempting to create network interface", \
	"rate limit exceeded while preparing network interface", \
	"containerruntimetimeouterror", "dockertimeouterror", "internal error.", "internalerror:"
#define START_NEVER "cannotstartcontainererror", "cannotcreatecontainererror", "cannotcreatevolumeerror"
#define RESOURCE_NEVER "secret", "registry auth", "log group", "logger args", "role", "efs"

/*
 * The first match wins; the last row of each half is what holds when none does, whatever its facts.
 * Sources: ECS API, "API failure reasons" and "Common errors"; ECS Developer Guide, "Stopped tasks
 * error codes" and "Service event messages".
 */

/* Answers of the API; an exception's code before the HTTP status. */
static const struct rule answer_rules[] = {
	TEXT(SF_CLASS_CAPACITY, MODIFY, IN(FAILURE), "capacity is unavailable", "resource:", NO_ADDRESSES),
	TEXT(SF_CLASS_QUOTA, MODIFY, IN(FAILURE), "number of vcpus", "number of tasks"),
	TEXT(SF_CLASS_QUOTA_SIZE, MODIFY, IN(FAILURE), "configuration is above your limit"),
	TEXT(SF_CLASS_START_TRANSIENT, MODIFY, IN(FAILURE), "internal error"),
	TEXT(SF_CLASS_CONFIG, MODIFY, IN(FAILURE), "currently blocked"),
	TEXT(SF_CLASS_UNKNOWN, READ, IN(FAILURE), "missing"),
	WHEN(SF_CLASS_THROTTLE, TRANSPORT),
	TEXT(SF_CLASS_THROTTLE, 0, IN(CODE), THROTTLING),
	TEXT(SF_CLASS_THROTTLE, 0, IN(MESSAGE), "rate exceeded", "request limit exceeded"),
	TEXT(SF_CLASS_CREDS, 0, IN(CODE), "expiredtoken", "unrecognizedclient", "invalidclienttokenid", "invalidsignature",
	     "signaturedoesnotmatch", "missingauthenticationtoken", "requestexpired"),
	TEXT(SF_CLASS_CREDS, READ, IN(CODE), "accessdenied"),
	TEXT(SF_CLASS_LAUNCHED, MODIFY, IN(CODE), "conflictexception"),
	TEXT(SF_CLASS_CAPACITY, MODIFY, IN(MESSAGE), "capacity is unavailable", NO_ADDRESSES),
	TEXT(SF_CLASS_QUOTA, MODIFY, IN(MESSAGE), "reached the limit on the number of"),
	TEXT(SF_CLASS_QUOTA_SIZE, MODIFY, IN(MESSAGE), "configuration is above your limit"),
	TEXT(SF_CLASS_QUOTA, MODIFY, IN(CODE), "limitexceeded"),
	TEXT(SF_CLASS_CONFIG, MODIFY, IN(CODE), "accessdenied", "clusternotfound", "invalidparameter", "clientexception",
	     "blocked", "platformunknown", "platformtaskdefinition", "unsupportedfeature"),
	WHEN(SF_CLASS_THROTTLE, HTTP_AGAIN),
	WHEN(SF_CLASS_THROTTLE, READ),
	WHEN(SF_CLASS_UNKNOWN_LAUNCH, MODIFY),
};

/* Ends of tasks: ours, Spot, infrastructure, others', start failures, OOM, exit code. */
static const struct rule task_rules[] = {
	WHEN(SF_CLASS_CANCELLED, OWN_STOP),
	TEXT(SF_CLASS_CAPACITY, UNSTARTED, WHO, SPOT),
	TEXT(SF_CLASS_PREEMPTED, 0, WHO, SPOT),
	TEXT(SF_CLASS_INFRA, 0, IN(STOPPED), "maintenance on the underlying infrastructure", "host ec2"),
	TEXT(SF_CLASS_EXTERNAL, 0, IN(STOP_CODE), "userinitiated"),
	WHEN(SF_CLASS_START_PERMANENT, BOOTSTRAP),
	/* What is launched again must never have run: the script would run twice within one start of the job. */
	TEXT(SF_CLASS_CAPACITY, UNSTARTED, IN(STOPPED), "capacity is unavailable", RESOURCES, NO_ADDRESSES),
	TEXT(SF_CLASS_START_TRANSIENT, UNSTARTED, WHY, START_AGAIN),
	PAIR(SF_CLASS_START_TRANSIENT, UNSTARTED, WHY, "cannotpull", PULL_AGAIN),
	PAIR(SF_CLASS_START_PERMANENT, NO_START, WHY, "cannotpull", PULL_NEVER),
	TEXT(SF_CLASS_START_PERMANENT, NO_START, WHY, START_NEVER),
	PAIR(SF_CLASS_START_PERMANENT, NO_START, WHY, "resourceinitializationerror", RESOURCE_NEVER),
	TEXT(SF_CLASS_OOM, NOT_ZERO, IN(CONTAINER), "outofmemoryerror"),
	WHEN(SF_CLASS_EXITED, EXIT_COUNTS),
	WHEN(SF_CLASS_RUNNING, EXIT_EARLY),
	WHEN(SF_CLASS_UNKNOWN_LAUNCH, NO_START),
	WHEN(SF_CLASS_INFRA, NO_EXIT),
	WHEN(SF_CLASS_UNKNOWN_END, 0),
};

#define HELD "held `launch failed requeued held` (BOOT_FAIL with --no-requeue)"
#define AGAIN "tried again within RetryMaxAttempts, then requeued with a delay, then held"
#define REQUEUED "requeued, FAILED with --no-requeue"
#define ANSWER SF_RULE_ANSWER
#define WAITS (SF_RULE_ANSWER | SF_RULE_UNDECIDED)
#define TASK SF_RULE_TASK

static const struct {
	const char *name;
	enum sf_action action;
	bool end;      /* of a task */
	bool fixed;    /* no FailureRule line changes it */
	unsigned uses; /* of a FailureRule line */
	const char *outcome, *when;
} classes[SF_CLASS_COUNT] = {
	[SF_CLASS_LAUNCHING] = { "launching", SF_ACT_NONE, false, true, 0,
		"CONFIGURING; without PrologSlurmctld RUNNING, with the phase in AdminComment",
		"lastStatus PROVISIONING, PENDING or ACTIVATING" },
	[SF_CLASS_RUNNING] = { "running", SF_ACT_NONE, false, true, 0, "RUNNING; the time limit counts",
		"lastStatus RUNNING, or startedAt" },
	[SF_CLASS_EXITED] = { "exited", SF_ACT_EXIT, true, false, 0, "COMPLETED or FAILED N:0", NULL },
	[SF_CLASS_OOM] = { "oom", SF_ACT_OOM, true, false, TASK, "OUT_OF_MEMORY", NULL },
	[SF_CLASS_THROTTLE] = { "throttle", SF_ACT_WAIT, false, false, WAITS, "nothing, asked again", NULL },
	[SF_CLASS_CREDS] = { "creds", SF_ACT_WAIT, false, false, WAITS, "waits and says so", NULL },
	[SF_CLASS_CAPACITY] = { "capacity", SF_ACT_RELAUNCH, true, false, ANSWER | SF_RULE_UNSTARTED,
		"next subnet, then next provider; a whole round is one attempt", NULL },
	[SF_CLASS_QUOTA] = { "quota", SF_ACT_WAIT, false, false, ANSWER, "waits, asks again when a vCPU comes free", NULL },
	[SF_CLASS_QUOTA_SIZE] = { "quota-size", SF_ACT_HOLD, true, false, ANSWER | TASK, HELD, NULL },
	[SF_CLASS_START_TRANSIENT] = { "start-transient", SF_ACT_RELAUNCH, true, false, ANSWER | SF_RULE_UNSTARTED, AGAIN, NULL },
	[SF_CLASS_START_PERMANENT] = { "start-permanent", SF_ACT_HOLD, true, false, ANSWER | TASK, HELD, NULL },
	[SF_CLASS_CONFIG] = { "config", SF_ACT_HOLD, true, false, ANSWER | TASK, HELD, NULL },
	[SF_CLASS_LAUNCHED] = { "launched", SF_ACT_NONE, false, true, 0, "the task that exists is taken", NULL },
	[SF_CLASS_PREEMPTED] = { "preempted", SF_ACT_REQUEUE, true, false, TASK, REQUEUED, NULL },
	[SF_CLASS_INFRA] = { "infra", SF_ACT_REQUEUE, true, false, TASK, REQUEUED, NULL },
	[SF_CLASS_CANCELLED] = { "cancelled", SF_ACT_LEAVE, true, true, 0, "what Slurm decided", NULL },
	[SF_CLASS_EXTERNAL] = { "external", SF_ACT_FAIL, true, false, 0, "FAILED 1:0", NULL },
	[SF_CLASS_UNKNOWN] = { "unknown", SF_ACT_WAIT, false, true, 0, "asked again for 2 minutes, then infra", NULL },
	[SF_CLASS_UNKNOWN_LAUNCH] = { "unknown-launch", SF_ACT_HOLD, true, false, 0, HELD, NULL },
	[SF_CLASS_UNKNOWN_END] = { "unknown-end", SF_ACT_FAIL, true, false, 0, "FAILED 1:0", NULL },
	[SF_CLASS_STUCK] = { "stuck", SF_ACT_RELAUNCH, true, false, 0, AGAIN,
		"no pull within StartTimeout of createdAt, or not running within PullTimeout of the pull's start" },
};

static const struct {
	const char *part; /* of a code, in lower case */
	enum sf_code meaning;
} codes[] = {
	{ "expiredtoken", SF_CODE_KEYS },
	{ "unrecognizedclient", SF_CODE_KEYS },
	{ "invalidclienttokenid", SF_CODE_KEYS }, /* STS's and SNS's names of the two */
	{ "invalidsignature", SF_CODE_CLOCK },
	{ "signaturedoesnotmatch", SF_CODE_CLOCK },
	{ "resourcenotfound", SF_CODE_ABSENT },
	{ "nosuchresource", SF_CODE_ABSENT }, /* Service Quotas: no value of this account's own */
};

static const struct {
	const char *status;
	enum sf_phase phase;
} statuses[] = {
	{ "PROVISIONING", SF_PHASE_PROVISIONING },
	{ "PENDING", SF_PHASE_PENDING },
	{ "ACTIVATING", SF_PHASE_ACTIVATING },
	{ "RUNNING", SF_PHASE_RUNNING },
	{ "DEACTIVATING", SF_PHASE_STOPPING },
	{ "STOPPING", SF_PHASE_STOPPING },
	{ "DEPROVISIONING", SF_PHASE_STOPPING },
	/* Only these two tell that nothing will change any more; before them an exit code may still appear. */
	{ "STOPPED", SF_PHASE_DONE },
	{ "DELETED", SF_PHASE_DONE },
};
/* clang-format on */

/* A signal made ready for the table; an absent text is an empty one, which holds no text of a rule. */
struct signal {
	unsigned facts;
	char texts[FIELDS][SF_VERDICT_TEXT_MAX];
};

static bool holds_one(const char *text, const char *const texts[TEXTS_MAX])
{
	size_t i;

	for (i = 0; i < TEXTS_MAX && texts[i]; i++)
		if (strstr(text, texts[i]))
			return true;
	return false;
}

static bool matches(const struct rule *r, const struct signal *s)
{
	size_t i;

	if ((s->facts & r->facts) != r->facts)
		return false;
	for (i = 0; i < FIELDS; i++)
		if ((r->fields & IN(i)) && (!r->with || strstr(s->texts[i], r->with)) && holds_one(s->texts[i], r->texts))
			return true;
	return !r->fields;
}

static enum sf_class judge(const struct rule *rules, size_t n, const struct signal *s)
{
	size_t i;

	for (i = 0; i < n - 1 && !matches(&rules[i], s); i++)
		;
	return rules[i].class;
}

static void signal_init(struct signal *in, unsigned facts, const char *const texts[FIELDS])
{
	size_t i;

	in->facts = facts;
	for (i = 0; i < FIELDS; i++)
		sf_verdict_normalise(texts[i], in->texts[i]);
}

enum sf_class sf_verdict_api(const struct sf_api_signal *s)
{
	const char *const texts[FIELDS] = { [FAILURE] = s->failure, [CODE] = s->code, [MESSAGE] = s->message };
	unsigned facts = s->read_only ? READ : MODIFY;
	struct signal in;
	enum sf_class c;

	if (s->transport)
		facts |= TRANSPORT;
	if (s->http == 429 || s->http >= 500)
		facts |= HTTP_AGAIN;
	signal_init(&in, facts, texts);
	c = judge(answer_rules, SF_COUNT(answer_rules), &in);
	return classes[c].fixed ? c : sf_rules_answer(s, c);
}

static bool is(const char *text, const char *word)
{
	return text && strcmp(text, word) == 0;
}

static unsigned task_facts(const struct sf_task_signal *s, bool ran, bool over)
{
	bool stop_code = s->stop_code && *s->stop_code;
	unsigned facts = ran ? 0 : UNSTARTED | NO_START;

	if (s->own_stop)
		facts |= OWN_STOP;
	if (is(s->stop_code, "TaskFailedToStart"))
		facts |= NO_START;
	if (s->bootstrap_error)
		facts |= BOOTSTRAP;
	if (!s->has_exit_code || s->exit_code != 0)
		facts |= NOT_ZERO;
	if (!s->has_exit_code)
		facts |= NO_EXIT;
	else if (stop_code ? is(s->stop_code, "EssentialContainerExited") : is(s->desired_status, "RUNNING"))
		facts |= EXIT_COUNTS;
	else if (!stop_code && !over)
		facts |= EXIT_EARLY;
	return facts;
}

enum sf_class sf_verdict_task(const struct sf_task_signal *s)
{
	const char *const texts[FIELDS] = { [STOP_CODE] = s->stop_code,
					    [STOPPED] = s->stopped_reason,
					    [CONTAINER] = s->container_reason };
	enum sf_phase phase = sf_phase_of_status(s->last_status, SF_PHASE_LAUNCHING);
	bool ran = s->started || s->has_exit_code || phase == SF_PHASE_RUNNING;
	bool over = phase == SF_PHASE_DONE;
	struct signal in;
	enum sf_class c;

	if (!over && !s->has_exit_code)
		return ran ? SF_CLASS_RUNNING : SF_CLASS_LAUNCHING;
	signal_init(&in, task_facts(s, ran, over), texts);
	c = judge(task_rules, SF_COUNT(task_rules), &in);
	/* An exit code 0 that counts is no failure, so no FailureRule line speaks of it. */
	if (classes[c].fixed || (c == SF_CLASS_EXITED && s->exit_code == 0))
		return c;
	return sf_rules_task(s, ran, c);
}

const char *sf_class_name(enum sf_class c)
{
	return (size_t)c < SF_CLASS_COUNT ? classes[c].name : "unknown";
}

enum sf_action sf_class_action(enum sf_class c)
{
	return (size_t)c < SF_CLASS_COUNT ? classes[c].action : SF_ACT_HOLD;
}

bool sf_class_is_end(enum sf_class c)
{
	return (size_t)c < SF_CLASS_COUNT && classes[c].end;
}

unsigned sf_class_rule_uses(enum sf_class c)
{
	return (size_t)c < SF_CLASS_COUNT ? classes[c].uses : 0;
}

const char *sf_class_outcome(enum sf_class c)
{
	return (size_t)c < SF_CLASS_COUNT ? classes[c].outcome : HELD;
}

const char *sf_class_when(enum sf_class c)
{
	return (size_t)c < SF_CLASS_COUNT ? classes[c].when : NULL;
}

enum sf_code sf_code_of(const char *code)
{
	char text[SF_VERDICT_TEXT_MAX];
	size_t i;

	sf_verdict_normalise(code, text);
	for (i = 0; i < SF_COUNT(codes); i++)
		if (strstr(text, codes[i].part))
			return codes[i].meaning;
	return SF_CODE_OTHER;
}

enum sf_phase sf_phase_of_status(const char *last_status, enum sf_phase now)
{
	size_t i;

	for (i = 0; i < SF_COUNT(statuses); i++)
		if (is(last_status, statuses[i].status))
			return statuses[i].phase;
	return now;
}

static const char *words_of_facts(const struct rule *r, bool task)
{
	size_t i;

	for (i = 0; i < SF_COUNT(fact_words); i++)
		if (fact_words[i].facts == r->facts)
			return r->fields ? fact_words[i].words : fact_words[i].alone;
	if (!task)
		return "a call";
	return r->fields ? "a task that ended" : "any other task that ended";
}

static const char *words_of_fields(const struct rule *r)
{
	size_t i;

	for (i = 0; i < SF_COUNT(field_words); i++)
		if (field_words[i].fields == r->fields)
			return field_words[i].words;
	return NULL;
}

bool sf_verdict_row(size_t i, struct sf_verdict_row *out)
{
	bool task = i >= SF_COUNT(answer_rules);
	const struct rule *r;

	if (i >= SF_COUNT(answer_rules) + SF_COUNT(task_rules))
		return false;
	r = task ? &task_rules[i - SF_COUNT(answer_rules)] : &answer_rules[i];
	*out = (struct sf_verdict_row){
		.class = r->class,
		.task = task,
		.facts = words_of_facts(r, task),
		.fields = words_of_fields(r),
		.with = r->with,
		.texts = r->texts,
	};
	while (out->n_texts < TEXTS_MAX && r->texts[out->n_texts])
		out->n_texts++;
	return true;
}
