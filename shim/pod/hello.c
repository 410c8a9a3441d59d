#include "shim/pod/hello.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "proto/features.h"
#include "proto/vsock_ports.h"

#define GREETING           "hello "
#define INVALID_HELLOS_MAX 8 /* announcements of whatever runs in a guest and is no agent */

struct hello {
	struct ev_loop *loop;
	struct vsock *vsock;
	uint32_t port;
	int fd; /* -1: nobody has connected, or who did has gone without a word */
	char line[VSOCK_HELLO_MAX + 1];
	size_t len;
	unsigned int n_invalid;
	unsigned int features;
	int timeout_ms;
	ev_io readable;
	ev_timer deadline;
	done_fn *done;
	void *ctx;
	bool over; /* nothing is waited for any more */
};

/* Its last act is the callback. */
static void finish(struct hello *hello, const struct error *err)
{
	hello_cancel(hello);
	hello->done(hello->ctx, err);
}

static void drop_connection(struct hello *hello)
{
	ev_io_stop(hello->loop, &hello->readable);
	close(take_fd(&hello->fd));
	hello->len = 0;
}

/* May be the last act: that of finish(). */
static void on_invalid_hello(struct hello *hello)
{
	struct error err;

	drop_connection(hello);
	if (hello->n_invalid++ == 0)
		log_warn("invalid announcement from the guest, waiting for another");
	if (hello->n_invalid < INVALID_HELLOS_MAX)
		return;
	error_set(&err, ERROR_INTERNAL, "the guest has sent %d invalid announcements",
	          INVALID_HELLOS_MAX);
	finish(hello, &err);
}

static void on_line(struct hello *hello)
{
	hello->line[strcspn(hello->line, "\n")] = '\0';
	if (strncmp(hello->line, GREETING, strlen(GREETING)) != 0) {
		on_invalid_hello(hello);
		return;
	}
	hello->features = features_parse(hello->line + strlen(GREETING));
	finish(hello, NULL);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct hello *hello = watcher->data;
	ssize_t n = read(hello->fd, hello->line + hello->len, VSOCK_HELLO_MAX - hello->len);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop_connection(hello);
		return;
	}
	hello->len += (size_t)n;
	hello->line[hello->len] = '\0';
	if (memchr(hello->line, '\n', hello->len) || hello->len == VSOCK_HELLO_MAX)
		on_line(hello);
}

/* One at a time; whoever else connects is not the agent. */
static void on_accept(void *ctx, int fd)
{
	struct hello *hello = ctx;

	if (hello->fd >= 0 || file_set_nonblocking(fd) < 0) {
		close(fd);
		return;
	}
	hello->fd = fd;
	ev_io_set(&hello->readable, fd, EV_READ);
	ev_io_start(hello->loop, &hello->readable);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct hello *hello = timer->data;
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED, "no agent has announced itself within %d ms",
	          hello->timeout_ms);
	finish(hello, &err);
}

int hello_await(struct ev_loop *loop, struct vsock *vsock, uint32_t guest_cid, int timeout_ms,
                done_fn *done, void *ctx, struct hello **out, struct error *err)
{
	struct hello *hello = mem_new(struct hello);
	int r;

	hello->loop = loop;
	hello->vsock = vsock;
	hello->port = VSOCK_PORT_HELLO + guest_cid;
	hello->fd = -1;
	hello->timeout_ms = timeout_ms;
	hello->done = done;
	hello->ctx = ctx;
	ev_init(&hello->readable, on_readable);
	ev_timer_init(&hello->deadline, on_deadline, timeout_ms / 1e3, 0);
	hello->readable.data = hello->deadline.data = hello;
	r = vsock_listen(vsock, hello->port, on_accept, hello, err);
	if (r < 0) {
		free(hello);
		return r;
	}
	ev_now_update(loop);
	ev_timer_start(loop, &hello->deadline);
	*out = hello;
	return 0;
}

unsigned int hello_features(const struct hello *hello)
{
	return hello->features;
}

void hello_cancel(struct hello *hello)
{
	if (!hello->over)
		vsock_unlisten(hello->vsock, hello->port);
	hello->over = true;
	ev_io_stop(hello->loop, &hello->readable);
	ev_timer_stop(hello->loop, &hello->deadline);
}

void hello_destroy(struct hello *hello)
{
	if (!hello)
		return;
	hello_cancel(hello);
	cleanup_close(&hello->fd);
	free(hello);
}
