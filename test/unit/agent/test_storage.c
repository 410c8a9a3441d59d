#include "agent/guest/storage.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "test/unit/agent/storage_bench.h"

static struct ev_loop *loop;
static struct storage_list *list;

/* An owner of storages, and what it was told. */
struct owner {
	struct storage_set *set;
	unsigned int told;
	struct error err;
};

static void on_done(void *ctx, const struct error *err)
{
	struct owner *owner = ctx;

	owner->told++;
	error_copy(&owner->err, err);
}

static void setup(void)
{
	storage_bench_init();
	loop = ev_loop_new(0);
	list = storage_list_create(loop, storage_bench_drivers);
}

static void teardown(void)
{
	storage_list_destroy(list);
	ev_loop_destroy(loop);
}

TestSuite(storage, .init = setup, .fini = teardown);

static struct owner owner_new(void)
{
	return (struct owner){ .set = storage_set_create(list) };
}

static void claim(struct owner *owner, Grpc__Storage *storage)
{
	cr_assert_eq(storage_set_claim(owner->set, &storage, 1, &owner->err), 0, "%s",
	             owner->err.text);
}

static void begin_mount(struct owner *owner)
{
	owner->told = 0;
	storage_set_mount(owner->set, on_done, owner);
}

static void begin_release(struct owner *owner)
{
	owner->told = 0;
	storage_set_release(owner->set, on_done, owner);
}

static enum error_code finish(struct owner *owner)
{
	while (!owner->told)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(owner->told, 1);
	return owner->err.code;
}

static enum error_code mount_all(struct owner *owner)
{
	begin_mount(owner);
	return finish(owner);
}

static enum error_code release(struct owner *owner)
{
	begin_release(owner);
	return finish(owner);
}

Test(storage, is_mounted_from_the_loop_with_its_attributes_and_unmounted)
{
	Grpc__Storage *storage = storage_bench_new("memory", "deep/below");
	struct owner owner = owner_new();
	struct statvfs fs;

	claim(&owner, storage);
	begin_mount(&owner);
	cr_expect_eq(owner.told, 0, "a child process does it");
	cr_assert_eq(finish(&owner), ERROR_NONE, "%s", owner.err.text);
	cr_assert(storage_bench_mounted(storage));
	cr_assert_eq(statvfs(storage->mount_point, &fs), 0);
	cr_expect(fs.f_flag & ST_NOSUID);
	cr_expect_eq(fs.f_blocks * fs.f_frsize, 64 << 10);
	cr_assert_eq(release(&owner), ERROR_NONE, "%s", owner.err.text);
	cr_expect_not(storage_bench_mounted(storage));
	storage_set_destroy(owner.set);
}

Test(storage, that_waits_for_nothing_is_mounted_at_once)
{
	Grpc__Storage *storage = storage_bench_new("at-once", "now");
	struct owner owner = owner_new();

	claim(&owner, storage);
	begin_mount(&owner);
	cr_assert_eq(owner.told, 1);
	cr_assert_eq(owner.err.code, ERROR_NONE, "%s", owner.err.text);
	cr_expect(storage_bench_mounted(storage));
	cr_assert_eq(release(&owner), ERROR_NONE, "%s", owner.err.text);
	cr_expect_not(storage_bench_mounted(storage));
	storage->options = (char *[]){ "nosuch=1" };
	storage->n_options = 1;
	claim(&owner, storage);
	cr_assert_eq(mount_all(&owner), ERROR_UNKNOWN);
	cr_expect_not_null(strstr(owner.err.text, "\"/tmp/now\": cannot make the file system"));
	cr_assert_eq(release(&owner), ERROR_NONE);
	storage_set_destroy(owner.set);
}

Test(storage, that_fails_names_its_place_and_leaves_nothing_when_released)
{
	Grpc__Storage *storages[] = { storage_bench_new("memory", "first"),
		                      storage_bench_new("memory", "second") };
	struct owner owner = owner_new();

	storages[1]->options = (char *[]){ "nosuch=1" };
	storages[1]->n_options = 1;
	cr_assert_eq(storage_set_claim(owner.set, storages, 2, &owner.err), 0);
	cr_assert_eq(mount_all(&owner), ERROR_UNKNOWN);
	cr_expect_str_eq(owner.err.text,
	                 "cannot mount tmpfs \"bench\" on \"/tmp/second\": cannot make the "
	                 "file system: Invalid argument");
	cr_expect(storage_bench_mounted(storages[0]));
	cr_assert_eq(release(&owner), ERROR_NONE);
	cr_expect_not(storage_bench_mounted(storages[0]));
	storage_set_destroy(owner.set);
}

Test(storage, of_two_owners_is_mounted_once_and_stays_until_the_second_has_gone)
{
	Grpc__Storage *storage = storage_bench_new("memory", "shared");
	struct owner first = owner_new();
	struct owner second = owner_new();
	int fd;

	claim(&first, storage);
	claim(&second, storage);
	begin_mount(&first);
	begin_mount(&second);
	cr_assert_eq(finish(&first), ERROR_NONE);
	cr_assert_eq(finish(&second), ERROR_NONE);
	fd = openat(AT_FDCWD, "/tmp/shared/file", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	cr_assert_geq(fd, 0);
	close(fd);
	begin_mount(&first);
	cr_expect_eq(first.told, 1, "it is there");
	cr_assert_eq(release(&first), ERROR_NONE);
	cr_expect_eq(access("/tmp/shared/file", F_OK), 0);
	cr_assert_eq(release(&second), ERROR_NONE);
	cr_expect_not(storage_bench_mounted(storage));
	storage_set_destroy(first.set);
	storage_set_destroy(second.set);
}

/* A pod's volume in memory: what an init container has written is there for those after it. */
Test(storage, that_stays_has_its_contents_until_the_list_goes)
{
	Grpc__Storage *storage = storage_bench_new("stays", "kept");
	struct owner first = owner_new();
	struct owner second = owner_new();

	claim(&first, storage);
	cr_assert_eq(mount_all(&first), ERROR_NONE);
	cr_assert_eq(file_write(AT_FDCWD, "/tmp/kept/file", 0600, "x", 1, NULL), 0);
	cr_assert_eq(release(&first), ERROR_NONE);
	cr_expect(storage_bench_mounted(storage));
	claim(&second, storage);
	cr_assert_eq(mount_all(&second), ERROR_NONE);
	cr_expect_eq(access("/tmp/kept/file", F_OK), 0);
	cr_assert_eq(release(&second), ERROR_NONE);
	storage_set_destroy(first.set);
	storage_set_destroy(second.set);
	storage_list_destroy(list);
	cr_expect_not(storage_bench_mounted(storage));
	list = storage_list_create(loop, storage_bench_drivers);
}

Test(storage, has_its_place_alone)
{
	Grpc__Storage *storage = storage_bench_new("memory", "place");
	Grpc__Storage *other = storage_bench_new("memory", "place");
	struct owner first = owner_new();
	struct owner second = owner_new();

	other->source = "other";
	claim(&first, storage);
	cr_assert_lt(storage_set_claim(second.set, &other, 1, &second.err), 0);
	cr_expect_eq(second.err.code, ERROR_ALREADY_EXISTS);
	cr_expect_str_eq(second.err.text,
	                 "storages[0]: \"/tmp/place\" is the mount point of another storage");
	cr_assert_eq(release(&first), ERROR_NONE);
	claim(&second, other);
	cr_assert_eq(release(&second), ERROR_NONE);
	storage_set_destroy(first.set);
	storage_set_destroy(second.set);
}

static unsigned int ticks;

static void on_tick(struct ev_loop *ev, ev_timer *watcher, int events)
{
	ticks++;
}

/* All children have ended. */
static void assert_no_child(void)
{
	for (int i = 0; i < 6000 && waitpid(-1, NULL, WNOHANG) >= 0; i++) {
		ev_run(loop, EVRUN_NOWAIT);
		usleep(10000);
	}
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1);
	cr_assert_eq(errno, ECHILD);
}

Test(storage, that_hangs_stops_nothing_else_and_fails_at_its_deadline)
{
	Grpc__Storage *storage = storage_bench_new("hang", "hangs");
	struct owner owner = owner_new();
	struct owner other = owner_new();
	ev_timer tick;

	ev_timer_init(&tick, on_tick, 0.01, 0.01);
	ev_timer_start(loop, &tick);
	claim(&owner, storage);
	claim(&other, storage_bench_new("memory", "other"));
	begin_mount(&owner);
	begin_mount(&other);
	cr_assert_eq(finish(&other), ERROR_NONE);
	cr_expect_eq(owner.told, 0);
	cr_assert_eq(finish(&owner), ERROR_DEADLINE_EXCEEDED);
	ev_timer_stop(loop, &tick);
	cr_expect_not_null(strstr(owner.err.text, "\"/tmp/hangs\": not done within 2000 ms"), "%s",
	                   owner.err.text);
	cr_expect_gt(ticks, 10);
	cr_expect_not(storage_bench_mounted(storage));
	assert_no_child();
	cr_assert_eq(release(&owner), ERROR_NONE);
	cr_assert_eq(release(&other), ERROR_NONE);
	storage_set_destroy(owner.set);
	storage_set_destroy(other.set);
}

Test(storage, that_all_let_go_of_is_mounted_no_further)
{
	Grpc__Storage *storage = storage_bench_new("hang", "hangs");
	struct owner first = owner_new();
	struct owner second = owner_new();

	claim(&first, storage);
	claim(&second, storage);
	begin_mount(&first);
	begin_mount(&second);
	storage_set_cancel(first.set);
	cr_assert_eq(release(&first), ERROR_NONE);
	cr_expect_eq(second.told, 0);
	storage_set_cancel(second.set);
	cr_assert_eq(release(&second), ERROR_NONE);
	assert_no_child();
	storage_set_destroy(first.set);
	storage_set_destroy(second.set);
}

static void claim_while_it_is_unmounted(Grpc__Storage *storage)
{
	struct owner first = owner_new();
	struct owner second = owner_new();

	claim(&first, storage);
	cr_assert_eq(mount_all(&first), ERROR_NONE);
	begin_release(&first);
	cr_expect_eq(first.told, 0);
	claim(&second, storage);
	begin_mount(&second);
	cr_expect_eq(second.told, 0);
	cr_assert_eq(finish(&first), ERROR_NONE);
	cr_assert_eq(finish(&second), ERROR_NONE);
	cr_expect(storage_bench_mounted(storage));
	cr_assert_eq(release(&second), ERROR_NONE);
	cr_expect_not(storage_bench_mounted(storage));
	storage_set_destroy(first.set);
	storage_set_destroy(second.set);
}

Test(storage, that_is_claimed_while_it_is_unmounted_is_mounted_again)
{
	claim_while_it_is_unmounted(storage_bench_new("memory", "again"));
	claim_while_it_is_unmounted(storage_bench_new("at-once", "again"));
}

/* Owners of one storage: the first mounts it for itself once more when it has released it. */
struct returning {
	struct owner owner;
	Grpc__Storage *storage;
};

static void on_released(void *ctx, const struct error *err)
{
	struct returning *returning = ctx;

	cr_assert_null(err);
	claim(&returning->owner, returning->storage);
	begin_mount(&returning->owner);
}

static void claim_when_it_has_been_unmounted(Grpc__Storage *storage)
{
	struct returning first = { .owner = owner_new(), .storage = storage };
	struct owner second = owner_new();

	claim(&first.owner, storage);
	cr_assert_eq(mount_all(&first.owner), ERROR_NONE);
	first.owner.told = 0;
	storage_set_release(first.owner.set, on_released, &first);
	claim(&second, storage);
	begin_mount(&second);
	cr_assert_eq(finish(&first.owner), ERROR_NONE, "%s", first.owner.err.text);
	cr_assert_eq(finish(&second), ERROR_NONE, "%s", second.err.text);
	cr_assert_eq(release(&first.owner), ERROR_NONE);
	cr_expect(storage_bench_mounted(storage));
	cr_assert_eq(release(&second), ERROR_NONE);
	cr_expect_not(storage_bench_mounted(storage));
	storage_set_destroy(first.owner.set);
	storage_set_destroy(second.set);
}

Test(storage, that_its_last_owner_claims_again_is_mounted_once)
{
	claim_when_it_has_been_unmounted(storage_bench_new("memory", "returns"));
	claim_when_it_has_been_unmounted(storage_bench_new("at-once", "returns"));
}

Test(storage, of_a_list_that_goes_is_unmounted_and_what_is_under_way_ends)
{
	Grpc__Storage *storage = storage_bench_new("memory", "left");
	struct owner left = owner_new();
	struct owner hangs = owner_new();
	struct owner releases = owner_new();

	claim(&left, storage);
	claim(&releases, storage_bench_new("memory", "leaving"));
	claim(&hangs, storage_bench_new("hang", "hangs"));
	cr_assert_eq(mount_all(&left), ERROR_NONE);
	cr_assert_eq(mount_all(&releases), ERROR_NONE);
	begin_mount(&hangs);
	begin_release(&releases);
	storage_set_destroy(left.set);
	storage_set_destroy(hangs.set);
	storage_set_destroy(releases.set);
	storage_list_destroy(list);
	list = NULL;
	cr_expect_not(storage_bench_mounted(storage));
	cr_expect_eq(hangs.told + releases.told, 0);
	assert_no_child();
}

static void assert_refused(Grpc__Storage *storage, enum error_code code, const char *text)
{
	struct owner owner = owner_new();

	cr_assert_lt(storage_set_claim(owner.set, &storage, 1, &owner.err), 0);
	cr_expect_eq(owner.err.code, code);
	cr_expect_not_null(strstr(owner.err.text, text), "'%s'", owner.err.text);
	storage_set_destroy(owner.set);
}

Test(storage, is_refused_by_name_when_no_driver_does_it)
{
	Grpc__Storage *storage = storage_bench_new("nvdimm", "x");
	Grpc__FSGroup group = GRPC__FSGROUP__INIT;

	assert_refused(storage, ERROR_UNIMPLEMENTED, "storage driver \"nvdimm\": not supported");
	storage->driver = "memory";
	storage->fstype = "ext4";
	assert_refused(storage, ERROR_INVALID_ARGUMENT, "\"memory\" has no file system \"ext4\"");
	storage->fstype = "tmpfs";
	storage->mount_point = "tmp/x";
	assert_refused(storage, ERROR_INVALID_ARGUMENT, "\"tmp/x\": not an absolute path");
	storage->mount_point = "/tmp/x";
	storage->fs_group = &group;
	assert_refused(storage, ERROR_UNIMPLEMENTED, "fs_group and driver_options");
	storage->fs_group = NULL;
	storage->options = (char *[]){ "rro" };
	storage->n_options = 1;
	assert_refused(storage, ERROR_UNIMPLEMENTED, "recursive options");
}

/* The source is seen by nobody else in between, and with what is mounted below it. */
Test(storage, of_driver_ephemeral_leaves_a_part_of_the_memory_to_others)
{
	static const struct {
		char *size;
		bool is_less;
	} rows[] = { { "size=1048576", false }, { "size=1t", true } };
	struct storage_list *real = storage_list_create(loop, storage_drivers());
	struct sysinfo info;

	cr_assert_eq(sysinfo(&info), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		autofree char *name = mem_printf("memory%zu", i);
		Grpc__Storage *storage = storage_bench_new("ephemeral", name);
		struct owner owner = { .set = storage_set_create(real) };
		struct statvfs fs;

		storage->options = (char *[]){ "mode=2770", rows[i].size };
		claim(&owner, storage);
		cr_assert_eq(mount_all(&owner), ERROR_NONE, "%s", owner.err.text);
		cr_assert_eq(statvfs(storage->mount_point, &fs), 0);
		if (rows[i].is_less) {
			cr_expect_lt(fs.f_blocks * fs.f_frsize,
			             info.totalram * info.mem_unit / 100 * 76);
			cr_expect_gt(fs.f_blocks * fs.f_frsize,
			             info.totalram * info.mem_unit / 100 * 74);
		} else {
			cr_expect_eq(fs.f_blocks * fs.f_frsize, 1048576);
		}
		cr_assert_eq(release(&owner), ERROR_NONE);
		storage_set_destroy(owner.set);
	}
	storage_list_destroy(real);
}

Test(storage, of_driver_bind_is_the_tree_that_is_there)
{
	struct storage_list *real = storage_list_create(loop, storage_drivers());
	Grpc__Storage *storage = storage_bench_new("bind", "bound");
	struct owner owner = { .set = storage_set_create(real) };

	cr_assert_eq(file_make_dirs("/tmp/source/below", 0755, NULL), 0);
	cr_assert_eq(mount("below", "/tmp/source/below", "tmpfs", 0, NULL), 0);
	cr_assert_eq(file_write(AT_FDCWD, "/tmp/source/below/file", 0644, "", 0, NULL), 0);
	storage->source = "/tmp/source";
	storage->fstype = "bind";
	storage->n_options = 0;
	claim(&owner, storage);
	begin_mount(&owner);
	cr_expect_eq(owner.told, 0, "a child process does it");
	cr_assert_eq(finish(&owner), ERROR_NONE, "%s", owner.err.text);
	cr_expect(storage_bench_mounted(storage));
	cr_expect_eq(access("/tmp/bound/below/file", F_OK), 0);
	cr_assert_eq(release(&owner), ERROR_NONE, "%s", owner.err.text);
	cr_expect_not(storage_bench_mounted(storage));
	storage->source = "/tmp/nosuch";
	claim(&owner, storage);
	cr_assert_eq(mount_all(&owner), ERROR_UNKNOWN);
	cr_expect_str_eq(owner.err.text,
	                 "cannot mount bind \"/tmp/nosuch\" on \"/tmp/bound\": cannot bind it: No "
	                 "such file or directory");
	cr_assert_eq(release(&owner), ERROR_NONE);
	storage_set_destroy(owner.set);
	storage_list_destroy(real);
}
