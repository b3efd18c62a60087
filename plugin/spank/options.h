/* The options fargate.so gives sbatch, and what the user said with them. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_SPANK_OPTIONS_H
#define PLUGIN_SPANK_OPTIONS_H

#include <slurm/spank.h>

#include "common/base/spec.h"

/* Register every option with the host; 0 or -1 after a sentence. */
int options_register(spank_t sp);

/* --fargate was given. */
bool options_on(void);
/* The first of the others that was given, without its dashes ("fargate-cpu"), or NULL. */
const char *options_first_other(void);
const struct sf_options *options_said(void);

#endif
