/* The RunTask request: the bootstrap, the script inline, and the byte-exact body that is stored before it is sent. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/request.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <zlib.h>

#include "common/base/bootstrap.h"
#include "common/base/json.h"
#include "common/base/spec.h"
#include "common/base/text.h"

/* The job's $0 under the bootstrap, as slurmd names the script's file. */
#define SCRIPT_NAME "slurm_script"
#define GZIP_WINDOW (15 + 16) /* zlib: the largest window, and a gzip header; it carries no time unless one is set */

/* The script in one of the two encodings of the container contract (SF_ENC). */
struct packed {
	const char *enc;
	char *base64;
	size_t bytes; /* before base64 */
};

static void packed_cleanup(struct packed *p)
{
	free(p->base64);
}

static int pack_plain(const struct sf_overrides *o, struct packed *p, struct sf_error *err)
{
	*p = (struct packed){ .enc = "b", .base64 = sf_base64_encode(o->script, o->script_len), .bytes = o->script_len };
	return p->base64 ? 0 : sf_err(err, "out of memory");
}

static int pack_gzip(const struct sf_overrides *o, struct packed *p, struct sf_error *err)
{
	sf_auto_free unsigned char *zipped = NULL;
	z_stream z = { 0 };
	uLong room;
	int rc;

	if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, MAX_MEM_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
		return sf_err(err, "the script cannot be compressed: out of memory");
	room = deflateBound(&z, o->script_len);
	zipped = malloc(room);
	if (!zipped) {
		deflateEnd(&z);
		return sf_err(err, "out of memory");
	}
	z.next_in = (unsigned char *)o->script;
	z.avail_in = (uInt)o->script_len;
	z.next_out = zipped;
	z.avail_out = (uInt)room;
	rc = deflate(&z, Z_FINISH);
	deflateEnd(&z);
	if (rc != Z_STREAM_END)
		return sf_err(err, "the script cannot be compressed: zlib error %d", rc);
	*p = (struct packed){ .enc = "z", .base64 = sf_base64_encode(zipped, z.total_out), .bytes = z.total_out };
	return p->base64 ? 0 : sf_err(err, "out of memory");
}

static int check_text(const char *what, const char *text, struct sf_error *err)
{
	if (sf_utf8_valid(text, strlen(text)))
		return 0;
	return sf_err(err, "%s is not valid UTF-8, which a RunTask request must be", what);
}

static int check_input(const struct sf_overrides *o, struct sf_error *err)
{
	char what[80];
	size_t i;

	if (o->script_len > SF_SCRIPT_MAX)
		return sf_err(err, "the script has %zu bytes, the limit is %d; keep its bulk in a file the container can read",
			      o->script_len, SF_SCRIPT_MAX);
	if (o->script_len && memchr(o->script, '\0', o->script_len))
		return sf_err(err, "the script contains a NUL byte");
	if (o->storage_gib && (o->storage_gib <= SF_STORAGE_OWN_GIB || o->storage_gib > SF_STORAGE_MAX_GIB))
		return sf_err(err, "%u GiB of storage cannot be asked for; Fargate takes %d to %d", o->storage_gib,
			      SF_STORAGE_OWN_GIB + 1, SF_STORAGE_MAX_GIB);
	if (strlen(o->nonce) != SF_NONCE_HEX)
		return sf_err(err, "a nonce has %d hex digits, not %zu", SF_NONCE_HEX, strlen(o->nonce));
	if (check_text("the container's name", o->container, err) != 0)
		return -1;
	for (i = 0; o->args && o->args[i]; i++) {
		snprintf(what, sizeof(what), "argument %zu of the script", i + 1);
		if (check_text(what, o->args[i], err) != 0)
			return -1;
	}
	for (i = 0; o->env && o->env[i]; i++) {
		const char *equals = strchr(o->env[i], '=');

		if (!equals || equals == o->env[i])
			return sf_err(err, "environment entry %zu has no name and '='", i + 1);
		snprintf(what, sizeof(what), "the value of %.*s", (int)(equals - o->env[i]), o->env[i]);
		if (check_text(what, o->env[i], err) != 0) {
			sf_text_clean(err ? err->text : what);
			return -1;
		}
	}
	return 0;
}

static sf_json *command_json(const struct sf_overrides *o)
{
	sf_json *command = sf_json_new_array();
	size_t i;

	if (!o->shell_entrypoint) {
		sf_json_add_str(command, "/bin/sh");
		sf_json_add_str(command, "-c");
	}
	sf_json_add_str(command, sf_bootstrap);
	sf_json_add_str(command, SCRIPT_NAME);
	for (i = 0; o->args && o->args[i]; i++)
		sf_json_add_str(command, o->args[i]);
	return command;
}

static void add_pair(sf_json *array, const char *key_name, const char *key, const char *value)
{
	sf_json *pair = sf_json_new_object();

	sf_json_set_str(pair, key_name, key);
	sf_json_set_str(pair, "value", value);
	sf_json_add(array, pair);
}

/* NAME=VALUE, already checked, as {"name","value"}. */
static int add_assignment(sf_json *array, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	sf_auto_free char *name = strndup(assignment, (size_t)(equals - assignment));

	if (!name)
		return -1;
	add_pair(array, "name", name, equals + 1);
	return 0;
}

static sf_json *environment_json(const struct sf_overrides *o, const struct packed *script)
{
	sf_auto_json sf_json *env = sf_json_new_array();
	size_t i;

	add_pair(env, "name", "SF_SCRIPT", script->base64);
	add_pair(env, "name", "SF_ENC", script->enc);
	add_pair(env, "name", "SF_NONCE", o->nonce);
	add_pair(env, "name", "SF_FRAME", o->framing ? "1" : "0");
	for (i = 0; o->env && o->env[i]; i++)
		if (add_assignment(env, o->env[i]) != 0)
			return NULL;
	return sf_steal(env);
}

/* Task sizes are strings, container sizes numbers (ECS API: TaskOverride, ContainerOverride). NULL when out of memory. */
static sf_json *overrides_json(const struct sf_overrides *o, const struct packed *script)
{
	sf_auto_json sf_json *overrides = sf_json_new_object();
	sf_json *containers = sf_json_new_array(), *container = sf_json_new_object();
	sf_json *environment = environment_json(o, script);
	char number[16];

	sf_json_add(containers, container);
	sf_json_set(overrides, "containerOverrides", containers);
	if (!environment)
		return NULL;
	sf_json_set_str(container, "name", o->container);
	sf_json_set(container, "command", command_json(o));
	sf_json_set(container, "environment", environment);
	if (o->container_cpu)
		sf_json_set_int(container, "cpu", o->container_cpu);
	if (o->container_mem_mib)
		sf_json_set_int(container, "memory", o->container_mem_mib);
	snprintf(number, sizeof(number), "%" PRIu32, o->size.cpu_units);
	sf_json_set_str(overrides, "cpu", number);
	snprintf(number, sizeof(number), "%" PRIu32, o->size.mem_mib);
	sf_json_set_str(overrides, "memory", number);
	if (o->storage_gib) {
		sf_json *storage = sf_json_new_object();

		sf_json_set_int(storage, "sizeInGiB", o->storage_gib);
		sf_json_set(overrides, "ephemeralStorage", storage);
	}
	return sf_steal(overrides);
}

/* One encoding: the JSON and the number of its characters. Bytes are counted, which is never too few. */
static int encode(const struct sf_overrides *o, const struct packed *script, sf_json **out, size_t *len, struct sf_error *err)
{
	sf_auto_json sf_json *overrides = overrides_json(o, script);
	sf_auto_free char *text = overrides ? sf_json_text(overrides) : NULL;

	if (!text)
		return sf_err(err, "out of memory");
	*len = strlen(text);
	*out = sf_steal(overrides);
	return 0;
}

static int build_overrides(const struct sf_overrides *o, sf_json **out, struct sf_error *err)
{
	sf_auto(packed_cleanup) struct packed plain = { 0 };
	sf_auto(packed_cleanup) struct packed zipped = { 0 };
	sf_auto_json sf_json *first = NULL;
	sf_auto_json sf_json *second = NULL;
	size_t plain_len = 0, zipped_len = 0;

	if (check_input(o, err) != 0 || pack_plain(o, &plain, err) != 0 || encode(o, &plain, &first, &plain_len, err) != 0)
		return -1;
	if (plain_len <= SF_OVERRIDES_MAX) {
		*out = sf_steal(first);
		return 0;
	}
	if (pack_gzip(o, &zipped, err) != 0 || encode(o, &zipped, &second, &zipped_len, err) != 0)
		return -1;
	if (zipped_len <= SF_OVERRIDES_MAX) {
		*out = sf_steal(second);
		return 0;
	}
	return sf_err(err,
		      "the script and its values take %zu characters in the RunTask request, the limit is %d (script %zu bytes, "
		      "gzipped %zu); make the script shorter or keep its bulk in a file the container can read",
		      zipped_len < plain_len ? zipped_len : plain_len, SF_OVERRIDES_MAX, plain.bytes, zipped.bytes);
}

static int hand_out(const sf_json *j, char **out, struct sf_error *err)
{
	*out = sf_json_text(j);
	return *out ? 0 : sf_err(err, "out of memory");
}

int sf_overrides_build(const struct sf_overrides *o, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *overrides = NULL;

	if (build_overrides(o, &overrides, err) != 0)
		return -1;
	return hand_out(overrides, out, err);
}

/* On-Demand is a launch type, Spot exists only as a capacity provider. The API's default weight is 0, which starts nothing. */
static int set_provider(sf_json *body, const char *provider, struct sf_error *err)
{
	sf_json *strategy, *item;

	/* The line lost its Spot after the job was checked against it. */
	if (!provider)
		return sf_err(err, "the partition has no provider left for this job; see Providers in fargate.conf");
	if (strcmp(provider, "FARGATE") == 0) {
		sf_json_set_str(body, "launchType", provider);
		return 0;
	}
	if (strcmp(provider, "FARGATE_SPOT") != 0)
		return sf_err(err, "provider '%s' is neither FARGATE nor FARGATE_SPOT", provider);
	item = sf_json_new_object();
	sf_json_set_str(item, "capacityProvider", provider);
	sf_json_set_int(item, "weight", 1);
	strategy = sf_json_new_array();
	sf_json_add(strategy, item);
	sf_json_set(body, "capacityProviderStrategy", strategy);
	return 0;
}

static sf_json *network_json(const struct sf_run_task *r)
{
	sf_json *network = sf_json_new_object(), *vpc = sf_json_new_object(), *subnets = sf_json_new_array();

	sf_json_add_str(subnets, r->subnet);
	sf_json_set(vpc, "subnets", subnets);
	if (sf_strv_len(r->security_groups))
		sf_json_set_strv(vpc, "securityGroups", r->security_groups);
	sf_json_set_str(vpc, "assignPublicIp", r->assign_public_ip ? "ENABLED" : "DISABLED");
	sf_json_set(network, "awsvpcConfiguration", vpc);
	return network;
}

static sf_json *tags_json(const struct sf_run_task *r)
{
	sf_json *tags = sf_json_new_array();
	size_t i;

	for (i = 0; i < r->n_tags; i++)
		add_pair(tags, "key", r->tags[i][0], r->tags[i][1]);
	return tags;
}

int sf_run_task_build(const struct sf_run_task *r, char **out, struct sf_error *err)
{
	sf_auto_json sf_json *body = sf_json_new_object();
	sf_json *overrides = NULL;

	if (!body)
		return sf_err(err, "out of memory");
	/* json-c keeps the order of insertion: this is the order of the members on the wire. */
	sf_json_set_str(body, "clientToken", r->client_token);
	sf_json_set_str(body, "cluster", r->cluster);
	sf_json_set_int(body, "count", 1);
	sf_json_set_str(body, "taskDefinition", r->task_definition);
	if (set_provider(body, r->provider, err) != 0 || build_overrides(&r->overrides, &overrides, err) != 0)
		return -1;
	sf_json_set(body, "networkConfiguration", network_json(r));
	sf_json_set(body, "overrides", overrides);
	sf_json_set_str(body, "startedBy", r->started_by);
	sf_json_set_str(body, "group", r->group);
	if (r->n_tags)
		sf_json_set(body, "tags", tags_json(r));
	return hand_out(body, out, err);
}
