#include "hypervisor/qemu/kvm_node.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

/* The node is made over /dev/full, which opens for everybody anyway: what counts is whose it is. */

#define DEVICE   "/dev/full"
#define SOME_UID 2000000001

static char dir[] = "/tmp/test-kvm-node-XXXXXX";

static void make_dir(void)
{
	cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void)
{
	cr_assert_eq(rmdir(dir), 0, "something is left");
}

TestSuite(kvm_node, .init = make_dir, .fini = remove_dir);

Test(kvm_node, leaves_a_device_alone_that_all_may_use)
{
	struct error err;

	cr_assert_eq(kvm_node_give("/dev/null", dir, SOME_UID, SOME_UID, &err), 0);
}

Test(kvm_node, refuses_what_is_no_device)
{
	struct error err;

	cr_assert_eq(kvm_node_give(dir, dir, SOME_UID, SOME_UID, &err), -EBUSY);
	cr_assert_not_null(strstr(err.text, "not a device"));
	cr_assert_eq(kvm_node_give("/dev/none", dir, SOME_UID, SOME_UID, &err), -ENOENT);
}

/* In a mount namespace where DEVICE is root's alone; the exit status says which step failed. */
static int give_in_own_namespace(void)
{
	autofree char *own = mem_printf("%s/own", dir);
	struct error err;
	struct stat st;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return 1;
	if (mount("tmpfs", dir, "tmpfs", 0, NULL) < 0 ||
	    mknod(own, S_IFCHR | 0600, makedev(1, 7)) < 0 ||
	    mount(own, DEVICE, NULL, MS_BIND, NULL) < 0)
		return 2;
	if (kvm_node_give(DEVICE, NULL, SOME_UID, SOME_UID, &err) != -EACCES ||
	    strcmp(err.text, "\"/dev/full\" cannot be opened by user 2000000001") != 0)
		return 9;
	if (kvm_node_give(DEVICE, dir, SOME_UID, SOME_UID, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 3;
	}
	if (stat(DEVICE, &st) < 0 || st.st_uid != SOME_UID || st.st_rdev != makedev(1, 7))
		return 4;
	if (kvm_node_give(DEVICE, dir, SOME_UID, SOME_UID, &err) < 0) /* it may already */
		return 5;
	unlink(own);
	if (umount2(dir, 0) < 0) /* nothing else is mounted there any more */
		return 6;
	if (setresgid(SOME_UID, SOME_UID, SOME_UID) < 0 ||
	    setresuid(SOME_UID, SOME_UID, SOME_UID) < 0)
		return 7;
	return open(DEVICE, O_RDWR | O_CLOEXEC) < 0 ? 8 : 0;
}

static int in_child(int (*function)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(function());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status));
	return WEXITSTATUS(status);
}

Test(kvm_node, is_its_users_in_a_mount_namespace_and_nowhere_else)
{
	struct stat before, after;

	cr_assert_eq(stat(DEVICE, &before), 0);
	/* Only root can make a mount namespace without a user namespace, where devices open. */
	cr_assert_eq(in_child(give_in_own_namespace), geteuid() == 0 ? 0 : 1);
	cr_assert_eq(stat(DEVICE, &after), 0);
	cr_assert_eq(before.st_uid, after.st_uid);
	cr_assert_eq(before.st_ino, after.st_ino);
}
