#include "shim/storage/spec_disks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "common/mem.h"
#include "shim/spec/guest_devices.h"
#include "shim/storage/disk_source.h"

struct spec_disk {
	struct disk_source source;
	Grpc__Device device;
};

struct spec_disks {
	struct spec_disk *all;
	size_t n;
	Grpc__Device **devices; /* spec_disks_devices() */
};

static bool is_of(const Grpc__LinuxDeviceCgroup *rule, const Grpc__LinuxDevice *device)
{
	return (!*rule->type || !strcmp(rule->type, "a") || !strcmp(rule->type, "b")) &&
	       (rule->major < 0 || rule->major == device->major) &&
	       (rule->minor < 0 || rule->minor == device->minor);
}

/* The last rule that speaks of it decides. */
static bool may_write(const Grpc__LinuxResources *resources, const Grpc__LinuxDevice *device)
{
	bool may = false;

	for (size_t i = 0; resources && i < resources->n_devices; i++) {
		const Grpc__LinuxDeviceCgroup *rule = resources->devices[i];

		if (is_of(rule, device) && (!*rule->access || strchr(rule->access, 'w')))
			may = rule->allow;
	}
	return may;
}

static void add_device(struct spec_disks *disks, const Grpc__Linux *linux_spec,
                       const Grpc__LinuxDevice *device)
{
	struct spec_disk *disk;

	disks->all = mem_realloc(disks->all, (disks->n + 1) * sizeof(*disks->all));
	disk = &disks->all[disks->n++];
	disk->source = (struct disk_source){
		.number = makedev(device->major, device->minor),
		.read_only = !may_write(linux_spec->resources, device),
	};
	grpc__device__init(&disk->device);
	disk->device.type = "blk";
	disk->device.container_path = mem_strdup(device->path);
}

struct spec_disks *spec_disks_take(const Grpc__Spec *spec)
{
	struct spec_disks *disks = mem_new(struct spec_disks);

	for (size_t i = 0; spec->linux && i < spec->linux->n_devices; i++)
		if (guest_devices_is_disk(spec->linux, spec->linux->devices[i]))
			add_device(disks, spec->linux, spec->linux->devices[i]);
	if (disks->n)
		return disks;
	free(disks);
	return NULL;
}

void spec_disks_destroy(struct spec_disks *disks)
{
	if (!disks)
		return;
	for (size_t i = 0; i < disks->n; i++) {
		free(disks->all[i].device.container_path);
		if (disks->all[i].device.id != protobuf_c_empty_string)
			free(disks->all[i].device.id);
	}
	free(disks->all);
	free(disks->devices);
	free(disks);
}

size_t spec_disks_count(const struct spec_disks *disks)
{
	return disks->n;
}

const struct disk_source *spec_disks_source(const struct spec_disks *disks, size_t number)
{
	return &disks->all[number].source;
}

void spec_disks_place(struct spec_disks *disks, size_t number, const char *path)
{
	disks->all[number].device.id = mem_strdup(path);
}

size_t spec_disks_devices(struct spec_disks *disks, Grpc__Device ***out)
{
	disks->devices = mem_realloc(disks->devices, disks->n * sizeof(*disks->devices));
	for (size_t i = 0; i < disks->n; i++)
		disks->devices[i] = &disks->all[i].device;
	*out = disks->devices;
	return disks->n;
}
