#include "common/unix_socket.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"

static char dir[] = "/tmp/unix-socket-XXXXXX";
static char path[100];
static struct error err;

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
}

static void tear_down(void)
{
	unlink(path);
	rmdir(dir);
}

TestSuite(unix_socket, .init = set_up, .fini = tear_down);

Test(unix_socket, connects_who_knows_the_path)
{
	int server = unix_socket_listen(path, 1, &err);
	int client = unix_socket_connect(path);
	struct stat st;

	cr_assert_geq(server, 0, "%s", err.text);
	cr_assert_geq(client, 0);
	cr_expect_geq(accept(server, NULL, NULL), 0);
	cr_expect(fcntl(client, F_GETFL) & O_NONBLOCK);
	cr_expect(fcntl(client, F_GETFD) & FD_CLOEXEC);
	cr_expect_eq(stat(path, &st), 0);
	cr_expect_eq(st.st_mode & 07777, 0600);
}

Test(unix_socket, tells_a_dead_socket_from_none)
{
	cr_expect_eq(unix_socket_connect(path), -ENOENT);
	close(unix_socket_listen(path, 1, NULL));
	cr_expect_eq(unix_socket_connect(path), -ECONNREFUSED);
	cr_expect_eq(unix_socket_listen(path, 1, &err), -EADDRINUSE);
	cr_expect(strstr(err.text, path), "%s", err.text);
}

Test(unix_socket, never_waits_for_a_busy_listener)
{
	int server = unix_socket_listen(path, 0, &err);

	cr_assert_geq(server, 0);
	cr_expect_geq(unix_socket_connect(path), 0);
	cr_expect_eq(unix_socket_connect(path), -EAGAIN);
}

Test(unix_socket, takes_a_path_of_107_bytes_and_no_more)
{
	char longest[UNIX_SOCKET_PATH_MAX + 2];

	memset(longest, 'x', sizeof(longest) - 1);
	longest[UNIX_SOCKET_PATH_MAX + 1] = '\0';
	cr_expect_lt(unix_socket_check(longest, &err), 0);
	cr_expect(strstr(err.text, "longer than 107 bytes"), "%s", err.text);
	longest[UNIX_SOCKET_PATH_MAX] = '\0';
	cr_expect_eq(unix_socket_check(longest, &err), 0);
	cr_expect_eq(unix_socket_connect(longest), -ENOENT);
	cr_expect_lt(unix_socket_check("", &err), 0);
}
