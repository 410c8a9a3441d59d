#include "agent/guest/drivers.h"

#include <dirent.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "agent/guest/uevent.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"

#define ALIAS_MAX 64
/* A container with CAP_NET_ADMIN may send uevents without an end: this is how often they matter. */
#define PAUSE_S      0.02
#define LOAD_TIMEOUT 30000 /* ms */
/* What has been there since the boot and has no driver yet can wait until containers run. */
#define FIRST_LOOK_S 3

struct drivers {
	struct ev_loop *loop;
	char *devices;
	bool (*load)(const char *alias);
	struct uevent_subscriber subscriber;
	ev_timer first;
	ev_timer pause;
	bool changed; /* during the pause, or the errand */
	struct errand *errand;
	char alias[ALIAS_MAX];            /* that it loads */
	char *tried[DRIVERS_DEVICES_MAX]; /* "virtio5 virtio:d00000018v00001AF4" */
	size_t ntried;
};

static bool was_tried(const struct drivers *drivers, const char *device)
{
	for (size_t i = 0; i < drivers->ntried; i++)
		if (strcmp(drivers->tried[i], device) == 0)
			return true;
	return false;
}

/* Whether the alias of a device without a driver is in @alias, which nobody has tried to load. The
 * entries of the directory are links. */
static bool wants_driver(struct drivers *drivers, int dir, const char *name, char alias[ALIAS_MAX])
{
	autoclose int device = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autofree char *label = NULL;

	if (device < 0 || faccessat(device, "driver", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
	    kernel_file_read(device, "modalias", alias, ALIAS_MAX, NULL) < 0)
		return false;
	alias[strcspn(alias, "\n")] = '\0';
	label = mem_printf("%s %s", name, alias);
	if (was_tried(drivers, label) || drivers->ntried == DRIVERS_DEVICES_MAX)
		return false;
	drivers->tried[drivers->ntried++] = take_ptr(&label);
	return true;
}

static bool find_device(struct drivers *drivers)
{
	DIR *list = opendir(drivers->devices);
	struct dirent *entry;
	bool found = false;

	while (list && !found && (entry = readdir(list)))
		found = entry->d_name[0] != '.' &&
		        wants_driver(drivers, dirfd(list), entry->d_name, drivers->alias);
	if (list)
		closedir(list);
	return found;
}

static int load(void *ctx, struct errand_result *result, struct error *err)
{
	const struct drivers *drivers = ctx;

	if (drivers->load(drivers->alias))
		return 0;
	return error_set(err, ERROR_NOT_FOUND, "no module of the image has loaded");
}

static void look(struct drivers *drivers);

static void on_loaded(void *ctx, const struct error *err)
{
	struct drivers *drivers = ctx;

	if (err)
		log_warn("a device has no driver alias=\"%s\" cause=\"%s\"", drivers->alias,
		         err->text);
	errand_destroy(take_ptr(&drivers->errand));
	look(drivers);
}

static void look(struct drivers *drivers)
{
	struct error err;

	drivers->changed = false;
	ev_timer_stop(drivers->loop, &drivers->pause); /* a load may end sooner than the pause */
	ev_timer_set(&drivers->pause, PAUSE_S, 0);
	ev_timer_start(drivers->loop, &drivers->pause);
	if (find_device(drivers) && errand_start(drivers->loop, load, drivers, LOAD_TIMEOUT,
	                                         on_loaded, drivers, &drivers->errand, &err) < 0)
		log_warn("a device has no driver alias=\"%s\" cause=\"%s\"", drivers->alias,
		         err.text);
}

static void look_unless_busy(struct drivers *drivers)
{
	if (drivers->errand || ev_is_active(&drivers->pause))
		drivers->changed = true;
	else
		look(drivers);
}

static void on_change(void *ctx)
{
	look_unless_busy(ctx);
}

static void on_first_look(struct ev_loop *loop, ev_timer *timer, int events)
{
	look_unless_busy(timer->data);
}

static void on_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct drivers *drivers = timer->data;

	if (drivers->changed)
		look_unless_busy(drivers);
}

struct drivers *drivers_create(struct ev_loop *loop, struct uevents *uevents, const char *devices,
                               bool (*load_fn)(const char *alias))
{
	struct drivers *drivers = mem_new(struct drivers);

	drivers->loop = loop;
	drivers->devices = mem_strdup(devices);
	drivers->load = load_fn;
	drivers->subscriber.on_change = on_change;
	drivers->subscriber.ctx = drivers;
	ev_timer_init(&drivers->pause, on_pause_over, 0, 0);
	drivers->pause.data = drivers;
	ev_timer_init(&drivers->first, on_first_look, FIRST_LOOK_S, 0);
	drivers->first.data = drivers;
	ev_timer_start(loop, &drivers->first);
	uevents_subscribe(uevents, &drivers->subscriber);
	return drivers;
}

void drivers_destroy(struct drivers *drivers)
{
	if (!drivers)
		return;
	uevents_leave(&drivers->subscriber);
	ev_timer_stop(drivers->loop, &drivers->first);
	ev_timer_stop(drivers->loop, &drivers->pause);
	errand_destroy(drivers->errand);
	for (size_t i = 0; i < drivers->ntried; i++)
		free(drivers->tried[i]);
	free(drivers->devices);
	free(drivers);
}
