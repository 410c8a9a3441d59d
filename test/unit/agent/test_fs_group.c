/* Files are given to another group: as root. */
#include "agent/guest/fs_group.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

static char dir[] = "/tmp/test-group-XXXXXX";

static void expect(const char *name, unsigned int group, unsigned int mode)
{
	autofree char *path = mem_printf("%s/%s", dir, name);
	struct stat st;

	cr_assert_eq(lstat(path, &st), 0, "%s", path);
	cr_expect_eq(st.st_gid, group, "%s: %u", name, st.st_gid);
	cr_expect(S_ISLNK(st.st_mode) || (st.st_mode & 07777) == mode, "%s: %o", name, st.st_mode);
}

static void apply(Types__FSGroupChangePolicy policy)
{
	Grpc__FSGroup group = GRPC__FSGROUP__INIT;
	autoclose int tree = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	struct error err;

	group.group_id = 3000;
	group.group_change_policy = policy;
	cr_assert_eq(fs_group_apply(tree, &group, &err), 0, "%s", err.text);
}

Test(fs_group, gets_all_files_and_may_write_them)
{
	autofree char *make = NULL;
	autofree char *change = NULL;
	autofree char *remove = NULL;
	struct stat before;
	struct stat after;

	cr_assert(mkdtemp(dir));
	make = mem_printf("cd %s && mkdir -p a/b && chmod 755 . a && chmod 700 a/b && "
	                  "touch a/b/file && chmod 4711 a/b/file && ln -s /etc a/link",
	                  dir);
	change = mem_printf("chgrp 0 %s/a/b/file", dir);
	remove = mem_printf("rm -r %s", dir);
	cr_assert_eq(stat("/etc", &before), 0);
	cr_assert_eq(system(make), 0); /* NOLINT: the test's own commands */
	apply(TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch);
	expect("", 3000, 02775);
	expect("a", 3000, 02775);
	expect("a/b", 3000, 02770);
	expect("a/b/file", 3000, 04771);
	expect("a/link", 3000, 0);
	cr_assert_eq(stat("/etc", &after), 0);
	cr_expect(after.st_gid == before.st_gid && after.st_mode == before.st_mode);
	cr_assert_eq(system(change), 0); /* NOLINT */
	apply(TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch);
	expect("a/b/file", 0, 0771);
	apply(TYPES__FSGROUP_CHANGE_POLICY__Always);
	expect("a/b/file", 3000, 0771);
	cr_assert_eq(system(remove), 0); /* NOLINT */
}
