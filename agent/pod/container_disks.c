#include "agent/pod/container_disks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "agent/guest/storage_driver.h"
#include "common/mem.h"

#define LOOP_MAJOR 7 /* of the guest's own loop devices: linux/major.h */

/* A row of linux.devices, with the number that it had on the host. */
struct row {
	Grpc__LinuxDevice *device;
	size_t disk; /* disk_wait_found() */
	int64_t major, minor;
};

struct container_disks {
	struct disk_wait *wait;
	Grpc__Spec *spec;
	struct row *rows;
	size_t n_rows;
	done_fn *done;
	void *ctx;
};

static Grpc__LinuxDevice *find_row(const Grpc__Spec *spec, const char *path)
{
	for (size_t i = 0; spec && spec->linux && i < spec->linux->n_devices; i++) {
		Grpc__LinuxDevice *device = spec->linux->devices[i];

		if (!strcmp(device->path, path) && !strcmp(device->type, "b"))
			return device;
	}
	return NULL;
}

static int add_device(struct container_disks *disks, const Grpc__Device *message, size_t i,
                      struct error *err)
{
	struct row *row;

	if (strcmp(message->type, STORAGE_DRIVER_DISK) != 0)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "CreateContainer: devices[%zu].type \"%s\": not supported", i,
		                 message->type);
	disks->rows = mem_realloc(disks->rows, (disks->n_rows + 1) * sizeof(*row));
	row = &disks->rows[disks->n_rows];
	row->device = find_row(disks->spec, message->container_path);
	if (!row->device)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "CreateContainer: devices[%zu]: linux.devices has no block device "
		                 "\"%s\"",
		                 i, message->container_path);
	row->major = row->device->major;
	row->minor = row->device->minor;
	row->disk = disk_wait_add(disks->wait, message->id);
	disks->n_rows++;
	return 0;
}

int container_disks_create(const struct disk_wait_config *config,
                           const Grpc__CreateContainerRequest *request, Grpc__Spec *spec,
                           struct container_disks **out, struct error *err)
{
	autodestroy(container_disks) struct container_disks *disks =
		mem_new(struct container_disks);

	disks->wait = disk_wait_create(config);
	disks->spec = spec;
	for (size_t i = 0; i < request->n_devices; i++) {
		int r = add_device(disks, request->devices[i], i, err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < request->n_storages; i++)
		if (!strcmp(request->storages[i]->driver, STORAGE_DRIVER_DISK))
			disk_wait_add(disks->wait, request->storages[i]->source);
	*out = take_ptr(&disks);
	return 0;
}

void container_disks_destroy(struct container_disks *disks)
{
	if (!disks)
		return;
	disk_wait_destroy(disks->wait);
	free(disks->rows);
	free(disks);
}

static const struct row *row_of_rule(const struct container_disks *disks,
                                     const Grpc__LinuxDeviceCgroup *rule)
{
	for (size_t i = 0; i < disks->n_rows; i++)
		if (disks->rows[i].major == rule->major && disks->rows[i].minor == rule->minor)
			return &disks->rows[i];
	return NULL;
}

/* Whether a rule allows a block device of the host that the container does not have: in the guest
 * the number may be that of another container's disk. */
static bool is_of_none(const Grpc__LinuxDeviceCgroup *rule)
{
	return rule->allow && rule->major >= 0 && rule->major != LOOP_MAJOR;
}

static void translate_rules(const struct container_disks *disks, Grpc__LinuxResources *resources)
{
	size_t kept = 0;

	for (size_t i = 0; i < resources->n_devices; i++) {
		Grpc__LinuxDeviceCgroup *rule = resources->devices[i];
		const struct row *row;

		if (!strcmp(rule->type, "b")) {
			row = row_of_rule(disks, rule);
			if (row) {
				rule->major = row->device->major;
				rule->minor = row->device->minor;
			} else if (is_of_none(rule)) {
				grpc__linux_device_cgroup__free_unpacked(rule, NULL);
				continue;
			}
		}
		resources->devices[kept++] = rule;
	}
	resources->n_devices = kept;
}

static void translate(const struct container_disks *disks)
{
	for (size_t i = 0; i < disks->n_rows; i++) {
		const struct row *row = &disks->rows[i];
		dev_t number = disk_wait_found(disks->wait, row->disk)->number;

		row->device->major = major(number);
		row->device->minor = minor(number);
	}
	if (disks->spec && disks->spec->linux && disks->spec->linux->resources)
		translate_rules(disks, disks->spec->linux->resources);
}

static void on_found(void *ctx, const struct error *err)
{
	struct container_disks *disks = ctx;

	if (!err)
		translate(disks);
	disks->done(disks->ctx, err);
}

void container_disks_await(struct container_disks *disks, done_fn *done, void *ctx)
{
	disks->done = done;
	disks->ctx = ctx;
	disk_wait_start(disks->wait, on_found, disks);
}

void container_disks_cancel(struct container_disks *disks)
{
	disk_wait_cancel(disks->wait);
}
