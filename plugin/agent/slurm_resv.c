/* Reservations of licenses at slurmctld: look, make, resize, delete. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "plugin/agent/slurm_resv.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plugin/agent/compat.h"

#define YEAR_MIN (365 * 24 * 60) /* what Slurm makes of an unlimited duration too */
#define EXTEND_S ((time_t)180 * 24 * 3600)

struct view {
	license_info_msg_t *licenses;
	reserve_info_msg_t *resvs;
};

static int resv_error(struct sf_error *err, const char *what, const char *name)
{
	return sf_err(err, "%s %s: %s", what, name, slurm_strerror(compat_errno()));
}

static void hold_name(const struct slurm_hold *h, char out[SLURM_LICENSE_MAX + sizeof(SLURM_HOLD_SUFFIX)])
{
	snprintf(out, SLURM_LICENSE_MAX + sizeof(SLURM_HOLD_SUFFIX), "%s" SLURM_HOLD_SUFFIX, h->license);
}

static const reserve_info_t *find_resv(const struct view *v, const char *name)
{
	uint32_t i;

	for (i = 0; i < v->resvs->record_count; i++)
		if (strcmp(v->resvs->reservation_array[i].name, name) == 0)
			return &v->resvs->reservation_array[i];
	return NULL;
}

static void look(const struct view *v, struct slurm_hold *h, const reserve_info_t *resv)
{
	uint32_t i;

	h->known = false;
	h->total = 0;
	for (i = 0; i < v->licenses->num_lic; i++)
		if (strcmp(v->licenses->lic_array[i].name, h->license) == 0) {
			h->known = true;
			h->total = v->licenses->lic_array[i].total;
		}
	h->held = resv ? slurm_license_units(resv->licenses, h->license) : 0;
	h->changed = false;
	h->looked = true;
}

static int delete_resv(char *name, struct sf_error *err)
{
	reservation_name_msg_t msg = { .name = name };

	if (slurm_delete_reservation(&msg) == SLURM_SUCCESS || compat_errno() == ESLURM_RESERVATION_INVALID)
		return 0;
	return resv_error(err, "deleting reservation", name);
}

static int create_resv(resv_desc_msg_t *desc, struct sf_error *err)
{
	char *made;

	/* Jobs that run have units of the license already: that is no reason to refuse. */
	desc->flags = RESERVE_FLAG_ANY_NODES | RESERVE_FLAG_IGN_JOBS;
	desc->users = (char *)"root"; /* a reservation has to be somebody's; no user's job gets into root's */
	desc->start_time = time(NULL);
	desc->duration = YEAR_MIN;
	made = slurm_create_reservation(desc);
	if (!made)
		return resv_error(err, "making reservation", desc->name);
	free(made);
	return 0;
}

static int set_resv(struct slurm_hold *h, const reserve_info_t *resv, char *name, int64_t want, struct sf_error *err)
{
	char licenses[SLURM_LICENSE_MAX + 24];
	bool ending = resv && resv->end_time - time(NULL) < EXTEND_S;
	resv_desc_msg_t desc;

	if (resv && want == h->held && !ending)
		return 0;
	snprintf(licenses, sizeof(licenses), "%s:%" PRId64, h->license, want);
	slurm_init_resv_desc_msg(&desc);
	desc.name = name;
	desc.licenses = licenses;
	if (!resv) {
		if (create_resv(&desc, err) != 0)
			return -1;
	} else {
		if (ending)
			desc.end_time = time(NULL) + (time_t)YEAR_MIN * 60;
		if (slurm_update_reservation(&desc) != SLURM_SUCCESS)
			return resv_error(err, "resizing reservation", name);
	}
	h->changed = true;
	h->held = want;
	return 0;
}

static int bring(const struct view *v, struct slurm_hold *h, struct sf_error *err)
{
	char name[SLURM_LICENSE_MAX + sizeof(SLURM_HOLD_SUFFIX)];
	const reserve_info_t *resv;
	int64_t want;

	hold_name(h, name);
	resv = find_resv(v, name);
	look(v, h, resv);
	if (h->want == HOLD_LEAVE)
		return 0;
	want = h->want == HOLD_DROP || h->open >= h->total ? 0 : h->total - h->open;
	if (want)
		return set_resv(h, resv, name, want, err);
	if (!resv)
		return 0;
	if (delete_resv(name, err) != 0)
		return -1;
	h->changed = true;
	h->held = 0;
	return 0;
}

static int load(struct view *v, struct sf_error *err)
{
	if (slurm_load_licenses(0, &v->licenses, SHOW_ALL) != SLURM_SUCCESS)
		return resv_error(err, "Slurm's", "licenses");
	if (slurm_load_reservations(0, &v->resvs) != SLURM_SUCCESS)
		return resv_error(err, "Slurm's", "reservations");
	return 0;
}

int slurm_api_holds(struct slurm_hold *holds, size_t n, struct sf_error *err)
{
	struct view v = { 0 };
	int rc = load(&v, err);
	size_t i;

	for (i = 0; v.resvs && i < n; i++)
		if (bring(&v, &holds[i], err) != 0)
			rc = -1;
	if (v.licenses)
		slurm_free_license_info_msg(v.licenses);
	if (v.resvs)
		slurm_free_reservation_info_msg(v.resvs);
	return rc;
}
