#include "test/unit/agent/storage_bench.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

#define DIRECTORY    "/tmp" /* an empty one is mounted over it */
#define STORAGES_MAX 8

static int hang(const Grpc__Storage *storage, struct error *err)
{
	sleep(1000);
	return error_set(err, ERROR_INTERNAL, "not killed");
}

const struct storage_driver storage_bench_drivers[] = {
	{ "memory", "tmpfs", 10000, storage_driver_make_file_system, false },
	{ "at-once", "tmpfs", 0, storage_driver_make_file_system, false },
	{ "stays", "tmpfs", 0, storage_driver_make_file_system, true },
	{ "hang", "tmpfs", STORAGE_BENCH_TIMEOUT_MS, hang, false },
	{ 0 },
};

void storage_bench_init(void)
{
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL), 0);
	cr_assert_eq(mount("bench", DIRECTORY, "tmpfs", 0, NULL), 0);
}

Grpc__Storage *storage_bench_new(const char *driver, const char *name)
{
	static char *options[] = { "nosuid", "size=64k" };
	static Grpc__Storage storages[STORAGES_MAX];
	static char places[STORAGES_MAX][64];
	static size_t n;
	Grpc__Storage *storage = &storages[n];

	cr_assert_lt(n, STORAGES_MAX);
	grpc__storage__init(storage);
	storage->driver = (char *)driver;
	storage->source = "bench";
	storage->fstype = "tmpfs";
	storage->options = options;
	storage->n_options = 2;
	storage->mount_point = places[n];
	snprintf(places[n++], sizeof(places[0]), DIRECTORY "/%s", name);
	return storage;
}

bool storage_bench_mounted(const Grpc__Storage *storage)
{
	struct statx st;

	return statx(AT_FDCWD, storage->mount_point, AT_NO_AUTOMOUNT, 0, &st) == 0 &&
	       (st.stx_attributes & STATX_ATTR_MOUNT_ROOT);
}
