#include "hypervisor/qemu/hotplug.h"

#include <assert.h>
#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "common/monotonic.h"
#include "hypervisor/qemu/device.h"
#include "hypervisor/qemu/fd_passing.h"
#include "hypervisor/qemu/qmp.h"
#include "hypervisor/vm_config.h"

#define UNDO_TIMEOUT_MS   2000
#define RESIZE_TIMEOUT_MS 10000

/*
 * PORT_FREE --plug--> PORT_PLUGGING --done--> PORT_USED --unplug--> PORT_UNPLUGGING --> PORT_FREE
 *
 * A plug that fails leads back to PORT_FREE, an unplug that the guest does not answer to PORT_USED.
 * When QEMU has not answered, or refuses to take back what it took, what is on the port is unknown:
 * PORT_LOST, for ever. So is a port whose guest was asked for the device more than once: it may
 * answer again, with the device that comes next.
 */
enum port_state {
	PORT_FREE,
	PORT_PLUGGING,
	PORT_USED,
	PORT_UNPLUGGING,
	PORT_LOST,
};

struct port {
	struct hotplug *hotplug;
	int number;
	enum port_state state;
	struct vm_device device; /* ours; with descriptors only while it is plugged */
	/* The operation under way; NULL: none. */
	struct seq *seq;
	int64_t deadline; /* of monotonic_ms() */
	int timeout_ms;
	struct fd_passing passing;    /* of its descriptors, while it is plugged */
	ev_timer wait;                /* for the guest to let go */
	unsigned int asked;           /* how often the guest was, for this device */
	bool uncertain;               /* QEMU did not answer, or refused to undo */
	struct error *failed_at_once; /* where to say so, while the operation starts */
	done_fn *done;
	void *ctx;
};

struct hotplug {
	struct ev_loop *loop;
	struct qmp *qmp; /* NULL: not yet, or no more */
	int n_ports;
	struct port ports[VM_PORTS_MAX];
};

static int command(struct port *port, const char *name, json_t *args, int timeout_ms,
                   qmp_done_fn *done, struct error *err)
{
	if (!port->hotplug->qmp) {
		json_decref(args);
		return error_set(err, ERROR_UNAVAILABLE, "QEMU has gone");
	}
	return qmp_execute(port->hotplug->qmp, name, args, timeout_ms, done, port, err);
}

static void on_step_done(void *ctx, const json_t *result, const struct error *err)
{
	struct port *port = ctx;

	if (err && err->code == ERROR_DEADLINE_EXCEEDED)
		port->uncertain = true;
	seq_resume(port->seq, err);
}

/* A step that is one command; it ends by what QEMU answers. */
static void step(struct port *port, const char *name, json_t *args)
{
	int64_t left_ms = port->deadline - monotonic_ms();
	struct error err;

	if (command(port, name, args, left_ms > 1 ? (int)left_ms : 1, on_step_done, &err) < 0)
		seq_fail(port->seq, &err);
}

static void on_undone(void *ctx, const json_t *result, const struct error *err)
{
	struct port *port = ctx;

	if (err)
		port->uncertain = true;
	seq_resume(port->seq, err);
}

static void undo(struct port *port, const char *name, json_t *args)
{
	struct error err;

	if (command(port, name, args, UNDO_TIMEOUT_MS, on_undone, &err) < 0)
		seq_fail(port->seq, &err);
}

static json_t *id_argument(const struct port *port, const char *key)
{
	return json_pack("{s:s}", key, port->device.id);
}

/* The steps of plugging in. */

static void on_passed(void *ctx, const struct error *err)
{
	on_step_done(ctx, NULL, err);
}

static void pass_descriptors(struct seq *seq, void *ctx)
{
	struct port *port = ctx;
	struct error err;

	if (fd_passing_start(&port->passing, port->hotplug->qmp, &port->device, port->number,
	                     port->deadline, on_passed, port, &err) < 0)
		seq_fail(seq, &err);
}

static void on_taken_back(void *ctx, const struct error *err)
{
	on_undone(ctx, NULL, err);
}

static void take_descriptors_back(struct seq *seq, void *ctx)
{
	struct port *port = ctx;
	struct qmp *qmp = port->hotplug->qmp;
	struct error err;

	if (!qmp)
		seq_next(seq); /* gone with QEMU */
	else if (fd_passing_undo(&port->passing, qmp, monotonic_ms() + UNDO_TIMEOUT_MS,
	                         on_taken_back, port, &err) < 0)
		seq_fail(seq, &err);
}

static void add_backend(struct seq *seq, void *ctx)
{
	struct port *port = ctx;
	autofree char *names = fd_passing_names(&port->passing);

	step(port, device_kind(&port->device)->add, device_backend(&port->device, names));
}

static void remove_backend_again(struct seq *seq, void *ctx)
{
	struct port *port = ctx;
	const struct device_kind *kind = device_kind(&port->device);

	undo(port, kind->remove, id_argument(port, kind->remove_key));
}

static void add_device(struct seq *seq, void *ctx)
{
	struct port *port = ctx;

	step(port, "device_add", device_frontend(&port->device, port->number));
}

static const struct seq_step plug_steps[] = {
	{ "pass the descriptors", pass_descriptors, take_descriptors_back, NULL },
	{ "add the backend", add_backend, remove_backend_again, NULL },
	{ "add the device", add_device, NULL, NULL },
	{ 0 },
};

/* The steps of pulling out. */

static void on_asked(void *ctx, const json_t *result, const struct error *err)
{
	struct port *port = ctx;

	/* It may be that it was asked before, and the guest is at it. */
	if (err)
		log_debug("unplug device=%s error=\"%s\"", port->device.id, err->text);
}

static void on_wait_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct port *port = timer->data;
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED, "the guest has not let go of it within %d ms",
	          port->timeout_ms);
	seq_fail(port->seq, &err);
}

static void wait_for_guest(struct seq *seq, void *ctx)
{
	struct port *port = ctx;
	struct error err;

	port->asked++;
	ev_timer_set(&port->wait, port->timeout_ms / 1e3, 0);
	ev_timer_start(port->hotplug->loop, &port->wait);
	if (command(port, "device_del", id_argument(port, "id"), port->timeout_ms, on_asked, &err) <
	    0)
		on_asked(port, NULL, &err);
}

/* From here on what fails leaves nobody knows what on the port. */
static void remove_backend(struct seq *seq, void *ctx)
{
	struct port *port = ctx;
	const struct device_kind *kind = device_kind(&port->device);

	port->uncertain = true;
	step(port, kind->remove, id_argument(port, kind->remove_key));
}

static void drop_descriptor(struct seq *seq, void *ctx)
{
	struct port *port = ctx;

	if (device_kind(&port->device)->passing == DEVICE_BY_NAME)
		seq_next(seq); /* the backend's, gone with it */
	else
		step(port, "remove-fd", json_pack("{s:i}", "fdset-id", port->number));
}

static const struct seq_step unplug_steps[] = {
	{ "wait for the guest", wait_for_guest, NULL, NULL },
	{ "remove the backend", remove_backend, NULL, NULL },
	{ "drop the descriptor", drop_descriptor, NULL, NULL },
	{ 0 },
};

static void port_occupy(struct port *port, const struct vm_device *device, enum port_state state)
{
	port->state = state;
	port->asked = 0;
	vm_device_copy(device, &port->device);
}

static void port_clear(struct port *port, enum port_state state)
{
	port->state = state;
	vm_device_fini(&port->device);
}

/* Ends the operation under way; its last act is the callback. */
static void port_finish(struct port *port, enum port_state state, const struct error *err)
{
	const char *verb = port->state == PORT_PLUGGING ? "plug" : "unplug";
	done_fn *done = take_ptr(&port->done);
	struct error cause;

	if (port->failed_at_once)
		error_copy(port->failed_at_once, err);
	error_copy(&cause, err);
	error_wrap(&cause, "cannot %s \"%s\"", verb, port->device.id);
	seq_destroy(take_ptr(&port->seq));
	vm_device_close_fds(&port->device);
	if (state == PORT_USED)
		port->state = state;
	else
		port_clear(port, state);
	if (done)
		done(port->ctx, err ? &cause : NULL);
}

static void on_plugged(void *ctx, const struct error *err)
{
	struct port *port = ctx;

	port_finish(port, !err ? PORT_USED : port->uncertain ? PORT_LOST : PORT_FREE, err);
}

static void on_unplugged(void *ctx, const struct error *err)
{
	struct port *port = ctx;

	if (err && !port->uncertain)
		port_finish(port, PORT_USED, err);
	else
		port_finish(port, !err && port->asked <= 1 ? PORT_FREE : PORT_LOST, err);
}

/* What fails at once is returned, and its callback not called. */
static int port_start(struct port *port, const char *verb, const struct seq_step *steps,
                      int timeout_ms, done_fn *on_end, struct error *err)
{
	autofree char *title = mem_printf("%s %s", verb, port->device.id);
	struct error failed = { 0 };

	port->timeout_ms = timeout_ms;
	port->deadline = monotonic_ms() + timeout_ms;
	port->uncertain = false;
	port->seq = seq_create(title, steps, port, on_end);
	port->failed_at_once = &failed;
	seq_start(port->seq);
	port->failed_at_once = NULL;
	if (port->seq)
		return 0;
	error_copy(err, &failed);
	return error_code_errno(failed.code);
}

static struct port *port_find(struct hotplug *hotplug, const char *id)
{
	for (int i = 0; i < hotplug->n_ports; i++) {
		const char *own = hotplug->ports[i].device.id;

		if (own && id && !strcmp(own, id))
			return &hotplug->ports[i];
	}
	return NULL;
}

/* The port that @device is to have. */
static int port_choose(struct hotplug *hotplug, const struct vm_device *device, struct port **out,
                       struct error *err)
{
	int r = device_check(device, err);

	if (r < 0)
		return r;
	if (port_find(hotplug, device->id))
		return error_set(err, ERROR_ALREADY_EXISTS, "the machine has a device \"%s\"",
		                 device->id);
	for (int i = 0; i < hotplug->n_ports; i++)
		if (hotplug->ports[i].state == PORT_FREE) {
			*out = &hotplug->ports[i];
			return 0;
		}
	return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no root port is free: the machine has %d",
	                 hotplug->n_ports);
}

unsigned int hotplug_free_ports(const struct hotplug *hotplug)
{
	unsigned int n = 0;

	for (int i = 0; i < hotplug->n_ports; i++)
		n += hotplug->ports[i].state == PORT_FREE;
	return n;
}

int hotplug_assign(struct hotplug *hotplug, const struct vm_device *device, struct error *err)
{
	struct port *port = NULL;
	int r = port_choose(hotplug, device, &port, err);

	if (!port)
		return r;
	port_occupy(port, device, PORT_USED);
	return port->number;
}

int hotplug_find(const struct hotplug *hotplug, const char *id, struct error *err)
{
	const struct port *port = port_find((struct hotplug *)hotplug, id);

	if (!port)
		return error_set(err, ERROR_NOT_FOUND, "the machine has no device \"%s\"", id);
	return port->number;
}

int hotplug_plug(struct hotplug *hotplug, const struct vm_device *device, int timeout_ms,
                 done_fn *done, void *ctx, struct error *err)
{
	struct port *port = NULL;
	int r = port_choose(hotplug, device, &port, err);

	if (!port)
		return r;
	if (!hotplug->qmp)
		return error_set(err, ERROR_UNAVAILABLE, "QEMU has gone");
	port_occupy(port, device, PORT_PLUGGING);
	r = vm_device_dup_fds(device, &port->device, err);
	if (r < 0) {
		port_clear(port, PORT_FREE);
		return r;
	}
	r = port_start(port, "plug", plug_steps, timeout_ms, on_plugged, err);
	if (r < 0)
		return r;
	port->ctx = ctx;
	port->done = done;
	return 0;
}

int hotplug_unplug(struct hotplug *hotplug, const char *id, int timeout_ms, done_fn *done,
                   void *ctx, struct error *err)
{
	struct port *port = port_find(hotplug, id);
	int r;

	if (!port)
		return error_set(err, ERROR_NOT_FOUND, "the machine has no device \"%s\"", id);
	if (port->device.kind == VM_DEVICE_MEMORY)
		return error_set(err, ERROR_UNIMPLEMENTED, "memory: not supported by QEMU");
	if (port->state != PORT_USED)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "device \"%s\" is being plugged or unplugged", id);
	if (!hotplug->qmp)
		return error_set(err, ERROR_UNAVAILABLE, "QEMU has gone");
	port->state = PORT_UNPLUGGING;
	r = port_start(port, "unplug", unplug_steps, timeout_ms, on_unplugged, err);
	if (r < 0)
		return r;
	port->ctx = ctx;
	port->done = done;
	return 0;
}

static void on_disk_resized(void *ctx, const json_t *result, const struct error *err)
{
	const struct port *port = ctx;

	if (err)
		log_warn("a disk keeps its size device=%s cause=\"%s\"",
		         port->device.id ? port->device.id : "", err->text);
}

int hotplug_resize_disk(struct hotplug *hotplug, const char *id, uint64_t bytes, struct error *err)
{
	struct port *port = port_find(hotplug, id);

	if (!port || port->device.kind != VM_DEVICE_DISK || port->state != PORT_USED)
		return error_set(err, ERROR_NOT_FOUND, "the machine has no disk \"%s\"", id);
	return command(port, "block_resize",
	               json_pack("{s:s, s:I}", "node-name", id, "size", (json_int_t)bytes),
	               RESIZE_TIMEOUT_MS, on_disk_resized, err);
}

/* The guest has let go of a device; it may do so late, when nobody waits any more. */
void hotplug_on_event(struct hotplug *hotplug, const char *name, const json_t *data)
{
	struct port *port = port_find(hotplug, json_string_value(json_object_get(data, "device")));

	if (!port || strcmp(name, "DEVICE_DELETED") != 0)
		return;
	if (port->state == PORT_USED) {
		port->state = PORT_UNPLUGGING;
		port_start(port, "unplug", unplug_steps + 1, UNDO_TIMEOUT_MS, on_unplugged, NULL);
	} else if (ev_is_active(&port->wait)) {
		ev_timer_stop(hotplug->loop, &port->wait);
		seq_next(port->seq);
	}
}

struct hotplug *hotplug_create(struct ev_loop *loop, int ports)
{
	struct hotplug *hotplug = mem_new(struct hotplug);

	assert(ports > 0 && ports <= VM_PORTS_MAX);
	hotplug->loop = loop;
	hotplug->n_ports = ports;
	for (int i = 0; i < hotplug->n_ports; i++) {
		struct port *port = &hotplug->ports[i];

		port->hotplug = hotplug;
		port->number = i;
		port->device.fd = -1;
		ev_timer_init(&port->wait, on_wait_over, 0, 0);
		port->wait.data = port;
	}
	return hotplug;
}

void hotplug_connect(struct hotplug *hotplug, struct qmp *qmp)
{
	hotplug->qmp = qmp;
}

void hotplug_disconnect(struct hotplug *hotplug, const struct error *why)
{
	hotplug->qmp = NULL;
	for (int i = 0; i < hotplug->n_ports; i++) {
		struct port *port = &hotplug->ports[i];

		ev_timer_stop(hotplug->loop, &port->wait);
		if (port->seq)
			port_finish(port, PORT_LOST, why);
	}
}

void hotplug_destroy(struct hotplug *hotplug)
{
	if (!hotplug)
		return;
	for (int i = 0; i < hotplug->n_ports; i++) {
		struct port *port = &hotplug->ports[i];

		ev_timer_stop(hotplug->loop, &port->wait);
		seq_destroy(port->seq);
		port_clear(port, PORT_FREE);
	}
	free(hotplug);
}
