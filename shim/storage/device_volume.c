#include "shim/storage/device_volume.h"

#include "common/mem.h"
#include "shim/spec/guest_devices.h"

bool device_volume_find(const struct stat *file, struct device_volume *out)
{
	if (!S_ISCHR(file->st_mode) || !guest_devices_name(S_IFCHR, file->st_rdev))
		return false;
	*out = (struct device_volume){
		.number = file->st_rdev,
		.mode = file->st_mode & 07777,
		.uid = file->st_uid,
		.gid = file->st_gid,
	};
	return true;
}

char *device_volume_path(const struct device_volume *device)
{
	return mem_printf("/dev/%s", guest_devices_name(S_IFCHR, device->number));
}
