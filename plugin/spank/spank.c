/* fargate.so: which hook does what in which context; nothing else. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/spank/spank.h"

#pragma GCC visibility push(default)

SPANK_PLUGIN(fargate, 1)

int slurm_spank_init(spank_t sp, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return spank_context() == S_CTX_ALLOCATOR ? allocator_init(sp) : 0;
}

int slurm_spank_init_post_opt(spank_t sp, int argc, char **argv)
{
	(void)argc;
	(void)argv;
	return spank_context() == S_CTX_ALLOCATOR ? allocator_post_opt(sp) : 0;
}

int slurm_spank_user_init(spank_t sp, int argc, char **argv)
{
	return spank_context() == S_CTX_REMOTE ? gateway_user_init(sp, argc, argv) : 0;
}

int slurm_spank_task_init_privileged(spank_t sp, int argc, char **argv)
{
	return spank_context() == S_CTX_REMOTE ? gateway_task_init_privileged(sp, argc, argv) : 0;
}

int slurm_spank_task_init(spank_t sp, int argc, char **argv)
{
	return spank_context() == S_CTX_REMOTE ? gateway_task_init(sp, argc, argv) : 0;
}

#pragma GCC visibility pop
