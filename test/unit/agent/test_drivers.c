#include "agent/guest/drivers.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/guest/uevent.h"
#include "common/file.h"
#include "common/mem.h"

static char dir[] = "/tmp/test-drivers-XXXXXX";
static struct ev_loop *loop;
static struct uevents *uevents;
static struct drivers *drivers;
static struct uevent_subscriber *subscriber; /* of the drivers */

/* The subscriber is told as the socket tells it; no event of this machine is waited for. */
struct uevents *uevents_create(struct ev_loop *unused)
{
	return NULL;
}

void uevents_destroy(struct uevents *unused)
{
}

void uevents_subscribe(struct uevents *unused, struct uevent_subscriber *one)
{
	subscriber = one;
}

void uevents_leave(struct uevent_subscriber *one)
{
	subscriber = NULL;
}

static void write_file(const char *name, const char *text)
{
	autofree char *path = mem_printf("%s/%s", dir, name);

	cr_assert_eq(file_write(AT_FDCWD, path, 0600, text, strlen(text), NULL), 0);
}

static void make_dir(const char *name)
{
	autofree char *path = mem_printf("%s/%s", dir, name);

	cr_assert_eq(mkdir(path, 0700), 0);
}

/* A link, as in sysfs. */
static void make_device(const char *name, const char *alias)
{
	autofree char *file = mem_printf("%s/modalias", name);
	autofree char *target = mem_printf("../%s", name);
	autofree char *link = mem_printf("%s/devices/%s", dir, name);

	make_dir(name);
	write_file(file, alias);
	cr_assert_eq(symlink(target, link), 0);
}

/* In a child: says so by a line in a file. */
static bool load(const char *alias)
{
	autofree char *path = mem_printf("%s/loaded", dir);
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || dprintf(fd, "%s ", alias) < 0)
		return false;
	close(fd);
	return strcmp(alias, "virtio:none") != 0;
}

static bool has_loaded(const char *text)
{
	autofree char *path = mem_printf("%s/loaded", dir);
	autofree char *loaded = NULL;

	return file_read(AT_FDCWD, path, 4096, &loaded, NULL) > 0 && strcmp(loaded, text) == 0;
}

static void on_tick(struct ev_loop *unused, ev_timer *timer, int events)
{
	ev_break(loop, EVBREAK_ONE);
}

static void run_for(double seconds)
{
	ev_timer tick;

	ev_timer_init(&tick, on_tick, seconds, 0);
	ev_timer_start(loop, &tick);
	ev_run(loop, 0);
}

static void expect_loaded(const char *text)
{
	for (int i = 0; i < 200 && !has_loaded(text); i++)
		run_for(0.05);
	cr_expect(has_loaded(text), "%s", text);
}

static void setup(void)
{
	autofree char *devices = NULL;

	cr_assert(mkdtemp(dir));
	make_dir("devices");
	devices = mem_printf("%s/devices", dir);
	loop = ev_default_loop(0);
	uevents = uevents_create(loop);
	drivers = drivers_create(loop, uevents, devices, load);
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -r %s", dir);

	drivers_destroy(drivers);
	cr_expect_null(subscriber);
	cr_expect_eq(system(command), 0);
}

TestSuite(drivers, .init = setup, .fini = teardown, .timeout = 120);

Test(drivers, are_loaded_for_devices_that_have_none)
{
	make_device("virtio0", "virtio:with\n");
	make_dir("virtio0/driver");
	make_device("virtio1", "virtio:without\n");
	subscriber->on_change(subscriber->ctx);
	expect_loaded("virtio:without ");
}

Test(drivers, each_device_is_tried_once)
{
	make_device("virtio1", "virtio:none");
	for (int i = 0; i < 20; i++) {
		subscriber->on_change(subscriber->ctx);
		run_for(0.01);
	}
	expect_loaded("virtio:none ");
	make_device("virtio2", "virtio:two");
	subscriber->on_change(subscriber->ctx);
	expect_loaded("virtio:none virtio:two ");
	run_for(0.1);
	cr_expect(has_loaded("virtio:none virtio:two "));
}

Test(drivers, a_device_that_comes_while_one_is_loaded_is_seen)
{
	make_device("virtio1", "virtio:one");
	subscriber->on_change(subscriber->ctx);
	make_device("virtio2", "virtio:two");
	subscriber->on_change(subscriber->ctx);
	expect_loaded("virtio:one virtio:two ");
}
