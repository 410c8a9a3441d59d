#include "shim/storage/spec_disks.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/error.h"
#include "common/mem.h"
#include "common/mount_words.h"
#include "shim/spec/guest_devices.h"
#include "shim/spec/guest_paths.h"
#include "shim/spec/guest_spec.h"
#include "shim/storage/direct_volume.h"
#include "shim/storage/disk_source.h"

#define MODE_BITS 07777
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))

struct spec_disk {
	struct disk_source source;
	bool is_device;
	Grpc__Device device;
	Grpc__Mount *mount; /* the spec's; else: */
	Grpc__Storage storage;
	Grpc__FSGroup group; /* of the storage, where that has one */
};

struct spec_disks {
	struct spec_disk **all;
	size_t n;
	Grpc__Device **devices; /* spec_disks_put() */
	Grpc__Storage **storages;
};

/* File systems of the guest that are on one disk. */
static const char *const disk_file_systems[] = {
	"btrfs",   "erofs", "exfat",    "ext2", "ext3", "ext4",
	"iso9660", "msdos", "squashfs", "udf",  "vfat", "xfs",
};

static struct spec_disk *add(struct spec_disks *disks)
{
	disks->all = mem_realloc(disks->all, (disks->n + 1) * sizeof(void *));
	disks->all[disks->n] = mem_new(struct spec_disk);
	return disks->all[disks->n++];
}

static void set_text(char **text, char *value)
{
	if (*text != protobuf_c_empty_string)
		free(*text);
	*text = value;
}

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
	struct spec_disk *disk = add(disks);

	disk->is_device = true;
	disk->source = (struct disk_source){
		.number = makedev(device->major, device->minor),
		.read_only = !may_write(linux_spec->resources, device),
	};
	grpc__device__init(&disk->device);
	disk->device.type = "blk";
	disk->device.container_path = mem_strdup(device->path);
}

/* A bind whose source is a disk's node. Where else such a node may be, looking could take forever. */
static bool binds_disk(const Grpc__Mount *mount, struct stat *st)
{
	return guest_spec_is_bind(mount) && !strncmp(mount->source, "/dev/", strlen("/dev/")) &&
	       stat(mount->source, st) == 0 && S_ISBLK(st->st_mode) &&
	       !guest_devices_name(st->st_mode, st->st_rdev);
}

static void append_device(Grpc__Linux *linux_spec, const char *path, const struct stat *st)
{
	Grpc__LinuxDevice *device = mem_new(Grpc__LinuxDevice);

	grpc__linux_device__init(device);
	device->path = mem_strdup(path);
	device->type = mem_strdup("b");
	device->major = major(st->st_rdev);
	device->minor = minor(st->st_rdev);
	device->filemode = st->st_mode & MODE_BITS;
	device->uid = st->st_uid;
	device->gid = st->st_gid;
	linux_spec->devices =
		mem_realloc(linux_spec->devices, (linux_spec->n_devices + 1) * sizeof(void *));
	linux_spec->devices[linux_spec->n_devices++] = device;
}

/* What the container sees is the same: a node, with the mode and owner of the host's. */
static void binds_to_devices(Grpc__Spec *spec)
{
	size_t kept = 0;

	for (size_t i = 0; spec->linux && i < spec->n_mounts; i++) {
		Grpc__Mount *mount = spec->mounts[i];
		struct stat st;

		if (!binds_disk(mount, &st)) {
			spec->mounts[kept++] = mount;
			continue;
		}
		append_device(spec->linux, mount->destination, &st);
		grpc__mount__free_unpacked(mount, NULL);
	}
	if (spec->linux)
		spec->n_mounts = kept;
}

static bool is_on_disk(const Grpc__Mount *mount)
{
	if (guest_spec_is_bind(mount) || *mount->source != '/')
		return false;
	for (size_t i = 0; i < COUNT(disk_file_systems); i++)
		if (!strcmp(mount->type, disk_file_systems[i]))
			return true;
	return false;
}

/* What mount(8) does for itself: the disk is as good as a loop device. */
static bool is_for_mount(const char *option)
{
	return !strcmp(option, "loop");
}

static bool is_read_only(const Grpc__Mount *mount)
{
	bool read_only = false;

	for (size_t i = 0; i < mount->n_options; i++) {
		if (!strcmp(mount->options[i], "ro") || !strcmp(mount->options[i], "rro"))
			read_only = true;
		else if (!strcmp(mount->options[i], "rw"))
			read_only = false;
	}
	return read_only;
}

/* The words of the mount itself go with the bind, but those of access times and the like with both. */
static bool is_of_storage(const char *option)
{
	const struct mount_word *word = mount_word_find(option);

	return !is_for_mount(option) && (!word || word->kind == MOUNT_WORD_FLAG);
}

static struct spec_disk *add_mount(struct spec_disks *disks, Grpc__Mount *mount, const char *id)
{
	struct spec_disk *disk = add(disks);
	Grpc__Storage *storage = &disk->storage;

	disk->mount = mount;
	disk->source = (struct disk_source){
		.path = mem_strdup(mount->source),
		.read_only = is_read_only(mount),
	};
	grpc__storage__init(storage);
	storage->driver = "blk";
	storage->fstype = mem_strdup(mount->type);
	storage->mount_point = mem_printf(GUEST_DISKS "/%s/%zu", id, disks->n - 1);
	storage->options = mem_alloc((mount->n_options + 1) * sizeof(char *));
	for (size_t i = 0; i < mount->n_options; i++)
		if (is_of_storage(mount->options[i]))
			storage->options[storage->n_options++] = mem_strdup(mount->options[i]);
	return disk;
}

static bool is_bind_word(const char *option)
{
	return !strcmp(option, "bind") || !strcmp(option, "rbind");
}

/* The options of the record come first: the mount may be read-only all the same. */
static void replace_options(Grpc__Mount *mount, const struct direct_volume *volume)
{
	char **options = mem_alloc((volume->n_options + mount->n_options + 1) * sizeof(char *));
	size_t n = 0;

	for (size_t i = 0; i < volume->n_options; i++)
		options[n++] = mem_strdup(volume->options[i]);
	for (size_t i = 0; i < mount->n_options; i++) {
		if (is_bind_word(mount->options[i]) || !strcmp(mount->options[i], "rw"))
			free(mount->options[i]);
		else
			options[n++] = mount->options[i];
	}
	free(mount->options);
	mount->options = options;
	mount->n_options = n;
}

static void add_direct(struct spec_disks *disks, Grpc__Mount *mount, const char *id,
                       const struct direct_volume *volume)
{
	bool on_root_mismatch = false;
	struct spec_disk *disk;
	uint32_t group;

	set_text(&mount->type, mem_strdup(volume->fstype));
	set_text(&mount->source, mem_strdup(volume->device));
	replace_options(mount, volume);
	disk = add_mount(disks, mount, id);
	if (!direct_volume_group(volume, &group, &on_root_mismatch))
		return;
	grpc__fsgroup__init(&disk->group);
	disk->group.group_id = group;
	disk->group.group_change_policy = on_root_mismatch
	                                          ? TYPES__FSGROUP_CHANGE_POLICY__OnRootMismatch
	                                          : TYPES__FSGROUP_CHANGE_POLICY__Always;
	disk->storage.fs_group = &disk->group;
}

static int take_mount(struct spec_disks *disks, Grpc__Mount *mount, const char *id,
                      const char *records, struct error *err)
{
	autodestroy(direct_volume) struct direct_volume *volume = NULL;

	if (is_on_disk(mount)) {
		add_mount(disks, mount, id);
		return 0;
	}
	if (!guest_spec_is_bind(mount))
		return 0;
	if (direct_volume_find(records, mount->source, &volume, err) < 0)
		return error_wrap(err, "mount \"%s\"", mount->destination);
	if (volume)
		add_direct(disks, mount, id, volume);
	return 0;
}

int spec_disks_take(Grpc__Spec *spec, const char *id, const char *records, struct spec_disks **out,
                    struct error *err)
{
	autodestroy(spec_disks) struct spec_disks *disks = mem_new(struct spec_disks);

	*out = NULL;
	binds_to_devices(spec);
	for (size_t i = 0; spec->linux && i < spec->linux->n_devices; i++)
		if (guest_devices_is_disk(spec->linux, spec->linux->devices[i]))
			add_device(disks, spec->linux, spec->linux->devices[i]);
	for (size_t i = 0; i < spec->n_mounts; i++) {
		int r = take_mount(disks, spec->mounts[i], id, records, err);

		if (r < 0)
			return r;
	}
	if (disks->n)
		*out = take_ptr(&disks);
	return 0;
}

static void bind(struct spec_disk *disk)
{
	Grpc__Mount *mount = disk->mount;
	size_t kept = 0;

	set_text(&mount->type, mem_strdup("bind"));
	set_text(&mount->source, mem_strdup(disk->storage.mount_point));
	for (size_t i = 0; i < mount->n_options; i++) {
		if (mount_word_find(mount->options[i]))
			mount->options[kept++] = mount->options[i];
		else
			free(mount->options[i]);
	}
	mount->n_options = kept;
}

void spec_disks_bind(struct spec_disks *disks)
{
	for (size_t i = 0; disks && i < disks->n; i++)
		if (disks->all[i]->mount)
			bind(disks->all[i]);
}

static void disk_free(struct spec_disk *disk)
{
	free((char *)disk->source.path);
	if (disk->is_device) {
		free(disk->device.container_path);
		set_text(&disk->device.id, NULL);
	} else {
		for (size_t i = 0; i < disk->storage.n_options; i++)
			free(disk->storage.options[i]);
		free(disk->storage.options);
		free(disk->storage.fstype);
		free(disk->storage.mount_point);
		set_text(&disk->storage.source, NULL);
	}
	free(disk);
}

void spec_disks_destroy(struct spec_disks *disks)
{
	if (!disks)
		return;
	for (size_t i = 0; i < disks->n; i++)
		disk_free(disks->all[i]);
	free(disks->all);
	free(disks->devices);
	free(disks->storages);
	free(disks);
}

size_t spec_disks_count(const struct spec_disks *disks)
{
	return disks->n;
}

const struct disk_source *spec_disks_source(const struct spec_disks *disks, size_t number)
{
	return &disks->all[number]->source;
}

void spec_disks_place(struct spec_disks *disks, size_t number, const char *path)
{
	struct spec_disk *disk = disks->all[number];

	set_text(disk->is_device ? &disk->device.id : &disk->storage.source, mem_strdup(path));
}

void spec_disks_put(struct spec_disks *disks, Grpc__CreateContainerRequest *request)
{
	disks->devices = mem_realloc(disks->devices, disks->n * sizeof(void *));
	disks->storages =
		mem_realloc(disks->storages, (request->n_storages + disks->n) * sizeof(void *));
	for (size_t i = 0; i < request->n_storages; i++)
		disks->storages[i] = request->storages[i];
	for (size_t i = 0; i < disks->n; i++) {
		struct spec_disk *disk = disks->all[i];

		if (disk->is_device)
			disks->devices[request->n_devices++] = &disk->device;
		else
			disks->storages[request->n_storages++] = &disk->storage;
	}
	request->devices = disks->devices;
	request->storages = disks->storages;
}
