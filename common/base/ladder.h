/* The capacity providers a job is tried on, in their order. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_LADDER_H
#define SF_BASE_LADDER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/base/spec.h"

#define SF_LADDER_MAX 2
#define SF_PROVIDER_ON_DEMAND "FARGATE"
#define SF_PROVIDER_SPOT "FARGATE_SPOT"

/* False where a job asks for Spot, in either way, and the line's Providers do not have it. */
bool sf_spot_allowed(const struct sf_conf_line *line, enum sf_spot spot);
/*
 * The rungs, first to last: the line's Providers in their own order (default), Spot before On-Demand whatever that order is
 * (prefer), or Spot alone (only); never one that the line does not have. avoid_spot leaves Spot out where On-Demand remains, for
 * a job that has been interrupted often enough; so it changes nothing for `only`, nor where the line has Spot alone.
 * Gives the number of rungs; 0 = the line has none for this job (only, without Spot), which nothing may be launched on. What is
 * beyond is NULL. Borrowed from the line or static.
 */
size_t sf_ladder(const struct sf_conf_line *line, enum sf_spot spot, bool avoid_spot, const char *providers[SF_LADDER_MAX]);
/* The first rung, or NULL. */
const char *sf_ladder_first(const struct sf_conf_line *line, enum sf_spot spot, bool avoid_spot);

#endif
