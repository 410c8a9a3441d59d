#include "shim/host/pod_dir.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"

#define POD "0123456789abcdef0123456789abcdef"

static struct error err;
static char root[] = "/tmp/kata-pod-dir.XXXXXX";

static void make_root(void)
{
	cr_assert_not_null(mkdtemp(root));
}

static void remove_root(void)
{
	char command[100];

	snprintf(command, sizeof(command), "rm -rf %s", root);
	cr_assert_eq(system(command), 0);
}

static char *make(void)
{
	char *path = NULL;

	cr_assert_eq(pod_dir_make(root, POD, "default", "web", &path, &err), 0, "%s", err.text);
	return path;
}

Test(pod_dir, is_private_and_has_the_id_inside, .init = make_root, .fini = remove_root)
{
	autofree char *path = make();
	autofree char *id = mem_printf("%s/id", path);
	char text[100] = { 0 };
	struct stat st;
	int fd;

	cr_assert_eq(stat(path, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	fd = open(id, O_RDONLY);
	cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
	cr_assert_str_eq(text, "default/web\n");
	close(fd);
}

Test(pod_dir, replaces_what_a_killed_shim_has_left, .init = make_root, .fini = remove_root)
{
	autofree char *path = make();
	autofree char *left = mem_printf("%s/left", path);
	autofree char *again = NULL;

	cr_assert_eq(mkdir(left, 0), 0);
	again = make();
	cr_assert_str_eq(again, path);
	cr_assert_neq(access(left, F_OK), 0);
}

Test(pod_dir, can_be_removed_twice, .init = make_root, .fini = remove_root)
{
	autofree char *path = make();

	cr_assert_eq(pod_dir_remove(root, POD, &err), 0);
	cr_assert_neq(access(path, F_OK), 0);
	cr_assert_eq(pod_dir_remove(root, POD, &err), 0);
	cr_assert_eq(pod_dir_remove("/tmp/kata-nowhere", POD, &err), 0);
}

Test(pod_dir, has_an_empty_directory, .init = make_root, .fini = remove_root)
{
	autofree char *path = make();
	autofree char *empty = mem_printf("%s/" POD_DIR_EMPTY, path);

	cr_expect_eq(rmdir(empty), 0);
}

Test(pod_dir, is_held_until_it_is_let_go, .init = make_root, .fini = remove_root)
{
	autofree char *path = make();
	int hold = pod_dir_hold(path, &err);

	cr_assert_geq(hold, 0, "%s", err.text);
	cr_expect(pod_dir_is_held(root, POD));
	cr_expect_not(pod_dir_wait(root, POD, 30));
	close(open(path, O_RDONLY)); /* as others of the same process do */
	cr_expect(pod_dir_is_held(root, POD));
	close(hold);
	cr_expect_not(pod_dir_is_held(root, POD));
	cr_expect(pod_dir_wait(root, POD, 0));
}

Test(pod_dir, is_not_held_when_it_is_not_there, .init = make_root, .fini = remove_root)
{
	autofree char *path = make();
	int hold = pod_dir_hold(path, &err);

	cr_assert_eq(pod_dir_remove(root, POD, &err), 0);
	cr_expect_not(pod_dir_is_held(root, POD));
	cr_assert_lt(pod_dir_hold(path, &err), 0);
	close(hold);
}

Test(pod_dir, is_locked_by_one_at_a_time, .init = make_root, .fini = remove_root)
{
	int lock = pod_dir_lock(root, &err), other = open(root, O_RDONLY);

	cr_assert_geq(lock, 0);
	cr_assert_neq(flock(other, LOCK_EX | LOCK_NB), 0);
	close(lock);
	cr_assert_eq(flock(other, LOCK_EX | LOCK_NB), 0);
	close(other);
}

Test(pod_dir, makes_its_root_when_it_is_locked, .init = make_root, .fini = remove_root)
{
	autofree char *below = mem_printf("%s/run/kata", root);
	struct stat st;
	int lock = pod_dir_lock(below, &err);

	cr_assert_geq(lock, 0, "%s", err.text);
	cr_assert_eq(fstat(lock, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	close(lock);
}
