#include "agent/launch/executable.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

static char dir[40];

static void put(const char *name, mode_t mode)
{
	cr_assert_eq(file_write(AT_FDCWD, name, mode, "", 0, NULL), 0);
	cr_assert_eq(chmod(name, mode), 0);
}

static void setup(void)
{
	strcpy(dir, "/tmp/kata-executable-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(mkdir("one", 0755), 0);
	cr_assert_eq(mkdir("two", 0755), 0);
	cr_assert_eq(mkdir("one/directory", 0755), 0);
	put("one/tool", 0644);
	put("two/tool", 0755);
	put("two/directory", 0755);
	put("here", 0755);
}

static void teardown(void)
{
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

TestSuite(executable, .init = setup, .fini = teardown);

static void expect(const char *name, const char *path, const char *found)
{
	autofree char *file = NULL;
	struct error err = { 0 };

	cr_assert_eq(executable_find(name, path, &file, &err), 0, "%s", err.text);
	cr_expect_str_eq(file, found);
}

static void expect_refusal(const char *name, const char *path, enum error_code code,
                           const char *text)
{
	char *file = NULL;
	struct error err = { 0 };

	cr_expect_lt(executable_find(name, path, &file, &err), 0);
	cr_expect_null(file);
	cr_expect_eq(err.code, code);
	cr_expect_str_eq(err.text, text);
}

Test(executable, path_is_searched_in_order)
{
	char path[128];
	char found[128];

	snprintf(path, sizeof(path), "/nosuch:%s/one:%s/two", dir, dir);
	snprintf(found, sizeof(found), "%s/two/tool", dir);
	expect("tool", path, found);
	snprintf(found, sizeof(found), "%s/two/directory", dir);
	expect("directory", path, found);
}

Test(executable, what_this_user_cannot_execute_is_passed_over)
{
	char path[128];
	char found[128];

	put("one/private", 0700);
	put("two/private", 0755);
	cr_assert_eq(chmod(dir, 0755), 0);
	snprintf(path, sizeof(path), "%s/one:%s/two", dir, dir);
	snprintf(found, sizeof(found), "%s/one/private", dir);
	expect("private", path, found);
	cr_assert_eq(seteuid(1000), 0);
	snprintf(found, sizeof(found), "%s/two/private", dir);
	expect("private", path, found);
	snprintf(path, sizeof(path), "%s/one", dir);
	expect_refusal("private", path, ERROR_NOT_FOUND,
	               "exec: \"private\": executable file not found in $PATH");
	cr_assert_eq(seteuid(0), 0);
}

Test(executable, name_with_a_slash_is_taken_as_it_is)
{
	expect("two/tool", NULL, "two/tool");
	expect_refusal("one/tool", "two", ERROR_PERMISSION_DENIED,
	               "exec: \"one/tool\": permission denied");
	expect_refusal("one/directory", NULL, ERROR_PERMISSION_DENIED,
	               "exec: \"one/directory\": permission denied");
	expect_refusal("./nosuch", NULL, ERROR_NOT_FOUND,
	               "exec: \"./nosuch\": stat ./nosuch: no such file or directory");
	expect_refusal("here/x", NULL, ERROR_PERMISSION_DENIED,
	               "exec: \"here/x\": stat here/x: not a directory");
}

Test(executable, name_that_is_nowhere_is_not_found)
{
	static const char text[] = "exec: \"nosuch\": executable file not found in $PATH";

	expect_refusal("nosuch", "/bin:/usr/bin", ERROR_NOT_FOUND, text);
	expect_refusal("nosuch", "", ERROR_NOT_FOUND, text);
	expect_refusal("nosuch", NULL, ERROR_NOT_FOUND, text);
	expect_refusal("", "/bin", ERROR_NOT_FOUND,
	               "exec: \"\": executable file not found in $PATH");
}

Test(executable, working_directory_is_not_searched)
{
	expect_refusal("here", ":", ERROR_INVALID_ARGUMENT,
	               "exec: \"here\": cannot run executable found relative to current directory");
}

/* Which pages of a file are in memory. */
static size_t resident(const char *name, size_t size)
{
	const size_t page = sysconf(_SC_PAGESIZE);
	autoclose int fd = open(name, O_RDONLY | O_CLOEXEC);
	autofree unsigned char *pages = mem_alloc(size / page);
	void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	size_t n = 0;

	cr_assert_neq(map, MAP_FAILED);
	cr_assert_eq(mincore(map, size, pages), 0);
	for (size_t i = 0; i < size / page; i++)
		n += pages[i] & 1;
	munmap(map, size);
	return n * page;
}

Test(executable, the_first_megabytes_are_read_ahead)
{
	const size_t size = 8 << 20;
	autoclose int fd = open("big", O_RDWR | O_CREAT | O_CLOEXEC, 0755);
	autofree char *data = mem_alloc(size);
	autoclose int ahead = -1;

	memset(data, 'x', size);
	cr_assert_eq(write(fd, data, size), (ssize_t)size);
	cr_assert_eq(fsync(fd), 0);
	cr_assert_eq(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
	if (resident("big", size) > 0)
		return; /* a file system that keeps all in memory */
	ahead = executable_open("big");
	cr_assert_geq(ahead, 0);
	executable_read_ahead(ahead);
	for (int i = 0; i < 6000 && resident("big", size) < (1 << 20); i++)
		usleep(10000);
	cr_expect_geq(resident("big", size), 1 << 20);
	cr_expect_lt(resident("big", size), size);
}

Test(executable, what_is_no_file_is_not_read_nor_waited_for, .timeout = 120)
{
	cr_assert_eq(mkfifo("fifo", 0755), 0);
	cr_expect_eq(executable_open("fifo"), -1);
	cr_expect_eq(executable_open("one/directory"), -1);
	cr_expect_eq(executable_open("no/such/file"), -1);
}
