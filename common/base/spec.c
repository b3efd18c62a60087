/* What a job asks of Fargate, as JSON: the options sbatch packs, the spec slurmctld stamps. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/spec.h"

#include <ctype.h>
#include <fnmatch.h>
#include <string.h>

#include "common/base/conf_check.h"
#include "common/base/json.h"
#include "common/base/text.h"

#define SPEC_VERSION 1
#define TEXT_MAX (256 * 1024) /* one variable; far above what an inline RunTask can carry */
#define CPUS_MAX 1024
#define MEM_MAX_MIB ((int64_t)1 << 40)
#define PARTITION_MAX 255

/* Names of the container contract: Slurm's own and the bootstrap's. */
static const char *const reserved_prefixes[] = { "SLURM_", "SF_" };
/* bash obeys them even as sh: with SHELLOPTS=noexec nothing would run, and exit 0. */
static const char *const shell_switches[] = { "SHELLOPTS", "BASHOPTS" };

bool sf_env_name_valid(const char *name, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!isascii(name[i]) || (!isalpha((unsigned char)name[i]) && name[i] != '_' &&
					  (i == 0 || !isdigit((unsigned char)name[i]))))
			return false;
	return n > 0;
}

int sf_env_check(const char *assignment, struct sf_error *err)
{
	size_t n = strcspn(assignment, "="), i;
	int shown = n < 64 ? (int)n : 64;
	char name[65];

	snprintf(name, sizeof(name), "%.*s", shown, assignment);
	sf_text_clean(name);
	if (!sf_env_name_valid(assignment, n))
		return sf_err(err, "'%s' is not a variable name; letters, digits and _ only", name);
	for (i = 0; i < SF_COUNT(shell_switches); i++)
		if (n == strlen(shell_switches[i]) && strncmp(assignment, shell_switches[i], n) == 0)
			return sf_err(err, "variable %s cannot be given: it would switch options of the container's own shell", name);
	for (i = 0; i < SF_COUNT(reserved_prefixes); i++)
		if (strncmp(assignment, reserved_prefixes[i], strlen(reserved_prefixes[i])) == 0)
			return sf_err(err,
				      "variable %s cannot be given: names that begin with %s are "
				      "set for the job by slurm-fargate itself",
				      name, reserved_prefixes[i]);
	if (assignment[n] != '=')
		return sf_err(err, "variable %s has no value; give %s=VALUE", name, name);
	if (!sf_utf8_valid(assignment, strlen(assignment)))
		return sf_err(err, "the value of variable %s is not valid UTF-8", name);
	return 0;
}

int sf_parse_storage(const char *text, uint32_t *gib, struct sf_error *err)
{
	size_t n = strspn(text, "0123456789");
	unsigned long value = n && n <= 9 && !text[n] ? strtoul(text, NULL, 10) : 0;
	char word[64];

	if (value < 1 || value > SF_STORAGE_MAX_GIB) {
		sf_copy(word, sizeof(word), text);
		sf_text_clean(word);
		return sf_err(err, "'%s' is no size of storage; give whole GiB from 1 to %d, for example 100", word,
			      SF_STORAGE_MAX_GIB);
	}
	*gib = (uint32_t)value;
	return 0;
}

static const char *const spot_names[] = { [SF_SPOT_PREFER] = "prefer", [SF_SPOT_ONLY] = "only" };

int sf_parse_spot(const char *text, enum sf_spot *spot, struct sf_error *err)
{
	char word[64];
	size_t i;

	for (i = SF_SPOT_PREFER; i < SF_COUNT(spot_names); i++)
		if (strcmp(text, spot_names[i]) == 0) {
			*spot = (enum sf_spot)i;
			return 0;
		}
	sf_copy(word, sizeof(word), text);
	sf_text_clean(word);
	return sf_err(err, "'%s' is no way to use Spot; give prefer (Spot first) or only (nothing but Spot)", word);
}

int sf_definition_check(const char *definition, struct sf_error *err)
{
	char word[64];

	if (sf_valid_task_definition(definition) && !strchr(definition, '/'))
		return 0;
	sf_copy(word, sizeof(word), definition);
	sf_text_clean(word);
	return sf_err(err, "'%s' is no task definition; give FAMILY or FAMILY:REVISION (letters, digits, - and _)", word);
}

bool sf_definition_allowed(const struct sf_conf_line *line, const char *definition)
{
	char *const *glob;

	if (strcmp(definition, line->task_definition) == 0)
		return true;
	for (glob = line->task_definitions; glob && *glob; glob++)
		if (fnmatch(*glob, definition, 0) == 0)
			return true;
	return false;
}

static char *wrap_text(const char *kind, sf_json *inner)
{
	sf_auto_json sf_json *top = sf_json_new_object();

	sf_json_set_int(top, "v", SPEC_VERSION);
	sf_json_set(top, kind, inner);
	return top && inner ? sf_json_text(top) : NULL;
}

/* Parse {"v":1,"<kind>":{…}}: *inner is borrowed from *top. */
static int unwrap_text(const char *text, const char *kind, sf_json **top, sf_json **inner,
		       struct sf_error *err)
{
	sf_auto_json sf_json *parsed = NULL;
	size_t n = strlen(text);
	int64_t version = 0;

	if (n > TEXT_MAX)
		return sf_err(err, "the %s cannot be read: %zu bytes are more than %d", kind, n,
			      TEXT_MAX);
	if (sf_json_parse(text, n, &parsed, err) != 0 ||
	    sf_json_need_int(parsed, "v", SPEC_VERSION, SPEC_VERSION, &version, err) != 0)
		return sf_err_wrap(err, "the %s cannot be read", kind);
	*inner = sf_json_object(parsed, kind);
	if (!*inner)
		return sf_err(err, "the %s cannot be read: member '%s' is missing", kind, kind);
	*top = sf_steal(parsed);
	return 0;
}

/*
 * An array is always written, even when empty: a wrong type then cannot pass for an absent vector.
 */
static void put_vector(sf_json *obj, const char *key, char *const *v)
{
	static char *const none[] = { NULL };

	sf_json_set_strv(obj, key, v ? v : none);
}

static int need_vector(const sf_json *obj, const char *key, char ***out, struct sf_error *err)
{
	if (!sf_json_array(obj, key))
		return sf_err(err, "member '%s' is missing or not a list", key);
	return sf_json_strv(obj, key, out, err);
}

static int need_env(const sf_json *obj, char ***out, struct sf_error *err)
{
	sf_auto_strv char **env = NULL;
	char **p;

	if (need_vector(obj, "env", &env, err) != 0)
		return -1;
	for (p = env; p && *p; p++)
		if (sf_env_check(*p, err) != 0)
			return -1;
	*out = sf_steal(env);
	return 0;
}

/* What not every job has is written only when it is there, so that a spec of an older version reads the same. */
static void put_choices(sf_json *j, uint32_t storage_gib, enum sf_spot spot, const char *definition)
{
	if (storage_gib)
		sf_json_set_int(j, "storage", storage_gib);
	sf_json_set_str(j, "spot", spot_names[spot]);
	sf_json_set_str(j, "task_definition", definition);
}

static int take_spot(const sf_json *j, enum sf_spot *spot, struct sf_error *err)
{
	const char *name = NULL;

	if (!sf_json_has(j, "spot"))
		return 0;
	return sf_json_need_str(j, "spot", &name, err) != 0 ? -1 : sf_parse_spot(name, spot, err);
}

static int take_choices(const sf_json *j, uint32_t least_gib, uint32_t *storage_gib, enum sf_spot *spot, char **definition,
			struct sf_error *err)
{
	const char *name = NULL;
	int64_t gib = 0;

	if (sf_json_has(j, "storage") && sf_json_need_int(j, "storage", least_gib, SF_STORAGE_MAX_GIB, &gib, err) != 0)
		return -1;
	*storage_gib = (uint32_t)gib;
	if (take_spot(j, spot, err) != 0)
		return -1;
	if (!sf_json_has(j, "task_definition"))
		return 0;
	if (sf_json_need_str(j, "task_definition", &name, err) != 0 || sf_definition_check(name, err) != 0)
		return -1;
	*definition = strdup(name);
	return *definition ? 0 : sf_err(err, "out of memory");
}

char *sf_options_encode(const struct sf_options *o)
{
	sf_json *j = sf_json_new_object();

	sf_json_set_int(j, "cpu", o->cpu_units);
	sf_json_set_int(j, "mem", (int64_t)o->mem_mib);
	put_choices(j, o->storage_gib, o->spot, o->task_definition);
	put_vector(j, "env", o->env);
	return wrap_text("options", j);
}

int sf_options_decode(const char *text, struct sf_options *o, struct sf_error *err)
{
	sf_auto_json sf_json *top = NULL;
	sf_json *j = NULL;
	int64_t cpu = 0, mem = 0;

	*o = (struct sf_options){ 0 };
	if (unwrap_text(text, "options", &top, &j, err) != 0)
		return -1;
	if (sf_json_need_int(j, "cpu", 0, UINT32_MAX, &cpu, err) != 0 ||
	    sf_json_need_int(j, "mem", 0, MEM_MAX_MIB, &mem, err) != 0 ||
	    take_choices(j, 1, &o->storage_gib, &o->spot, &o->task_definition, err) != 0 || need_env(j, &o->env, err) != 0) {
		sf_options_free(o);
		return sf_err_wrap(err, "the options cannot be read");
	}
	o->cpu_units = (uint32_t)cpu;
	o->mem_mib = (uint64_t)mem;
	return 0;
}

void sf_options_free(struct sf_options *o)
{
	if (!o)
		return;
	free(o->task_definition);
	sf_strv_free(o->env);
	*o = (struct sf_options){ 0 };
}

/* One range a-b:step or a single number, added to *out; the text behind it, or NULL. */
static const char *add_range(const char *at, struct sf_array *out)
{
	unsigned long low, high, step = 1, count;
	char *end = NULL;

	if (!isdigit((unsigned char)*at))
		return NULL;
	low = high = strtoul(at, &end, 10);
	if (*end == '-' && isdigit((unsigned char)end[1]))
		high = strtoul(end + 1, &end, 10);
	if (*end == ':' && isdigit((unsigned char)end[1]))
		step = strtoul(end + 1, &end, 10);
	if (high < low || high > UINT32_MAX - 1 || step == 0 || step > UINT32_MAX)
		return NULL;
	count = (high - low) / step + 1;
	if (count > UINT32_MAX - out->count)
		return NULL;
	if (out->count == 0 || low < out->min)
		out->min = (uint32_t)low;
	high = low + (count - 1) * step;
	if (high > out->max)
		out->max = (uint32_t)high;
	out->count += (uint32_t)count;
	out->step = (uint32_t)step;
	return end;
}

int sf_array_parse(const char *list, struct sf_array *out)
{
	struct sf_array sum = { 0 };

	while ((list = add_range(list, &sum)) && *list == ',')
		list++;
	if (!list || (*list != '\0' && *list != '%'))
		return -1;
	*out = sum;
	return 0;
}

static sf_json *encode_array(const struct sf_array *a)
{
	sf_json *j = a->count ? sf_json_new_object() : NULL;

	if (!j)
		return NULL;
	sf_json_set_int(j, "count", a->count);
	sf_json_set_int(j, "min", a->min);
	sf_json_set_int(j, "max", a->max);
	sf_json_set_int(j, "step", a->step);
	return j;
}

static int decode_array(const sf_json *spec, struct sf_array *a, struct sf_error *err)
{
	const sf_json *j = sf_json_object(spec, "array");
	int64_t count = 0, min = 0, max = 0, step = 0;

	if (!j)
		return 0;
	if (sf_json_need_int(j, "count", 1, UINT32_MAX, &count, err) != 0 ||
	    sf_json_need_int(j, "min", 0, UINT32_MAX, &min, err) != 0 ||
	    sf_json_need_int(j, "max", 0, UINT32_MAX, &max, err) != 0 ||
	    sf_json_need_int(j, "step", 1, UINT32_MAX, &step, err) != 0)
		return sf_err_wrap(err, "array");
	*a = (struct sf_array){ (uint32_t)count, (uint32_t)min, (uint32_t)max, (uint32_t)step };
	return 0;
}

char *sf_spec_encode(const struct sf_spec *s)
{
	sf_json *j = sf_json_new_object();

	sf_json_set_str(j, "sid", s->sid);
	sf_json_set_int(j, "submit", s->submit);
	sf_json_set_int(j, "cpu", s->size.cpu_units);
	sf_json_set_int(j, "mem", s->size.mem_mib);
	sf_json_set_int(j, "cpus_asked", s->cpus_asked);
	sf_json_set_int(j, "cpus_per_task", s->cpus_per_task);
	sf_json_set_int(j, "mem_asked", (int64_t)s->mem_asked_mib);
	sf_json_set_bool(j, "mem_per_cpu", s->mem_per_cpu);
	sf_json_set(j, "array", encode_array(&s->array));
	sf_json_set_str(j, "partition", s->partition);
	put_choices(j, s->storage_gib, s->spot, s->task_definition);
	put_vector(j, "args", s->args);
	put_vector(j, "env", s->env);
	return wrap_text("spec", j);
}

static int decode_sid(const sf_json *j, struct sf_spec *s, struct sf_error *err)
{
	const char *sid = NULL;

	if (sf_json_need_str(j, "sid", &sid, err) != 0)
		return -1;
	if (strlen(sid) != 16 || strspn(sid, "0123456789abcdef") != 16)
		return sf_err(err, "member 'sid' is not 16 hex digits");
	sf_copy(s->sid, sizeof(s->sid), sid);
	return 0;
}

static int decode_numbers(const sf_json *j, struct sf_spec *s, struct sf_error *err)
{
	int64_t cpu = 0, mem = 0, cpus = 0, per_task = 0, asked = 0;

	if (sf_json_need_int(j, "submit", 0, INT64_MAX, &s->submit, err) != 0 ||
	    sf_json_need_int(j, "cpu", 1, UINT32_MAX, &cpu, err) != 0 ||
	    sf_json_need_int(j, "mem", 1, UINT32_MAX, &mem, err) != 0 ||
	    sf_json_need_int(j, "cpus_asked", 1, CPUS_MAX, &cpus, err) != 0 ||
	    sf_json_need_int(j, "cpus_per_task", 0, CPUS_MAX, &per_task, err) != 0 ||
	    sf_json_need_int(j, "mem_asked", 0, MEM_MAX_MIB, &asked, err) != 0)
		return -1;
	s->size = (struct sf_size){ (uint32_t)cpu, (uint32_t)mem };
	/* The partition's Allow32Vcpu was judged at submission and may have changed since. */
	if (!sf_size_valid(&s->size, true))
		return sf_err(err, "%u CPU units with %u MiB is no Fargate size", s->size.cpu_units,
			      s->size.mem_mib);
	s->cpus_asked = (uint32_t)cpus;
	s->cpus_per_task = (uint32_t)per_task;
	s->mem_asked_mib = (uint64_t)asked;
	s->mem_per_cpu = sf_json_bool(j, "mem_per_cpu", false);
	return 0;
}

static int decode_strings(const sf_json *j, struct sf_spec *s, struct sf_error *err)
{
	const char *partition = NULL;

	if (sf_json_need_str(j, "partition", &partition, err) != 0)
		return -1;
	if (!*partition || strlen(partition) > PARTITION_MAX)
		return sf_err(err, "member 'partition' is empty or longer than %d", PARTITION_MAX);
	s->partition = strdup(partition);
	if (!s->partition)
		return sf_err(err, "out of memory");
	if (take_choices(j, SF_STORAGE_OWN_GIB + 1, &s->storage_gib, &s->spot, &s->task_definition, err) != 0 ||
	    need_vector(j, "args", &s->args, err) != 0)
		return -1;
	return need_env(j, &s->env, err);
}

int sf_spec_decode(const char *text, struct sf_spec *s, struct sf_error *err)
{
	sf_auto_json sf_json *top = NULL;
	sf_json *j = NULL;

	*s = (struct sf_spec){ 0 };
	if (unwrap_text(text, "spec", &top, &j, err) != 0)
		return -1;
	if (decode_sid(j, s, err) != 0 || decode_numbers(j, s, err) != 0 ||
	    decode_array(j, &s->array, err) != 0 || decode_strings(j, s, err) != 0) {
		sf_spec_free(s);
		return sf_err_wrap(err, "the spec cannot be read");
	}
	return 0;
}

void sf_spec_free(struct sf_spec *s)
{
	if (!s)
		return;
	free(s->partition);
	free(s->task_definition);
	sf_strv_free(s->args);
	sf_strv_free(s->env);
	*s = (struct sf_spec){ 0 };
}
