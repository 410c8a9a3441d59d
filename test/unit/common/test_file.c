#include "common/file.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"

static char dir_path[] = "/tmp/test-file-XXXXXX";
static int dir = -1;

static void make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir_path));
	dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(dir, 0);
}

static void remove_dir(void)
{
	cr_assert_eq(file_remove_tree(AT_FDCWD, dir_path, NULL), 0);
	close(dir);
}

TestSuite(file, .init = make_dir, .fini = remove_dir);

static bool there(const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(file, reads_what_was_written_with_its_mode_whatever_the_umask)
{
	autofree char *text = NULL;
	struct error err;
	struct stat st;

	umask(077);
	cr_assert_eq(file_write(dir, "f", 0644, "hello", 5, &err), 0);
	cr_assert_eq(file_read(dir, "f", 5, &text, &err), 5);
	cr_assert_str_eq(text, "hello");
	cr_assert_eq(fstatat(dir, "f", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0644);
}

Test(file, replaces_the_old_bytes_and_leaves_nothing_beside)
{
	autofree char *text = NULL;

	cr_assert_eq(file_write(dir, "f", 0600, "a long text", 11, NULL), 0);
	cr_assert_eq(file_write(dir, "f", 0600, "short", 5, NULL), 0);
	cr_assert_eq(file_read(dir, "f", 100, &text, NULL), 5);
	cr_assert_str_eq(text, "short");
	cr_assert_eq(unlinkat(dir, "f", 0), 0);
	cr_assert_eq(rmdir(dir_path), 0); /* empty */
	cr_assert_eq(mkdir(dir_path, 0700), 0);
}

Test(file, that_is_missing_is_not_found)
{
	char *text = NULL;
	struct error err;

	cr_assert_eq(file_read(dir, "none", 100, &text, &err), -ENOENT);
	cr_assert_eq(err.code, ERROR_NOT_FOUND);
	cr_assert_str_eq(err.text, "cannot open \"none\": No such file or directory");
	cr_assert_null(text);
}

Test(file, that_is_too_long_is_refused)
{
	char *text = NULL;
	struct error err;

	cr_assert_eq(file_write(dir, "f", 0600, "123456", 6, NULL), 0);
	cr_assert_eq(file_read(dir, "f", 5, &text, &err), -EINVAL);
	cr_assert_str_eq(err.text, "cannot read \"f\": longer than 5 bytes");
	cr_assert_null(text);
}

Test(file, of_proc_is_read_to_its_end_and_bounded)
{
	autofree char *text = NULL;
	char *none = NULL;
	ssize_t len = file_read(AT_FDCWD, "/proc/self/smaps", 1 << 20, &text, NULL);

	cr_assert_gt(len, 8192);
	cr_assert_eq(strlen(text), (size_t)len);
	cr_assert_eq(file_read(AT_FDCWD, "/proc/self/smaps", 8192, &none, NULL), -EINVAL);
}

Test(file, that_is_empty_reads_as_an_empty_text)
{
	autofree char *text = NULL;

	cr_assert_eq(file_write(dir, "f", 0600, "", 0, NULL), 0);
	cr_assert_eq(file_read(dir, "f", 0, &text, NULL), 0);
	cr_assert_str_eq(text, "");
}

Test(file, that_is_a_fifo_or_a_directory_is_refused_without_waiting)
{
	char *text = NULL;
	struct error err;

	cr_assert_eq(mkfifoat(dir, "fifo", 0600), 0);
	cr_assert_eq(file_read(dir, "fifo", 100, &text, &err), -EINVAL);
	cr_assert_str_eq(err.text, "cannot read \"fifo\": not a regular file");
	cr_assert_eq(file_read(dir, ".", 100, &text, &err), -EINVAL);
}

Test(file, makes_directories_and_takes_those_that_are_there)
{
	autofree char *path = mem_printf("%s/a/b//c", dir_path);
	autofree char *below_file = mem_printf("%s/f/x", dir_path);
	struct error err;
	struct stat st;

	umask(0);
	cr_assert_eq(mkdirat(dir, "a", 0700), 0);
	cr_assert_eq(file_make_dirs(path, 0711, &err), 0, "%s", err.text);
	cr_assert_eq(file_make_dirs(path, 0711, &err), 0, "%s", err.text);
	cr_assert_eq(fstatat(dir, "a", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	cr_assert_eq(fstatat(dir, "a/b/c", &st, 0), 0);
	cr_assert_eq(st.st_mode & 07777, 0711);
	cr_assert_eq(file_write(dir, "f", 0600, "", 0, NULL), 0);
	cr_assert_eq(file_make_dirs(below_file, 0700, &err), -ENOTDIR);
}

Test(file, tree_that_is_not_there_is_removed)
{
	cr_assert_eq(file_remove_tree(dir, "none", NULL), 0);
	cr_assert_eq(file_remove_tree(dir, "none/below", NULL), 0);
}

Test(file, tree_is_removed_without_following_links)
{
	struct error err;

	cr_assert_eq(mkdirat(dir, "keep", 0700), 0);
	cr_assert_eq(file_write(dir, "keep/f", 0600, "", 0, NULL), 0);
	cr_assert_eq(mkdirat(dir, "t", 0700), 0);
	cr_assert_eq(mkdirat(dir, "t/a", 0700), 0);
	cr_assert_eq(mkdirat(dir, "t/a/b", 0700), 0);
	cr_assert_eq(mkdirat(dir, "t/.removed-0", 0700), 0); /* a name that we use */
	cr_assert_eq(file_write(dir, "t/.removed-0/f", 0600, "", 0, NULL), 0);
	cr_assert_eq(file_write(dir, "t/.removed-1", 0600, "", 0, NULL), 0);
	cr_assert_eq(file_write(dir, "t/a/b/f", 0600, "", 0, NULL), 0);
	cr_assert_eq(symlinkat("../../keep", dir, "t/a/link"), 0);
	cr_assert_eq(mkfifoat(dir, "t/a/b/fifo", 0600), 0);
	cr_assert_eq(file_remove_tree(dir, "t", &err), 0, "%s", err.text);
	cr_assert_not(there("t"));
	cr_assert(there("keep/f"));
}

Test(file, tree_that_is_a_link_is_removed_alone)
{
	cr_assert_eq(mkdirat(dir, "keep", 0700), 0);
	cr_assert_eq(file_write(dir, "keep/f", 0600, "", 0, NULL), 0);
	cr_assert_eq(symlinkat("keep", dir, "t"), 0);
	cr_assert_eq(file_remove_tree(dir, "t", NULL), 0);
	cr_assert_not(there("t"));
	cr_assert(there("keep/f"));
}

Test(file, tree_of_any_depth_and_width_is_removed)
{
	int at = dup(dir);
	struct error err;

	cr_assert_eq(mkdirat(dir, "t", 0700), 0);
	for (int i = 0; i < 3000; i++) { /* no path and no set of descriptors reaches its end */
		int below;

		cr_assert_eq(mkdirat(at, i ? "deep" : "t/deep", 0700), 0);
		below = openat(at, i ? "deep" : "t/deep", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		cr_assert_geq(below, 0);
		close(at);
		at = below;
		cr_assert_eq(file_write(at, "f", 0600, "", 0, NULL), 0);
	}
	close(at);
	for (int i = 0; i < 3000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "t/%d", i);
		cr_assert_eq(mkdirat(dir, name, 0700), 0);
		snprintf(name, sizeof(name), "t/%d/f", i);
		cr_assert_eq(file_write(dir, name, 0600, "", 0, NULL), 0);
	}
	cr_assert_eq(file_remove_tree(dir, "t", &err), 0, "%s", err.text);
	cr_assert_not(there("t"));
}

/* In namespaces of its own; the exit status says which step failed. */
static int remove_tree_with_a_mount(void)
{
	struct error err;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return 1;
	if (chdir(dir_path) < 0 || mount("keep", "t/a/b/m", NULL, MS_BIND, NULL) < 0)
		return 2;
	if (file_remove_tree(AT_FDCWD, "t", &err) != -EBUSY)
		return 3;
	if (strcmp(err.text, "cannot remove \"m\": Device or resource busy") != 0)
		return 4;
	return file_remove_tree(AT_FDCWD, "t", &err) == -EBUSY ? 0 : 5;
}

Test(file, tree_with_a_mount_stays_and_what_is_mounted_too)
{
	int status;
	pid_t pid;

	cr_assert_eq(mkdirat(dir, "keep", 0700), 0);
	cr_assert_eq(file_write(dir, "keep/f", 0600, "", 0, NULL), 0);
	cr_assert_eq(mkdirat(dir, "t", 0700), 0);
	cr_assert_eq(mkdirat(dir, "t/a", 0700), 0);
	cr_assert_eq(mkdirat(dir, "t/a/b", 0700), 0);
	cr_assert_eq(mkdirat(dir, "t/a/b/m", 0700), 0);
	pid = fork();
	if (pid == 0)
		_exit(remove_tree_with_a_mount());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert_eq(status, 0, "status %#x", status);
	cr_assert(there("t"));
	cr_assert(there("keep/f"));
}

Test(file, is_made_non_blocking_and_keeps_its_other_flags)
{
	int fd = openat(dir, "log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	cr_assert_eq(file_set_nonblocking(fd), 0);
	cr_expect_eq(fcntl(fd, F_GETFL) & (O_NONBLOCK | O_APPEND | O_ACCMODE),
	             O_NONBLOCK | O_APPEND | O_WRONLY);
	close(fd);
	cr_expect_eq(file_set_nonblocking(fd), -1);
	cr_expect_eq(errno, EBADF);
}
