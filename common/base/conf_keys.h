/* The keys of fargate.conf: one table that reads, checks, prints and frees every value. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_CONF_KEYS_H
#define SF_BASE_CONF_KEYS_H

#include "common/base/conf.h"
#include "common/base/text.h"

/* Where a key may stand, and with that the structure its value lives in. */
enum sf_key_scope {
	SF_KEY_TOP = 1,  /* a line of its own: struct sf_conf */
	SF_KEY_LINE = 2, /* a PartitionName line: struct sf_conf_line; with TOP also the default of the lines */
	SF_KEY_RULE = 4, /* a FailureRule line: struct sf_conf_rule */
};

enum sf_key_type { SF_KEY_NAME, SF_KEY_LIST, SF_KEY_FLAG, SF_KEY_NUMBER, SF_KEY_WORD };

struct sf_key {
	const char *name;
	enum sf_key_type type;
	unsigned scope;
	size_t offset;
	/* NUMBER: bounds; LIST: the most elements */
	uint32_t min, max;
	/* what a NAME, or each element of a LIST, must pass */
	bool (*valid)(const char *value);
	/* WORD: the words in the order of the enum; a NULL word stands for a value no file may give */
	const char *const *words;
	size_t n_words;
	/* says what is allowed, after "is not valid; " */
	const char *allowed;
	/* the word for a NULL list or a 0, which is also its default; NULL = there is none */
	const char *nothing;
	bool required; /* on its line or, with TOP, above */
	bool idle;     /* read and kept, but nothing acts on it in this version */
};

extern const struct sf_key sf_keys[];
#define SF_KEYS_MAX 64
extern const size_t sf_n_keys; /* at most SF_KEYS_MAX */
/* The first key of a line type: sf_keys[SF_KEY_PARTITION] and sf_keys[SF_KEY_FAILURE]. */
#define SF_KEY_PARTITION 0
#define SF_KEY_FAILURE 1

/* The key of that name, any case; NULL when there is none. */
const struct sf_key *sf_key_find(const char *name);
/* Read a value into the structure at base; -1 with "Key=value is not valid; …". A string or list it replaces is freed. */
int sf_key_read(const struct sf_key *k, const char *value, void *base, struct sf_error *err);
/* Append "Key=value", quoted where that is needed, after a blank unless it begins a line; nothing for what is not set. */
void sf_key_print(const struct sf_key *k, const void *base, struct sf_buf *out);
/* Free the strings and lists of every key of that scope in the structure at base. */
void sf_keys_clear(enum sf_key_scope scope, void *base);

/* The documented defaults of numbers and flags; strings are NULL. */
extern const struct sf_conf sf_conf_defaults;
extern const struct sf_conf_line sf_conf_line_defaults;

#endif
