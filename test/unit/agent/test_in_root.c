#include "agent/launch/in_root.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"

static char dir[32];
static int root;

static void setup(void)
{
	strcpy(dir, "/tmp/kata-in-root-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root, 0);
}

static void teardown(void)
{
	close(root);
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

TestSuite(in_root, .init = setup, .fini = teardown);

static mode_t mode_of(const char *name)
{
	struct stat st = { 0 };

	return fstatat(root, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void make(const char *path, mode_t type)
{
	struct error err = { 0 };
	struct stat st;
	autoclose int fd = in_root_make(root, path, type, 0700, &err);

	cr_assert_geq(fd, 0, "%s", err.text);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_expect_eq(st.st_mode & S_IFMT, type);
}

Test(in_root, directories_and_files_are_made)
{
	make("/a/b/c", S_IFDIR);
	make("a//./b/../b/file/", S_IFREG);
	make("/", S_IFDIR);
	make("", S_IFDIR);
	cr_expect_eq(mode_of("a/b/c"), S_IFDIR | 0700);
	cr_expect_eq(mode_of("a/b"), S_IFDIR | 0755);
	cr_expect_eq(mode_of("a/b/file"), S_IFREG | 0700);
}

Test(in_root, upwards_ends_at_the_root)
{
	make("/../../../up", S_IFDIR);
	cr_expect_eq(mode_of("up"), S_IFDIR | 0700);
}

Test(in_root, links_are_followed_inside)
{
	cr_assert_eq(symlinkat("/inside/of", root, "absolute"), 0);
	cr_assert_eq(symlinkat("../../../../beside", root, "relative"), 0);
	make("/absolute/x", S_IFREG);
	make("/relative", S_IFREG);
	cr_expect_eq(mode_of("inside/of/x"), S_IFREG | 0700);
	cr_expect_eq(mode_of("beside"), S_IFREG | 0700);
	make("/absolute", S_IFDIR);
}

Test(in_root, circles_end)
{
	struct error err;

	cr_assert_eq(symlinkat("b", root, "a"), 0);
	cr_assert_eq(symlinkat("a", root, "b"), 0);
	cr_expect_eq(in_root_make(root, "a/x", S_IFDIR, 0755, &err), -ELOOP);
}

Test(in_root, growing_links_end)
{
	struct error err;

	cr_assert_eq(symlinkat("grow/grow", root, "grow"), 0);
	cr_expect_eq(in_root_make(root, "grow", S_IFDIR, 0755, &err), -ELOOP);
}

Test(in_root, files_are_no_directories)
{
	struct error err;

	make("file", S_IFREG);
	cr_expect_eq(in_root_make(root, "file/x", S_IFDIR, 0755, &err), -ENOTDIR);
	cr_expect_str_eq(err.text,
	                 "cannot make \"file/x\" in the root file system: Not a directory");
	cr_expect_eq(in_root_make(root, "file", S_IFDIR, 0755, &err), -ENOTDIR);
}

Test(in_root, nothing_outside_can_be_opened)
{
	cr_assert_eq(symlinkat("/etc/passwd", root, "link"), 0);
	cr_expect_eq(in_root_open(root, "link", O_RDONLY), -ENOENT);
	cr_expect_eq(in_root_open(root, "/etc/passwd", O_RDONLY), -ENOENT);
	cr_expect_eq(in_root_open(root, "../../etc/passwd", O_RDONLY), -ENOENT);
}

Test(in_root, parent_and_name_are_told_apart)
{
	const char *name = NULL;
	struct error err;
	int fd = in_root_make_parent(root, "/x/y/z", &name, &err);

	cr_assert_geq(fd, 0);
	close(fd);
	cr_expect_str_eq(name, "z");
	cr_expect_eq(mode_of("x/y"), S_IFDIR | 0755);
	cr_expect_eq(in_root_make_parent(root, "/x/..", &name, &err), -EINVAL);
	cr_expect_eq(in_root_make_parent(root, "/x/", &name, &err), -EINVAL);
}
