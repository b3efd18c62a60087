/* A credential_process: started without a shell, bounded in time and output. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#ifndef SF_AWS_PROCESS_H
#define SF_AWS_PROCESS_H

#include "common/aws/http.h"
#include "common/base/error.h"

#define AWS_PROCESS_TIMEOUT_MS 30000

/* Its output, complete, after it ended with 0; or why there is none. Valid during the call only; the process is gone then. */
typedef void (*aws_process_cb)(void *arg, const char *out, size_t n, const struct sf_error *err);

struct aws_process;
/*
 * Start a command line: split as a shell does, run without one, found by PATH. It gets no descriptor but /dev/null and its
 * output, no keys and nothing of Slurm's in its environment, and AWS_PROCESS_TIMEOUT_MS. What it says on standard error is
 * not read: it might hold a secret. 0: cb runs exactly once, never from within this call. Errors: a quote left open, cannot
 * be started.
 */
int aws_process_start(struct aws_http *http, const char *command, aws_process_cb cb, void *arg, struct aws_process **out,
		      struct sf_error *err);
/* Kill it (with its children) and forget it; NULL-safe. Not from within its callback, which frees it already. */
void aws_process_free(struct aws_process *p);

/* Python's shlex.split() in its POSIX mode, as botocore does. Caller frees with sf_strv_free(). */
int aws_process_split(const char *command, char ***argv, struct sf_error *err);

#endif
