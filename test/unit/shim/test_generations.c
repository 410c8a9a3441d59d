#include "shim/storage/generations.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

/* A kubelet's volume in "from", and its copy in "to". */

static char top[] = "/tmp/generations-XXXXXX";
static int at, from, to;

static int make_dir(const char *name)
{
	int fd;

	cr_assert_eq(mkdirat(at, name, 0755), 0, "%s", name);
	fd = openat(at, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

static void set_up(void)
{
	cr_assert(mkdtemp(top));
	at = open(top, O_PATH | O_DIRECTORY | O_CLOEXEC);
	from = make_dir("from");
	to = make_dir("to");
}

static void tear_down(void)
{
	close(at);
	close(from);
	close(to);
	cr_assert_eq(file_remove_tree(AT_FDCWD, top, NULL), 0);
}

TestSuite(generations, .init = set_up, .fini = tear_down);

static void write_file(const char *name, const char *text)
{
	cr_assert_eq(file_write(from, name, 0644, text, strlen(text), NULL), 0, "%s", name);
}

static void link_to(const char *target, const char *name)
{
	unlinkat(from, "new", 0);
	cr_assert_eq(symlinkat(target, from, "new"), 0);
	cr_assert_eq(renameat(from, "new", from, name), 0);
}

/* A generation of one file, "key", which counts from now on. */
static void update(const char *generation, const char *text)
{
	autofree char *key = mem_printf("%s/key", generation);

	cr_assert_eq(mkdirat(from, generation, 0755), 0);
	write_file(key, text);
	link_to(generation, "..data");
}

static void begin(void)
{
	update("..1", "one");
	link_to("..data/key", "key");
}

static void copy(void)
{
	struct error err = { 0 };

	cr_assert_eq(generations_copy(from, to, &err), 0, "%s", err.text);
}

static void expect(const char *name, const char *text)
{
	autofree char *read = NULL;

	cr_assert_geq(file_read(to, name, 100, &read, NULL), 0, "%s", name);
	cr_assert_str_eq(read, text);
}

static bool is_there(int dir, const char *name)
{
	return faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

Test(generations, are_known_by_their_link)
{
	cr_assert_not(generations_are_in(from));
	begin();
	cr_assert(generations_are_in(from));
}

Test(generations, are_not_where_anything_else_is)
{
	begin();
	write_file("file", "");
	cr_assert_not(generations_are_in(from));
}

Test(generations, are_not_where_the_link_leads_elsewhere)
{
	static const char *const targets[] = {
		"/etc", "..", ".", "../..", "..1/..", "..data", "a"
	};

	begin();
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		link_to(targets[i], "..data");
		cr_assert_not(generations_are_in(from), "%s", targets[i]);
		cr_assert_lt(generations_copy(from, to, NULL), 0, "%s", targets[i]);
	}
}

Test(generations, are_copied_with_their_attributes)
{
	struct stat was, is;

	begin();
	cr_assert_eq(mkdirat(from, "..1/dir", 0750), 0);
	write_file("..1/dir/file", "deep");
	cr_assert_eq(fchmodat(from, "..1/key", 0640, 0), 0);
	cr_assert_eq(symlinkat("dir/file", from, "..1/link"), 0);
	copy();
	expect("key", "one");
	expect("..data/link", "deep");
	cr_assert_eq(fstatat(from, "key", &was, 0), 0);
	cr_assert_eq(fstatat(to, "key", &is, 0), 0);
	cr_assert_eq(is.st_mode, was.st_mode);
	cr_assert_eq(is.st_mtim.tv_nsec, was.st_mtim.tv_nsec);
	cr_assert_eq(fstatat(to, "..data/dir", &is, 0), 0);
	cr_assert_eq(is.st_mode & 07777, 0750);
	cr_assert(generations_are_in(to), "nothing else is left in the copy");
}

Test(generations, an_update_leaves_the_one_before)
{
	begin();
	copy();
	update("..2", "two");
	cr_assert_eq(file_remove_tree(from, "..1", NULL), 0);
	copy();
	expect("key", "two");
	expect("..1/key", "one");
	cr_assert_not(is_there(from, "..1"));
}

Test(generations, half_a_copy_is_made_anew)
{
	begin();
	cr_assert_eq(mkdirat(to, "..new", 0700), 0);
	cr_assert_eq(mkdirat(to, "..new/old", 0700), 0);
	copy();
	expect("key", "one");
	cr_assert_not(is_there(to, "..data/old"));
}

Test(generations, links_come_and_go)
{
	begin();
	copy();
	link_to("..data/key", "other");
	cr_assert_eq(unlinkat(from, "key", 0), 0);
	copy();
	expect("other", "one");
	cr_assert_not(is_there(to, "key"));
}

Test(generations, one_that_is_no_more_fails)
{
	begin();
	cr_assert_eq(file_remove_tree(from, "..1", NULL), 0);
	cr_assert_eq(generations_copy(from, to, NULL), -ENOENT);
	cr_assert_not(is_there(to, "..data"));
}

Test(generations, a_fifo_is_left_out)
{
	begin();
	cr_assert_eq(mkfifoat(from, "..1/fifo", 0600), 0);
	copy();
	cr_assert_not(is_there(to, "..1/fifo"));
}
