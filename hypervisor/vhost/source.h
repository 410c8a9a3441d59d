/*
 * Descriptors that the device waits for, by epoll.
 */
#ifndef HYPERVISOR_VHOST_SOURCE_H
#define HYPERVISOR_VHOST_SOURCE_H

#include <stddef.h>
#include <stdint.h>

struct source;

/* @events as of epoll_wait(2). The source may be removed in it. */
typedef void source_fn(struct source *source, uint32_t events);

/* One watched descriptor; a member of what it belongs to. */
struct source {
	int fd; /* -1: not watched */
	source_fn *on_event;
};

#define source_owner(source, type, member) ((type *)((char *)(source)-offsetof(type, member)))

/* Returns 0 or -errno (-EPERM: the descriptor is of a kind that cannot be waited for). The
 * descriptor stays the caller's, who removes the source before closing it: another process may
 * have it too, and then the kernel goes on reporting it. */
int source_add(struct source *source, int epoll, int fd, uint32_t events, source_fn *on_event);
void source_remove(struct source *source, int epoll);

#endif
