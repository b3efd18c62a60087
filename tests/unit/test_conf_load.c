/* Unit tests of common/base/conf_load.c: whose file is believed, what is no conf file, where it lies. */
/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "common/base/conf.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "common/base/names.h"
#include "common/base/text.h"
#include "tests/unit/tap.h"

#define NEED "Cluster=c TaskDefinition=t Subnets=subnet-a SecurityGroups=sg-1"
#define PART(name) "PartitionName=" name " " NEED "\n"

/* A private directory with a conf file in it. */
static char dir[64], file[96];

static void write_file(const char *text, size_t n)
{
	int fd;

	if (!dir[0]) {
		sf_copy(dir, sizeof(dir), "/tmp/sf-conf-XXXXXX");
		ck_assert_ptr_nonnull(mkdtemp(dir));
		snprintf(file, sizeof(file), "%s/fargate.conf", dir);
	}
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, n), (ssize_t)n);
	close(fd);
	ck_assert_int_eq(chmod(file, 0644), 0);
}

static void expect_refusal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void expect_refusal(const char *fmt, ...)
{
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	char want[768];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(want, sizeof(want), fmt, ap);
	va_end(ap);
	ck_assert_int_eq(sf_conf_load(file, getuid(), &conf, &err), -1);
	ck_assert_str_eq(err.text, want);
}

static void load_well(const char *path)
{
	sf_auto_conf struct sf_conf *conf = NULL;
	struct sf_error err = { "" };

	ck_assert_msg(sf_conf_load(path, getuid(), &conf, &err) == 0, "%s", err.text);
	ck_assert_str_eq(conf->path, path);
}

START_TEST(a_file_others_may_write_is_refused)
{
	write_file(PART("p"), strlen(PART("p")));
	load_well(file);
	chmod(file, 0664);
	expect_refusal("%s: %s may be written by others than root and SlurmUser (mode 0664); run: "
		       "chmod go-w '%s'", file, file, file);
	chmod(file, 0602);
	expect_refusal("%s: %s may be written by others than root and SlurmUser (mode 0602); run: "
		       "chmod go-w '%s'", file, file, file);
	chmod(file, 0644);
	chmod(dir, 0777);
	expect_refusal("%s: directory %s may be written by others than root and SlurmUser (mode "
		       "0777); run: chmod go-w '%s'", file, dir, dir);
	chmod(dir, 01777);
	load_well(file);
	unlink(file);
	rmdir(dir);
}
END_TEST

START_TEST(a_strangers_file_is_refused)
{
	/* Only root can give files away; others ask in the name of another SlurmUser. */
	uid_t stranger = getuid() == 0 ? 12345 : getuid();
	uid_t slurm = getuid() == 0 ? 0 : getuid() + 1;
	struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	char want[768];

	write_file(PART("p"), strlen(PART("p")));
	ck_assert_int_eq(chown(file, stranger, (gid_t)-1), 0);
	snprintf(want, sizeof(want),
		 "%s: %s belongs to uid %u, but only root or SlurmUser (uid %u) may own it; run: "
		 "chown root '%s'", file, file, stranger, slurm, file);
	ck_assert_int_eq(sf_conf_load(file, slurm, &conf, &err), -1);
	ck_assert_str_eq(err.text, want);
	/* In a sticky directory of a stranger the stranger himself may still replace the file. */
	ck_assert_int_eq(chown(file, slurm == 0 ? 0 : stranger, (gid_t)-1), 0);
	if (getuid() == 0) {
		ck_assert_int_eq(chown(dir, stranger, (gid_t)-1), 0);
		ck_assert_int_eq(chmod(dir, 01755), 0);
		snprintf(want, sizeof(want),
			 "%s: directory %s belongs to uid %u, but only root or SlurmUser (uid 0) may own it; run: "
			 "chown root '%s'",
			 file, dir, stranger, dir);
		ck_assert_int_eq(sf_conf_load(file, slurm, &conf, &err), -1);
		ck_assert_str_eq(err.text, want);
	}
	unlink(file);
	rmdir(dir);
}
END_TEST

START_TEST(links_lead_to_the_real_path)
{
	char link_path[96], sub[96], real[128];

	write_file("x", 1);
	unlink(file);
	snprintf(sub, sizeof(sub), "%s/open", dir);
	snprintf(real, sizeof(real), "%s/real.conf", sub);
	snprintf(link_path, sizeof(link_path), "%s/fargate.conf", dir);
	ck_assert_int_eq(mkdir(sub, 0755), 0);
	sf_copy(file, sizeof(file), real);
	write_file(PART("p"), strlen(PART("p")));
	ck_assert_int_eq(symlink(real, link_path), 0);
	load_well(link_path);
	chmod(sub, 0777);
	sf_copy(file, sizeof(file), link_path);
	expect_refusal("%s: directory %s may be written by others than root and SlurmUser (mode "
		       "0777); run: chmod go-w '%s'", link_path, sub, sub);
	unlink(link_path);
	unlink(real);
	rmdir(sub);
	rmdir(dir);
}
END_TEST

START_TEST(a_stamp_tells_of_every_change)
{
	sf_auto_conf struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	struct sf_conf_stamp now, none = { { 0 } };
	char other[128];

	write_file(PART("p"), strlen(PART("p")));
	ck_assert_int_eq(sf_conf_load(file, getuid(), &conf, &err), 0);
	now = sf_conf_stamp(file);
	ck_assert(sf_conf_stamp_same(&now, &conf->stamp));
	/* another file of the same size and time in its place */
	snprintf(other, sizeof(other), "%s.new", file);
	ck_assert_int_eq(rename(file, other), 0);
	now = sf_conf_stamp(file);
	ck_assert(sf_conf_stamp_same(&now, &none));
	write_file(PART("q"), strlen(PART("q")));
	now = sf_conf_stamp(file);
	ck_assert(!sf_conf_stamp_same(&now, &conf->stamp));
	conf->stamp = now;
	chmod(file, 0600);
	now = sf_conf_stamp(file);
	ck_assert(!sf_conf_stamp_same(&now, &conf->stamp));
	unlink(other);
	unlink(file);
	rmdir(dir);
}
END_TEST

START_TEST(the_socket_of_a_bad_file_is_found)
{
	static const struct {
		const char *text, *socket;
	} rows[] = {
		{ "Colour=blue\nSocket=/run/a.sock StateDir=x\n", "/run/a.sock" },
		{ "Region=a1 socket = \"/run/a b\" Colour\n\"", "/run/a b" },
		{ "Socket=relative\n", SF_DEFAULT_SOCKET },
		{ "# Socket=/run/a.sock\n", SF_DEFAULT_SOCKET },
		{ "", SF_DEFAULT_SOCKET },
	};
	char out[108];
	size_t i;

	for (i = 0; i < SF_COUNT(rows); i++) {
		write_file(rows[i].text, strlen(rows[i].text));
		ck_assert_int_eq(sf_conf_socket(file, getuid(), out, sizeof(out)), 0);
		ck_assert_str_eq(out, rows[i].socket);
	}
	chmod(file, 0666);
	ck_assert_int_eq(sf_conf_socket(file, getuid(), out, sizeof(out)), -1);
	unlink(file);
	rmdir(dir);
}
END_TEST

START_TEST(what_is_no_conf_file_is_refused)
{
	size_t n = 1024 * 1024 + 1;
	sf_auto_free char *big = malloc(n);

	write_file("a\0b", 3);
	expect_refusal("%s: holds a NUL byte and is no text", file);
	memset(big, '#', n);
	write_file(big, n);
	expect_refusal("%s: is longer than 1048576 bytes", file);
	unlink(file);
	expect_refusal("%s: cannot be read: No such file or directory", file);
	ck_assert_int_eq(mkfifo(file, 0600), 0);
	expect_refusal("%s: is not a regular file", file);
	unlink(file);
	ck_assert_int_eq(mkdir(file, 0755), 0);
	expect_refusal("%s: is not a regular file", file);
	rmdir(file);
	ck_assert_int_eq(symlink("nowhere", file), 0);
	expect_refusal("%s: cannot be read: No such file or directory", file);
	unlink(file);
	ck_assert_int_eq(symlink(file, file), 0);
	expect_refusal("%s: cannot be read: Too many levels of symbolic links", file);
	unlink(file);
	write_file("R\0e\0g\0", 6);
	expect_refusal("%s: holds a NUL byte and is no text", file);
	write_file("Colour=x", 8);
	expect_refusal("%s:1: unknown key Colour", file);
	unlink(file);
	rmdir(dir);
}
END_TEST

START_TEST(the_default_path_is_beside_slurm_conf)
{
	static const char *const rows[][2] = {
		{ "/etc/slurm/slurm.conf", "/etc/slurm/fargate.conf" },
		{ "slurm.conf", "fargate.conf" },
		{ "", SF_SYSCONFDIR "/fargate.conf" },
	};
	size_t i;
	char *path;

	for (i = 0; i < SF_COUNT(rows); i++) {
		setenv("SLURM_CONF", rows[i][0], 1);
		path = sf_conf_default_path();
		ck_assert_str_eq(path, rows[i][1]);
		free(path);
	}
	unsetenv("SLURM_CONF");
	path = sf_conf_default_path();
	ck_assert_str_eq(path, SF_SYSCONFDIR "/fargate.conf");
	free(path);
}
END_TEST

START_TEST(the_example_is_good)
{
	sf_auto_file FILE *f = fopen(TOP_SRCDIR "/contrib/example/fargate.conf", "re");
	sf_auto_conf struct sf_conf *conf = NULL;
	struct sf_error err = { "" };
	char text[8192];

	ck_assert_ptr_nonnull(f);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	ck_assert_msg(sf_conf_parse("example", text, &conf, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(conf->n_lines, 2);
	ck_assert_ptr_null(conf->warnings);
}
END_TEST

int main(void)
{
	const struct tap_test tests[] = {
		{ a_file_others_may_write_is_refused, 0 },
		{ a_strangers_file_is_refused, 0 },
		{ links_lead_to_the_real_path, 0 },
		{ the_socket_of_a_bad_file_is_found, 0 },
		{ a_stamp_tells_of_every_change, 0 },
		{ what_is_no_conf_file_is_refused, 0 },
		{ the_example_is_good, 0 },
		{ the_default_path_is_beside_slurm_conf, 0 },
	};

	return tap_main("conf_load", tests, SF_COUNT(tests));
}
