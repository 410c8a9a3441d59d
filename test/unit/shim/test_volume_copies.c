#include "shim/storage/volume_copies.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define KIND  "/kubernetes.io~configmap/"
#define PLACE 7

static char top[] = "/tmp/volume-copies-XXXXXX";
static struct ev_loop *loop;
static char *source, *dir;
static struct volume_copies *copies;

static void make_generation(const char *name)
{
	autofree char *path = mem_printf("%s/%s", source, name);
	autofree char *key = mem_printf("%s/key", path);
	autofree char *new = mem_printf("%s/..data_tmp", source);
	autofree char *data = mem_printf("%s/..data", source);

	cr_assert_eq(file_make_dirs(path, 0755, NULL), 0);
	cr_assert_eq(file_write(AT_FDCWD, key, 0644, name, strlen(name), NULL), 0);
	cr_assert_eq(symlink(name, new), 0);
	cr_assert_eq(rename(new, data), 0);
}

static void set_up(void)
{
	cr_assert(mkdtemp(top));
	loop = ev_loop_new(0);
	source = mem_printf("%s" KIND "name", top);
	dir = mem_printf("%s/" VOLUME_COPIES_DIR, top);
	cr_assert_eq(mkdir(dir, 0700), 0);
	copies = volume_copies_create(loop, dir);
	make_generation("..1");
}

static void tear_down(void)
{
	volume_copies_destroy(copies);
	cr_assert_eq(file_remove_tree(AT_FDCWD, top, NULL), 0);
	ev_loop_destroy(loop);
	free(source);
	free(dir);
}

TestSuite(volume_copies, .init = set_up, .fini = tear_down);

static int make(const char *path, struct timespec *seen)
{
	autoclose int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	cr_assert_geq(fd, 0);
	return volume_copies_make(copies, PLACE, path, fd, seen);
}

static bool copy_is(const char *text)
{
	autofree char *path = mem_printf("%s/%d/..data/key", dir, PLACE);
	autofree char *read = NULL;

	return file_read(AT_FDCWD, path, 100, &read, NULL) >= 0 && strcmp(read, text) == 0;
}

static void stop(struct ev_loop *stopped, ev_timer *timer, int events)
{
	*(bool *)timer->data = true;
}

/* Runs the loop until the copy is so; false after a time in which it should be. */
static bool becomes(const char *text)
{
	bool is_late = false;
	ev_timer deadline;

	ev_timer_init(&deadline, stop, 20, 0);
	deadline.data = &is_late;
	ev_timer_start(loop, &deadline);
	while (!is_late && !copy_is(text))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &deadline);
	return !is_late;
}

Test(volume_copies, follow_their_sources)
{
	struct timespec seen;
	autoclose int fd = make(source, &seen);

	cr_assert_geq(fd, 0);
	cr_assert(copy_is("..1"));
	volume_copies_follow(copies, PLACE, source, &seen);
	volume_copies_follow(copies, PLACE, source, &seen); /* twice is once */
	make_generation("..2");
	cr_assert(becomes("..2"));
	make_generation("..3");
	cr_assert(becomes("..3"));
	volume_copies_forget(copies, PLACE);
	volume_copies_forget(copies, PLACE);
	volume_copies_remove(copies, PLACE);
	cr_assert_eq(rmdir(dir), 0, "a copy is left");
}

Test(volume_copies, see_a_change_before_they_are_followed)
{
	struct timespec seen;
	autoclose int fd = make(source, &seen);

	make_generation("..2");
	volume_copies_follow(copies, PLACE, source, &seen);
	cr_assert(becomes("..2"));
}

Test(volume_copies, outlive_their_sources)
{
	struct timespec seen;
	autoclose int fd = make(source, &seen);

	volume_copies_follow(copies, PLACE, source, &seen);
	cr_assert_eq(file_remove_tree(AT_FDCWD, source, NULL), 0);
	ev_run(loop, EVRUN_ONCE);
	cr_assert(copy_is("..1"));
	make_generation("..2"); /* and are followed again */
	cr_assert(becomes("..2"));
}

Test(volume_copies, are_of_a_kubelets_volumes_alone)
{
	autofree char *mine = mem_printf("%s/mine", top);
	struct timespec seen;

	cr_assert_eq(rename(source, mine), 0);
	cr_assert_eq(make(mine, &seen), -1);
	cr_assert_eq(rmdir(dir), 0, "a copy is left");
}

Test(volume_copies, are_not_made_where_there_is_no_place)
{
	struct timespec seen;

	cr_assert_eq(rmdir(dir), 0);
	cr_assert_eq(make(source, &seen), -1);
}
