/* Fuzzes the agent's socket: whatever a stranger sends, the agent answers the next one, and only root's words start or stop a
 * task. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/fuzz/fuzz.h"
#include "tests/unit/agent_world.h"

#define JOB 7
#define TURNS 3
#define BYTES_MAX 4096 /* far less than the socket holds: nobody waits */

/* The world is check's; without check a property that does not hold ends the program. */
void _ck_assert_failed(const char *file, int line, const char *expr, const char *msg, ...)
{
	fprintf(stderr, "%s:%d: %s (%s)\n", file, line, expr, msg ? msg : "");
	abort();
}

void _mark_point(const char *file, int line)
{
	(void)file;
	(void)line;
}

/* One job of ALICE with a running task, without its attach. */
static void begin(void)
{
	static bool begun;

	if (begun)
		return;
	begun = true;
	world_step = 5;
	world_start();
	atexit(world_end);
	world_launch(JOB);
	aws_running(aws_task(0));
	UNTIL(world_job(JOB, 0)->row.started);
	slurm_running(JOB);
}

static void heard(const struct peer *p, bool root)
{
	HOLDS(fuzz_clean(p->refused));
	HOLDS(!p->notes.data || sf_utf8_valid(p->notes.data, p->notes.len));
	HOLDS(root || p->released == 0);
}

static void still_there(void)
{
	struct peer *p = peer_open(0);

	peer_ask(p, SF_FRAME_STATUS, 0);
	UNTIL(p->text.len);
	HOLDS(p->text.data[0] == '{');
}

/* A letter for who speaks (r: root, a: ALICE, whose the job is, else BOB), then what he sends. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const bool root = size && *data == 'r';
	struct peer *p;
	int turn;

	if (size < 2 || size > BYTES_MAX)
		return 0;
	begin();
	p = peer_open(root ? 0 : *data == 'a' ? ALICE : BOB);
	peer_bytes(p, data + 1, size - 1);
	for (turn = 0; turn < TURNS; turn++)
		world_turn();
	heard(p, root);
	peer_shut(p);
	still_there();
	HOLDS(aws_tasks() == 1 && world_job(JOB, 0));
	HOLDS(root || aws_count(AWS_OP_STOP_TASK) == 0);
	peers_end();
	return 0;
}
