#include "hypervisor/qemu/resize.h"

#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "common/mem.h"
#include "common/monotonic.h"
#include "hypervisor/qemu/qmp.h"

#define COMMAND_MS_MIN 1000 /* for QEMU's own answer, however little is left for the guest */

#define PERIPHERAL "/machine/peripheral/" /* the devices that have an id */

/* ACPI specification 6.5, 6.3.5: _OST. */
#define OST_EJECT_REQUEST 3
#define OST_OSPM_EJECT    0x103
#define OST_SUCCESS       0
#define OST_IN_PROGRESS   0x84

/* A change that is under way; @done is NULL when there is none. */
struct change {
	int timeout_ms;
	int64_t deadline; /* of monotonic_ms() */
	done_fn *done;
	void *ctx;
};

struct resize {
	struct ev_loop *loop;
	struct qmp *qmp; /* NULL: not yet, or no more */
	struct change memory;
	char *memory_id;
	json_int_t memory_wanted; /* bytes */
	json_int_t memory_given;
	int memory_direction; /* 1: the guest takes; -1: it gives back; 0: not known yet */
	ev_timer memory_wait; /* for the guest, to take or give back */
	struct change vcpus;
	unsigned int vcpus_wanted;
	unsigned int vcpus_there; /* 0: QEMU has not been asked yet */
	json_t *places; /* what QEMU says of each processor, those that can be plugged among them */
	char *leaving;  /* the processor that the guest has been asked for; NULL: none */
	ev_timer vcpus_wait; /* for the guest, to let go of it */
	bool hurries;        /* the changes under way do not wait for the guest any more */
};

static void change_begin(struct resize *resize, struct change *change, int timeout_ms,
                         done_fn *done, void *ctx)
{
	change->timeout_ms = timeout_ms;
	change->deadline = monotonic_ms() + timeout_ms;
	resize->hurries = false;
	change->done = done;
	change->ctx = ctx;
}

static void change_end(struct change *change, const struct error *err)
{
	done_fn *done = take_ptr(&change->done);

	done(change->ctx, err);
}

static int execute(struct resize *resize, const char *name, json_t *args,
                   const struct change *change, qmp_done_fn *done, struct error *err)
{
	int64_t left_ms = change->deadline - monotonic_ms();
	int timeout_ms = left_ms > COMMAND_MS_MIN ? (int)left_ms : COMMAND_MS_MIN;

	if (!resize->qmp) {
		json_decref(args);
		return error_set(err, ERROR_UNAVAILABLE, "QEMU has gone");
	}
	return qmp_execute(resize->qmp, name, args, timeout_ms, done, resize, err);
}

static void start_wait(struct resize *resize, const struct change *change, ev_timer *wait)
{
	int64_t left_ms = resize->hurries ? 0 : change->deadline - monotonic_ms();

	ev_timer_set(wait, left_ms > 0 ? left_ms / 1e3 : 0, 0);
	ev_timer_start(resize->loop, wait);
}

/* Memory: QEMU is told how much the guest is to have; the guest takes it, and QEMU tells. */

static void memory_end(struct resize *resize, const struct error *err)
{
	ev_timer_stop(resize->loop, &resize->memory_wait);
	change_end(&resize->memory, err);
}

/* Where the guest is asked for less while it still gives back, it may have more than enough. */
static bool memory_is_settled(struct resize *resize)
{
	if (!resize->memory_direction)
		resize->memory_direction = resize->memory_given < resize->memory_wanted ? 1 : -1;
	return resize->memory_direction > 0 ? resize->memory_given >= resize->memory_wanted
	                                    : resize->memory_given <= resize->memory_wanted;
}

static void on_memory_wait_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct resize *resize = timer->data;
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED,
	          "the guest has %d instead of %d MiB to plug after %d ms",
	          (int)(resize->memory_given >> 20), (int)(resize->memory_wanted >> 20),
	          resize->memory.timeout_ms);
	memory_end(resize, &err);
}

static void on_memory_size(void *ctx, const json_t *result, const struct error *err)
{
	struct resize *resize = ctx;

	if (!err)
		resize->memory_given = json_integer_value(result);
	if (err || memory_is_settled(resize))
		memory_end(resize, err);
	else
		start_wait(resize, &resize->memory, &resize->memory_wait);
}

static json_t *memory_property(const struct resize *resize, const char *name)
{
	autofree char *path = mem_printf(PERIPHERAL "%s", resize->memory_id);

	return json_pack("{s:s, s:s}", "path", path, "property", name);
}

static void on_memory_requested(void *ctx, const json_t *result, const struct error *err)
{
	struct resize *resize = ctx;
	struct error failed;

	if (err)
		memory_end(resize, err);
	else if (execute(resize, "qom-get", memory_property(resize, "size"), &resize->memory,
	                 on_memory_size, &failed) < 0)
		memory_end(resize, &failed);
}

static void on_memory_event(struct resize *resize, const json_t *data)
{
	const char *id = json_string_value(json_object_get(data, "id"));

	if (!id || !resize->memory_id || strcmp(id, resize->memory_id) != 0)
		return;
	resize->memory_given = json_integer_value(json_object_get(data, "size"));
	if (ev_is_active(&resize->memory_wait) && memory_is_settled(resize))
		memory_end(resize, NULL);
}

int resize_memory(struct resize *resize, const char *id, uint64_t mib, int timeout_ms,
                  done_fn *done, void *ctx, struct error *err)
{
	json_int_t wanted = (json_int_t)mib << 20;
	json_t *args;
	int r;

	free(resize->memory_id);
	resize->memory_id = mem_strdup(id);
	resize->memory_direction = wanted > resize->memory_wanted   ? 1
	                           : wanted < resize->memory_wanted ? -1
	                                                            : 0;
	resize->memory_wanted = wanted;
	change_begin(resize, &resize->memory, timeout_ms, done, ctx);
	args = memory_property(resize, "requested-size");
	json_object_set_new(args, "value", json_integer(resize->memory_wanted));
	r = execute(resize, "qom-set", args, &resize->memory, on_memory_requested, err);
	if (r < 0)
		resize->memory.done = NULL;
	return r;
}

/* Processors: QEMU says where one can be plugged, and takes one after the other. It gives up the one
 * that came last when the guest's kernel has, which QEMU asks for it by ACPI. */

static void vcpus_end(struct resize *resize, const struct error *err)
{
	ev_timer_stop(resize->loop, &resize->vcpus_wait);
	json_decref(resize->places);
	resize->places = NULL;
	change_end(&resize->vcpus, err);
}

/* The lowest place that is left, taken off the list: QEMU names the highest first. */
static json_t *take_place(struct resize *resize)
{
	size_t n = json_array_size(resize->places);
	json_t *place = NULL;

	while (!place && n-- > 0) {
		if (!json_object_get(json_array_get(resize->places, n), "qom-path"))
			place = json_incref(json_array_get(resize->places, n));
		json_array_remove(resize->places, n);
	}
	return place;
}

static void plug_next_vcpu(struct resize *resize);

static void on_vcpu_plugged(void *ctx, const json_t *result, const struct error *err)
{
	struct resize *resize = ctx;

	if (err) {
		vcpus_end(resize, err);
		return;
	}
	resize->vcpus_there++;
	plug_next_vcpu(resize);
}

static void plug_next_vcpu(struct resize *resize)
{
	autofree char *id = mem_printf("vcpu%u", resize->vcpus_there);
	json_t *place, *args;
	struct error err;

	if (resize->vcpus_there == resize->vcpus_wanted) {
		vcpus_end(resize, NULL);
		return;
	}
	place = take_place(resize);
	if (!place) {
		error_set(&err, ERROR_RESOURCE_EXHAUSTED, "QEMU has no place for vCPU %u",
		          resize->vcpus_there);
		vcpus_end(resize, &err);
		return;
	}
	args = json_pack("{s:s, s:O*}", "id", id, "driver", json_object_get(place, "type"));
	json_object_update(args, json_object_get(place, "props"));
	json_decref(place);
	if (execute(resize, "device_add", args, &resize->vcpus, on_vcpu_plugged, &err) < 0)
		vcpus_end(resize, &err);
}

/* The one that came last: QEMU names the highest first, and those it began with have no id. */
static char *find_plugged(const struct resize *resize)
{
	size_t i;
	json_t *place;

	json_array_foreach (resize->places, i, place) {
		const char *path = json_string_value(json_object_get(place, "qom-path"));

		if (path && !strncmp(path, PERIPHERAL, strlen(PERIPHERAL)))
			return mem_strdup(path + strlen(PERIPHERAL));
	}
	return NULL;
}

static void ask_for_places(struct resize *resize);

static void on_vcpu_asked_for(void *ctx, const json_t *result, const struct error *err)
{
	struct resize *resize = ctx;

	if (err) {
		if (err->code != ERROR_DEADLINE_EXCEEDED) /* else it may go yet */
			free(take_ptr(&resize->leaving));
		vcpus_end(resize, err);
	} else if (!resize->leaving) {
		ask_for_places(resize); /* it has gone before the answer */
	} else {
		start_wait(resize, &resize->vcpus, &resize->vcpus_wait);
	}
}

static void unplug_vcpu(struct resize *resize)
{
	struct error err;

	free(resize->leaving);
	resize->leaving = find_plugged(resize);
	if (!resize->leaving) {
		error_set(&err, ERROR_FAILED_PRECONDITION,
		          "the machine has begun with %u vCPUs, which stay", resize->vcpus_there);
		vcpus_end(resize, &err);
	} else if (execute(resize, "device_del", json_pack("{s:s}", "id", resize->leaving),
	                   &resize->vcpus, on_vcpu_asked_for, &err) < 0) {
		vcpus_end(resize, &err);
	}
}

static void on_vcpus_wait_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct resize *resize = timer->data;
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED, "the guest has %u instead of %u vCPUs after %d ms",
	          resize->vcpus_there, resize->vcpus_wanted, resize->vcpus.timeout_ms);
	vcpus_end(resize, &err);
}

/* It may be gone late, when nobody waits for it any more. */
static void on_vcpu_gone(struct resize *resize)
{
	free(take_ptr(&resize->leaving));
	resize->vcpus_there -= resize->vcpus_there > 0;
	if (!ev_is_active(&resize->vcpus_wait))
		return;
	ev_timer_stop(resize->loop, &resize->vcpus_wait);
	ask_for_places(resize);
}

/* QEMU 7.2 says that a processor has gone by what is a part of it. */
static void on_deleted(struct resize *resize, const char *path)
{
	size_t len = resize->leaving ? strlen(resize->leaving) : 0;

	if (!len || !path || strncmp(path, PERIPHERAL, strlen(PERIPHERAL)) != 0)
		return;
	path += strlen(PERIPHERAL);
	if (!strncmp(path, resize->leaving, len) && (path[len] == '\0' || path[len] == '/'))
		on_vcpu_gone(resize);
}

/* The guest's verdict (ACPI specification, _OST): its kernel refuses to do without the processor. */
static void on_verdict(struct resize *resize, const json_t *info)
{
	const char *id = json_string_value(json_object_get(info, "device"));
	json_int_t source = json_integer_value(json_object_get(info, "source"));
	json_int_t status = json_integer_value(json_object_get(info, "status"));
	struct error err;

	if (!id || !resize->leaving || strcmp(id, resize->leaving) != 0 ||
	    (source != OST_EJECT_REQUEST && source != OST_OSPM_EJECT) || status == OST_SUCCESS ||
	    status == OST_IN_PROGRESS)
		return;
	error_set(&err, ERROR_FAILED_PRECONDITION, "the guest keeps \"%s\": ACPI status 0x%x",
	          resize->leaving, (unsigned int)status);
	free(take_ptr(&resize->leaving));
	if (ev_is_active(&resize->vcpus_wait))
		vcpus_end(resize, &err);
}

static void on_places(void *ctx, const json_t *result, const struct error *err)
{
	struct resize *resize = ctx;

	if (err) {
		vcpus_end(resize, err);
		return;
	}
	json_decref(resize->places);
	resize->places = json_deep_copy(result);
	resize->vcpus_there = 0;
	for (size_t i = 0; i < json_array_size(result); i++)
		resize->vcpus_there +=
			json_object_get(json_array_get(result, i), "qom-path") != NULL;
	if (resize->vcpus_there > resize->vcpus_wanted)
		unplug_vcpu(resize);
	else
		plug_next_vcpu(resize);
}

static void ask_for_places(struct resize *resize)
{
	struct error err;

	if (execute(resize, "query-hotpluggable-cpus", NULL, &resize->vcpus, on_places, &err) < 0)
		vcpus_end(resize, &err);
}

/* A processor that the guest was asked for earlier may go at any moment: it is waited for. */
int resize_vcpus(struct resize *resize, unsigned int count, int timeout_ms, done_fn *done,
                 void *ctx, struct error *err)
{
	int r = 0;

	resize->vcpus_wanted = count;
	change_begin(resize, &resize->vcpus, timeout_ms, done, ctx);
	if (resize->leaving && resize->qmp)
		start_wait(resize, &resize->vcpus, &resize->vcpus_wait);
	else
		r = execute(resize, "query-hotpluggable-cpus", NULL, &resize->vcpus, on_places,
		            err);
	if (r < 0)
		resize->vcpus.done = NULL;
	return r;
}

void resize_on_event(struct resize *resize, const char *name, const json_t *data)
{
	if (!strcmp(name, "MEMORY_DEVICE_SIZE_CHANGE"))
		on_memory_event(resize, data);
	else if (!strcmp(name, "DEVICE_DELETED"))
		on_deleted(resize, json_string_value(json_object_get(data, "path")));
	else if (!strcmp(name, "ACPI_DEVICE_OST"))
		on_verdict(resize, json_object_get(data, "info"));
}

static void start_wait_again(struct resize *resize, ev_timer *wait)
{
	ev_timer_stop(resize->loop, wait);
	ev_timer_set(wait, 0, 0);
	ev_timer_start(resize->loop, wait);
}

void resize_hurry(struct resize *resize)
{
	resize->hurries = true;
	if (ev_is_active(&resize->memory_wait))
		start_wait_again(resize, &resize->memory_wait);
	if (ev_is_active(&resize->vcpus_wait))
		start_wait_again(resize, &resize->vcpus_wait);
}

unsigned int resize_vcpus_there(const struct resize *resize)
{
	return resize->vcpus_there;
}

uint64_t resize_memory_given(const struct resize *resize)
{
	return (uint64_t)resize->memory_given;
}

struct resize *resize_create(struct ev_loop *loop)
{
	struct resize *resize = mem_new(struct resize);

	resize->loop = loop;
	ev_timer_init(&resize->memory_wait, on_memory_wait_over, 0, 0);
	resize->memory_wait.data = resize;
	ev_timer_init(&resize->vcpus_wait, on_vcpus_wait_over, 0, 0);
	resize->vcpus_wait.data = resize;
	return resize;
}

void resize_connect(struct resize *resize, struct qmp *qmp)
{
	resize->qmp = qmp;
}

void resize_disconnect(struct resize *resize, const struct error *why)
{
	resize->qmp = NULL;
	if (resize->memory.done)
		memory_end(resize, why);
	if (resize->vcpus.done)
		vcpus_end(resize, why);
}

void resize_destroy(struct resize *resize)
{
	if (!resize)
		return;
	ev_timer_stop(resize->loop, &resize->memory_wait);
	ev_timer_stop(resize->loop, &resize->vcpus_wait);
	json_decref(resize->places);
	free(resize->leaving);
	free(resize->memory_id);
	free(resize);
}
