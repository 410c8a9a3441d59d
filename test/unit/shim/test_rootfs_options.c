#include "shim/storage/rootfs_options.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "common/error.h"
#include "common/mem.h"

#define N(array) (sizeof(array) / sizeof((array)[0]))

static struct rootfs_options parse(const char *type, char *const *options, size_t n)
{
	struct rootfs_options out;
	struct error err = { 0 };

	cr_assert_eq(rootfs_options_parse(type, options, n, &out, &err), 0, "%s", err.text);
	return out;
}

/* What becomes of lowerdir=@layers; @dir NULL: nothing is relative. */
static void expect_layers(const char *layers, const char *dir, const char *relative)
{
	autofree char *option = mem_printf("lowerdir=%s", layers);
	autofree char *expected = mem_printf("lowerdir=%s,upperdir=/u", relative);
	char *options[] = { option, (char *)"upperdir=/u" };
	struct rootfs_options out = parse("overlay", options, N(options));

	cr_expect_str_eq(out.data, expected);
	if (dir)
		cr_expect_str_eq(out.dir, dir);
	else
		cr_expect_null(out.dir, "%s", out.dir);
	rootfs_options_fini(&out);
}

Test(rootfs_options, divides_flags_from_data)
{
	char *options[] = { "ro", "nosuid", "size=64k", "noatime", "relatime", "suid", "mode=755" };
	struct rootfs_options out = parse("tmpfs", options, N(options));

	cr_expect_eq(out.flags, MS_RDONLY | MS_RELATIME);
	cr_expect_str_eq(out.data, "size=64k,mode=755");
	cr_expect_null(out.dir);
	rootfs_options_fini(&out);
}

Test(rootfs_options, knows_a_bind_by_type_and_by_option)
{
	char *options[] = { "rbind", "rw" };
	struct rootfs_options out = parse("bind", NULL, 0);

	cr_expect_eq(out.flags, MS_BIND);
	cr_expect_str_eq(out.data, "");
	rootfs_options_fini(&out);
	out = parse("none", options, N(options));
	cr_expect_eq(out.flags, MS_BIND | MS_REC);
	rootfs_options_fini(&out);
}

Test(rootfs_options, writes_layers_relative_to_what_they_have_in_common)
{
	expect_layers("/s/12/fs:/s/1/fs:/s/3/fs", "/s/", "12/fs:1/fs:3/fs");
	expect_layers("/s/12/fs:/s/13/fs", "/s/", "12/fs:13/fs");
	expect_layers("/s/1/fs", "/s/1/", "fs");
	expect_layers("/a:/a/b", "/", "a:a/b");
	expect_layers("/a:/b", "/", "a:b");
	expect_layers("/s/a\\:b:/s/c", "/s/", "a\\:b:c");
}

Test(rootfs_options, leaves_layers_that_have_nothing_in_common)
{
	expect_layers("a:/b", NULL, "a:/b");
	expect_layers("/s/a::/s/b", NULL, "/s/a::/s/b");
	expect_layers("/s\\:t/a:/s\\:t/b", NULL, "/s\\:t/a:/s\\:t/b");
	expect_layers("", NULL, "");
	expect_layers("/", NULL, "/");
}

Test(rootfs_options, leaves_layers_that_are_relative)
{
	expect_layers("l/1:l/2", NULL, "l/1:l/2");
}

Test(rootfs_options, has_room_for_many_layers_and_says_when_not)
{
	autofree char *layers = mem_alloc(1 << 20);
	char *options[] = { layers };
	struct rootfs_options out;
	struct error err = { 0 };

	sprintf(layers, "lowerdir=/var/lib/containerd/snapshots/999/fs");
	for (int i = 1; i < 300; i++)
		sprintf(layers + strlen(layers), ":/var/lib/containerd/snapshots/%d/fs", 1000 + i);
	out = parse("overlay", options, 1);
	cr_expect_str_eq(out.dir, "/var/lib/containerd/snapshots/");
	rootfs_options_fini(&out);
	for (int i = 0; i < 300; i++)
		sprintf(layers + strlen(layers), ":/var/lib/containerd/snapshots/%d/fs", i);
	cr_expect_eq(rootfs_options_parse("overlay", options, 1, &out, &err), -EINVAL);
	cr_expect_str_eq(err.text, "mount options of 4397 bytes are longer than 4095");
}

Test(rootfs_options, refuses_what_mount_would_have_to_do_more_for)
{
	static const char *const names[] = { "loop", "remount",        "rshared", "private",
		                             "rro",  "uidmap=0:1:100", "gidmap=" };

	for (size_t i = 0; i < N(names); i++) {
		autofree char *text = mem_printf("mount option \"%s\": not supported", names[i]);
		char *options[] = { "ro", (char *)names[i] };
		struct rootfs_options out;
		struct error err = { 0 };

		cr_expect_eq(rootfs_options_parse("overlay", options, N(options), &out, &err),
		             -ENOSYS);
		cr_expect_str_eq(err.text, text);
	}
}
