/*
 * A service without a VM. What it does is one word in the bundle's file `service`:
 *	fail     does not start
 *	die      the process dies while it starts
 *	hang     never gets ready
 *	late     gets ready after a while; makes the bundle's file `starting` before
 *	futile   does not start, after as long a while
 *	end      the pod ends by itself, as without a Create
 *	slow     takes its time to end when it is asked to
 * otherwise it serves until it is asked to end. It mounts the bundle's rootfs into the share.
 *
 * A deadline of the commands that is in the environment (SERVER_READY_MS, ...) is this one instead.
 */
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "shim/cli/deadlines.h"
#include "shim/host/pid_file.h"
#include "shim/network/loopback.h"
#include "shim/pod/events.h"
#include "shim/server/service.h"

#define INIT_PID 4711
#define WORD_MAX 100
#define END_S    0.2
#define SLOW_S   0.5
#define LOOK_US  1000

struct service {
	struct ev_loop *loop;
	char *word;
	char *hold; /* while this file is there it does not end */
	char *id;
	struct events *events;
	struct loopback *loopback;
	int listen_fd;
	ev_timer end;
	void (*on_ending)(void *ctx);
	service_end_fn *on_end;
	void *ctx;
};

static void read_deadline(const char *name, int *ms)
{
	const char *value = getenv(name);

	if (value)
		*ms = atoi(value);
}

struct deadlines deadlines_get(void)
{
	struct deadlines deadlines = DEADLINES;

	read_deadline("SERVER_READY_MS", &deadlines.server_ready_ms);
	read_deadline("START_ENDING_MS", &deadlines.start_ending_ms);
	read_deadline("DELETE_ENDING_MS", &deadlines.delete_ending_ms);
	read_deadline("BUNDLE_LOOK_MS", &deadlines.bundle_look_ms);
	return deadlines;
}

static void end_in(struct service *service, double seconds)
{
	ev_timer_set(&service->end, seconds, 0);
	ev_timer_start(service->loop, &service->end);
}

static void on_end(struct ev_loop *loop, ev_timer *watcher, int revents)
{
	struct service *service = watcher->data;
	Containerd__Events__TaskExit event = CONTAINERD__EVENTS__TASK_EXIT__INIT;

	if (access(service->hold, F_OK) == 0) {
		end_in(service, SLOW_S);
		return;
	}
	event.container_id = service->id;
	event.id = service->id;
	events_publish(service->events, "/tasks/exit", &event.base);
	close(take_fd(&service->listen_fd));
	service->on_end(service->ctx);
}

static int mount_rootfs(const struct service_config *config, struct error *err)
{
	autofree char *rootfs = mem_printf("%s/rootfs", config->bundle);
	autofree char *target = mem_printf("%s/rootfs", config->share_dir);

	if (mkdir(target, 0755) < 0 || mount(rootfs, target, NULL, MS_BIND, NULL) < 0)
		return error_errno(err, "cannot mount \"%s\"", rootfs);
	return pid_file_write(config->bundle, INIT_PID, err);
}

/* Goes on when the test has removed the file. */
static void start_late(const struct service_config *config)
{
	autofree char *path = mem_printf("%s/starting", config->bundle);

	file_write(AT_FDCWD, path, 0600, "", 0, NULL);
	while (access(path, F_OK) == 0)
		usleep(LOOK_US);
}

static char *read_word(const char *bundle)
{
	autofree char *path = mem_printf("%s/service", bundle);
	char *word = NULL;

	return file_read(AT_FDCWD, path, WORD_MAX, &word, NULL) < 0 ? mem_strdup("") : word;
}

int service_start(struct ev_loop *loop, const struct service_config *config, service_end_fn *done,
                  void *ctx, struct service **out, struct error *err)
{
	autofree char *word = read_word(config->bundle);
	autodestroy(loopback) struct loopback *loopback = config->loopback;
	struct service *service;
	int r;

	r = mount_rootfs(config, err);
	if (r < 0)
		return r;
	if (strcmp(word, "die") == 0)
		raise(SIGKILL);
	while (strcmp(word, "hang") == 0)
		pause();
	if (strcmp(word, "late") == 0 || strcmp(word, "futile") == 0)
		start_late(config);
	if (strcmp(word, "fail") == 0 || strcmp(word, "futile") == 0)
		return error_set(err, ERROR_NOT_FOUND, "kernel '/nowhere': no such file");
	service = mem_new(struct service);
	service->loop = loop;
	service->id = mem_strdup(config->id);
	service->events = config->events;
	service->loopback = take_ptr(&loopback);
	service->listen_fd = config->listen_fd;
	service->on_ending = config->on_ending;
	service->on_end = done;
	service->ctx = ctx;
	service->word = take_ptr(&word);
	service->hold = mem_printf("%s/hold", config->bundle);
	ev_timer_init(&service->end, on_end, 0, 0);
	service->end.data = service;
	if (strcmp(service->word, "end") == 0)
		end_in(service, END_S);
	*out = service;
	return 0;
}

const char *service_next_bundle(const struct service *service, const char *gone)
{
	return NULL;
}

void service_stop(struct service *service)
{
	service->on_ending(service->ctx);
	end_in(service, strcmp(service->word, "slow") == 0 ? SLOW_S : 0);
}

void service_destroy(struct service *service)
{
	if (!service)
		return;
	ev_timer_stop(service->loop, &service->end);
	cleanup_close(&service->listen_fd);
	loopback_destroy(service->loopback);
	free(service->word);
	free(service->hold);
	free(service->id);
	free(service);
}
