#include "shim/storage/rootfs.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/mem.h"
#include "shim/storage/root_disks.h"
#include "test/unit/shim/mount_fixture.h"

TestSuite(rootfs, .init = fixture_setup, .fini = fixture_teardown);

static void expect_failure(Containerd__Types__Mount *entry, enum error_code code,
                           const char *expected)
{
	Containerd__Types__Mount *mounts[] = { entry };
	struct rootfs_config config = { .mounts = mounts, .n_mounts = 1 };
	struct rootfs *rootfs = NULL;
	struct error err = mount_it(&config, &rootfs);

	cr_expect_eq(err.code, code);
	cr_expect_str_eq(err.text, expected);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
}

Test(rootfs, is_the_bundle_directory_where_no_mounts_come)
{
	autofree char *source = make_layer("bundle");
	autofree char *below = mem_printf("%s/below", source);
	autofree char *deep = mem_printf("%s/deep", below);
	struct rootfs_config config = { .path = source };
	struct rootfs *rootfs = NULL;
	struct error err;

	cr_assert_eq(mkdir(below, 0755), 0);
	cr_assert_eq(mount("below", below, "tmpfs", 0, NULL), 0);
	write_text(deep, "");
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
	cr_expect(exists("rootfs/only-bundle"));
	cr_expect(exists("rootfs/below/deep"));
	expect_no_power("c1/rootfs");
	expect_no_power("c1/rootfs/below");
	unmount_it(rootfs);
	cr_expect_eq(access(below, F_OK), 0);
}

Test(rootfs, binds_read_only_when_asked)
{
	autofree char *source = make_layer("a");
	char *options[] = { (char *)"rbind", (char *)"ro" };
	Containerd__Types__Mount entry = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount *mounts[] = { &entry };
	struct rootfs_config config = { .mounts = mounts, .n_mounts = 1 };
	autofree char *file = mem_printf("%s/rootfs/new", dir);
	struct rootfs *rootfs = NULL;
	struct error err;

	entry.type = (char *)"bind";
	entry.source = source;
	entry.options = options;
	entry.n_options = 2;
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
	cr_expect(exists("rootfs/only-a"));
	cr_expect_eq(open(file, O_CREAT | O_WRONLY, 0600), -1);
	cr_expect_eq(errno, EROFS);
	unmount_it(rootfs);
}

/* The options of an overlay of @n layers whose names are long, as containerd writes them. */
static void make_overlay(Containerd__Types__Mount *entry, char *options[3], int n)
{
	autofree char *upper = make_layer("upper");
	autofree char *work = make_layer("work");
	size_t size = 16 + (size_t)n * 256;
	char *lower = mem_alloc(size);
	size_t len = (size_t)snprintf(lower, size, "lowerdir=");

	for (int i = n; i > 0; i--) {
		autofree char *name = mem_printf(
			"var/lib/containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/%d/fs",
			i);
		autofree char *path = mem_printf("%s/%s", top, name);
		autofree char *file = mem_printf("%s/f%d", path, i);
		struct error err = { 0 };

		cr_assert_eq(file_make_dirs(path, 0755, &err), 0, "%s", err.text);
		cr_assert_eq(file_write(AT_FDCWD, file, 0644, "", 0, &err), 0, "%s", err.text);
		len += (size_t)snprintf(lower + len, size - len, "%s%s", i == n ? "" : ":", path);
	}
	options[0] = lower;
	options[1] = mem_printf("upperdir=%s", upper);
	options[2] = mem_printf("workdir=%s", work);
	entry->type = (char *)"overlay";
	entry->source = (char *)"overlay";
	entry->options = options;
	entry->n_options = 3;
}

Test(rootfs, has_as_many_layers_as_an_image)
{
	Containerd__Types__Mount entry = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount *mounts[] = { &entry };
	struct rootfs_config config = { .mounts = mounts, .n_mounts = 1 };
	autofree char *file = mem_printf("%s/rootfs/new", dir);
	struct rootfs *rootfs = NULL;
	char *options[3];
	struct error err;

	make_overlay(&entry, options, 100);
	cr_assert_gt(strlen(options[0]), 4096);
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
	cr_expect(exists("rootfs/f1"));
	cr_expect(exists("rootfs/f100"));
	cr_expect(exists("rootfs/only-upper"));
	expect_no_power("c1/rootfs");
	write_text(file, "");
	unmount_it(rootfs);
	for (int i = 0; i < 3; i++)
		free(options[i]);
}

/* Who copies a file there by /proc/PID/root is told that he cannot. */
Test(rootfs, that_is_in_the_guest_is_empty_and_read_only_here)
{
	Containerd__Types__Mount entry = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount *mounts[] = { &entry };
	struct rootfs_config config = { .mounts = mounts, .n_mounts = 1, .in_guest = true };
	autofree char *file = mem_printf("%s/rootfs/new", dir);
	struct rootfs *rootfs = NULL;
	struct error err;

	entry.type = (char *)"ext4";
	entry.source = (char *)"/nosuch";
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
	cr_expect(exists("rootfs"));
	cr_expect_eq(open(file, O_CREAT | O_WRONLY, 0600), -1);
	cr_expect_eq(errno, EROFS);
	unmount_it(rootfs);
}

/* The snapshotter of erofs, where what is written goes into a directory of the host. */
Test(rootfs, of_a_disk_that_is_not_there_leaves_nothing)
{
	Containerd__Types__Mount entry = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount *mounts[] = { &entry };
	struct rootfs_config config = { .mounts = mounts, .n_mounts = 1 };
	struct root_disks *disks;
	struct rootfs *rootfs = NULL;
	struct error err;

	entry.type = (char *)"erofs";
	entry.source = (char *)"/nosuch";
	cr_assert_eq(root_disks_parse(mounts, 1, &disks, &err), 0);
	config.disks = disks;
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_NOT_FOUND);
	cr_expect_not_null(strstr(err.text, "disk \"/nosuch\": cannot open it"), "%s", err.text);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
	root_disks_destroy(disks);
}

Test(rootfs, puts_mounts_on_one_another)
{
	autofree char *a = make_layer("a");
	autofree char *b = make_layer("b");
	Containerd__Types__Mount first = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount second = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount third = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount *mounts[] = { &first, &second, &third };
	struct rootfs_config config = { .mounts = mounts, .n_mounts = 3 };
	struct rootfs *rootfs = NULL;
	struct error err;

	first.type = third.type = (char *)"bind";
	second.type = second.source = (char *)"tmpfs";
	first.source = a;
	third.source = b;
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
	cr_expect(exists("rootfs/only-b"));
	cr_expect(!exists("rootfs/only-a"));
	unmount_it(rootfs);
}

Test(rootfs, names_the_mount_that_fails_and_leaves_nothing)
{
	Containerd__Types__Mount entry = CONTAINERD__TYPES__MOUNT__INIT;
	char *options[] = { (char *)"loop" };

	entry.type = (char *)"bind";
	entry.source = (char *)"/nosuch";
	expect_failure(&entry, ERROR_UNKNOWN,
	               "cannot mount the container's file systems: rootfs[0]: cannot bind "
	               "\"/nosuch\": No such file or "
	               "directory");
	entry.type = (char *)"nosuch";
	expect_failure(&entry, ERROR_UNKNOWN,
	               "cannot mount the container's file systems: rootfs[0]: cannot mount "
	               "\"/nosuch\" (nosuch): "
	               "No such device");
	entry.target = (char *)"/x";
	expect_failure(
		&entry, ERROR_UNIMPLEMENTED,
		"cannot mount the container's file systems: rootfs[0]: mount target \"/x\": not "
		"supported");
	entry.target = (char *)"";
	entry.options = options;
	entry.n_options = 1;
	expect_failure(
		&entry, ERROR_UNIMPLEMENTED,
		"cannot mount the container's file systems: rootfs[0]: mount option \"loop\": not "
		"supported");
}

Test(rootfs, undoes_the_mounts_before_the_one_that_fails)
{
	autofree char *a = make_layer("a");
	Containerd__Types__Mount first = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount second = CONTAINERD__TYPES__MOUNT__INIT;
	Containerd__Types__Mount *mounts[] = { &first, &second };
	struct rootfs_config config = { .mounts = mounts, .n_mounts = 2 };
	struct rootfs *rootfs = NULL;
	struct error err;

	first.type = second.type = (char *)"bind";
	first.source = a;
	second.source = (char *)"/nosuch";
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_UNKNOWN);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
}

Test(rootfs, follows_no_link_that_the_guest_has_put_in_its_place)
{
	autofree char *source = make_layer("a");
	autofree char *elsewhere = make_layer("elsewhere");
	autofree char *link = mem_printf("%s/rootfs", elsewhere);
	struct rootfs_config config = { .path = source };
	struct rootfs *rootfs = NULL;
	struct error err;

	cr_assert_eq(symlink(elsewhere, dir), 0);
	err = mount_it(&config, &rootfs);
	cr_expect_eq(err.code, ERROR_UNKNOWN);
	cr_expect_neq(access(link, F_OK), 0);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
}

Test(rootfs, unmount_stops_a_mount_that_runs)
{
	autofree char *source = make_layer("a");
	struct rootfs_config config = { .dir = dir, .path = source, .timeout_ms = TIMEOUT_MS };
	struct outcome mounted = { 0 };
	struct outcome unmounted = { 0 };
	struct rootfs *rootfs = NULL;
	struct error err = { 0 };

	cr_assert_eq(rootfs_mount(loop, &config, keep, &mounted, &rootfs, &err), 0, "%s", err.text);
	cr_assert_eq(rootfs_unmount(rootfs, TIMEOUT_MS, keep, &unmounted, &err), 0);
	ev_run(loop, 0);
	cr_expect_eq(mounted.calls, 0);
	cr_expect_eq(unmounted.calls, 1);
	cr_expect_eq(unmounted.err.code, ERROR_NONE, "%s", unmounted.err.text);
	cr_expect_neq(access(dir, F_OK), 0);
	rootfs_destroy(rootfs);
}

Test(rootfs, destroy_leaves_the_mount)
{
	autofree char *source = make_layer("a");
	struct rootfs_config config = { .path = source };
	struct rootfs *rootfs = NULL;
	struct error err = mount_it(&config, &rootfs);

	cr_expect_eq(err.code, ERROR_NONE, "%s", err.text);
	rootfs_destroy(rootfs);
	cr_expect(exists("rootfs/only-a"));
}
