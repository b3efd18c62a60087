/* Reservations of licenses: what Slurm may not give away of one, kept as <License>_hold; called on the worker thread only. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef PLUGIN_AGENT_SLURM_RESV_H
#define PLUGIN_AGENT_SLURM_RESV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/error.h"

#define SLURM_LICENSE_MAX 65 /* fargate.conf's longest name and its end */
#define SLURM_HOLD_SUFFIX "_hold"

enum slurm_hold_want {
	HOLD_LEAVE, /* as it is; only look */
	HOLD_SET,   /* slurmctld may give `open` units at a time */
	HOLD_DROP   /* no reservation any more */
};

/* One license and its reservation: what is wanted, and what slurmctld has. */
struct slurm_hold {
	char license[SLURM_LICENSE_MAX];
	enum slurm_hold_want want;
	int64_t open;
	/* the answer */
	bool looked;   /* the rest holds */
	bool known;    /* slurm.conf's Licenses= has it */
	int64_t total; /* ... so many units of it */
	int64_t held;  /* by the reservation, after what was done; 0 = there is none */
	bool changed;  /* something was done */
};

/* The units of `license` in a list such as "fargate:4,matlab" (one where no number is given), 0 when it is not in it. */
int64_t slurm_license_units(const char *list, const char *license);
/*
 * Look at each license and bring its reservation to what is wanted: total - open units, LICENSE_ONLY, for a year from its last
 * change on. One that somebody deleted is made again. 0, or -1 with err in Slurm's words; the others are done all the same.
 */
int slurm_api_holds(struct slurm_hold *holds, size_t n, struct sf_error *err);

#endif
