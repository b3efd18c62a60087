/* The keys of fargate.conf: one table that reads, checks, prints and frees every value. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf_keys.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/base/conf_check.h"
#include "common/base/util.h"

#define TOP SF_KEY_TOP
#define LINE SF_KEY_LINE
#define BOTH (TOP | LINE)
#define RULE SF_KEY_RULE

#define IN_CONF(member) .offset = offsetof(struct sf_conf, member)
#define IN_LINE(member) .offset = offsetof(struct sf_conf_line, member)
#define IN_RULE(member) .offset = offsetof(struct sf_conf_rule, member)
#define NAME .type = SF_KEY_NAME
#define LIST(most) .type = SF_KEY_LIST, .max = (most)
#define FLAG .type = SF_KEY_FLAG, .allowed = "give YES or NO"
#define NUMBER(least, most) .type = SF_KEY_NUMBER, .min = (least), .max = (most)
#define WORD(list) .type = SF_KEY_WORD, .words = (list), .n_words = SF_COUNT(list)
#define GLOB \
	.type = SF_KEY_NAME, .scope = RULE, .valid = sf_valid_glob, .allowed = "give a pattern of printable characters"

/* Classes an admin's rule may choose: what leads to another try, a wait, a hold or a failure, never to success. */
static const char *const rule_classes[SF_CLASS_COUNT] = {
	[SF_CLASS_OOM] = "oom",
	[SF_CLASS_THROTTLE] = "throttle",
	[SF_CLASS_CREDS] = "creds",
	[SF_CLASS_CAPACITY] = "capacity",
	[SF_CLASS_QUOTA] = "quota",
	[SF_CLASS_QUOTA_SIZE] = "quota-size",
	[SF_CLASS_START_TRANSIENT] = "start-transient",
	[SF_CLASS_START_PERMANENT] = "start-permanent",
	[SF_CLASS_CONFIG] = "config",
	[SF_CLASS_PREEMPTED] = "preempted",
	[SF_CLASS_INFRA] = "infra",
};

static const char *const alert_words[] = { [SF_ALERT_LAUNCH] = "launch", [SF_ALERT_FAILED] = "failed" };

/* clang-format off */
const struct sf_key sf_keys[] = {
	[SF_KEY_PARTITION] = { "PartitionName", NAME, .scope = LINE, IN_LINE(name), .valid = sf_valid_partition, .required = true,
		.allowed = "give the name of one partition of slurm.conf" },
	[SF_KEY_FAILURE] = { "FailureRule", WORD(rule_classes), .scope = RULE, IN_RULE(class),
		.allowed = "give one of oom, throttle, creds, capacity, quota, quota-size, start-transient, start-permanent, "
			   "config, preempted, infra" },
	{ "Default", FLAG, .scope = LINE, IN_LINE(is_default) },
	{ "Implicit", FLAG, .scope = BOTH, IN_LINE(implicit) },
	{ "Adopt", FLAG, .scope = BOTH, IN_LINE(adopt), .idle = true },
	{ "Region", NAME, .scope = BOTH, IN_LINE(region), .valid = sf_valid_region,
		.allowed = "give an AWS Region such as eu-west-1" },
	{ "Profile", NAME, .scope = BOTH, IN_LINE(profile), .valid = sf_valid_profile,
		.allowed = "give the name of a profile of AWS's configuration files" },
	{ "Cluster", NAME, .scope = BOTH, IN_LINE(cluster), .valid = sf_valid_ecs_name, .required = true,
		.allowed = "give the name of an ECS cluster: 1 to 255 letters, digits, - and _" },
	{ "TaskDefinition", NAME, .scope = BOTH, IN_LINE(task_definition), .valid = sf_valid_task_definition, .required = true,
		.allowed = "give FAMILY, FAMILY:REVISION or the ARN of a task definition" },
	{ "TaskDefinitions", LIST(64), .scope = BOTH, IN_LINE(task_definitions), .valid = sf_valid_definition_glob,
		.allowed = "give up to 64 different patterns of FAMILY or FAMILY:REVISION such as bio-*, separated by commas" },
	{ "Container", NAME, .scope = BOTH, IN_LINE(container), .valid = sf_valid_ecs_name,
		.allowed = "give the name of a container: 1 to 255 letters, digits, - and _" },
	{ "Subnets", LIST(16), .scope = BOTH, IN_LINE(subnets), .valid = sf_valid_subnet, .required = true,
		.allowed = "give up to 16 different ids such as subnet-0a1b2c, separated by commas" },
	{ "SecurityGroups", LIST(5), .scope = BOTH, IN_LINE(security_groups), .valid = sf_valid_security_group, .required = true,
		.allowed = "give up to 5 different ids such as sg-0a1b2c, separated by commas" },
	{ "AssignPublicIp", FLAG, .scope = BOTH, IN_LINE(assign_public_ip) },
	{ "Providers", LIST(2), .scope = BOTH, IN_LINE(providers), .valid = sf_valid_provider,
		.allowed = "give FARGATE, FARGATE_SPOT or both, separated by a comma" },
	{ "Allow32Vcpu", FLAG, .scope = BOTH, IN_LINE(allow_32vcpu) },
	{ "LogFraming", FLAG, .scope = BOTH, IN_LINE(log_framing) },
	{ "LogGrace", NUMBER(0, 3600), .scope = BOTH, IN_LINE(log_grace) },
	{ "AllowGroups", LIST(128), .scope = BOTH, IN_LINE(allow_groups), .valid = sf_valid_group, .nothing = "ALL",
		.allowed = "give ALL or up to 128 different names of groups, separated by commas" },
	{ "AllowAccounts", LIST(128), .scope = BOTH, IN_LINE(allow_accounts), .valid = sf_valid_group, .nothing = "ALL",
		.allowed = "give ALL or up to 128 different names of accounts, separated by commas" },
	{ "MaxVcpu", NUMBER(1, 1000000), .scope = BOTH, IN_LINE(max_vcpu), .nothing = "UNLIMITED" },
	{ "License", NAME, .scope = BOTH, IN_LINE(license), .valid = sf_valid_license,
		.allowed = "give the name of a license of slurm.conf" },
	{ "SpotLicense", NAME, .scope = BOTH, IN_LINE(spot_license), .valid = sf_valid_license,
		.allowed = "give the name of a license of slurm.conf" },
	{ "RetryInterval", NUMBER(1, 3600), .scope = BOTH, IN_LINE(retry_interval) },
	{ "RetryMaxAttempts", NUMBER(0, 100), .scope = BOTH, IN_LINE(retry_max_attempts) },
	{ "RetryBackoffRate", NUMBER(1, 100), .scope = BOTH, IN_LINE(retry_backoff_rate) },
	{ "RetryMaxRequeues", NUMBER(0, 1000), .scope = BOTH, IN_LINE(retry_max_requeues) },
	{ "StartTimeout", NUMBER(1, 86400), .scope = BOTH, IN_LINE(start_timeout) },
	{ "PullTimeout", NUMBER(1, 86400), .scope = BOTH, IN_LINE(pull_timeout) },
	{ "AlertTopic", NAME, .scope = BOTH, IN_LINE(alert_topic), .valid = sf_valid_topic,
		.allowed = "give the ARN of an SNS topic" },
	{ "AlertOn", WORD(alert_words), .scope = BOTH, IN_LINE(alert_on), .allowed = "give launch or failed" },
	{ "Socket", NAME, .scope = TOP, IN_CONF(socket), .valid = sf_valid_socket,
		.allowed = "give an absolute path of at most 107 bytes" },
	{ "StateDir", NAME, .scope = TOP, IN_CONF(state_dir), .valid = sf_valid_absolute, .allowed = "give an absolute path" },
	{ "Instance", NAME, .scope = TOP, IN_CONF(instance), .valid = sf_valid_instance,
		.allowed = "give 1 to 32 letters, digits and _" },
	{ "ReserveVcpu", NUMBER(0, 1000000), .scope = TOP, IN_CONF(reserve_vcpu) },
	{ "QuotaRefresh", NUMBER(1, 86400), .scope = TOP, IN_CONF(quota_refresh) },
	{ "QuotaMaxAge", NUMBER(1, 86400), .scope = TOP, IN_CONF(quota_max_age) },
	{ "LargeJobPatience", NUMBER(0, 86400), .scope = TOP, IN_CONF(large_job_patience) },
	{ "SlurmPoll", NUMBER(1, 300), .scope = TOP, IN_CONF(slurm_poll) },
	{ "StopGrace", NUMBER(0, 3600), .scope = TOP, IN_CONF(stop_grace) },
	{ "ReattachTimeout", NUMBER(1, 86400), .scope = TOP, IN_CONF(reattach_timeout), .idle = true },
	{ "ReconcileInterval", NUMBER(1, 86400), .scope = TOP, IN_CONF(reconcile_interval) },
	{ "Operation", GLOB, IN_RULE(operation) },
	{ "Code", GLOB, IN_RULE(code) },
	{ "Reason", GLOB, IN_RULE(reason) },
	{ "StopCode", GLOB, IN_RULE(stop_code) },
	{ "StoppedReason", GLOB, IN_RULE(stopped_reason) },
	{ "ContainerReason", GLOB, IN_RULE(container_reason) },
	{ "ExitCode", NAME, .scope = RULE, IN_RULE(exit_code), .valid = sf_valid_exit_glob,
		.allowed = "give an exit code from 0 to 255 or a pattern such as 7*" },
};
/* clang-format on */
const size_t sf_n_keys = SF_COUNT(sf_keys);
_Static_assert(SF_COUNT(sf_keys) <= SF_KEYS_MAX, "SF_KEYS_MAX is too small");

const struct sf_conf_line sf_conf_line_defaults = {
	.log_framing = true,
	.retry_interval = 3,
	.retry_max_attempts = 3,
	.retry_backoff_rate = 5,
	.retry_max_requeues = 3,
	.start_timeout = 600,
	.pull_timeout = 3600,
	.log_grace = 15,
	.alert_on = SF_ALERT_LAUNCH,
};

const struct sf_conf sf_conf_defaults = {
	.quota_refresh = 300,
	.quota_max_age = 900,
	.large_job_patience = 60,
	.slurm_poll = 5,
	.stop_grace = 5,
	.reattach_timeout = 300,
	.reconcile_interval = 60,
};

const struct sf_key *sf_key_find(const char *name)
{
	size_t i;

	for (i = 0; i < sf_n_keys; i++)
		if (strcasecmp(sf_keys[i].name, name) == 0)
			return &sf_keys[i];
	return NULL;
}

static bool read_number(const struct sf_key *k, const char *value, uint32_t *out)
{
	uint64_t n = 0;
	const char *p;

	for (p = value; isdigit((unsigned char)*p) && p - value < 10; p++)
		n = n * 10 + (uint64_t)(*p - '0');
	if (*p || p == value || n < k->min || n > k->max)
		return false;
	*out = (uint32_t)n;
	return true;
}

static bool read_flag(const char *value, bool *out)
{
	*out = strcasecmp(value, "YES") == 0;
	return *out || strcasecmp(value, "NO") == 0;
}

static bool read_word(const struct sf_key *k, const char *value, int *out)
{
	size_t i;

	for (i = 0; i < k->n_words; i++)
		if (k->words[i] && strcasecmp(k->words[i], value) == 0) {
			*out = (int)i;
			return true;
		}
	return false;
}

/* Split at commas; every element valid and none twice. NULL when it is not so. */
static char **split(const struct sf_key *k, const char *value)
{
	sf_auto_strv char **v = NULL;
	char element[512];
	size_t n;

	for (;; value += n + 1) {
		n = strcspn(value, ",");
		if (n >= sizeof(element) || sf_strv_len(v) == k->max)
			return NULL;
		memcpy(element, value, n);
		element[n] = '\0';
		if (!k->valid(element) || sf_strv_has(v, element) || sf_strv_add(&v, element) != 0)
			return NULL;
		if (!value[n])
			return sf_steal(v);
	}
}

static bool read_list(const struct sf_key *k, const char *value, char ***slot)
{
	char **list = split(k, value);

	if (!list)
		return false;
	sf_strv_free(*slot);
	*slot = list;
	return true;
}

static bool read_name(const struct sf_key *k, const char *value, char **slot)
{
	char *copy = k->valid(value) ? strdup(value) : NULL;

	if (!copy)
		return false;
	free(*slot);
	*slot = copy;
	return true;
}

static void set_nothing(const struct sf_key *k, void *slot)
{
	if (k->type == SF_KEY_NUMBER) {
		*(uint32_t *)slot = 0;
	} else {
		sf_strv_free(*(char ***)slot);
		*(char ***)slot = NULL;
	}
}

static bool read_slot(const struct sf_key *k, const char *value, void *slot)
{
	if (k->nothing && strcasecmp(k->nothing, value) == 0) {
		set_nothing(k, slot);
		return true;
	}
	switch (k->type) {
	case SF_KEY_NUMBER:
		return read_number(k, value, slot);
	case SF_KEY_FLAG:
		return read_flag(value, slot);
	case SF_KEY_WORD:
		return read_word(k, value, slot);
	case SF_KEY_NAME:
		return read_name(k, value, slot);
	case SF_KEY_LIST:
		return read_list(k, value, slot);
	}
	return false;
}

int sf_key_read(const struct sf_key *k, const char *value, void *base, struct sf_error *err)
{
	if (read_slot(k, value, (char *)base + k->offset))
		return 0;
	if (k->type == SF_KEY_NUMBER)
		return sf_err(err, "%s=%.80s is not valid; give %s%sa whole number from %u to %u", k->name, value,
			      k->nothing ? k->nothing : "", k->nothing ? " or " : "", k->min, k->max);
	return sf_err(err, "%s=%.80s is not valid; %s", k->name, value, k->allowed);
}

static void print_value(struct sf_buf *out, const char *value)
{
	/* What sf_lex_pair() would end at, take for a comment or join with the next line; a value never holds a quote. */
	const char *quote = value[strcspn(value, " \t\r#\\")] ? "\"" : "";

	sf_buf_printf(out, "%s%s%s", quote, value, quote);
}

static void print_list(struct sf_buf *out, char *const *v)
{
	sf_auto_buf struct sf_buf joined = SF_BUF_INIT;
	size_t i;

	for (i = 0; v[i]; i++)
		sf_buf_printf(&joined, "%s%s", i ? "," : "", v[i]);
	if (joined.failed)
		out->failed = true;
	else
		print_value(out, joined.data ? joined.data : "");
}

static bool is_set(const struct sf_key *k, const void *slot)
{
	switch (k->type) {
	case SF_KEY_NAME:
	case SF_KEY_LIST:
		return *(void *const *)slot != NULL;
	case SF_KEY_NUMBER:
		return !k->nothing || *(const uint32_t *)slot != 0;
	case SF_KEY_FLAG:
	case SF_KEY_WORD:
		break;
	}
	return true;
}

void sf_key_print(const struct sf_key *k, const void *base, struct sf_buf *out)
{
	const void *slot = (const char *)base + k->offset;
	bool set = is_set(k, slot);

	if (!set && !k->nothing)
		return;
	sf_buf_printf(out, "%s%s=", out->len && out->data[out->len - 1] != '\n' ? " " : "", k->name);
	if (!set)
		sf_buf_puts(out, k->nothing);
	else if (k->type == SF_KEY_NAME)
		print_value(out, *(char *const *)slot);
	else if (k->type == SF_KEY_LIST)
		print_list(out, *(char **const *)slot);
	else if (k->type == SF_KEY_NUMBER)
		sf_buf_printf(out, "%u", *(const uint32_t *)slot);
	else if (k->type == SF_KEY_FLAG)
		sf_buf_puts(out, *(const bool *)slot ? "YES" : "NO");
	else
		sf_buf_puts(out, k->words[*(const int *)slot]);
}

void sf_keys_clear(enum sf_key_scope scope, void *base)
{
	void *slot;
	size_t i;

	for (i = 0; i < sf_n_keys; i++) {
		/* A key of both scopes lives in the line; only those of the top level alone live in struct sf_conf. */
		if (!(sf_keys[i].scope & scope) || (scope == TOP && sf_keys[i].scope != TOP))
			continue;
		slot = (char *)base + sf_keys[i].offset;
		if (sf_keys[i].type == SF_KEY_NAME)
			free(*(char **)slot);
		else if (sf_keys[i].type == SF_KEY_LIST)
			sf_strv_free(*(char ***)slot);
	}
}
