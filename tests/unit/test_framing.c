/* Unit tests of common/base/framing.c. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/framing.h"

#include <stdlib.h>
#include <string.h>

#include "tests/unit/tap.h"

#define NONCE "0123456789abcdef"
#define DRIVER_MAX (262144 - 26)

static int feed(struct sf_framing *f, const char *message, struct sf_buf *out)
{
	return sf_framing_event(f, message, strlen(message), out);
}

static const struct {
	bool framed;
	const char *message;
	int stream;
	const char *out;
} event_rows[] = {
	{ true, "ohello", 1, "hello\n" },
	{ true, "ehello", 2, "hello\n" },
	{ true, "o", 1, "\n" },
	{ true, "e", 2, "\n" },
	{ true, "o  two  blanks ", 1, "  two  blanks \n" },
	{ true, "", 0, "" },
	/* never lost, whatever it is */
	{ true, "sh: 1: Killed", 2, "sh: 1: Killed\n" },
	{ true, "\xef\xbf\xbd", 2, "\xef\xbf\xbd\n" },
	/* marks, and what only looks like one */
	{ true, "o" NONCE " end 0", 0, "" },
	{ true, "e" NONCE " end 143", 0, "" },
	{ true, "o" NONCE " end ", 1, NONCE " end \n" },
	{ true, "o" NONCE " end 1000", 1, NONCE " end 1000\n" },
	{ true, "o" NONCE " end 1x", 1, NONCE " end 1x\n" },
	{ true, "o" NONCE " end -1", 1, NONCE " end -1\n" },
	{ true, "o" NONCE, 1, NONCE "\n" },
	{ true, "oo" NONCE " end 0", 1, "o" NONCE " end 0\n" },
	{ true, "offffffffffffffff end 0", 1, "ffffffffffffffff end 0\n" },
	{ true, NONCE " end 0", 2, NONCE " end 0\n" },
	{ true, NONCE " bootstrap: no base64", 0, "" },
	{ true, "e" NONCE " bootstrap: no base64", 2, NONCE " bootstrap: no base64\n" },
	{ true, "ffffffffffffffff bootstrap: x", 2, "ffffffffffffffff bootstrap: x\n" },
	{ false, "hello", 1, "hello\n" },
	{ false, "", 1, "\n" },
	{ false, "o" NONCE " end 0", 1, "o" NONCE " end 0\n" },
	{ false, NONCE " bootstrap: no base64", 0, "" },
};

START_TEST(one_event)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	struct sf_framing f;

	sf_framing_init(&f, NONCE, event_rows[_i].framed);
	ck_assert_int_eq(feed(&f, event_rows[_i].message, &out), event_rows[_i].stream);
	ck_assert_str_eq(out.data ? out.data : "", event_rows[_i].out);
	ck_assert_int_eq(f.continued, 0);
}
END_TEST

START_TEST(complete_needs_both_marks)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	struct sf_framing f;

	sf_framing_init(&f, NONCE, true);
	ck_assert(!sf_framing_complete(&f));
	feed(&f, "e" NONCE " end 0", &out);
	ck_assert(!sf_framing_complete(&f));
	feed(&f, "e" NONCE " end 0", &out);
	ck_assert(!sf_framing_complete(&f));
	feed(&f, "o" NONCE " end 0", &out);
	ck_assert(sf_framing_complete(&f));
	sf_framing_init(&f, NONCE, false);
	feed(&f, "o" NONCE " end 0", &out);
	feed(&f, "e" NONCE " end 0", &out);
	ck_assert(!sf_framing_complete(&f));
}
END_TEST

START_TEST(bootstrap_cause_is_kept_clean_and_short)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	char longer[400] = NONCE " bootstrap: ";
	struct sf_framing f;
	size_t head = strlen(longer);

	sf_framing_init(&f, NONCE, true);
	ck_assert_str_eq(f.bootstrap, "");
	sf_framing_event(&f, NONCE " bootstrap: no \033[1m\0x", 16 + 12 + 9, &out);
	ck_assert_str_eq(f.bootstrap, "no ?[1m?x");
	ck_assert_int_eq(feed(&f, NONCE " bootstrap: second", &out), 0);
	ck_assert_str_eq(f.bootstrap, "no ?[1m?x");

	sf_framing_init(&f, NONCE, true);
	memset(longer + head, 'a', sizeof(longer) - head);
	sf_framing_event(&f, longer, sizeof(longer), &out);
	ck_assert_uint_eq(strlen(f.bootstrap), sizeof(f.bootstrap) - 1);
	ck_assert_ptr_null(out.data);
}
END_TEST

START_TEST(an_empty_nonce_marks_nothing)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	struct sf_framing f;

	sf_framing_init(&f, "", true);
	ck_assert_int_eq(feed(&f, "o end 0", &out), 1);
	ck_assert_int_eq(feed(&f, " bootstrap: x", &out), 2);
	ck_assert(!f.out_ended);
	ck_assert_str_eq(f.bootstrap, "");
}
END_TEST

/* One event of n bytes: a letter or whatever stands first, then filling. */
static void deliver_cut(struct sf_framing *f, char first, size_t n, struct sf_buf *out)
{
	char *piece = malloc(n);

	ck_assert_ptr_nonnull(piece);
	memset(piece, 'x', n);
	piece[0] = first;
	sf_framing_event(f, piece, n, out);
	free(piece);
}

/* Lines of every length around one, two and three driver buffers, on both streams in turn, come back as they were. */
START_TEST(broken_lines_are_put_together)
{
	static const int distance[] = { -4, 1, 2, 1000 };
	size_t pieces, i, length, left, piece, lines = 0;
	struct sf_framing f;

	sf_framing_init(&f, NONCE, true);
	for (pieces = 1; pieces <= 3; pieces++)
		for (i = 0; i < SF_COUNT(distance); i++, lines++) {
			sf_auto_buf struct sf_buf out = SF_BUF_INIT;
			char letter = lines % 2 ? 'e' : 'o';

			length = pieces * DRIVER_MAX + (size_t)(ssize_t)distance[i];
			for (left = length; left; left -= piece) {
				piece = left < DRIVER_MAX ? left : DRIVER_MAX;
				deliver_cut(&f, left == length ? letter : 'e', piece, &out);
				if (piece < left)
					ck_assert_int_eq(f.continued, (int)(lines % 2) + 1);
			}
			ck_assert_msg(f.continued == 0, "length %zu leaves the line open", length);
			ck_assert_uint_eq(out.len, length); /* the letter gone, a newline instead */
			ck_assert_uint_eq(strcspn(out.data, "\n"), length - 1);
		}
}
END_TEST

/* A cut before the end for a character that would not fit is up to 3 bytes early. */
START_TEST(a_cut_may_be_early)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	struct sf_framing f;
	int early = _i;

	sf_framing_init(&f, NONCE, true);
	deliver_cut(&f, 'e', (size_t)(DRIVER_MAX - early), &out);
	ck_assert_int_eq(f.continued, early <= 3 ? 2 : 0);
	ck_assert_int_eq(sf_framing_event(&f, "o!", 2, &out), early <= 3 ? 2 : 1);
	ck_assert_int_eq(f.continued, 0);
	ck_assert_str_eq(out.data + out.len - 4, early <= 3 ? "xo!\n" : "x\n!\n");
}
END_TEST

START_TEST(a_torn_character_does_not_end_the_line)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	struct sf_framing f;

	sf_framing_init(&f, NONCE, true);
	deliver_cut(&f, 'o', DRIVER_MAX - 1, &out);
	ck_assert_int_eq(feed(&f, "\xef\xbf\xbd", &out), 1);
	ck_assert_int_eq(feed(&f, "\xef\xbf\xbdtail", &out), 1);
	ck_assert_int_eq(feed(&f, "enext", &out), 2);
	ck_assert_str_eq(out.data + DRIVER_MAX - 3, "x\xef\xbf\xbd\xef\xbf\xbdtail\nnext\n");
}
END_TEST

START_TEST(marks_count_inside_a_broken_line)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	struct sf_framing f;

	sf_framing_init(&f, NONCE, true);
	deliver_cut(&f, 'o', DRIVER_MAX, &out);
	ck_assert_int_eq(feed(&f, "e" NONCE " end 0", &out), 0);
	ck_assert_int_eq(feed(&f, "o" NONCE " end 0", &out), 0);
	ck_assert(sf_framing_complete(&f));
}
END_TEST

START_TEST(unframed_lines_are_put_together_too)
{
	sf_auto_buf struct sf_buf out = SF_BUF_INIT;
	struct sf_framing f;

	sf_framing_init(&f, NONCE, false);
	deliver_cut(&f, 'a', DRIVER_MAX, &out);
	ck_assert_int_eq(feed(&f, "b", &out), 1);
	ck_assert_uint_eq(out.len, DRIVER_MAX + 2);
}
END_TEST

START_TEST(state_survives_a_cursor)
{
	struct sf_framing f, g;
	int c, loaded = 0;

	for (c = -128; c < 128; c++) {
		sf_framing_init(&f, NONCE, true);
		if (sf_framing_load(&f, (char)c) != 0)
			continue;
		loaded++;
		ck_assert_int_eq(sf_framing_save(&f), c);
		ck_assert_int_ge(c, '0');
		ck_assert_int_le(c, '?');
		ck_assert_int_le(f.continued, 2);
	}
	ck_assert_int_eq(loaded, 2 * 2 * 3);
	sf_framing_init(&f, NONCE, true);
	f.err_ended = true;
	f.continued = 2;
	sf_framing_init(&g, NONCE, true);
	ck_assert_int_eq(sf_framing_load(&g, sf_framing_save(&f)), 0);
	ck_assert(g.err_ended && !g.out_ended && g.continued == 2 && g.framed);
	/* without framing nothing can have ended */
	sf_framing_init(&g, NONCE, false);
	ck_assert_int_eq(sf_framing_load(&g, sf_framing_save(&f)), -1);
	ck_assert_int_eq(sf_framing_load(&g, '0'), 0);
}
END_TEST

/* Random lines on two streams, framed, delivered in any interleaving: each stream comes back as it was, then both end. */
START_TEST(any_interleaving_comes_back)
{
	static const char alphabet[] = "oe \t\\\"0123456789abcdef";
	struct sf_buf wanted[3] = { SF_BUF_INIT, SF_BUF_INIT, SF_BUF_INIT }, got[3] = { SF_BUF_INIT, SF_BUF_INIT, SF_BUF_INIT };
	struct sf_framing f;
	int i, stream, said;
	size_t n, k;

	srandom((unsigned)_i + 1);
	sf_framing_init(&f, NONCE, true);
	for (i = 0; i < 2000; i++) {
		sf_auto_buf struct sf_buf out = SF_BUF_INIT;
		char line[64];

		stream = 1 + (int)(random() % 2);
		line[0] = stream == 1 ? 'o' : 'e';
		n = 1 + (size_t)(random() % 40);
		for (k = 1; k < n; k++)
			line[k] = alphabet[random() % (long)(sizeof(alphabet) - 1)];
		sf_buf_add(&wanted[stream], line + 1, n - 1);
		sf_buf_puts(&wanted[stream], "\n");
		if (random() % 50 == 0) /* a restart of the agent */
			ck_assert_int_eq(sf_framing_load(&f, sf_framing_save(&f)), 0);
		said = sf_framing_event(&f, line, n, &out);
		sf_buf_add(&got[said], out.data, out.len);
	}
	ck_assert(!sf_framing_complete(&f));
	for (stream = 1; stream <= 2; stream++) {
		ck_assert_uint_eq(got[stream].len, wanted[stream].len);
		ck_assert_str_eq(got[stream].data, wanted[stream].data);
	}
	for (stream = 0; stream <= 2; stream++) {
		sf_buf_free(&wanted[stream]);
		sf_buf_free(&got[stream]);
	}
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ one_event, SF_COUNT(event_rows) },
		{ complete_needs_both_marks, 0 },
		{ bootstrap_cause_is_kept_clean_and_short, 0 },
		{ an_empty_nonce_marks_nothing, 0 },
		{ broken_lines_are_put_together, 0 },
		{ a_cut_may_be_early, 5 },
		{ a_torn_character_does_not_end_the_line, 0 },
		{ marks_count_inside_a_broken_line, 0 },
		{ unframed_lines_are_put_together_too, 0 },
		{ state_survives_a_cursor, 0 },
		{ any_interleaving_comes_back, 10 },
	};

	return tap_main("framing", tests, SF_COUNT(tests));
}
