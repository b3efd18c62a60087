/* Ownership helpers: the cleanup attribute, stealing, and sizes of arrays. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_BASE_UTIL_H
#define SF_BASE_UTIL_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SF_COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Declare a local that is released when its scope ends: `sf_auto_free char *s = NULL;` */
#define sf_auto(fn) __attribute__((cleanup(fn)))
#define sf_auto_free sf_auto(sf_cleanup_free)
#define sf_auto_close sf_auto(sf_cleanup_close)
#define sf_auto_file sf_auto(sf_cleanup_file)

/* Hand ownership out of a local: yields the pointer and leaves NULL behind. */
#define sf_steal(p)                      \
	({                               \
		__typeof__(p) _s = (p);  \
		(p) = NULL;              \
		_s;                      \
	})

static inline void sf_cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void sf_cleanup_close(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void sf_cleanup_file(FILE **f)
{
	if (*f)
		fclose(*f);
}

/* Give up a descriptor held in a local: yields it and leaves -1 behind. */
static inline int sf_steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#endif
