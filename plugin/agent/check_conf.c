/* Holds fargate.conf against Slurm's partitions, nodes and plugstack.conf before any job is taken. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/text.h"
#include "plugin/agent/compat.h"
#include "plugin/agent/slurm_api.h"

#include <slurm/slurmdb.h> /* after compat.h, which says how slurm.h is read */

#define PLUGSTACK_LINE_MAX 4096

static int api_error(struct sf_error *err, const char *what)
{
	return sf_err(err, "%s: %s", what, slurm_strerror(compat_errno()));
}

/* The value of gateways= on the line of plugstack.conf that loads fargate.so; 0 and "" when there is none. */
static int read_gateways(const char *path, char *out, size_t size, struct sf_error *err)
{
	sf_auto_file FILE *file = fopen(path, "re");
	char line[PLUGSTACK_LINE_MAX], *word, *rest;

	out[0] = '\0';
	if (!file)
		return sf_err(err, "plugstack.conf '%s' cannot be read: %m", path);
	while (fgets(line, sizeof(line), file)) {
		if (line[strspn(line, " \t")] == '#' || !strstr(line, "fargate.so"))
			continue;
		for (word = strtok_r(line, " \t\n", &rest); word; word = strtok_r(NULL, " \t\n", &rest))
			if (strncmp(word, "gateways=", 9) == 0 && !sf_copy(out, size, word + 9))
				return sf_err(err, "plugstack.conf '%s': gateways= is longer than %zu bytes", path, size - 1);
	}
	return 0;
}

static int load_gateways(compat_hostlist *out, struct sf_error *err)
{
	slurm_conf_t *conf = NULL;
	char path[4096], text[PLUGSTACK_LINE_MAX];
	bool whole_nodes;

	if (slurm_load_ctl_conf(0, &conf) != SLURM_SUCCESS)
		return api_error(err, "Slurm's configuration");
	sf_copy(path, sizeof(path), conf->plugstack ? conf->plugstack : "");
	whole_nodes = conf->select_type && strcmp(conf->select_type, "select/linear") == 0;
	compat_free_conf(conf);
	if (whole_nodes)
		return sf_err(err, "SelectType=select/linear in slurm.conf gives each job a whole gateway node: "
				   "set SelectType=select/cons_tres");
	if (read_gateways(path, text, sizeof(text), err) != 0)
		return -1;
	if (!text[0])
		return sf_err(err, "plugstack.conf '%s' has no line that loads fargate.so with gateways=", path);
	*out = slurm_hostlist_create(text);
	return *out ? 0 : sf_err(err, "plugstack.conf '%s': gateways=%s is no host list", path, text);
}

/* Jobs of a federation change their cluster and have ids of another one's: neither this agent nor its tasks' names know of that. */
static int check_federation(struct sf_error *err)
{
	slurmdb_federation_rec_t *fed = NULL;
	int rc = 0;

	if (slurm_load_federation((void **)&fed) != SLURM_SUCCESS)
		return api_error(err, "Slurm's federation");
	if (fed && fed->name && fed->name[0])
		rc = sf_err(err, "the cluster is in federation '%s': jobs of a federation cannot run on Fargate with this version",
			    fed->name);
	slurm_destroy_federation_rec(fed);
	return rc;
}

/* Every node of a partition with a line is a gateway; no gateway is in a partition without one. */
static int check_partition(const struct sf_conf *conf, const partition_info_t *part, compat_hostlist gateways,
			   struct sf_error *err)
{
	bool ours = sf_conf_find(conf, part->name) != NULL;
	compat_hostlist nodes = slurm_hostlist_create(part->nodes ? part->nodes : "");
	char *host;
	int rc = 0;

	while (nodes && rc == 0 && (host = slurm_hostlist_shift(nodes))) {
		bool gateway = slurm_hostlist_find(gateways, host) >= 0;

		if (ours && !gateway)
			rc = sf_err(err, "partition '%s' has a line in %s, but its node %s is not in plugstack.conf's gateways=", part->name,
				    conf->path, host);
		else if (!ours && gateway)
			rc = sf_err(err, "gateway node %s is also in partition '%s', which has no line in %s", host, part->name, conf->path);
		free(host);
	}
	if (nodes)
		slurm_hostlist_destroy(nodes);
	return rc;
}

static int check_lines(const struct sf_conf *conf, const partition_info_msg_t *parts, struct sf_error *err)
{
	uint32_t p;
	size_t i;

	for (i = 0; i < conf->n_lines; i++) {
		for (p = 0; p < parts->record_count; p++)
			if (strcmp(parts->partition_array[p].name, conf->lines[i].name) == 0)
				break;
		if (p == parts->record_count)
			return sf_err(err, "%s:%u: Slurm has no partition '%s'", conf->path, conf->lines[i].line, conf->lines[i].name);
	}
	return 0;
}

/* The socket is local: until the agent speaks TCP, a gateway's slurmd runs on the agent's own host. */
static int check_hosts(const node_info_msg_t *nodes, compat_hostlist gateways, struct sf_error *err)
{
	char here[256] = "";
	uint32_t i;

	gethostname(here, sizeof(here) - 1);
	here[strcspn(here, ".")] = '\0';
	for (i = 0; i < nodes->record_count; i++) {
		const node_info_t *n = &nodes->node_array[i];
		const char *host = n->node_hostname ? n->node_hostname : n->name;
		size_t len = strlen(here);

		if (!n->name || slurm_hostlist_find(gateways, n->name) < 0)
			continue;
		if (strcmp(host, "localhost") != 0 && (strncmp(host, here, len) != 0 || (host[len] && host[len] != '.')))
			return sf_err(err, "gateway node %s runs on host %s, the agent on %s: gateways on other hosts are not supported by this version",
				      n->name, host, here);
	}
	return 0;
}

int slurm_api_check_conf(const struct sf_conf *conf, struct sf_error *err)
{
	partition_info_msg_t *parts = NULL;
	node_info_msg_t *nodes = NULL;
	compat_hostlist gateways = NULL;
	int rc = -1;
	uint32_t i;

	if (check_federation(err) != 0 || load_gateways(&gateways, err) != 0)
		return -1;
	if (slurm_load_partitions(0, &parts, SHOW_ALL) != SLURM_SUCCESS)
		api_error(err, "Slurm's partitions");
	else if (slurm_load_node(0, &nodes, SHOW_ALL) != SLURM_SUCCESS)
		api_error(err, "Slurm's nodes");
	else if (check_lines(conf, parts, err) == 0 && check_hosts(nodes, gateways, err) == 0)
		rc = 0;
	for (i = 0; rc == 0 && i < parts->record_count; i++)
		rc = check_partition(conf, &parts->partition_array[i], gateways, err);
	if (parts)
		slurm_free_partition_info_msg(parts);
	if (nodes)
		slurm_free_node_info_msg(nodes);
	slurm_hostlist_destroy(gateways);
	return rc;
}
