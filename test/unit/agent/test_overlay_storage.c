#include "agent/guest/overlay_storage.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/mount_tree.h"
#include "agent/guest/storage_driver.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "test/unit/agent/storage_bench.h"

static char *options[] = { "lowerdir=/tmp/upper-layer:/tmp/lower-layer", "upperdir=/tmp/rw/upper",
	                   "workdir=/tmp/rw/work", "nodev" };
static char *directories[] = { OVERLAY_STORAGE_DIRECTORY "=/tmp/rw/upper",
	                       OVERLAY_STORAGE_DIRECTORY "=/tmp/rw/work" };

TestSuite(overlay_storage, .init = storage_bench_init);

/* The layers of an image, and what a container writes: made by the storages before it. */
static Grpc__Storage *layers(void)
{
	Grpc__Storage *storage = storage_bench_new("overlayfs", "root");

	storage->fstype = "overlay";
	storage->options = options;
	storage->n_options = 4;
	storage->driver_options = directories;
	storage->n_driver_options = 2;
	cr_assert_eq(mkdir("/tmp/upper-layer", 0755) | mkdir("/tmp/lower-layer", 0755), 0);
	cr_assert_eq(file_write(AT_FDCWD, "/tmp/lower-layer/file", 0600, "x", 1, NULL), 0);
	cr_assert_eq(mkdir(storage->mount_point, 0755), 0);
	return storage;
}

Test(overlay_storage, shows_the_layers_and_makes_the_directories_it_writes_to)
{
	const struct storage_driver *driver;
	Grpc__Storage *storage = layers();
	autoclose int tree = -1;
	autoclose int target = -1;
	struct error err = { 0 };

	cr_assert_eq(storage_driver_find(storage_drivers(), storage, &driver, &err), 0, "%s",
	             err.text);
	tree = driver->make(storage, &err);
	cr_assert_geq(tree, 0, "%s", err.text);
	target = open(storage->mount_point,
	              O_PATH | O_CLOEXEC); /* of the namespace that we are in now */
	cr_assert_eq(mount_tree_attach(tree, target), 0);
	cr_expect_eq(access("/tmp/root/file", F_OK), 0);
	cr_assert_eq(file_write(AT_FDCWD, "/tmp/root/new", 0600, "x", 1, NULL), 0);
	cr_expect_eq(access("/tmp/rw/upper/new", F_OK), 0);
}

Test(overlay_storage, without_a_layer_is_refused)
{
	Grpc__Storage *storage = layers();
	struct error err = { 0 };

	storage->options = (char *[]){ "lowerdir=/tmp/nosuch" };
	storage->n_options = 1;
	cr_expect_lt(overlay_storage_make(storage, &err), 0);
	cr_expect_str_eq(err.text, "cannot make the file system: No such file or directory");
}

Test(overlay_storage, has_no_other_option_of_a_driver)
{
	char *other[] = { "io.katacontainers.volume.overlayfs.create_directory=relative" };
	const struct storage_driver *driver;
	Grpc__Storage *storage = layers();
	struct error err = { 0 };

	storage->driver_options = other;
	storage->n_driver_options = 1;
	cr_expect_lt(storage_driver_find(storage_drivers(), storage, &driver, &err), 0);
	cr_expect_eq(err.code, ERROR_UNIMPLEMENTED);
	cr_expect_not_null(strstr(err.text, "create_directory=relative\": not supported"), "%s",
	                   err.text);
}
