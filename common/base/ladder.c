/* The capacity providers a job is tried on, in their order. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/ladder.h"

#include <string.h>

#include "common/base/text.h"

static const char *const wishes[][SF_LADDER_MAX + 1] = {
	[SF_SPOT_PREFER] = { SF_PROVIDER_SPOT, SF_PROVIDER_ON_DEMAND, NULL },
	[SF_SPOT_ONLY] = { SF_PROVIDER_SPOT, NULL },
};

bool sf_spot_allowed(const struct sf_conf_line *line, enum sf_spot spot)
{
	return spot == SF_SPOT_DEFAULT || sf_strv_has(line->providers, SF_PROVIDER_SPOT);
}

size_t sf_ladder(const struct sf_conf_line *line, enum sf_spot spot, bool avoid_spot, const char *providers[SF_LADDER_MAX])
{
	const char *const *wish = spot == SF_SPOT_DEFAULT ? (const char *const *)line->providers : wishes[spot];
	const bool skip = avoid_spot && spot != SF_SPOT_ONLY && sf_strv_has(line->providers, SF_PROVIDER_ON_DEMAND);
	size_t n = 0, i;

	for (; wish && *wish && n < SF_LADDER_MAX; wish++)
		if (sf_strv_has(line->providers, *wish) && !(skip && strcmp(*wish, SF_PROVIDER_SPOT) == 0))
			providers[n++] = *wish;
	for (i = n; i < SF_LADDER_MAX; i++)
		providers[i] = NULL;
	return n;
}

const char *sf_ladder_first(const struct sf_conf_line *line, enum sf_spot spot, bool avoid_spot)
{
	const char *providers[SF_LADDER_MAX];

	sf_ladder(line, spot, avoid_spot, providers);
	return providers[0];
}
