#include "shim/storage/guest_root.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/error.h"
#include "shim/storage/root_disks.h"

#define MOUNTS_MAX 3

static char *no_options[] = { "loop" };
static char *overlay_options[] = { "X-containerd.mkdir.path={{ mount 0 }}/upper:0755",
	                           "upperdir={{ mount 0 }}/upper", "workdir={{ mount 0 }}/work",
	                           "lowerdir={{ mount 1 }}" };

/* A file system that is written to, the layer of an image, an overlay of both: the first @n. */
static struct root_disks *disks_of(size_t n)
{
	Containerd__Types__Mount mounts[MOUNTS_MAX] = { CONTAINERD__TYPES__MOUNT__INIT,
		                                        CONTAINERD__TYPES__MOUNT__INIT,
		                                        CONTAINERD__TYPES__MOUNT__INIT };
	Containerd__Types__Mount *list[] = { &mounts[0], &mounts[1], &mounts[2] };
	struct root_disks *disks;
	struct error err;

	mounts[0].type = "ext4";
	mounts[0].source = "/s/2/rw.img";
	mounts[0].options = no_options;
	mounts[0].n_options = 1;
	mounts[1].type = "erofs";
	mounts[1].source = "/s/1/layer.erofs";
	mounts[2].type = "format/mkdir/overlay";
	mounts[2].source = "overlay";
	mounts[2].options = overlay_options;
	mounts[2].n_options = 4;
	cr_assert_eq(root_disks_parse(list, n, &disks, &err), 0, "%s", err.text);
	return disks;
}

Test(guest_root, of_one_disk_is_that_disk)
{
	const char *const paths[] = { "02/00" };
	struct root_disks *disks = disks_of(1);
	struct guest_root *root;
	Grpc__Storage **storages;
	struct error err;

	cr_assert_eq(guest_root_create(disks, paths, "c", &root, &err), 0, "%s", err.text);
	cr_assert_eq(guest_root_storages(root, &storages), 1);
	cr_expect_str_eq(storages[0]->driver, "blk");
	cr_expect_str_eq(storages[0]->source, "02/00");
	cr_expect_str_eq(storages[0]->fstype, "ext4");
	cr_expect_eq(storages[0]->n_options, 0);
	cr_expect_str_eq(storages[0]->mount_point, guest_root_path(root));
	guest_root_destroy(root);
	root_disks_destroy(disks);
}

Test(guest_root, of_layers_is_an_overlay_whose_layers_others_have_too)
{
	const char *const paths[] = { "02/00", "03/00" };
	struct root_disks *disks = disks_of(3);
	struct guest_root *root;
	struct guest_root *other;
	Grpc__Storage **storages;
	Grpc__Storage **others;
	struct error err;

	cr_assert_eq(guest_root_create(disks, paths, "c", &root, &err), 0, "%s", err.text);
	cr_assert_eq(guest_root_create(disks, paths, "d", &other, &err), 0, "%s", err.text);
	cr_assert_eq(guest_root_storages(root, &storages), 3);
	cr_assert_eq(guest_root_storages(other, &others), 3);
	cr_expect_str_neq(storages[0]->mount_point, others[0]->mount_point);
	cr_expect_str_eq(storages[1]->mount_point, others[1]->mount_point);
	cr_expect_str_eq(storages[1]->options[0], "ro");
	cr_expect_str_eq(storages[2]->driver, "overlayfs");
	cr_expect_str_eq(storages[2]->mount_point, guest_root_path(root));
	cr_expect_str_eq(storages[2]->options[2],
	                 "lowerdir=/run/kata-containers/sandbox/layers/03-00");
	guest_root_destroy(root);
	guest_root_destroy(other);
	root_disks_destroy(disks);
}
