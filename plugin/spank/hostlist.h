/* Slurm's host lists, walked without libslurm. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_SPANK_HOSTLIST_H
#define PLUGIN_SPANK_HOSTLIST_H

#include <stdbool.h>

#define HOSTLIST_NAME_MAX 256
#define HOSTLIST_HOSTS_MAX 65536

/*
 * Call visit for each host of a list such as `gw[1-3,07],login` (ranges keep their leading zeroes; one bracket per name) until
 * it returns true. Returns 1 when a visit did, 0 when none, -1 when the list is malformed or longer than HOSTLIST_HOSTS_MAX.
 * Ours because libslurm's must not be linked into a plugin and the host's is not in the public headers.
 */
int hostlist_each(const char *list, bool (*visit)(void *ctx, const char *host), void *ctx);

/* 1 when the two lists share a host, 0 when not, -1 when one is malformed. */
int hostlist_meet(const char *a, const char *b);

#endif
