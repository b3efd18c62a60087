/* sfargate logs: the task's lines, as the agent reads them from CloudWatch. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

#include "common/base/text.h"
#include "plugin/sfargate/sfargate.h"

/* Between two pages the agent may have to wait for CloudWatch's rate; it says nothing meanwhile. */
#define TIMEOUT_MS 60000

/* A terminal gets no control bytes but line breaks and tabs: they could be anybody's. A file or pipe gets every byte. */
static void clean_lines(char *text, size_t n)
{
	size_t at = 0, len;
	char kept;

	while (at < n) {
		len = strcspn(text + at, "\n\t");
		kept = text[at + len];
		text[at + len] = '\0';
		sf_text_clean(text + at);
		text[at + len] = kept;
		at += len;
		if (at < n && text[at] == '\0')
			text[at] = '?';
		at += at < n;
	}
}

static int write_json(int stream, char *bytes, size_t n)
{
	sf_auto_json sf_json *one = sf_json_new_object();
	char *nul;

	while ((nul = memchr(bytes, '\0', n)))
		*nul = '?';

	sf_json_set_str(one, "stream", stream == 1 ? "stdout" : "stderr");
	sf_json_set_str(one, "text", bytes);
	print_json(one);
	return fflush(stdout);
}

static int write_output(const struct arguments *a, const struct sf_frame *f)
{
	const struct sf_field *field = sf_frame_field(f, SF_FIELD_BYTES);
	uint64_t stream = 0;
	sf_auto_free char *bytes = NULL;
	FILE *to;

	if (!field || !sf_frame_number(f, SF_FIELD_STREAM, &stream) || (stream != 1 && stream != 2))
		return 0;
	bytes = malloc((size_t)field->len + 1);
	if (!bytes)
		return -1;
	memcpy(bytes, field->bytes, field->len);
	bytes[field->len] = '\0';
	if (a->json)
		return write_json((int)stream, bytes, field->len);
	to = stream == 1 ? stdout : stderr;
	if (isatty(fileno(to)))
		clean_lines(bytes, field->len);
	if (fwrite(bytes, 1, field->len, to) != field->len)
		return -1;
	return fflush(to);
}

static void write_note(const struct sf_frame *f)
{
	sf_auto_free char *text = sf_frame_dup(f, SF_FIELD_TEXT, SF_FRAME_BODY_MAX);

	if (text)
		sf_text_clean(text);
	fprintf(stderr, "sfargate: %s\n", text ? text : "");
}

static int copy(struct asker *k, const struct arguments *a)
{
	struct sf_frame f;

	for (;;) {
		if (asker_next(k, &f, a->follow ? 0 : TIMEOUT_MS) != 0)
			return EXIT_NO_ANSWER;
		if (f.type == SF_FRAME_EXIT)
			return EXIT_SUCCESS;
		if (f.type == SF_FRAME_NOTE)
			write_note(&f);
		if (f.type == SF_FRAME_OUTPUT && write_output(a, &f) != 0) {
			fprintf(stderr, "sfargate: the output cannot be written: %s\n", strerror(errno));
			return EXIT_NO_ANSWER;
		}
	}
}

int command_logs(const struct arguments *a)
{
	char socket_path[108];
	struct asker k;
	int status = EXIT_NO_ANSWER;

	/* `sfargate logs 12 | head` ends in silence, as other filters do. */
	signal(SIGPIPE, SIG_DFL);
	if (asker_open(&k, a, socket_path) == 0 && asker_send(&k, a, SF_FRAME_LOGS, a->follow, NULL) == 0)
		status = copy(&k, a);
	asker_close(&k);
	return status;
}
