/* What the files of fargate.so share. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_SPANK_SPANK_H
#define PLUGIN_SPANK_SPANK_H

#include <stdbool.h>

#include <slurm/spank.h>

/*
 * Each returns 0, or -1 after a sentence through slurm_error(). What a failure does is spank(8)'s rule for a `required` plugin:
 * in the allocator sbatch ends before anything is queued; on a gateway a failure before task_init_privileged drains the node,
 * so nothing there may fail for a batch step (any other step fails alone); from task_init_privileged on it fails the job alone.
 */

/* allocator.c: sbatch and salloc. */
int allocator_init(spank_t sp);     /* registers the options; forgets what an outer job left in the environment */
int allocator_post_opt(spank_t sp); /* packs what the user said into the one variable */

/* gateway.c: slurmstepd. Plugin arguments: gateways=HOSTLIST socket=PATH attach=PATH [reattach=SECONDS]. */
int gateway_user_init(spank_t sp, int argc, char **argv);            /* refuses other steps, drops the user's variables */
int gateway_task_init_privileged(spank_t sp, int argc, char **argv); /* root: hand over; at most 800 ms */
int gateway_task_init(spank_t sp, int argc, char **argv);            /* user: exec fargate-attach; returns only to fail */

#endif
