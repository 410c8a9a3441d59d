/*
 * The disks of a CreateContainer: they are waited for, and the spec gets the guest's numbers.
 */
#include "agent/pod/container_disks.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "agent/guest/uevent.h"
#include "common/mem.h"

static struct ev_loop *loop;
static struct uevent_subscriber *subscriber; /* who waits */
static const char *present = "";             /* the paths of the disks that are there */
static int answers;
static struct error last;

void uevents_subscribe(struct uevents *unused, struct uevent_subscriber *one)
{
	subscriber = one;
}

void uevents_leave(struct uevent_subscriber *one)
{
	subscriber = NULL;
}

/* The disk at "0N/00" is 254:N. */
int block_device_find(const char *root, const char *path, struct block_device *out,
                      struct error *err)
{
	unsigned int slot;

	if (sscanf(path, "%2x/00", &slot) != 1)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid PCI path \"%s\"", path);
	if (!strstr(present, path))
		return error_set(err, ERROR_NOT_FOUND, "no disk at \"%s\"", path);
	out->number = makedev(254, slot);
	return 0;
}

static void on_done(void *ctx, const struct error *err)
{
	answers++;
	error_copy(&last, err);
}

static void setup(void)
{
	loop = ev_default_loop(0);
}

TestSuite(container_disks, .init = setup, .timeout = 120);

static Grpc__LinuxDevice devices[2];
static Grpc__LinuxDevice *device_rows[] = { &devices[0], &devices[1] };
static Grpc__LinuxDeviceCgroup *rules[8];
static Grpc__LinuxResources resources;
static Grpc__Linux linux_part;
static Grpc__Spec spec;
static Grpc__Device messages[2];
static Grpc__Device *message_rows[] = { &messages[0], &messages[1] };
static Grpc__CreateContainerRequest request;

static void add_rule(bool allow, const char *type, int64_t major, int64_t minor)
{
	Grpc__LinuxDeviceCgroup *rule = mem_new(Grpc__LinuxDeviceCgroup);

	grpc__linux_device_cgroup__init(rule);
	rule->allow = allow;
	rule->type = mem_strdup(type);
	rule->major = major;
	rule->minor = minor;
	rule->access = mem_strdup("rwm");
	rules[resources.n_devices++] = rule;
}

/* /dev/a is 7:1 on the host and at 02/00 in the machine, /dev/b 254:2 and 01/00: the numbers of the
 * one are the other's on the other side. */
static void make_request(void)
{
	grpc__create_container_request__init(&request);
	grpc__spec__init(&spec);
	grpc__linux__init(&linux_part);
	grpc__linux_resources__init(&resources);
	spec.linux = &linux_part;
	linux_part.resources = &resources;
	linux_part.devices = device_rows;
	linux_part.n_devices = 2;
	resources.devices = rules;
	for (int i = 0; i < 2; i++) {
		grpc__linux_device__init(&devices[i]);
		devices[i].type = "b";
		devices[i].path = i ? "/dev/b" : "/dev/a";
		devices[i].major = i ? 254 : 7;
		devices[i].minor = i ? 2 : 1;
		grpc__device__init(&messages[i]);
		messages[i].type = "blk";
		messages[i].id = i ? "01/00" : "02/00";
		messages[i].container_path = devices[i].path;
	}
	request.devices = message_rows;
	request.n_devices = 2;
}

static struct container_disks *take(int timeout_ms)
{
	const struct disk_wait_config config = { .loop = loop, .timeout_ms = timeout_ms };
	struct container_disks *disks = NULL;
	struct error err;

	cr_assert_eq(container_disks_create(&config, &request, &spec, &disks, &err), 0, "%s",
	             err.text);
	return disks;
}

static void expect_rule(size_t i, const char *type, int64_t major, int64_t minor)
{
	cr_expect_str_eq(rules[i]->type, type, "%zu", i);
	cr_expect_eq(rules[i]->major, major, "%zu: %ld", i, (long)rules[i]->major);
	cr_expect_eq(rules[i]->minor, minor, "%zu: %ld", i, (long)rules[i]->minor);
}

Test(container_disks, get_the_numbers_of_the_guest_in_devices_and_rules)
{
	struct container_disks *disks;

	make_request();
	add_rule(false, "a", -1, -1);
	add_rule(true, "b", 254, 2);
	add_rule(true, "b", 7, 1);
	add_rule(true, "c", 7, 1);
	add_rule(true, "b", 254,
	         9); /* of no disk of the container: another's in the guest, perhaps */
	add_rule(true, "b", 7, -1); /* the guest's own loop devices */
	add_rule(false, "b", 8, 0);
	present = "01/00";
	disks = take(60000);
	container_disks_await(disks, on_done, NULL);
	cr_assert_not_null(subscriber);
	subscriber->on_change(subscriber->ctx);
	cr_assert_eq(answers, 0);
	cr_expect_eq(devices[1].minor, 2, "nothing is changed before all are there");
	present = "01/00 02/00";
	subscriber->on_change(subscriber->ctx);
	cr_assert_eq(answers, 1);
	cr_expect_eq(last.code, ERROR_NONE, "%s", last.text);
	cr_expect_null(subscriber);
	cr_expect(devices[0].major == 254 && devices[0].minor == 2);
	cr_expect(devices[1].major == 254 && devices[1].minor == 1);
	cr_assert_eq(resources.n_devices, 6);
	expect_rule(0, "a", -1, -1);
	expect_rule(1, "b", 254, 1);
	expect_rule(2, "b", 254, 2);
	expect_rule(3, "c", 7, 1);
	expect_rule(4, "b", 7, -1);
	expect_rule(5, "b", 8, 0);
	container_disks_destroy(disks);
}

Test(container_disks, that_do_not_come_are_named)
{
	struct container_disks *disks;

	make_request();
	present = "02/00";
	disks = take(20);
	container_disks_await(disks, on_done, NULL);
	while (!answers)
		ev_run(loop, EVRUN_ONCE);
	cr_expect_eq(last.code, ERROR_DEADLINE_EXCEEDED);
	cr_expect_str_eq(last.text, "waited 20 ms: no disk at \"01/00\"");
	cr_expect_null(subscriber);
	container_disks_destroy(disks);
}

Test(container_disks, of_storages_are_waited_for_too)
{
	Grpc__Storage storage = GRPC__STORAGE__INIT;
	Grpc__Storage *row = &storage;
	struct container_disks *disks;

	make_request();
	storage.driver = "blk";
	storage.source = "03/00";
	request.storages = &row;
	request.n_storages = 1;
	present = "01/00 02/00";
	disks = take(60000);
	container_disks_await(disks, on_done, NULL);
	cr_assert_eq(answers, 0);
	container_disks_cancel(disks);
	cr_expect_null(subscriber);
	container_disks_destroy(disks);
	storage.source = "nonsense";
	disks = take(60000);
	container_disks_await(disks, on_done, NULL);
	cr_expect_str_eq(last.text, "invalid PCI path \"nonsense\"");
	container_disks_destroy(disks);
}

static void expect_refused(enum error_code code, const char *text)
{
	const struct disk_wait_config config = { .loop = loop };
	struct container_disks *disks = NULL;
	struct error err;

	cr_expect_lt(container_disks_create(&config, &request, &spec, &disks, &err), 0);
	cr_expect_eq(err.code, code);
	cr_expect_str_eq(err.text, text);
}

Test(container_disks, that_the_spec_does_not_have_are_refused)
{
	make_request();
	messages[1].container_path = "/dev/c";
	expect_refused(ERROR_INVALID_ARGUMENT,
	               "CreateContainer: devices[1]: linux.devices has no block device \"/dev/c\"");
	messages[1].type = "scsi";
	expect_refused(ERROR_UNIMPLEMENTED,
	               "CreateContainer: devices[1].type \"scsi\": not supported");
}
