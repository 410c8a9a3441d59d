/* The mounts of real containers: see also launch/mounts_are_the_spec_s. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "container_bench.h"
#include "proto/guest_dirs.h"

static struct bench bench;

static void setup(void)
{
	bench_init(&bench);
}

static void teardown(void)
{
	bench_fini(&bench);
}

TestSuite(launch_mounts, .init = setup, .fini = teardown);

/* mounts[6] binds @source to @destination. */
static void bind_mount(const char *source, const char *destination, const char *option)
{
	Grpc__Mount *mount = bench.spec->mounts[6];

	free(mount->source);
	free(mount->type);
	free(mount->destination);
	mount->source = mem_strdup(source);
	mount->type = mem_strdup("bind");
	mount->destination = mem_strdup(destination);
	while (mount->n_options > 0)
		free(mount->options[--mount->n_options]);
	mount->options[mount->n_options++] = mem_strdup("rbind");
	mount->options[mount->n_options++] = mem_strdup(option);
}

/* As newer versions of runc (1.4) have it: of '/' itself, and with an "r" of all below it too. */
Test(launch_mounts, propagation_of_the_root_is_the_spec_s)
{
	static const struct {
		const char *word, *root, *proc;
	} rows[] = {
		{ "", "-", "-" },
		{ "private", "-", "-" },
		{ "rprivate", "-", "-" },
		{ "slave", "-", "-" }, /* of nobody: a private mount stays one */
		{ "rslave", "-", "-" },
		{ "shared", "shared", "-" },
		{ "rshared", "shared", "shared" },
		{ "unbindable", "unbindable", "-" },
		{ "runbindable", "unbindable", "unbindable" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		autofree char *root = mem_printf("/ %s\n", rows[i].root);
		autofree char *proc = mem_printf("/proc %s\n", rows[i].proc);
		autofree char *word = mem_strdup(rows[i].word);
		char *unset = bench.spec->linux->rootfspropagation;

		bench.spec->linux->rootfspropagation = word;
		bench_runs(&bench, "while read id parent device in at options tag rest; do echo "
		                   "$at ${tag%:*}; "
		                   "done "
		                   "</proc/self/mountinfo");
		cr_expect_eq(strncmp(bench.output, root, strlen(root)), 0, "'%s': %s", rows[i].word,
		             bench.output);
		bench_has(&bench, proc);
		bench.spec->linux->rootfspropagation = unset;
	}
}

Test(launch_mounts, files_and_directories_are_bound)
{
	autofree char *file = mem_printf("%s/file", bench.dir);

	cr_assert_eq(file_write(AT_FDCWD, file, 0644, "of the host\n", 12, NULL), 0);
	bind_mount(file, "/etc/deep/bound", "ro");
	bench_runs(&bench, "cat /etc/deep/bound; echo x >/etc/deep/bound");
	bench_has_lines(&bench, "of the host");
	bench_has(&bench, "Read-only file system");
	bind_mount(bench.dir, "/mnt", "rw");
	bench_runs(&bench, "cat /mnt/file; echo y >/mnt/file; cat /mnt/file");
	bench_has_lines(&bench, "of the host\ny");
}

Test(launch_mounts, a_file_is_not_bound_to_a_directory)
{
	autofree char *file = mem_printf("%s/file", bench.dir);

	cr_assert_eq(file_write(AT_FDCWD, file, 0644, "", 0, NULL), 0);
	bind_mount(file, "/etc", "ro");
	bench_refuses(&bench, "true", ERROR_INVALID_ARGUMENT,
	              "make the mounts: cannot bind a file to the directory \"/etc\": not a "
	              "directory");
}

/* A pod's volume in memory, at its place in the guest, which is the test's own. */
static void make_memory_volume(void)
{
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	cr_assert_eq(mount("run", "/run", "tmpfs", 0, NULL), 0);
	cr_assert_eq(file_make_dirs(GUEST_EPHEMERAL "/7", 0755, NULL), 0);
	cr_assert_eq(mount("memory", GUEST_EPHEMERAL "/7", "tmpfs", 0, "mode=2777,gid=77"), 0);
}

Test(launch_mounts, a_sub_path_of_a_volume_in_memory_is_made)
{
	make_memory_volume();
	bind_mount(GUEST_EPHEMERAL "/7/a/b", "/mnt", "rw");
	bench_runs(&bench, "stat -c '%a %g' /mnt; echo text >/mnt/file");
	bench_has_lines(&bench, "2777 77");
	bind_mount(GUEST_EPHEMERAL "/7/a/b/file", "/mnt/file", "rw");
	bench_runs(&bench, "cat /mnt/file");
	bench_has_lines(&bench, "text");
}

/* A container can write there. */
Test(launch_mounts, a_link_in_a_volume_in_memory_leads_nowhere_else)
{
	autofree char *file = mem_printf("%s/of-the-guest", bench.dir);

	make_memory_volume();
	cr_assert_eq(file_write(AT_FDCWD, file, 0644, "", 0, NULL), 0);
	cr_assert_eq(symlink(bench.dir, GUEST_EPHEMERAL "/7/link"), 0);
	bind_mount(GUEST_EPHEMERAL "/7/link", "/mnt", "rw");
	bench_runs(&bench, "ls -a /mnt");
	bench_has_not(&bench, "of-the-guest");
	bind_mount(GUEST_EPHEMERAL "/7/..", "/mnt", "rw");
	bench_runs(&bench, "ls -a /mnt");
	bench_has_lines(&bench, "link");
}

/* mounts[6] is a tmpfs on /run. */
Test(launch_mounts, a_tmpfs_has_its_own_mode_or_that_of_what_it_covers)
{
	Grpc__Mount *mount = bench.spec->mounts[6];
	autofree char *covered = mem_printf("%s/run", bench.rootfs);

	cr_assert_eq(chmod(covered, 0711), 0);
	cr_assert_str_eq(mount->options[2], "mode=755");
	free(mount->options[2]);
	mount->options[2] = mem_strdup("mode=1770");
	bench_runs(&bench, "stat -c '%a' /run");
	cr_expect_str_eq(bench.output, "1770\n");
	free(mount->options[2]);
	mount->options[2] = mem_strdup("ro");
	bench_runs(&bench, "stat -c '%a' /run; touch /run/x");
	cr_expect_str_eq(bench.output, "711\ntouch: /run/x: Read-only file system\n");
	cr_assert_eq(rmdir(covered), 0);
	bench_runs(&bench, "stat -c '%a' /run");
	cr_expect_str_eq(bench.output, "1777\n");
}

Test(launch_mounts, a_file_system_is_told_its_options)
{
	Grpc__Mount *mount = bench.spec->mounts[6];

	free(mount->options[1]);
	mount->options[1] = mem_strdup("noatime");
	free(mount->options[2]);
	mount->options[2] = mem_strdup("sync");
	bench_runs(&bench, "mount");
	bench_has(&bench, "tmpfs on /run type tmpfs (rw,sync,nosuid,noatime,size=65536k)\n");
	free(mount->options[2]);
	mount->options[2] = mem_strdup("nosuch=1");
	bench_refuses(&bench, "true", ERROR_UNKNOWN,
	              "make the mounts: cannot mount \"tmpfs\" (tmpfs) on \"/run\" with "
	              "\"nosuch=1,size=65536k\": Invalid argument");
}

/* mounts[6] gives the tmpfs of mounts[3] other options. */
Test(launch_mounts, a_file_system_is_remounted)
{
	Grpc__Mount *mount = bench.spec->mounts[6];

	free(mount->destination);
	mount->destination = mem_strdup("/dev/shm");
	free(mount->options[2]);
	mount->options[2] = mem_strdup("remount");
	free(mount->options[3]);
	mount->options[3] = mem_strdup("size=32k");
	bench_runs(&bench, "mount");
	bench_has(&bench, "shm on /dev/shm type tmpfs (rw,nosuid,size=32k)\n");
}

Test(launch_mounts, attributes_are_of_the_top_or_of_all)
{
	autofree char *below = mem_printf("%s/below", bench.dir);

	cr_assert_eq(mkdir(below, 0755), 0);
	cr_assert_eq(mount("of-all", below, "tmpfs", 0, ""), 0);
	bind_mount(bench.dir, "/mnt", "ro");
	bench_runs(&bench, "touch /mnt/x; touch /mnt/below/x && echo written");
	cr_expect_str_eq(bench.output, "touch: /mnt/x: Read-only file system\nwritten\n");
	bind_mount(bench.dir, "/mnt", "rro");
	bench_runs(&bench, "touch /mnt/x; touch /mnt/below/x");
	cr_expect_str_eq(bench.output, "touch: /mnt/x: Read-only file system\n"
	                               "touch: /mnt/below/x: Read-only file system\n");
	bind_mount(bench.dir, "/mnt", "rnoexec");
	bench_runs(&bench, "mount");
	bench_has(&bench, "of-all on /mnt/below type tmpfs (rw,noexec,relatime)\n");
	cr_assert_eq(umount(below), 0);
}

/* To set the mode that it has does no harm where it can be done: the device is the machine's. */
Test(launch_mounts, the_guest_s_null_device_cannot_be_changed_through_a_mask)
{
	autofree char *dev = mem_printf("%s/dev", bench.rootfs);
	autofree char *null = mem_printf("%s/dev/null", bench.rootfs);
	Grpc__Mount *mount = bench.spec->mounts[1];

	cr_assert_eq(mkdir(dev, 0755), 0);
	cr_assert_eq(file_write(AT_FDCWD, null, 0644, "no device\n", 10, NULL), 0);
	free(mount->type);
	free(mount->source);
	mount->type = mem_strdup("bind");
	mount->source = mem_strdup(dev);
	while (mount->n_options > 0)
		free(mount->options[--mount->n_options]);
	bench_runs(&bench,
	           "stat -c '%t:%T' /proc/keys; busybox chmod 666 /proc/keys; echo x >/proc/keys; "
	           "cat /proc/keys /dev/null");
	cr_expect_str_eq(bench.output,
	                 "1:3\nchmod: /proc/keys: Read-only file system\nno device\n");
}

Test(launch_mounts, nothing_is_bound_over_parts_of_proc)
{
	bind_mount(bench.dir, "/proc/self/attr", "ro");
	bench_refuses(&bench, "true", ERROR_INVALID_ARGUMENT,
	              "make the mounts: \"/proc/self/attr\" cannot be mounted because it is inside "
	              "/proc");
}

/* As under runc: attributes that are not named are off, unless none is named at all. */
Test(launch_mounts, a_bind_has_the_attributes_that_are_named)
{
	autofree char *source = mem_printf("%s/source", bench.dir);

	cr_assert_eq(mkdir(source, 0755), 0);
	cr_assert_eq(mount("source", source, "tmpfs", MS_NOSUID | MS_NOATIME, ""), 0);
	bind_mount(source, "/mnt", "rw");
	bench_runs(&bench, "mount");
	bench_has(&bench, "source on /mnt type tmpfs (rw,nosuid,noatime)\n");
	bind_mount(source, "/mnt", "noexec");
	bench_runs(&bench, "mount");
	bench_has(&bench, "source on /mnt type tmpfs (rw,noexec,noatime)\n");
	bind_mount(source, "/mnt", "relatime");
	bench_runs(&bench, "mount");
	bench_has(&bench, "source on /mnt type tmpfs (rw,relatime)\n");
	cr_assert_eq(umount(source), 0);
}

Test(launch_mounts, propagation_of_a_mount_is_what_its_options_say)
{
	bind_mount(bench.dir, "/mnt", "shared");
	bench_runs(&bench,
	           "grep ' /mnt [^ ]* shared:' /proc/self/mountinfo || cat /proc/self/mountinfo");
	bench_has(&bench, " /mnt ");
	bench_has_not(&bench, " / / ");
	bind_mount(bench.dir, "/mnt", "unbindable");
	bench_runs(
		&bench,
		"grep ' /mnt [^ ]* unbindable ' /proc/self/mountinfo || cat /proc/self/mountinfo");
	bench_has(&bench, " /mnt ");
	bench_has_not(&bench, " / / ");
}
