#include "hypervisor/fs/server.h"

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/fs/request.h"
#include "hypervisor/vhost/say.h"

#define EVENTS_MAX 8

static void on_guest_reset(void *ctx)
{
	struct server *server = ctx;

	fs_reset(&server->fs);
}

static void on_vmm_gone(void *ctx, const struct error *err)
{
	struct server *server = ctx;

	if (err)
		say("%s", err->text);
	server->gone = true;
	vhost_user_fini(&server->vhost);
}

static const struct vhost_user_ops vhost_ops = {
	.on_reset = on_guest_reset,
	.on_gone = on_vmm_gone,
};

int server_init(struct server *server, int vmm, int root, enum fs_cache cache,
                struct closer *closer, struct error *err)
{
	*server = (struct server){ 0 };
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0)
		return error_errno(err, "cannot make an epoll instance");
	if (vhost_user_init(&server->vhost, server->epoll, vmm, &vhost_ops, server) < 0)
		return error_errno(err, "cannot watch the VMM's socket");
	fs_init(&server->fs, root, cache, closer);
	return 0;
}

void server_fini(struct server *server)
{
	fs_fini(&server->fs);
	vhost_user_fini(&server->vhost);
	close(server->epoll);
}

/* The first queue, of what the guest forgets, has no other turn than the second. */
static void serve_queue(struct server *server, unsigned int which)
{
	struct virtqueue *vq = &server->vhost.rings[which].vq;
	struct iovec iov[REQUEST_IOV_MAX];
	struct chain chain;
	int r;

	virtqueue_no_kick(vq);
	do {
		while ((r = virtqueue_pop(vq, VIRTQUEUE_EITHER, iov, REQUEST_IOV_MAX, &chain)) >
		       0) {
			size_t n = fs_serve(&server->fs, iov, chain.readable, chain.niov);

			virtqueue_push(vq, chain.head, (uint32_t)n);
			vhost_user_publish(&server->vhost, which);
		}
	} while (r == 0 && virtqueue_want_kick(vq));
	if (r < 0 && !server->reported) {
		say("the guest's queue %u is broken", which);
		vhost_user_signal_error(&server->vhost, which);
		server->reported = true;
	}
}

int server_run(struct server *server, struct error *err)
{
	struct epoll_event events[EVENTS_MAX];

	while (!server->gone) {
		int n = epoll_wait(server->epoll, events, EVENTS_MAX, -1);

		if (n < 0 && errno != EINTR)
			return error_errno(err, "cannot wait for events");
		for (int i = 0; i < n && !server->gone; i++) {
			struct source *source = events[i].data.ptr;

			if (source->fd >= 0) /* an event before may have removed it */
				source->on_event(source, events[i].events);
		}
		for (unsigned int i = 0; i < VHOST_USER_QUEUES && !server->gone; i++)
			serve_queue(server, i);
	}
	return 0;
}
