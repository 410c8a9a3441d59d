#include "shim/host/uid_lease.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "common/error.h"
#include "common/mem.h"

#define FIRST 3000

static char parent[] = "/tmp/uid-lease-XXXXXX";
static char *dir;

static void setup(void)
{
	cr_assert(mkdtemp(parent));
	dir = mem_printf("%s/run/uids", parent);
}

static void teardown(void)
{
	autofree char *run = mem_printf("%s/run", parent);

	rmdir(dir);
	rmdir(run);
	cr_expect_eq(rmdir(parent), 0);
	free(dir);
}

TestSuite(uid_lease, .init = setup, .fini = teardown);

static struct uid_lease *take(unsigned int count)
{
	struct uid_lease *lease = NULL;
	struct error err = { 0 };

	cr_assert_eq(uid_lease_take(dir, FIRST, count, &lease, &err), 0, "%s", err.text);
	cr_assert_geq(uid_lease_uid(lease), FIRST);
	cr_assert_lt(uid_lease_uid(lease), FIRST + count);
	return lease;
}

static int files(void)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int n = 0;

	if (!d)
		return -1;
	while ((entry = readdir(d)))
		n += entry->d_name[0] != '.';
	closedir(d);
	return n;
}

Test(uid_lease, gives_each_holder_an_id_of_its_own)
{
	struct uid_lease *leases[3] = { take(3), take(3), take(3) };
	struct uid_lease *none = NULL;
	struct error err = { 0 };
	uid_t freed;

	cr_expect_neq(uid_lease_uid(leases[0]), uid_lease_uid(leases[1]));
	cr_expect_neq(uid_lease_uid(leases[0]), uid_lease_uid(leases[2]));
	cr_expect_neq(uid_lease_uid(leases[1]), uid_lease_uid(leases[2]));
	cr_expect_eq(uid_lease_take(dir, FIRST, 3, &none, &err), -ENOSPC);
	cr_expect_eq(err.code, ERROR_RESOURCE_EXHAUSTED);
	cr_expect(strstr(err.text, "all 3 user ids from 3000 on are in use"));
	cr_expect_null(none);

	freed = uid_lease_uid(leases[1]);
	uid_lease_destroy(leases[1]);
	leases[1] = take(3);
	cr_expect_eq(uid_lease_uid(leases[1]), freed);
	for (int i = 0; i < 3; i++)
		uid_lease_destroy(leases[i]);
	cr_expect_eq(files(), 0);
}

Test(uid_lease, is_free_again_when_its_holder_is_killed)
{
	struct uid_lease *lease;
	int ready[2];
	pid_t child;
	char c;

	cr_assert_eq(pipe(ready), 0);
	child = fork();
	if (child == 0) {
		lease = take(1);
		c = lease ? '1' : '0';
		if (write(ready[1], &c, 1) == 1)
			pause();
		_exit(1);
	}
	cr_assert_eq(read(ready[0], &c, 1), 1);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	cr_expect_eq(files(), 1);
	lease = take(1);
	cr_expect_eq(uid_lease_uid(lease), FIRST);
	uid_lease_destroy(lease);
	cr_expect_eq(files(), 0);
}

/* As that of a VMM which outlives its killed shim: it was killed with it, and takes its time. */
Test(uid_lease, is_not_free_while_a_process_has_it)
{
	struct uid_lease *lease = NULL;
	struct error err = { 0 };

	cr_expect_eq(uid_lease_take(dir, getuid(), 1, &lease, &err), -ENOSPC);
	cr_expect_eq(err.code, ERROR_RESOURCE_EXHAUSTED);
	cr_expect_null(lease);
	cr_expect_eq(files(), 0);
}

Test(uid_lease, sweep_removes_what_nobody_holds)
{
	struct uid_lease *lease = take(2);
	autofree char *stale = mem_printf("%s/%d", dir, FIRST + 7);

	cr_assert_eq(close(open(stale, O_CREAT | O_WRONLY, 0600)), 0);
	uid_lease_sweep(dir);
	cr_expect_eq(files(), 1);
	uid_lease_destroy(lease);
	uid_lease_sweep(dir);
	cr_expect_eq(files(), -1);
	uid_lease_sweep(dir);
	lease = take(2);
	uid_lease_destroy(lease);
}

Test(uid_lease, names_a_directory_that_cannot_be)
{
	struct uid_lease *lease = NULL;
	struct error err = { 0 };

	cr_expect_eq(uid_lease_take("/dev/null/uids", FIRST, 1, &lease, &err), -ENOTDIR);
	cr_expect_str_eq(err.text, "cannot lease a user id in \"/dev/null/uids\": Not a directory");
}
