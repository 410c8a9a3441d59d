#include "agent/launch/user.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

static void expect_home(const char *passwd, uid_t uid, const char *home)
{
	autofree char *found = user_home_of(passwd, uid);

	cr_expect_str_eq(found, home);
}

Test(user, home_is_the_passwd_file_s)
{
	static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
				     "# comment\n"
				     "short:x:7\n"
				     "bad:x:7x:0::/bad:\n"
				     "me:x:1000:1000:Me,,,:/home/me:/bin/sh";

	expect_home(passwd, 0, "/root");
	expect_home(passwd, 1000, "/home/me");
	expect_home(passwd, 7, "/");
	expect_home("", 0, "/");
}

Test(user, first_entry_of_a_uid_counts)
{
	expect_home("a:x:5:5::/a:\nb:x:5:5::/b:\n", 5, "/a");
}

Test(user, passwd_that_is_no_file_is_not_waited_for)
{
	char dir[] = "/tmp/kata-user-XXXXXX";
	autofree char *home = NULL;
	autoclose int root = -1;

	cr_assert_not_null(mkdtemp(dir));
	root = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_eq(mkdirat(root, "etc", 0755), 0);
	cr_assert_eq(mkfifoat(root, "etc/passwd", 0644), 0);
	home = user_home(root, 0);
	cr_expect_str_eq(home, "/");
	cr_expect_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
}

Test(user, the_number_that_changes_nothing_is_refused)
{
	uint32_t groups[] = { 1, (uint32_t)-1 };
	Grpc__User user = GRPC__USER__INIT;
	struct error err;

	user.uid = (uint32_t)-1;
	cr_expect_lt(user_become(&user, &err), 0);
	cr_expect_str_eq(err.text, "invalid uid \"4294967295\": reserved");
	user.uid = 0;
	user.additionalgids = groups;
	user.n_additionalgids = 2;
	cr_expect_lt(user_become(&user, &err), 0);
	cr_expect_eq(err.code, ERROR_INVALID_ARGUMENT);
}
