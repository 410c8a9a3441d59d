#include "agent/guest/memory_pressure.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/mem.h"

#define TRIGGER     "some 500000 1000000" /* stalled for half of a second, in us */
#define TAKEN_BYTES (256 << 10)

struct memory_pressure {
	struct ev_loop *loop;
	const char *file; /* NULL: it has been tried, or is never to be */
	int fd;
	int epoll; /* readable when @fd has EPOLLPRI, for which libev has no event */
	ev_io watcher;
};

/* It is given back at once: the kernel has found it, or killed for it, when mmap() returns. */
static void take_memory(void)
{
	void *memory = mmap(NULL, TAKEN_BYTES, PROT_READ | PROT_WRITE,
	                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (memory != MAP_FAILED)
		munmap(memory, TAKEN_BYTES);
}

static void on_pressure(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct memory_pressure *pressure = watcher->data;
	struct epoll_event event;

	epoll_wait(pressure->epoll, &event, 1, 0); /* none is left: the loop's own look took it */
	take_memory();
}

static int start(struct memory_pressure *pressure, const char *file)
{
	struct epoll_event event = { .events = EPOLLPRI };

	pressure->fd = open(file, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (pressure->fd < 0 || write(pressure->fd, TRIGGER, sizeof(TRIGGER)) < 0)
		return -1;
	pressure->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (pressure->epoll < 0 ||
	    epoll_ctl(pressure->epoll, EPOLL_CTL_ADD, pressure->fd, &event) < 0)
		return -1;
	ev_io_init(&pressure->watcher, on_pressure, pressure->epoll, EV_READ);
	pressure->watcher.data = pressure;
	ev_io_start(pressure->loop, &pressure->watcher);
	return 0;
}

struct memory_pressure *memory_pressure_create(struct ev_loop *loop, const char *file)
{
	struct memory_pressure *pressure = mem_new(struct memory_pressure);

	pressure->loop = loop;
	pressure->file = file;
	pressure->fd = pressure->epoll = -1;
	return pressure;
}

void memory_pressure_watch(struct memory_pressure *pressure)
{
	const char *file = take_ptr(&pressure->file);

	if (!file || start(pressure, file) == 0)
		return;
	log_info("no watch of memory pressure cause=\"%s\"", strerror(errno));
	cleanup_close(&pressure->epoll);
	cleanup_close(&pressure->fd);
}

void memory_pressure_destroy(struct memory_pressure *pressure)
{
	if (!pressure)
		return;
	if (ev_is_active(&pressure->watcher))
		ev_io_stop(pressure->loop, &pressure->watcher);
	cleanup_close(&pressure->epoll);
	cleanup_close(&pressure->fd);
	free(pressure);
}
