#include "agent/cgroup/oom.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/queue.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

#define EVENTS_FILE     "memory.events"
#define EVENTS_TEXT_MAX 1024

struct oom_watch {
	LIST_ENTRY(oom_watch) link;
	struct oom *oom;
	char *container_id;
	int dir;
	int wd;
	uint64_t kills;
};

struct event {
	STAILQ_ENTRY(event) link;
	char *container_id;
};

struct asker {
	STAILQ_ENTRY(asker) link;
	struct ttrpc_call *call;
};

struct oom {
	struct ev_loop *loop;
	int fd;
	ev_io reader;
	LIST_HEAD(, oom_watch) watches;
	STAILQ_HEAD(, event) events;
	unsigned int nevents;
	STAILQ_HEAD(, asker) askers;
};

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events);

struct oom *oom_create(struct ev_loop *loop)
{
	struct oom *oom = mem_new(struct oom);

	oom->loop = loop;
	oom->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	LIST_INIT(&oom->watches);
	STAILQ_INIT(&oom->events);
	STAILQ_INIT(&oom->askers);
	ev_io_init(&oom->reader, on_readable, oom->fd, EV_READ);
	oom->reader.data = oom;
	if (oom->fd >= 0)
		ev_io_start(loop, &oom->reader);
	return oom;
}

static void event_free(struct oom *oom, struct event *event)
{
	STAILQ_REMOVE(&oom->events, event, event, link);
	oom->nevents--;
	free(event->container_id);
	free(event);
}

static struct ttrpc_call *next_call(struct oom *oom)
{
	struct asker *asker = STAILQ_FIRST(&oom->askers);
	struct ttrpc_call *call = asker->call;

	STAILQ_REMOVE_HEAD(&oom->askers, link);
	free(asker);
	return call;
}

/* Brings events and askers together. One whose connection has gone gets an answer that nobody
 * sees. */
static void deliver_events(struct oom *oom)
{
	while (!STAILQ_EMPTY(&oom->events) && !STAILQ_EMPTY(&oom->askers)) {
		struct event *event = STAILQ_FIRST(&oom->events);
		struct ttrpc_call *call = next_call(oom);
		bool heard = !ttrpc_call_is_orphan(call);
		Grpc__OOMEvent answer = GRPC__OOMEVENT__INIT;

		answer.container_id = event->container_id;
		ttrpc_call_reply(call, &answer.base);
		if (heard)
			event_free(oom, event);
	}
}

static struct event *find_event(const struct oom *oom, const char *container_id)
{
	struct event *event;

	STAILQ_FOREACH (event, &oom->events, link)
		if (!strcmp(event->container_id, container_id))
			break;
	return event;
}

static void report_kill(struct oom *oom, const char *container_id)
{
	struct event *event;

	log_info("out of memory container=%s", container_id);
	if (find_event(oom, container_id))
		return;
	event = mem_new(struct event);
	event->container_id = mem_strdup(container_id);
	STAILQ_INSERT_TAIL(&oom->events, event, link);
	if (++oom->nevents > OOM_EVENTS_MAX)
		event_free(oom, STAILQ_FIRST(&oom->events));
	deliver_events(oom);
}

static uint64_t read_kills(int dir)
{
	char text[EVENTS_TEXT_MAX];
	const char *line;
	uint64_t kills;

	if (kernel_file_read(dir, EVENTS_FILE, text, sizeof(text), NULL) < 0)
		return 0;
	line = strstr(text, "oom_kill ");
	return line && sscanf(line, "oom_kill %" SCNu64, &kills) == 1 ? kills : 0;
}

void oom_watch_check(struct oom_watch *watch)
{
	uint64_t kills = watch ? read_kills(watch->dir) : 0;

	if (watch && kills > watch->kills) {
		watch->kills = kills;
		report_kill(watch->oom, watch->container_id);
	}
}

bool oom_watch_take(struct oom_watch *watch)
{
	struct event *event = watch ? find_event(watch->oom, watch->container_id) : NULL;

	if (event)
		event_free(watch->oom, event);
	return event != NULL;
}

static struct oom_watch *find_watch(const struct oom *oom, int wd)
{
	struct oom_watch *watch;

	LIST_FOREACH (watch, &oom->watches, link)
		if (watch->wd == wd)
			break;
	return watch;
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct oom *oom = watcher->data;
	/* Events of a watched file have no name. */
	struct inotify_event event[16];
	ssize_t n;

	while ((n = read(oom->fd, event, sizeof(event))) > 0)
		for (size_t i = 0; i < (size_t)n / sizeof(event[0]); i++)
			oom_watch_check(find_watch(oom, event[i].wd));
}

int oom_watch_create(struct oom *oom, const char *container_id, int cgroup_fd,
                     struct oom_watch **out, struct error *err)
{
	autofree char *path = mem_printf("/proc/self/fd/%d/" EVENTS_FILE, cgroup_fd);
	autoclose int dir = fcntl(cgroup_fd, F_DUPFD_CLOEXEC, 0);
	struct oom_watch *watch;
	int wd;

	wd = dir < 0 ? -1 : inotify_add_watch(oom->fd, path, IN_MODIFY);
	if (wd < 0)
		return error_errno(err, "cannot watch \"%s\" of container \"%s\"", EVENTS_FILE,
		                   container_id);
	watch = mem_new(struct oom_watch);
	watch->oom = oom;
	watch->container_id = mem_strdup(container_id);
	watch->dir = take_fd(&dir);
	watch->wd = wd;
	LIST_INSERT_HEAD(&oom->watches, watch, link);
	*out = watch;
	return 0;
}

void oom_watch_destroy(struct oom_watch *watch)
{
	if (!watch)
		return;
	inotify_rm_watch(watch->oom->fd, watch->wd); /* gone already when the cgroup is */
	LIST_REMOVE(watch, link);
	close(watch->dir);
	free(watch->container_id);
	free(watch);
}

void oom_answer(struct oom *oom, struct ttrpc_call *call)
{
	struct asker *asker = mem_new(struct asker);

	asker->call = call;
	STAILQ_INSERT_TAIL(&oom->askers, asker, link);
	deliver_events(oom);
}

void oom_destroy(struct oom *oom)
{
	struct error err;

	if (!oom)
		return;
	error_set(&err, ERROR_UNAVAILABLE, "the sandbox has ended");
	while (!STAILQ_EMPTY(&oom->askers))
		ttrpc_call_fail(next_call(oom), &err);
	while (!STAILQ_EMPTY(&oom->events))
		event_free(oom, STAILQ_FIRST(&oom->events));
	ev_io_stop(oom->loop, &oom->reader);
	if (oom->fd >= 0)
		close(oom->fd);
	free(oom);
}
