#include "common/loop/listener.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "common/file.h"
#include "common/mem.h"

#define PAUSE_S 0.2

struct listener {
	struct ev_loop *loop;
	int fd;
	ev_io readable;
	ev_timer pause;
	listener_accept_fn *on_accept;
	void *ctx;
};

static void rest(struct listener *listener)
{
	ev_io_stop(listener->loop, &listener->readable);
	ev_timer_stop(listener->loop, &listener->pause);
	ev_timer_set(&listener->pause, PAUSE_S, 0);
	ev_timer_start(listener->loop, &listener->pause);
}

/* False: none waits. The last act is the callback. */
static bool accept_one(struct listener *listener)
{
	int fd = accept4(listener->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd >= 0)
		listener->on_accept(listener->ctx, fd);
	else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
		rest(listener);
	return fd >= 0;
}

/* One at a time: the callback may destroy the listener. */
static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	accept_one(watcher->data);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct listener *listener = timer->data;

	ev_io_start(loop, &listener->readable);
}

struct listener *listener_create(struct ev_loop *loop, int fd, listener_accept_fn *on_accept,
                                 void *ctx)
{
	struct listener *listener = mem_new(struct listener);

	listener->loop = loop;
	listener->fd = fd;
	file_set_nonblocking(fd);
	listener->on_accept = on_accept;
	listener->ctx = ctx;
	ev_io_init(&listener->readable, on_readable, fd, EV_READ);
	ev_timer_init(&listener->pause, on_pause_over, 0, 0);
	ev_set_priority(&listener->readable, EV_MAXPRI);
	listener->readable.data = listener->pause.data = listener;
	ev_io_start(loop, &listener->readable);
	return listener;
}

void listener_accept_all(struct listener *listener)
{
	while (accept_one(listener))
		;
}

void listener_destroy(struct listener *listener)
{
	if (!listener)
		return;
	ev_io_stop(listener->loop, &listener->readable);
	ev_timer_stop(listener->loop, &listener->pause);
	close(listener->fd);
	free(listener);
}
