#include "common/loop/listener.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/unix_socket.h"

static char dir[] = "/tmp/listener-XXXXXX";
static char path[100];
static struct ev_loop *loop;
static struct listener *listener;
static int accepted = -1;

static void on_accept(void *ctx, int fd)
{
	accepted = fd;
	ev_break(loop, EVBREAK_ALL);
}

static void set_up(void)
{
	int fd;

	loop = ev_loop_new(0);
	cr_assert_not_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	fd = unix_socket_listen(path, 4, NULL);
	cr_assert_geq(fd, 0);
	listener = listener_create(loop, fd, on_accept, NULL);
}

static void tear_down(void)
{
	listener_destroy(listener);
	ev_loop_destroy(loop);
	unlink(path);
	rmdir(dir);
}

TestSuite(listener, .init = set_up, .fini = tear_down, .timeout = 120);

Test(listener, accepts_a_connection)
{
	cr_assert_geq(unix_socket_connect(path), 0);
	ev_run(loop, 0);
	cr_expect_geq(accepted, 0);
	cr_expect(fcntl(accepted, F_GETFL) & O_NONBLOCK);
}

static rlim_t limit_descriptors(rlim_t limit)
{
	struct rlimit before, now;

	cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = limit;
	cr_assert_eq(setrlimit(RLIMIT_NOFILE, &now), 0);
	return before.rlim_cur;
}

Test(listener, without_descriptors_pauses_and_accepts_later)
{
	unsigned int iterations;
	rlim_t before;

	cr_assert_geq(unix_socket_connect(path), 0);
	before = limit_descriptors(0);
	ev_run(loop, EVRUN_ONCE); /* there is no descriptor */
	cr_expect_eq(accepted, -1);
	limit_descriptors(before);
	iterations = ev_iteration(loop);
	ev_run(loop, 0);
	cr_expect_geq(accepted, 0);
	cr_expect_leq(ev_iteration(loop) - iterations, 5, "the loop spins");
}

Test(listener, accepts_all_that_wait_when_it_is_asked_to)
{
	cr_assert_geq(unix_socket_connect(path), 0);
	listener_accept_all(listener);
	cr_expect_geq(accepted, 0);
	accepted = -1;
	listener_accept_all(listener);
	cr_expect_eq(accepted, -1);
}
