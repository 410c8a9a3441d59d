/*
 * A mount namespace as a shim has it, and a container's directory in the share, for tests of what
 * is mounted there. They need CAP_SYS_ADMIN, or a kernel that lets anybody make user namespaces.
 */
#ifndef TEST_UNIT_SHIM_MOUNT_FIXTURE_H
#define TEST_UNIT_SHIM_MOUNT_FIXTURE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "common/file.h"
#include "common/mem.h"
#include "shim/storage/rootfs.h"
#include "shim/storage/volume_table.h"

#define TIMEOUT_MS 20000

static char top[] = "/tmp/mounts-XXXXXX";
static struct ev_loop *loop;
static char *dir; /* <share>/c1 */
static struct volume_table *table;

static inline void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	cr_assert(file && fputs(text, file) >= 0 && fclose(file) == 0, "%s", path);
}

/* By a user namespace where the tests are not root. */
static inline void unshare_mounts(void)
{
	uid_t uid = geteuid();
	autofree char *map = mem_printf("0 %u 1", uid);

	cr_assert_eq(unshare(CLONE_NEWNS | (uid ? CLONE_NEWUSER : 0)), 0);
	if (uid)
		write_text("/proc/self/uid_map", map);
}

/* A mount namespace as a shim has it. */
static inline void fixture_setup(void)
{
	autofree char *share = NULL;

	cr_assert(mkdtemp(top));
	unshare_mounts();
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), 0);
	cr_assert_eq(mount("top", top, "tmpfs", 0, NULL), 0);
	share = mem_printf("%s/share", top);
	dir = mem_printf("%s/c1", share);
	cr_assert_eq(mkdir(share, 0755), 0);
	cr_assert_eq(mount(share, share, NULL, MS_BIND, NULL), 0);
	cr_assert_eq(mount(NULL, share, NULL, MS_SHARED, NULL), 0);
	loop = ev_loop_new(0);
	table = volume_table_create();
}

static inline void fixture_teardown(void)
{
	ev_loop_destroy(loop);
	volume_table_destroy(table);
	free(dir);
	cr_expect_eq(umount2(top, MNT_DETACH), 0);
	cr_expect_eq(rmdir(top), 0);
}

struct outcome {
	int calls;
	struct error err;
};

static inline void keep(void *ctx, const struct error *err)
{
	struct outcome *outcome = ctx;

	outcome->calls++;
	error_copy(&outcome->err, err);
}

/* A directory below the top with a file that has its name in it. */
static inline char *make_layer(const char *name)
{
	char *path = mem_printf("%s/%s", top, name);
	autofree char *file = mem_printf("%s/%s/only-%s", top, name, name);
	struct error err = { 0 };

	cr_assert_eq(file_make_dirs(path, 0755, &err), 0, "%s", err.text);
	cr_assert_eq(file_write(AT_FDCWD, file, 0644, name, strlen(name), &err), 0, "%s", err.text);
	return path;
}

static inline bool exists(const char *below)
{
	autofree char *path = mem_printf("%s/%s", dir, below);

	return access(path, F_OK) == 0;
}

/* Runs until rootfs_mount() is done; its outcome. */
static inline struct error mount_it(struct rootfs_config *config, struct rootfs **out)
{
	struct outcome outcome = { 0 };
	struct error err = { 0 };

	config->dir = config->dir ?: dir;
	config->volume_table = table;
	config->timeout_ms = TIMEOUT_MS;
	cr_assert_eq(rootfs_mount(loop, config, keep, &outcome, out, &err), 0, "%s", err.text);
	cr_assert_eq(outcome.calls, 0);
	ev_run(loop, 0);
	cr_assert_eq(outcome.calls, 1);
	return outcome.err;
}

static inline void unmount_it(struct rootfs *rootfs)
{
	struct outcome outcome = { 0 };
	struct error err = { 0 };

	cr_assert_eq(rootfs_unmount(rootfs, TIMEOUT_MS, keep, &outcome, &err), 0, "%s", err.text);
	ev_run(loop, 0);
	cr_assert_eq(outcome.calls, 1);
	cr_expect_eq(outcome.err.code, ERROR_NONE, "%s", outcome.err.text);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
}

/* Nothing in this directory of the share is a device to anybody of the host, or a program. */
static inline void expect_no_power(const char *name)
{
	const unsigned long flags = ST_NODEV | ST_NOSUID | ST_NOEXEC;
	autofree char *path = mem_printf("%s/share/%s", top, name);
	struct statvfs fs;

	cr_assert_eq(statvfs(path, &fs), 0);
	cr_expect_eq(fs.f_flag & flags, flags, "%s has the flags %lx", name, fs.f_flag);
}

#endif
