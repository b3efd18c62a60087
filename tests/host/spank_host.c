/* spank_host PLAN REPORT: stands in for slurm around the real fargate.so; does what PLAN (JSON) says, writes lines of JSON. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "tests/host/spank_host.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/base/util.h"

#define ARGS_MAX 32

extern char **environ;

static const char *report_path;
static char *plugin_args[ARGS_MAX + 1];
static int n_plugin_args;

void host_die(const char *what)
{
	fprintf(stderr, "spank_host: %s\n", what);
	_exit(125);
}

/* Opened for each line: the plugin must find no descriptor that slurm would not have, and may exec at any time. */
static void report(sf_json *line)
{
	sf_auto_free char *text = sf_json_text(line);
	sf_auto_close int fd = open(report_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (!text || fd < 0 || dprintf(fd, "%s\n", text) < 0)
		host_die("the report cannot be written");
}

static void put_descriptors(sf_json *line, const char *key)
{
	sf_json *list = sf_json_new_array();
	DIR *dir = opendir("/proc/self/fd");
	char number[16];
	struct dirent *e;
	int fd;

	if (!dir)
		host_die("/proc/self/fd cannot be read");
	for (fd = 0; fd < 1024; fd++) {
		snprintf(number, sizeof(number), "%d", fd);
		if (fd != dirfd(dir) && fcntl(fd, F_GETFD) >= 0)
			sf_json_add_str(list, number);
	}
	while ((e = readdir(dir)))
		if (atoi(e->d_name) >= 1024)
			sf_json_add_str(list, e->d_name);
	closedir(dir);
	sf_json_set(line, key, list);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static spank_f *find_hook(void *plugin, const char *name)
{
	char symbol[96];
	spank_f *hook = NULL;

	snprintf(symbol, sizeof(symbol), "slurm_spank_%s", name);
	*(void **)&hook = dlsym(plugin, symbol);
	return hook;
}

/* As slurmstepd does before task_init: the task is no longer root. */
static void become(const sf_json *plan)
{
	int64_t uid = 0;

	if (sf_json_int(plan, "task_uid", &uid) && uid > 0 && (setgid((gid_t)uid) != 0 || setuid((uid_t)uid) != 0))
		host_die("setuid failed");
}

static void call_hook(void *plugin, const char *name)
{
	sf_auto_json sf_json *line = sf_json_new_object();
	spank_f *hook = find_hook(plugin, name);
	int64_t start = now_ms();

	sf_json_set_str(line, "hook", name);
	put_descriptors(line, "fds_before");
	host_phase(name);
	/* A hook may end in an exec, so what is known goes out before it as well. */
	report(line);
	sf_json_set_bool(line, "present", hook != NULL);
	sf_json_set_int(line, "rc", hook ? hook(host_spank(), n_plugin_args, plugin_args) : 0);
	sf_json_set_int(line, "ms", now_ms() - start);
	put_descriptors(line, "fds_after");
	sf_json_set(line, "messages", host_messages());
	sf_json_set_bool(line, "done", true);
	report(line);
}

static void give_option(const sf_json *step)
{
	sf_auto_json sf_json *line = sf_json_new_object();
	const char *name = sf_json_str(step, "option"), *value = sf_json_str(step, "value");

	sf_json_set_str(line, "option", name);
	sf_json_set_int(line, "rc", host_option(name, value));
	sf_json_set(line, "messages", host_messages());
	report(line);
}

static void run_steps(void *plugin, const sf_json *plan)
{
	const sf_json *steps = sf_json_array(plan, "steps"), *step;
	const char *name;
	size_t i;

	for (i = 0; i < sf_json_len(steps); i++) {
		step = sf_json_at(steps, i);
		name = sf_json_string(step);
		if (sf_json_str(step, "job_env")) {
			host_add_variable(sf_json_str(step, "job_env"));
		} else if (sf_json_str(step, "option")) {
			give_option(step);
		} else if (name) {
			if (strcmp(name, "task_init") == 0)
				become(plan);
			call_hook(plugin, name);
		} else {
			host_die("a step is neither a hook nor an option nor a variable");
		}
	}
}

static void report_end(void)
{
	sf_auto_json sf_json *line = sf_json_new_object();

	sf_json_set_strv(line, "environ", environ);
	host_put_state(line);
	sf_json_set_bool(line, "end", true);
	report(line);
}

/* Descriptors slurmstepd has open at that time; no flag closes them on exec. */
static void open_decoys(const sf_json *plan)
{
	const sf_json *list = sf_json_array(plan, "decoys");
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	size_t i;

	for (i = 0; i < sf_json_len(list); i++)
		if (fd < 0 || dup2(fd, atoi(sf_json_string(sf_json_at(list, i)))) < 0)
			host_die("a decoy cannot be opened");
	if (fd >= 0)
		close(fd);
}

static sf_json *read_plan(const char *path)
{
	static char text[1024 * 1024];
	sf_auto_file FILE *file = fopen(path, "re");
	struct sf_error err = {""};
	sf_json *plan = NULL;

	if (!file || sf_json_parse(text, fread(text, 1, sizeof(text), file), &plan, &err) != 0)
		host_die(file ? err.text : "the plan cannot be opened");
	return plan;
}

int main(int argc, char **argv)
{
	sf_auto_json sf_json *plan = NULL;
	sf_auto_strv char **args = NULL;
	const char *path;
	void *plugin;

	if (argc != 3)
		host_die("usage: spank_host PLAN REPORT");
	plan = read_plan(argv[1]);
	report_path = argv[2];
	if (sf_json_strv(plan, "args", &args, NULL) != 0 || sf_strv_len(args) > ARGS_MAX)
		host_die("args must be a short list of strings");
	for (; args && args[n_plugin_args]; n_plugin_args++)
		plugin_args[n_plugin_args] = args[n_plugin_args];
	path = sf_json_str(plan, "plugin");
	plugin = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
	if (!plugin)
		host_die(path ? dlerror() : "the plan names no plugin");
	host_setup(plan);
	open_decoys(plan);
	run_steps(plugin, plan);
	report_end();
	return 0;
}
