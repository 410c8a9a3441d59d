#include "shim/storage/root_disks.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"

#define MOUNTS_MAX 4

/* Mounts as Create brings them. */
struct mounts {
	Containerd__Types__Mount all[MOUNTS_MAX];
	size_t n;
};

static void add(struct mounts *mounts, const char *type, const char *source, char *const *options)
{
	Containerd__Types__Mount *mount = &mounts->all[mounts->n];

	containerd__types__mount__init(mount);
	mount->type = (char *)type;
	mount->source = (char *)source;
	mount->options = (char **)options;
	while (options && options[mount->n_options])
		mount->n_options++;
	mounts->n++;
}

static int parse_all(struct mounts *mounts, struct root_disks **out, struct error *err)
{
	Containerd__Types__Mount *list[MOUNTS_MAX];

	for (size_t i = 0; i < mounts->n; i++)
		list[i] = &mounts->all[i];
	return root_disks_parse(list, mounts->n, out, err);
}

static struct root_disks *parse(struct mounts *mounts)
{
	struct root_disks *disks;
	struct error err = { 0 };

	cr_assert_eq(parse_all(mounts, &disks, &err), 0, "%s", err.text);
	return disks;
}

static void assert_refused(struct mounts *mounts, const char *text)
{
	struct root_disks *disks;
	struct error err = { 0 };

	cr_assert_lt(parse_all(mounts, &disks, &err), 0);
	cr_expect_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_expect_str_eq(err.text, text);
}

static char *const loop_rw[] = { "loop", "rw", NULL };
static char *const loop_ro[] = { "ro", "loop", NULL };

/* What the snapshotter erofs of containerd 2.3 says of an image of two layers, if it is told to make
 * an image to write to. */
static char *const overlay[] = { "X-containerd.mkdir.path={{ mount 0 }}/upper:0755",
	                         "X-containerd.mkdir.path={{ mount 0 }}/work:0755",
	                         "workdir={{ mount 0 }}/work",
	                         "upperdir={{ mount 0 }}/upper",
	                         "lowerdir={{ overlay 1 2 }}",
	                         NULL };

static struct mounts layers(void)
{
	struct mounts mounts = { 0 };

	add(&mounts, "ext4", "/s/3/rwlayer.img", loop_rw);
	add(&mounts, "erofs", "/s/2/layer.erofs", loop_ro);
	add(&mounts, "erofs", "/s/1/layer.erofs", loop_ro);
	add(&mounts, "format/mkdir/overlay", "overlay", overlay);
	return mounts;
}

Test(root_disks, of_blockfile_is_one_that_is_written)
{
	struct mounts mounts = { 0 };
	struct root_disks *disks;

	add(&mounts, "ext4", "/s/3", loop_rw);
	disks = parse(&mounts);
	cr_assert_not_null(disks);
	cr_assert_eq(root_disks_count(disks), 1);
	cr_expect_not(root_disks_is_overlay(disks));
	cr_expect_str_eq(root_disks_get(disks, 0)->path, "/s/3");
	cr_expect_str_eq(root_disks_get(disks, 0)->fstype, "ext4");
	cr_expect_not(root_disks_get(disks, 0)->read_only);
	cr_expect_eq(root_disks_get(disks, 0)->n_options, 0, "the machine needs no loop device");
	root_disks_destroy(disks);
}

Test(root_disks, of_devmapper_keeps_the_options_of_its_file_system)
{
	char *options[] = { "discard", "nouuid", NULL };
	struct mounts mounts = { 0 };
	struct root_disks *disks;

	add(&mounts, "xfs", "/dev/mapper/pool-snap-1", options);
	disks = parse(&mounts);
	cr_assert_not_null(disks);
	cr_assert_eq(root_disks_get(disks, 0)->n_options, 2);
	cr_expect_str_eq(root_disks_get(disks, 0)->options[1], "nouuid");
	root_disks_destroy(disks);
}

Test(root_disks, are_the_layers_of_an_overlay)
{
	const char *const places[] = { "/w", "/l2", "/l1" };
	struct mounts mounts = layers();
	struct root_disks *disks = parse(&mounts);
	struct error err = { 0 };
	Grpc__Storage *storage;

	cr_assert_not_null(disks);
	cr_assert(root_disks_is_overlay(disks));
	cr_assert_eq(root_disks_count(disks), 3);
	cr_expect(root_disks_get(disks, 1)->read_only);
	cr_assert_eq(root_disks_overlay(disks, places, "/root", &storage, &err), 0, "%s", err.text);
	cr_expect_str_eq(storage->driver, "overlayfs");
	cr_expect_str_eq(storage->mount_point, "/root");
	cr_assert_eq(storage->n_options, 3);
	cr_expect_str_eq(storage->options[0], "workdir=/w/work");
	cr_expect_str_eq(storage->options[1], "upperdir=/w/upper");
	cr_expect_str_eq(storage->options[2], "lowerdir=/l2:/l1");
	cr_assert_eq(storage->n_driver_options, 2);
	cr_expect_str_eq(storage->driver_options[0],
	                 "io.katacontainers.volume.overlayfs.create_directory=/w/upper");
	grpc__storage__free_unpacked(storage, NULL);
	root_disks_destroy(disks);
}

Test(root_disks, are_listed_in_either_direction_and_must_be_there)
{
	const char *const places[] = { "/w", "/l2", "/l1" };
	char *options[] = { "lowerdir={{ overlay 2 1 }}", NULL };
	static const char *const wrong[] = { "lowerdir={{ overlay 1 3 }}", "lowerdir={{ mount 7 }}",
		                             "lowerdir={{ source 1 }}", "lowerdir={1" };
	struct mounts mounts = layers();
	struct error err = { 0 };
	Grpc__Storage *storage;
	struct root_disks *disks;

	mounts.all[3].options = options;
	mounts.all[3].n_options = 1;
	disks = parse(&mounts);
	cr_assert_eq(root_disks_overlay(disks, places, "/root", &storage, &err), 0, "%s", err.text);
	cr_expect_str_eq(storage->options[0], "lowerdir=/l1:/l2");
	grpc__storage__free_unpacked(storage, NULL);
	root_disks_destroy(disks);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		options[0] = (char *)wrong[i];
		disks = parse(&mounts);
		cr_expect_lt(root_disks_overlay(disks, places, "/root", &storage, &err), 0);
		cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
		cr_expect_not_null(strstr(err.text, wrong[i]), "%s", err.text);
		root_disks_destroy(disks);
	}
}

Test(root_disks, are_none_of_other_mounts)
{
	struct mounts none = { 0 };
	struct mounts bind = { 0 };
	struct mounts nfs = { 0 };

	add(&bind, "bind", "/s/4/fs", NULL);
	add(&nfs, "nfs", "server:/path", NULL);
	cr_expect_null(parse(&none));
	cr_expect_null(parse(&bind));
	cr_expect_null(parse(&nfs));
}

/* As the snapshotter erofs does by default on Linux. */
Test(root_disks, may_write_to_a_directory_of_the_host)
{
	char *options[] = { "lowerdir={{ mount 0 }}", "upperdir=/s/4/fs", "workdir=/s/4/work",
		            NULL };
	struct mounts mounts = { 0 };
	struct mounts others = layers();
	struct root_disks *disks;

	add(&mounts, "erofs", "/s/1/layer.erofs", loop_ro);
	add(&mounts, "format/mkdir/overlay", "overlay", options);
	disks = parse(&mounts);
	cr_assert_not_null(disks);
	cr_expect(root_disks_write_to_host(disks));
	root_disks_destroy(disks);
	disks = parse(&others);
	cr_expect_not(root_disks_write_to_host(disks));
	root_disks_destroy(disks);
}

Test(root_disks, that_are_not_understood_are_refused)
{
	char *verity[] = { "ro", "loop", "X-containerd.dmverity=/s/1/.dmverity", NULL };
	struct mounts mounts = layers();

	mounts.n = 2;
	assert_refused(&mounts, "rootfs: 2 disks without an overlay: not supported");
	mounts.all[1].type = "bind";
	assert_refused(&mounts,
	               "rootfs[1]: \"/s/2/layer.erofs\" (bind) among disks: not supported");
	mounts = layers();
	mounts.all[2].options = verity;
	mounts.all[2].n_options = 3;
	assert_refused(&mounts, "rootfs[2]: mount option \"X-containerd.dmverity=/s/1/.dmverity\": "
	                        "not supported");
}
