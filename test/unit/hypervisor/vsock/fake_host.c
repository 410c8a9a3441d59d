#include "fake_host.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "fake_guest.h"
#include "hypervisor/vsock.h"

static void on_lost(void *ctx, int status, const struct error *err)
{
	struct fake_host *host = ctx;

	host->lost_calls++;
	host->lost = *err;
}

static void write_own(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

/* An ordinary user may chroot in a user namespace of its own. A process enters one before it has
 * threads, so before Criterion's main(). */
__attribute__((constructor)) void fake_host_become_root(void)
{
	autofree char *uids = mem_printf("0 %u 1", getuid());
	autofree char *gids = mem_printf("0 %u 1", getgid());

	if (geteuid() == 0)
		return;
	if (unshare(CLONE_NEWUSER) < 0)
		abort();
	write_own("/proc/self/setgroups", "deny");
	write_own("/proc/self/uid_map", uids);
	write_own("/proc/self/gid_map", gids);
}

void fake_host_start(struct fake_host *host)
{
	fake_host_start_with(host, DEVICE);
}

void fake_host_start_with(struct fake_host *host, const char *device)
{
	struct vsock_config config = { .device_path = device, .guest_cid = GUEST_CID };
	struct error err = { 0 };

	*host = (struct fake_host){ .loop = ev_loop_new(0), .dir = "/tmp/kata-vsock.XXXXXX" };
	cr_assert_not_null(mkdtemp(host->dir));
	config.dir = host->dir;
	cr_assert_eq(
		vsock_start(host->loop, &config, on_lost, host, &host->vsock, &host->vmm, &err), 0,
		"%s", err.text);
}

void fake_host_stop(struct fake_host *host)
{
	vsock_destroy(host->vsock);
	ev_loop_destroy(host->loop);
	unlink(host->listening);
	cr_assert_eq(rmdir(host->dir), 0, "something is left in the device's directory");
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	cr_assert_fail("what was waited for did not come");
}

void fake_host_wait(struct fake_host *host, const int *count)
{
	ev_timer deadline;

	ev_timer_init(&deadline, on_deadline, FAKE_HOST_WAIT_MS / 1000.0, 0);
	ev_now_update(host->loop); /* it was not run since the last wait */
	ev_timer_start(host->loop, &deadline);
	while (!*(volatile const int *)count)
		ev_run(host->loop, EVRUN_ONCE);
	ev_timer_stop(host->loop, &deadline);
}

static void on_connected(void *ctx, int fd, const struct error *err)
{
	struct fake_connect *connect = ctx;

	connect->calls++;
	connect->fd = fd;
	error_copy(&connect->err, err);
}

void fake_host_connect(struct fake_host *host, struct fake_connect *connect, uint32_t port)
{
	*connect = (struct fake_connect){ .fd = -1 };
	cr_assert_eq(
		vsock_connect(host->vsock, port, FAKE_HOST_WAIT_MS, on_connected, connect, NULL),
		0);
}

static int unix_socket(const struct fake_host *host, const char *suffix, struct sockaddr_un *addr)
{
	*addr = (struct sockaddr_un){ .sun_family = AF_UNIX };
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/vsock.sock%s", host->dir, suffix);
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int fake_host_listen(struct fake_host *host, uint32_t port)
{
	autofree char *suffix = mem_printf("_%u", port);
	struct sockaddr_un addr;
	int fd = unix_socket(host, suffix, &addr);

	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	cr_assert_eq(listen(fd, 16), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	snprintf(host->listening, sizeof(host->listening), "%.63s", addr.sun_path);
	return fd;
}

int fake_host_accept(int listener)
{
	return accept4(listener, NULL, NULL, SOCK_CLOEXEC);
}

int fake_host_dial(struct fake_host *host)
{
	struct sockaddr_un addr;
	int fd = unix_socket(host, "", &addr);

	cr_assert_eq(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}
