/* Asking the agent: its socket, questions, and answers that come in parts. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "common/base/conf.h"
#include "common/base/names.h"
#include "common/base/text.h"
#include "plugin/sfargate/sfargate.h"

#define TIMEOUT_MS 10000

/* The socket as fargate.conf names it, where this user can read it; else the compiled default. */
static int find_socket(const struct arguments *a, char out[108])
{
	sf_auto_free char *beside = a->conf ? NULL : sf_conf_default_path();
	const char *path = a->conf ? a->conf : beside;
	sf_auto_conf struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	struct stat st;

	if (a->socket && sf_copy(out, 108, a->socket))
		return 0;
	if (a->socket) {
		fprintf(stderr, "sfargate: the socket's path is longer than 107 bytes: %s\n", a->socket);
		return -1;
	}
	sf_copy(out, 108, SF_DEFAULT_SOCKET);
	if (!a->conf && (!path || access(path, R_OK) != 0))
		return 0;
	if (stat(path, &st) != 0) {
		fprintf(stderr, "sfargate: %s: %s\n", path, strerror(errno));
		return -1;
	}
	if (sf_conf_load(path, st.st_uid, &conf, &err) == 0)
		return sf_copy(out, 108, conf->socket) ? 0 : -1;
	/* The agent goes on with the conf it has read before: a bad new one is said, and no reason not to ask. */
	fprintf(stderr, "sfargate: %s\n", err.text);
	return sf_conf_socket(path, st.st_uid, out, 108) == 0 || !a->conf ? 0 : -1;
}

static int no_answer(const char *socket_path)
{
	fprintf(stderr, "sfargate: the agent does not answer at %s: %s; is fargated running?\n", socket_path,
		errno == EAGAIN ? "nothing came in time" : errno ? strerror(errno) : "it closed the connection");
	return -1;
}

int asker_open(struct asker *k, const struct arguments *a, char socket_path[108])
{
	*k = (struct asker){ .fd = -1, .cap = SF_FRAME_HEAD + SF_FRAME_BODY_MAX, .socket = socket_path };
	if (find_socket(a, socket_path) != 0)
		return -1;
	k->buf = malloc(k->cap);
	if (!k->buf) {
		fputs("sfargate: out of memory\n", stderr);
		return -1;
	}
	k->fd = sf_proto_connect(socket_path, TIMEOUT_MS);
	return k->fd >= 0 ? 0 : no_answer(socket_path);
}

void asker_close(struct asker *k)
{
	if (k->fd >= 0)
		close(k->fd);
	free(k->buf);
	*k = (struct asker){ .fd = -1 };
}

int asker_send(struct asker *k, const struct arguments *a, enum sf_frame_type type, int64_t number, const struct sf_field *cursor)
{
	unsigned char bytes[SF_CURSOR_MAX + 256];
	struct sf_frame_out o;

	sf_frame_begin(&o, bytes, sizeof(bytes), type);
	if (a->job_id)
		sf_frame_put_number(&o, SF_FIELD_JOB, a->job_id);
	if (a->job_id && a->array_task >= 0)
		sf_frame_put_number(&o, SF_FIELD_ARRAY, (uint64_t)a->array_task);
	if (number >= 0)
		sf_frame_put_number(&o, type == SF_FRAME_LOGS ? SF_FIELD_FOLLOW : SF_FIELD_NUMBER, (uint64_t)number);
	if (a->partition)
		sf_frame_put_bytes(&o, SF_FIELD_TEXT, a->partition, strlen(a->partition));
	if (cursor)
		sf_frame_put_bytes(&o, SF_FIELD_CURSOR, cursor->bytes, cursor->len);
	errno = 0;
	return sf_proto_send(k->fd, bytes, sf_frame_end(&o)) == 0 ? 0 : no_answer(k->socket);
}

int asker_next(struct asker *k, struct sf_frame *f, int timeout_ms)
{
	struct timeval tv = { timeout_ms / 1000, timeout_ms % 1000 * 1000 };
	sf_auto_free char *text = NULL;
	ssize_t len;

	sf_proto_consume(k->buf, &k->have, k->last);
	k->last = 0;
	setsockopt(k->fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	errno = 0;
	len = sf_proto_recv(k->fd, k->buf, k->cap, &k->have, f);
	if (len < 0 && errno == EPROTO) {
		fputs("sfargate: the agent's answer makes no sense; is it of another version?\n", stderr);
		return -1;
	}
	if (len <= 0) {
		errno = len == 0 ? 0 : errno;
		return no_answer(k->socket);
	}
	k->last = (size_t)len;
	if (f->type != SF_FRAME_REFUSED)
		return 0;
	text = sf_frame_dup(f, SF_FIELD_TEXT, SF_FRAME_BODY_MAX);
	if (text)
		sf_text_clean(text);
	fprintf(stderr, "sfargate: %s\n", text ? text : "the agent refused without a word");
	return -1;
}

/* One answer of the connection that is open. */
static char *next_text(struct asker *k, struct sf_frame *f)
{
	char *text;

	if (asker_next(k, f, TIMEOUT_MS) != 0)
		return NULL;
	text = f->type == SF_FRAME_TEXT ? sf_frame_dup(f, SF_FIELD_TEXT, SF_FRAME_BODY_MAX) : NULL;
	if (!text)
		fputs("sfargate: the agent's answer makes no sense; is it of another version?\n", stderr);
	return text;
}

char *ask_text(const struct arguments *a, enum sf_frame_type type)
{
	char socket_path[108], *text = NULL;
	struct asker k;
	struct sf_frame f;

	if (asker_open(&k, a, socket_path) == 0 && asker_send(&k, a, type, -1, NULL) == 0)
		text = next_text(&k, &f);
	asker_close(&k);
	return text;
}

/* The elements of one part; 0, or -1 after a sentence. */
static int add_part(sf_json *list, const char *text, const char *key)
{
	sf_auto_json sf_json *answer = NULL;
	struct sf_error err = { "" };
	size_t i;

	if (sf_json_parse(text, strlen(text), &answer, &err) != 0) {
		fprintf(stderr, "sfargate: the agent's answer: %s\n", err.text);
		return -1;
	}
	for (i = 0; i < sf_json_len(sf_json_array(answer, key)); i++)
		sf_json_add(list, sf_json_keep(sf_json_at(sf_json_array(answer, key), i)));
	return 0;
}

static int ask_parts(struct asker *k, const struct arguments *a, enum sf_frame_type type, const char *key, int64_t number, sf_json *list)
{
	unsigned char bytes[SF_CURSOR_MAX];
	struct sf_field cursor = { .bytes = bytes };
	const struct sf_field *next = NULL;
	struct sf_frame f;

	do {
		sf_auto_free char *text = NULL;

		if (asker_send(k, a, type, number, next ? &cursor : NULL) != 0)
			return -1;
		text = next_text(k, &f);
		if (!text || add_part(list, text, key) != 0)
			return -1;
		next = sf_frame_field(&f, SF_FIELD_CURSOR);
		if (next && (next->len == 0 || next->len > sizeof(bytes)))
			return -1;
		if (next) {
			memcpy(bytes, next->bytes, next->len);
			cursor.len = next->len;
		}
	} while (next);
	return 0;
}

sf_json *ask_list(const struct arguments *a, enum sf_frame_type type, const char *key, int64_t number)
{
	sf_auto_json sf_json *list = sf_json_new_array();
	char socket_path[108];
	struct asker k;
	int rc = -1;

	if (asker_open(&k, a, socket_path) == 0)
		rc = ask_parts(&k, a, type, key, number, list);
	asker_close(&k);
	return rc == 0 ? sf_steal(list) : NULL;
}
