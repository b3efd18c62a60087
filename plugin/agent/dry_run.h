/* fargated -t: what an agent started now would run with. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_DRY_RUN_H
#define PLUGIN_AGENT_DRY_RUN_H

/*
 * Read the file, hold it against the running Slurm if there is one, print the effective configuration to standard output and
 * everything else to standard error. Starts and changes nothing. Returns main()'s status.
 */
int dry_run(const char *path);

#endif
