#include "hypervisor/vhost/source.h"

#include <errno.h>
#include <sys/epoll.h>

int source_add(struct source *source, int epoll, int fd, uint32_t events, source_fn *on_event)
{
	struct epoll_event event = { .events = events, .data.ptr = source };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		return -errno;
	*source = (struct source){ .fd = fd, .on_event = on_event };
	return 0;
}

void source_remove(struct source *source, int epoll)
{
	if (source->fd >= 0)
		epoll_ctl(epoll, EPOLL_CTL_DEL, source->fd, NULL);
	source->fd = -1;
}
