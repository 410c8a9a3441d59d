#include "hypervisor/qemu/resize.h"

#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "common/mem.h"
#include "common/monotonic.h"
#include "hypervisor/qemu/qmp.h"

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
	ev_timer memory_wait; /* for the guest, to take or give back */
	struct change vcpus;
	unsigned int vcpus_wanted;
	unsigned int vcpus_there;
	json_t *places; /* what QEMU says of each processor, those that can be plugged among them */
};

static void change_begin(struct resize *resize, struct change *change, int timeout_ms,
                         done_fn *done, void *ctx)
{
	change->timeout_ms = timeout_ms;
	change->deadline = monotonic_ms() + timeout_ms;
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

	if (!resize->qmp) {
		json_decref(args);
		return error_set(err, ERROR_UNAVAILABLE, "QEMU has gone");
	}
	return qmp_execute(resize->qmp, name, args, left_ms > 1 ? (int)left_ms : 1, done, resize,
	                   err);
}

/* Memory: QEMU is told how much the guest is to have; the guest takes it, and QEMU tells. */

static void memory_end(struct resize *resize, const struct error *err)
{
	ev_timer_stop(resize->loop, &resize->memory_wait);
	change_end(&resize->memory, err);
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
	int64_t left_ms = resize->memory.deadline - monotonic_ms();

	resize->memory_given = json_integer_value(result);
	if (err || resize->memory_given == resize->memory_wanted) {
		memory_end(resize, err);
		return;
	}
	ev_timer_set(&resize->memory_wait, left_ms > 0 ? left_ms / 1e3 : 0, 0);
	ev_timer_start(resize->loop, &resize->memory_wait);
}

static json_t *memory_property(const struct resize *resize, const char *name)
{
	autofree char *path = mem_printf("/machine/peripheral/%s", resize->memory_id);

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

void resize_on_event(struct resize *resize, const char *name, const json_t *data)
{
	const char *id = json_string_value(json_object_get(data, "id"));

	if (!ev_is_active(&resize->memory_wait) || !id || strcmp(id, resize->memory_id) != 0 ||
	    strcmp(name, "MEMORY_DEVICE_SIZE_CHANGE") != 0)
		return;
	resize->memory_given = json_integer_value(json_object_get(data, "size"));
	if (resize->memory_given == resize->memory_wanted)
		memory_end(resize, NULL);
}

int resize_memory(struct resize *resize, const char *id, uint64_t mib, int timeout_ms,
                  done_fn *done, void *ctx, struct error *err)
{
	json_t *args;
	int r;

	free(resize->memory_id);
	resize->memory_id = mem_strdup(id);
	resize->memory_wanted = (json_int_t)mib << 20;
	change_begin(resize, &resize->memory, timeout_ms, done, ctx);
	args = memory_property(resize, "requested-size");
	json_object_set_new(args, "value", json_integer(resize->memory_wanted));
	r = execute(resize, "qom-set", args, &resize->memory, on_memory_requested, err);
	if (r < 0)
		resize->memory.done = NULL;
	return r;
}

/* Processors: QEMU says where one can be plugged, and takes one after the other. */

static void vcpus_end(struct resize *resize, const struct error *err)
{
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

static void on_places(void *ctx, const json_t *result, const struct error *err)
{
	struct resize *resize = ctx;
	struct error refused;

	if (err) {
		vcpus_end(resize, err);
		return;
	}
	resize->places = json_deep_copy(result);
	resize->vcpus_there = 0;
	for (size_t i = 0; i < json_array_size(result); i++)
		resize->vcpus_there +=
			json_object_get(json_array_get(result, i), "qom-path") != NULL;
	if (resize->vcpus_there > resize->vcpus_wanted) {
		error_set(&refused, ERROR_UNIMPLEMENTED, "taking vCPUs away: not supported");
		vcpus_end(resize, &refused);
		return;
	}
	plug_next_vcpu(resize);
}

int resize_vcpus(struct resize *resize, unsigned int count, int timeout_ms, done_fn *done,
                 void *ctx, struct error *err)
{
	int r;

	resize->vcpus_wanted = count;
	change_begin(resize, &resize->vcpus, timeout_ms, done, ctx);
	r = execute(resize, "query-hotpluggable-cpus", NULL, &resize->vcpus, on_places, err);
	if (r < 0)
		resize->vcpus.done = NULL;
	return r;
}

struct resize *resize_create(struct ev_loop *loop)
{
	struct resize *resize = mem_new(struct resize);

	resize->loop = loop;
	ev_timer_init(&resize->memory_wait, on_memory_wait_over, 0, 0);
	resize->memory_wait.data = resize;
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
	json_decref(resize->places);
	free(resize->memory_id);
	free(resize);
}
