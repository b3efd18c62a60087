/* The license that stands for a job's vCPUs: added to what the user asked for, and nobody's to name himself. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <inttypes.h>
#include <string.h>

#include "common/base/quota.h"
#include "common/base/text.h"
#include "plugin/job_submit/check.h"

/* Between two licenses, and between a name and its count, in any version of Slurm (slurmctld/licenses.c). */
#define SEPARATORS ",;|"
#define COUNTS ":=*"

static bool is_named(const char *list, const char *license)
{
	const size_t n = license ? strlen(license) : 0;

	for (; n && *list; list += strcspn(list, SEPARATORS), list += *list != '\0')
		if (strcspn(list, SEPARATORS COUNTS) == n && !strncmp(list, license, n))
			return true;
	return false;
}

/* The first license of the list that a line of fargate.conf has, or NULL. */
static const char *ours_in(const struct sf_conf *conf, const char *list)
{
	size_t i;

	for (i = 0; conf && list && i < conf->n_lines; i++) {
		if (is_named(list, conf->lines[i].license))
			return conf->lines[i].license;
		if (is_named(list, conf->lines[i].spot_license))
			return conf->lines[i].spot_license;
	}
	return NULL;
}

bool js_licenses_ok(const struct js_job *job, bool ours, const struct sf_conf *conf, struct js_outcome *out)
{
	const char *named = ours || !job->privileged ? ours_in(conf, job->licenses) : NULL;

	if (named && ours)
		js_refuse(out, JS_WHY_LICENSE, "license '%s' is added by --fargate itself, in the right number: remove it from -L",
			  named);
	else if (named)
		js_refuse(out, JS_WHY_LICENSE,
			  "license '%s' stands for the vCPUs of --fargate jobs, and this is none: remove it from -L", named);
	return !named;
}

bool js_licenses_stay(const struct js_job *job, const struct sf_conf_line *line, const struct sf_conf *conf,
		      struct js_outcome *out)
{
	const char *named = ours_in(conf, job->licenses);

	if (line && job->licenses && (line->license || line->spot_license))
		js_refuse(out, JS_WHY_LICENSE,
			  "the licenses of a Fargate job are fixed when it is submitted: cancel it and submit it again");
	else if (named)
		js_refuse(out, JS_WHY_LICENSE, "license '%s' is set when a --fargate job is submitted: an update cannot name it",
			  named);
	return out->verdict != JS_REFUSE;
}

bool js_licenses_add(const struct js_job *job, const struct sf_conf_line *line, bool spot, struct js_outcome *out)
{
	const char *license = spot ? line->spot_license : line->license;
	sf_auto_buf struct sf_buf b = SF_BUF_INIT;

	if (!license)
		return true;
	if (job->licenses && job->licenses[0])
		sf_buf_printf(&b, "%s,", job->licenses);
	sf_buf_printf(&b, "%s:%" PRId64, license, sf_quarters_of_units(out->spec.size.cpu_units));
	out->licenses = sf_buf_take(&b);
	if (!out->licenses)
		js_refuse(out, JS_WHY_MEMORY, "out of memory");
	return out->licenses;
}
