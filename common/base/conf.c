/* fargate.conf: its lines, top-level values as defaults of the lines below, and what must fit together. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

#include "common/base/conf_check.h"
#include "common/base/conf_keys.h"
#include "common/base/conf_lex.h"
#include "common/base/names.h"
#include "common/base/text.h"
#include "common/base/util.h"

#define UTF8_BOM "\xef\xbb\xbf"

/* What is known while a text is read. */
struct parser {
	const char *path;
	unsigned line;
	struct sf_conf *conf;
	char *top[SF_KEYS_MAX]; /* top-level values so far: defaults of the lines below */
	unsigned top_line[SF_KEYS_MAX];
	unsigned seen[SF_KEYS_MAX]; /* number of the first line that sets a key, 0 = none */
	unsigned default_line;      /* number of the line with Default=YES, 0 = none yet */
};

/* The values of one PartitionName or FailureRule line. */
struct values {
	const char *of[SF_KEYS_MAX];
};

struct sf_conf *sf_conf_hold(struct sf_conf *conf)
{
	atomic_fetch_add(&conf->holders, 1);
	return conf;
}

void sf_conf_free(struct sf_conf *conf)
{
	size_t i;

	if (!conf || atomic_fetch_sub(&conf->holders, 1) > 1)
		return;
	for (i = 0; i < conf->n_lines; i++)
		sf_keys_clear(SF_KEY_LINE, &conf->lines[i]);
	for (i = 0; i < conf->n_rules; i++)
		sf_keys_clear(SF_KEY_RULE, &conf->rules[i]);
	sf_keys_clear(SF_KEY_TOP, conf);
	sf_strv_free(conf->warnings);
	free(conf->lines);
	free(conf->rules);
	free(conf->path);
	free(conf);
}

static size_t index_of(const struct sf_key *k)
{
	return (size_t)(k - sf_keys);
}

static const struct sf_key *find_key(struct parser *p, const char *name, struct sf_error *err)
{
	const struct sf_key *k = sf_key_find(name);

	if (!k)
		sf_err(err, "unknown key %.64s", name);
	else if (!p->seen[index_of(k)])
		p->seen[index_of(k)] = p->line;
	return k;
}

static int misplaced(const struct sf_key *k, const char *here, struct sf_error *err)
{
	if (k->scope == SF_KEY_TOP)
		return sf_err(err, "%s belongs at the top level, not on a %s line", k->name, here);
	return sf_err(err, "%s belongs on a %s line", k->name, k->scope == SF_KEY_RULE ? "FailureRule" : "PartitionName");
}

static int top_value(struct parser *p, const struct sf_key *k, const char *value, struct sf_error *err)
{
	struct sf_conf_line scratch = sf_conf_line_defaults;
	size_t i = index_of(k);
	int rc;

	if (i == SF_KEY_PARTITION || i == SF_KEY_FAILURE)
		return sf_err(err, "%s must come first on its line", k->name);
	if (!(k->scope & SF_KEY_TOP))
		return misplaced(k, "top-level", err);
	if (p->top[i])
		return sf_err(err, "duplicate %s (the first is on line %u)", k->name, p->top_line[i]);
	rc = sf_key_read(k, value, k->scope == SF_KEY_TOP ? (void *)p->conf : (void *)&scratch, err);
	sf_keys_clear(SF_KEY_LINE, &scratch);
	if (rc != 0)
		return -1;
	p->top_line[i] = p->line;
	p->top[i] = strdup(value);
	return p->top[i] ? 0 : sf_err(err, "out of memory");
}

/* Values of one line into the structure at base, for a PartitionName line defaults from the top level first. */
static int fill(const struct parser *p, const struct values *own, unsigned scope, void *base, struct sf_error *err)
{
	const char *value;
	size_t i;

	for (i = 0; i < sf_n_keys; i++) {
		value = own->of[i] ? own->of[i] : p->top[i];
		if (!(sf_keys[i].scope & scope))
			continue;
		if (value && sf_key_read(&sf_keys[i], value, base, err) != 0)
			return -1;
		if (!value && sf_keys[i].required)
			return sf_err(err, "PartitionName=%s: %s is required", own->of[SF_KEY_PARTITION], sf_keys[i].name);
	}
	return 0;
}

/* What one line cannot know: that its name and its Default=YES are the only ones. */
static int check_unique(struct parser *p, const struct sf_conf_line *l, struct sf_error *err)
{
	const struct sf_conf_line *other = sf_conf_find(p->conf, l->name);

	if (other)
		return sf_err(err, "duplicate PartitionName=%s (the first is on line %u)", l->name, other->line);
	if (!l->is_default)
		return 0;
	if (p->default_line)
		return sf_err(err, "a second Default=YES (the first is on line %u)", p->default_line);
	p->default_line = l->line;
	return 0;
}

/* A task definition of another Region would be refused by AWS for every job. */
static int check_region(const struct sf_conf_line *l, struct sf_error *err)
{
	char region[64];

	sf_arn_region(l->task_definition, region, sizeof(region));
	if (!region[0] || !l->region || strcmp(region, l->region) == 0)
		return 0;
	return sf_err(err, "PartitionName=%s: TaskDefinition is in %s, but Region=%s", l->name, region, l->region);
}

static int complete_line(struct parser *p, const struct values *own, struct sf_conf_line *l, struct sf_error *err)
{
	l->line = p->line;
	if (fill(p, own, SF_KEY_LINE, l, err) != 0 || check_unique(p, l, err) != 0 || check_region(l, err) != 0)
		return -1;
	if (!l->providers && sf_strv_add(&l->providers, "FARGATE") != 0)
		return sf_err(err, "out of memory");
	return 0;
}

static int add_line(struct parser *p, const struct values *own, struct sf_error *err)
{
	struct sf_conf *conf = p->conf;
	struct sf_conf_line *grown = reallocarray(conf->lines, conf->n_lines + 1, sizeof(*grown));

	if (!grown)
		return sf_err(err, "out of memory");
	conf->lines = grown;
	grown[conf->n_lines] = sf_conf_line_defaults;
	if (complete_line(p, own, &grown[conf->n_lines], err) != 0) {
		sf_keys_clear(SF_KEY_LINE, &grown[conf->n_lines]);
		return -1;
	}
	conf->n_lines++;
	return 0;
}

#define ANSWERS "AWS's answers (Operation, Code, Reason)"
#define TASKS "tasks (StopCode, StoppedReason, ContainerReason, ExitCode)"

/* A line speaks of AWS's answers or of tasks, and only of what its class can mean there. */
static int check_rule(const struct sf_conf_rule *r, struct sf_error *err)
{
	bool answers = r->operation || r->code || r->reason;
	bool tasks = r->stop_code || r->stopped_reason || r->container_reason || r->exit_code;
	const char *class = sf_class_name(r->class);
	unsigned uses = sf_class_rule_uses(r->class);

	if (!answers && !tasks)
		return sf_err(err,
			      "FailureRule=%s matches everything; add one of Operation, Code, Reason, StopCode, StoppedReason, "
			      "ContainerReason, ExitCode", class);
	if (answers && tasks)
		return sf_err(err, "FailureRule=%s can never match: it speaks of " ANSWERS " and of " TASKS ", make it two lines",
			      class);
	if (answers && !(uses & SF_RULE_ANSWER))
		return sf_err(err, "FailureRule=%s can only be said of " TASKS, class);
	if (tasks && !(uses & SF_RULE_TASK))
		return sf_err(err, "FailureRule=%s can only be said of " ANSWERS, class);
	return 0;
}

static int add_rule(struct parser *p, const struct values *own, struct sf_error *err)
{
	struct sf_conf *conf = p->conf;
	struct sf_conf_rule *grown = reallocarray(conf->rules, conf->n_rules + 1, sizeof(*grown)), *rule;

	if (!grown)
		return sf_err(err, "out of memory");
	conf->rules = grown;
	/* Counted first: whatever fill() leaves there goes with the conf. */
	rule = &grown[conf->n_rules++];
	*rule = (struct sf_conf_rule){ .line = p->line };
	return fill(p, own, SF_KEY_RULE, rule, err) == 0 ? check_rule(rule, err) : -1;
}

/* A PartitionName or FailureRule line: first is its first key. */
static int parse_record(struct parser *p, const struct sf_key *first, const char *value, char *pos, struct sf_error *err)
{
	struct values own = { .of = { [0] = NULL } };
	const struct sf_key *k;
	char *key, *next;
	int rc;

	own.of[index_of(first)] = value;
	while ((rc = sf_lex_pair(&pos, &key, &next, err)) == 1) {
		k = find_key(p, key, err);
		if (!k)
			return -1;
		if (!(k->scope & first->scope))
			return misplaced(k, first->name, err);
		if (own.of[index_of(k)])
			return sf_err(err, "duplicate %s", k->name);
		own.of[index_of(k)] = next;
	}
	if (rc != 0)
		return -1;
	return index_of(first) == SF_KEY_PARTITION ? add_line(p, &own, err) : add_rule(p, &own, err);
}

/* Slurm's own `Include FILE`: the ownership of a second file would have to be checked too, and nobody needs it. */
static bool is_include(const char *line)
{
	line += strspn(line, " \t");
	return strncasecmp(line, "include", 7) == 0 && strchr(" \t=", line[7]);
}

static int parse_line(struct parser *p, char *pos, struct sf_error *err)
{
	const struct sf_key *k;
	char *key, *value;
	bool first = true;
	int rc;

	if (is_include(pos))
		return sf_err(err, "Include is not supported: put every line into this file");
	while ((rc = sf_lex_pair(&pos, &key, &value, err)) == 1) {
		k = find_key(p, key, err);
		if (!k)
			return -1;
		if (first && (index_of(k) == SF_KEY_PARTITION || index_of(k) == SF_KEY_FAILURE))
			return parse_record(p, k, value, pos, err);
		if (top_value(p, k, value, err) != 0)
			return -1;
		first = false;
	}
	return rc;
}

static int parse_all(struct parser *p, const char *text, struct sf_error *err)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	struct sf_lex lex = { .next = text };
	int rc;

	if (strncmp(text, UTF8_BOM, sizeof(UTF8_BOM) - 1) == 0)
		lex.next += sizeof(UTF8_BOM) - 1;
	while ((rc = sf_lex_line(&lex, &b, &p->line, err)) == 1) {
		if (parse_line(p, b.data, err) != 0) {
			rc = -1;
			break;
		}
	}
	return rc == 0 ? 0 : sf_err_wrap(err, "%s:%u", p->path, p->line);
}

/* What no single line can know. */
static int check_whole(const struct parser *p, struct sf_error *err)
{
	const struct sf_conf *conf = p->conf;
	unsigned age = p->seen[index_of(sf_key_find("QuotaMaxAge"))];
	unsigned refresh = p->seen[index_of(sf_key_find("QuotaRefresh"))];

	if (conf->n_lines == 0)
		return sf_err(err, "%s: there is no PartitionName line", p->path);
	if (conf->quota_max_age < conf->quota_refresh)
		return sf_err(err,
			      "%s:%u: QuotaMaxAge=%u is shorter than QuotaRefresh=%u: quotas would be too old before they are "
			      "read again", p->path, age > refresh ? age : refresh, conf->quota_max_age, conf->quota_refresh);
	return 0;
}

static int warn(struct sf_conf *conf, const char *path, unsigned line, const char *what)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;

	sf_buf_printf(&b, "%s:%u: %s", path, line, what);
	return b.failed ? -1 : sf_strv_add(&conf->warnings, b.data);
}

/* Keys that are kept for a later version: better said than believed to work. */
static int warn_all(struct parser *p)
{
	char what[96];
	size_t i;

	for (i = 0; i < sf_n_keys; i++) {
		snprintf(what, sizeof(what), "%s has no effect in this version", sf_keys[i].name);
		if (sf_keys[i].idle && p->seen[i] && warn(p->conf, p->path, p->seen[i], what) != 0)
			return -1;
	}
	return 0;
}

static bool set_default(char **slot, const char *value)
{
	if (!*slot)
		*slot = strdup(value);
	return *slot != NULL;
}

/* The defaults that are strings, and what is known only at the end. */
static int finish(struct parser *p, struct sf_error *err)
{
	struct sf_conf *conf = p->conf;
	size_t i;

	if (!set_default(&conf->socket, SF_DEFAULT_SOCKET) || !set_default(&conf->state_dir, SF_DEFAULT_STATE_DIR) ||
	    !set_default(&conf->path, p->path) || warn_all(p) != 0)
		return sf_err(err, "%s: out of memory", p->path);
	for (i = 0; i < conf->n_lines; i++)
		if (conf->lines[i].is_default)
			conf->default_line = &conf->lines[i];
	return 0;
}

int sf_conf_parse(const char *path, const char *text, struct sf_conf **out, struct sf_error *err)
{
	sf_auto_conf struct sf_conf *conf = malloc(sizeof(*conf));
	struct parser p = { .path = path, .conf = conf };
	int rc = -1;
	size_t i;

	if (!conf)
		return sf_err(err, "%s: out of memory", path);
	*conf = sf_conf_defaults;
	atomic_init(&conf->holders, 1);
	if (parse_all(&p, text, err) == 0 && check_whole(&p, err) == 0 && finish(&p, err) == 0) {
		*out = sf_steal(conf);
		rc = 0;
	}
	for (i = 0; i < sf_n_keys; i++)
		free(p.top[i]);
	/* Keys and values are quoted from the file: no control bytes into logs and terminals. */
	if (rc != 0 && err)
		sf_text_clean(err->text);
	return rc;
}

const struct sf_conf_line *sf_conf_find(const struct sf_conf *conf, const char *partition)
{
	size_t i;

	for (i = 0; i < conf->n_lines; i++)
		if (strcmp(conf->lines[i].name, partition) == 0)
			return &conf->lines[i];
	return NULL;
}

char *sf_conf_names(const struct sf_conf *conf)
{
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;
	size_t i;

	for (i = 0; i < conf->n_lines; i++)
		sf_buf_printf(&b, "%s%s", i ? ", " : "", conf->lines[i].name);
	return sf_buf_take(&b);
}
