#include "agent/guest/announce.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/guest/uevent.h"
#include "agent/guest/vsock_socket.h"
#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/features.h"
#include "proto/vsock_ports.h"

/*
 * A device that appears is told by a uevent. One that is there while the host does not take the
 * connection is tried again a number of times; a host that never listens (one that finds the agent
 * by connecting, as upstream's does) is left alone after that, until the next uevent.
 */

#define RETRY_S 0.05
#define TRIES   200

struct announce {
	struct ev_loop *loop;
	int fd; /* the connection to the host; -1: none */
	unsigned int tries;
	struct uevent_subscriber device;
	ev_io connected;
	ev_timer retry;
	void (*on_taken)(void *ctx);
	void *ctx;
};

static size_t write_hello(char line[VSOCK_HELLO_MAX])
{
	const char *const *words = features_words();
	size_t len = (size_t)snprintf(line, VSOCK_HELLO_MAX, "hello %s", KATA_VERSION);

	for (; *words; words++)
		len += (size_t)snprintf(line + len, VSOCK_HELLO_MAX - len, " %s", *words);
	line[len++] = '\n';
	return len;
}

static void say_hello(struct announce *announce)
{
	char hello[VSOCK_HELLO_MAX];
	size_t n = write_hello(hello);
	int cause = 0;
	socklen_t len = sizeof(cause);

	getsockopt(announce->fd, SOL_SOCKET, SO_ERROR, &cause, &len);
	if (!cause && write(announce->fd, hello, n) == (ssize_t)n) {
		announce->on_taken(announce->ctx);
		return; /* and the connection stays open */
	}
	close(announce->fd);
	announce->fd = -1;
	if (announce->tries == 1)
		log_debug("the host does not take the hello yet cause=\"%s\"", strerror(cause));
	if (announce->tries < TRIES) {
		ev_timer_set(&announce->retry, RETRY_S, 0);
		ev_timer_start(announce->loop, &announce->retry);
	}
}

static void on_connected(struct ev_loop *loop, ev_io *watcher, int events)
{
	ev_io_stop(loop, watcher);
	say_hello(watcher->data);
}

/* Without a device there is nothing to do: its uevent comes. */
static void announce_try(struct announce *announce)
{
	struct error err;
	uint32_t cid;

	if (announce->fd >= 0 || vsock_socket_cid(&cid, NULL) < 0)
		return;
	announce->tries++;
	if (vsock_socket_connect(VSOCK_PORT_HELLO + cid, &announce->fd, &err) < 0) {
		log_warn("no hello cause=\"%s\"", err.text);
		return;
	}
	ev_io_set(&announce->connected, announce->fd, EV_WRITE);
	ev_io_start(announce->loop, &announce->connected);
}

static void on_retry(struct ev_loop *loop, ev_timer *watcher, int events)
{
	announce_try(watcher->data);
}

static void on_change(void *ctx)
{
	struct announce *announce = ctx;

	if (!ev_is_active(&announce->retry)) {
		announce->tries = 0;
		announce_try(announce);
	}
}

struct announce *announce_create(struct ev_loop *loop, struct uevents *uevents,
                                 void (*on_taken)(void *ctx), void *ctx)
{
	struct announce *announce = mem_new(struct announce);

	announce->loop = loop;
	announce->fd = -1;
	announce->on_taken = on_taken;
	announce->ctx = ctx;
	announce->device.on_change = on_change;
	announce->device.ctx = announce;
	ev_io_init(&announce->connected, on_connected, -1, EV_WRITE);
	ev_timer_init(&announce->retry, on_retry, 0, 0);
	announce->connected.data = announce->retry.data = announce;
	uevents_subscribe(uevents, &announce->device); /* before the first look: none is missed */
	announce_try(announce);
	return announce;
}

void announce_destroy(struct announce *announce)
{
	if (!announce)
		return;
	uevents_leave(&announce->device);
	ev_io_stop(announce->loop, &announce->connected);
	ev_timer_stop(announce->loop, &announce->retry);
	if (announce->fd >= 0)
		close(announce->fd);
	free(announce);
}
