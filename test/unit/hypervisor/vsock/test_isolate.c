/*
 * What a device that its guest has taken over can do: a program that isolates itself as the device
 * does, and then tries (escape.c).
 */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "fake_host.h"

static char top[] = "/tmp/kata-isolate.XXXXXX";
static char *dir; /* the device's */

static void set_up(void)
{
	autofree char *other = NULL;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	fake_host_become_root();
	cr_assert_not_null(mkdtemp(top));
	dir = mem_printf("%s/dir", top);
	other = mem_printf("%s/other", top);
	cr_assert_eq(mkdir(dir, 0700), 0);
	cr_assert_eq(mkdir(other, 0700), 0);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", other);
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(fd, 1), 0);
}

static void tear_down(void)
{
	cr_assert_eq(file_remove_tree(AT_FDCWD, top, NULL), 0);
	free(dir);
}

TestSuite(isolate, .init = set_up, .fini = tear_down);

/* The status of the attempt, as of waitpid(2). */
static int attempt(const char *name)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		execl(ESCAPE, ESCAPE, name, dir, NULL);
		_exit(127);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static void assert_killed(const char *name)
{
	int status = attempt(name);

	cr_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS, "%s: status %#x", name,
	          status);
}

Test(isolate, leaves_a_process_that_can_go_on)
{
	cr_assert_eq(attempt("nothing"), 0);
}

Test(isolate, no_file_can_be_opened)
{
	assert_killed("open_file");
}

Test(isolate, no_process_can_be_made)
{
	assert_killed("make_process");
	assert_killed("execute");
}

Test(isolate, there_is_no_other_family_of_sockets)
{
	assert_killed("reach_network");
	assert_killed("reach_kernel");
}

Test(isolate, a_socket_outside_the_directory_cannot_be_found)
{
	cr_assert_eq(attempt("reach_other_socket"), 1 << 8);
}

Test(isolate, no_socket_can_be_named)
{
	assert_killed("listen_itself");
}

Test(isolate, no_memory_becomes_code)
{
	assert_killed("make_code");
	assert_killed("make_memory_code");
}

Test(isolate, other_processes_are_out_of_reach)
{
	assert_killed("signal_parent");
	assert_killed("trace_parent");
}

Test(isolate, the_root_directory_cannot_be_changed)
{
	assert_killed("leave_root");
}
