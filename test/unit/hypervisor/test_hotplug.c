#include "hypervisor/qemu/hotplug.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/qemu/qmp.h"
#include "test/unit/open_descriptors.h"

/* Beside a QEMU of this test's own, which notes the commands it gets and may refuse one. */

#define LONG_MS 60000
#define PORTS   8

static struct ev_loop *loop;
static struct qmp *qmp;
static struct hotplug *hotplug;
static int qemu; /* the other end of QMP */
static ev_io qemu_reader;
static int file;

static struct {
	char commands[600];  /* that QEMU got, with a space behind each; without the handshake */
	const char *refuses; /* the command that it refuses */
	int takes;           /* so many of them it does not */
	const char *ignores; /* the command that it does not answer */
	bool keeps;          /* the guest does not let go of a device */
	int descriptors;     /* that QEMU was passed */
	int calls;           /* of on_done() */
	struct error err;
} seen;

static void on_ready(void *ctx)
{
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	hotplug_on_event(hotplug, name, data);
}

static void on_lost(void *ctx, const struct error *err)
{
	hotplug_disconnect(hotplug, err);
}

static const struct qmp_events events = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_lost = on_lost,
};

static void on_done(void *ctx, const struct error *err)
{
	seen.calls++;
	error_copy(&seen.err, err);
}

static void qemu_says(const char *text)
{
	cr_assert_eq(write(qemu, text, strlen(text)), (ssize_t)strlen(text));
}

static void answer(const char *name, json_int_t id)
{
	bool refused = seen.refuses && !strcmp(name, seen.refuses) && seen.takes-- <= 0;
	autofree char *text =
		refused ? mem_printf("{\"error\": {\"desc\": \"no\"}, \"id\": %d}\n", (int)id)
			: mem_printf("{\"return\": {\"fd\": 9}, \"id\": %d}\n", (int)id);

	if (seen.ignores && !strcmp(name, seen.ignores))
		return;
	qemu_says(text);
	if (!strcmp(name, "device_del") && !seen.keeps)
		qemu_says("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"d\"}}\n");
}

static void on_commands(struct ev_loop *qemu_loop, ev_io *io, int revents)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	char text[4000];
	struct iovec bytes = { .iov_base = text, .iov_len = sizeof(text) - 1 };
	struct msghdr message = { .msg_iov = &bytes,
		                  .msg_iovlen = 1,
		                  .msg_control = &control,
		                  .msg_controllen = sizeof(control) };
	ssize_t n = recvmsg(qemu, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	text[n < 0 ? 0 : n] = '\0';
	if (n > 0 && CMSG_FIRSTHDR(&message)) {
		memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
		close(fd);
		seen.descriptors++;
	}
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		json_t *command = json_loads(line, 0, NULL);
		const char *name = json_string_value(json_object_get(command, "execute"));
		size_t len = strlen(seen.commands);

		if (strcmp(name, "qmp_capabilities") != 0)
			snprintf(seen.commands + len, sizeof(seen.commands) - len, "%s ", name);
		answer(name, json_integer_value(json_object_get(command, "id")));
		json_decref(command);
	}
}

static void create(void)
{
	int ends[2];

	loop = ev_loop_new(0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	qemu = ends[1];
	ev_io_init(&qemu_reader, on_commands, qemu, EV_READ);
	ev_io_start(loop, &qemu_reader);
	file = memfd_create("file", MFD_CLOEXEC);
	hotplug = hotplug_create(loop, PORTS);
	qmp = qmp_create(loop, ends[0], LONG_MS, &events, NULL);
	hotplug_connect(hotplug, qmp);
}

static void destroy(void)
{
	qmp_destroy(qmp);
	hotplug_destroy(hotplug);
	ev_loop_destroy(loop);
	close(qemu);
	close(file);
}

TestSuite(hotplug, .init = create, .fini = destroy);

static struct vm_device disk(const char *id)
{
	return (struct vm_device){ .kind = VM_DEVICE_DISK, .id = id, .fd = file };
}

static struct vm_device card(const char *id)
{
	return (struct vm_device){ .kind = VM_DEVICE_NIC, .id = id, .fd = file };
}

static void plug_for(const struct vm_device *device, int timeout_ms)
{
	struct error err;

	cr_assert_eq(hotplug_plug(hotplug, device, timeout_ms, on_done, NULL, &err), 0, "%s",
	             err.text);
}

static void unplug_for(const char *id, int timeout_ms)
{
	struct error err;

	cr_assert_eq(hotplug_unplug(hotplug, id, timeout_ms, on_done, NULL, &err), 0, "%s",
	             err.text);
}

static void run_until_done(int calls)
{
	while (seen.calls < calls)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(seen.calls, calls);
	seen.calls = 0;
}

static void expect_success(const char *commands)
{
	run_until_done(1);
	cr_assert_eq(seen.err.code, ERROR_NONE, "%s", seen.err.text);
	cr_assert_str_eq(seen.commands, commands);
	seen.commands[0] = '\0';
}

static void expect_failure(const char *text, const char *commands)
{
	run_until_done(1);
	cr_assert_str_eq(seen.err.text, text);
	cr_assert_str_eq(seen.commands, commands);
	seen.commands[0] = '\0';
}

static void expect_refused(int r, const struct error *err, const char *text)
{
	cr_assert_lt(r, 0);
	cr_assert_str_eq(err->text, text);
	cr_assert_eq(seen.calls, 0);
}

/* That all ports are there shows by using them. */
static void expect_free_ports(int count)
{
	struct vm_device device;
	char id[16];

	seen.refuses = seen.ignores = NULL;
	for (int i = 0; i < count; i++) {
		snprintf(id, sizeof(id), "n%d", i);
		device = disk(id);
		plug_for(&device, LONG_MS);
	}
	run_until_done(count);
	cr_assert_eq(seen.err.code, ERROR_NONE, "%s", seen.err.text);
	device = disk("more");
	cr_assert_eq(hotplug_plug(hotplug, &device, LONG_MS, on_done, NULL, &seen.err), -ENOSPC);
}

Test(hotplug, a_disk_is_resized_while_it_is_there)
{
	struct vm_device device = disk("d");
	struct error err;
	int r;

	plug_for(&device, LONG_MS);
	r = hotplug_resize_disk(hotplug, "d", 8192, &err);
	expect_refused(r, &err, "the machine has no disk \"d\"");
	expect_success("add-fd blockdev-add device_add ");
	cr_assert_eq(hotplug_resize_disk(hotplug, "d", 8192, &err), 0);
	unplug_for("d", LONG_MS);
	expect_success("block_resize device_del blockdev-del remove-fd ");
}

Test(hotplug, a_disk_is_plugged_and_unplugged)
{
	struct vm_device device = disk("d");

	plug_for(&device, LONG_MS);
	expect_success("add-fd blockdev-add device_add ");
	cr_assert_eq(seen.descriptors, 1);
	unplug_for("d", LONG_MS);
	expect_success("device_del blockdev-del remove-fd ");
	expect_free_ports(PORTS);
}

Test(hotplug, a_card_is_plugged_and_unplugged)
{
	struct vm_device device = card("d");

	plug_for(&device, LONG_MS);
	expect_success("getfd netdev_add device_add ");
	unplug_for("d", LONG_MS);
	expect_success("device_del netdev_del ");
	expect_free_ports(PORTS);
}

/* Its taps, and vhost-net for each. */
Test(hotplug, a_card_with_several_queues_passes_each_descriptor)
{
	struct vm_device device = card("d");
	static const char passed[] = "getfd getfd getfd getfd netdev_add device_add ";
	int fds = open_descriptors();

	device.queues = 2;
	device.vhost = true;
	for (int i = 0; i < 3; i++)
		device.more_fds[i] = file;
	plug_for(&device, LONG_MS);
	expect_success(passed);
	cr_assert_eq(seen.descriptors, 4);
	unplug_for("d", LONG_MS);
	expect_success("device_del netdev_del ");
	seen.refuses = "netdev_add";
	plug_for(&device, LONG_MS);
	expect_failure("cannot plug \"d\": QEMU refused \"netdev_add\": no",
	               "getfd getfd getfd getfd netdev_add closefd closefd closefd closefd ");
	cr_assert_eq(open_descriptors(), fds);
	expect_free_ports(PORTS);
}

Test(hotplug, a_descriptor_that_is_not_taken_is_none_of_qemus)
{
	struct vm_device device = card("d");

	device.queues = 3;
	device.more_fds[0] = device.more_fds[1] = file;
	seen.takes = 2;
	seen.refuses = "getfd";
	plug_for(&device, LONG_MS);
	expect_failure("cannot plug \"d\": QEMU refused \"getfd\": no",
	               "getfd getfd getfd closefd closefd ");
	expect_free_ports(PORTS);
}

Test(hotplug, what_a_step_did_is_undone_when_a_later_one_fails)
{
	struct vm_device device = disk("d");

	seen.refuses = "device_add";
	plug_for(&device, LONG_MS);
	expect_failure("cannot plug \"d\": QEMU refused \"device_add\": no",
	               "add-fd blockdev-add device_add blockdev-del remove-fd ");
	seen.refuses = "blockdev-add";
	plug_for(&device, LONG_MS);
	expect_failure("cannot plug \"d\": QEMU refused \"blockdev-add\": no",
	               "add-fd blockdev-add remove-fd ");
	seen.refuses = "add-fd";
	plug_for(&device, LONG_MS);
	expect_failure("cannot plug \"d\": QEMU refused \"add-fd\": no", "add-fd ");
	expect_free_ports(PORTS);
}

Test(hotplug, a_port_is_not_used_again_when_qemu_keeps_silent)
{
	struct vm_device device = disk("d");

	seen.ignores = "device_add";
	plug_for(&device, 50);
	run_until_done(1);
	cr_assert_eq(seen.err.code, ERROR_DEADLINE_EXCEEDED, "%s", seen.err.text);
	expect_free_ports(PORTS - 1);
}

Test(hotplug, a_guest_that_keeps_a_device_is_an_error_in_time)
{
	struct vm_device device = disk("d");

	plug_for(&device, LONG_MS);
	expect_success("add-fd blockdev-add device_add ");
	seen.keeps = true;
	unplug_for("d", 500);
	expect_failure("cannot unplug \"d\": the guest has not let go of it within 500 ms",
	               "device_del ");
	seen.keeps = false;
	unplug_for("d", LONG_MS);
	expect_success("device_del blockdev-del remove-fd ");
	expect_free_ports(PORTS - 1); /* it was asked twice, and may answer twice */
}

Test(hotplug, a_device_that_the_guest_gives_back_late_leaves_its_port)
{
	struct vm_device device = disk("d");

	plug_for(&device, LONG_MS);
	expect_success("add-fd blockdev-add device_add ");
	seen.keeps = true;
	unplug_for("d", 500);
	run_until_done(1);
	qemu_says("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"d\"}}\n");
	while (!strstr(seen.commands, "remove-fd "))
		ev_run(loop, EVRUN_ONCE);
	while (hotplug_unplug(hotplug, "d", LONG_MS, on_done, NULL, NULL) != -ENOENT)
		ev_run(loop, EVRUN_ONCE); /* the answer comes */
	expect_free_ports(PORTS);
}

Test(hotplug, events_of_no_device_or_of_none_that_is_known_are_ignored)
{
	struct vm_device device = disk("d");

	plug_for(&device, LONG_MS);
	expect_success("add-fd blockdev-add device_add ");
	qemu_says("{\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"x\"}}\n"
	          "{\"event\": \"DEVICE_DELETED\", \"data\": {\"path\": \"/machine/x\"}}\n"
	          "{\"event\": \"DEVICE_DELETED\"}\n"
	          "{\"event\": \"RTC_CHANGE\", \"data\": {\"device\": \"d\"}}\n");
	unplug_for("d", LONG_MS);
	expect_success("device_del blockdev-del remove-fd ");
}

Test(hotplug, the_end_of_qemu_ends_what_waits)
{
	struct vm_device first = disk("d"), second = disk("e");
	struct error err;

	plug_for(&first, LONG_MS);
	expect_success("add-fd blockdev-add device_add ");
	seen.keeps = true;
	unplug_for("d", LONG_MS);
	plug_for(&second, LONG_MS);
	shutdown(qemu, SHUT_RDWR);
	run_until_done(2);
	cr_assert_eq(seen.err.code, ERROR_UNAVAILABLE, "%s", seen.err.text);
	second.id = "f";
	expect_refused(hotplug_plug(hotplug, &second, LONG_MS, on_done, NULL, &err), &err,
	               "QEMU has gone");
}

Test(hotplug, destroyed_while_operations_run_calls_nothing)
{
	struct vm_device device = disk("d");

	plug_for(&device, LONG_MS);
	qmp_destroy(take_ptr(&qmp));
	hotplug_destroy(take_ptr(&hotplug));
	ev_run(loop, EVRUN_NOWAIT);
	cr_assert_eq(seen.calls, 0);
}

Test(hotplug, refuses_what_cannot_be)
{
	struct vm_device device = disk("d");
	struct vm_device memory = { .kind = VM_DEVICE_MEMORY, .id = "m", .fd = file };
	struct error err;
	int ends[2];
	int r;

	device.id = "1d";
	r = hotplug_plug(hotplug, &device, LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err,
	               "invalid device id \"1d\": not a letter and then at most 30 letters, digits "
	               "and '-'");
	device = disk("d");
	device.serial = "123456789012345678901";
	r = hotplug_plug(hotplug, &device, LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err, "invalid serial \"123456789012345678901\": longer than 20 bytes");
	device = card("d");
	device.queues = 17;
	r = hotplug_plug(hotplug, &device, LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err, "invalid network card \"d\": more than 16 queues");
	cr_assert_eq(pipe(ends), 0);
	device = disk("d");
	device.fd = ends[0];
	r = hotplug_plug(hotplug, &device, LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err, "invalid disk \"d\": neither a regular file nor a block device");
	r = hotplug_unplug(hotplug, "d", LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err, "the machine has no device \"d\"");
	device = disk("d");
	plug_for(&device, LONG_MS);
	r = hotplug_plug(hotplug, &device, LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err, "the machine has a device \"d\"");
	r = hotplug_unplug(hotplug, "d", LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err, "device \"d\" is being plugged or unplugged");
	run_until_done(1);
	plug_for(&memory, LONG_MS);
	run_until_done(1);
	r = hotplug_unplug(hotplug, "m", LONG_MS, on_done, NULL, &err);
	expect_refused(r, &err, "memory: not supported by QEMU");
}
