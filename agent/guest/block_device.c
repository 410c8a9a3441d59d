#include "agent/guest/block_device.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "agent/base/kernel_file.h"
#include "agent/guest/pci_path.h"
#include "common/cleanup.h"
#include "common/error.h"

#define NUMBER_MAX 32 /* "254:16\n" */

static int read_number(int disk, dev_t *out)
{
	char text[NUMBER_MAX];
	unsigned int major;
	unsigned int minor;

	if (kernel_file_read(disk, "dev", text, sizeof(text), NULL) < 0 ||
	    sscanf(text, "%u:%u", &major, &minor) != 2)
		return -1;
	*out = makedev(major, minor);
	return 0;
}

int block_device_find(const char *root, const char *path, struct block_device *out,
                      struct error *err)
{
	struct block_device found;
	char name[NAME_MAX + 1];
	autoclose int disk = pci_path_open(root, path, "block", name);
	struct stat st;

	if (disk == -EINVAL)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid PCI path \"%s\"", path);
	if (disk < 0 || read_number(disk, &found.number) < 0 ||
	    (size_t)snprintf(found.node, sizeof(found.node), "/dev/%s", name) >=
	            sizeof(found.node) ||
	    stat(found.node, &st) < 0 || !S_ISBLK(st.st_mode) || st.st_rdev != found.number)
		return error_set(err, ERROR_NOT_FOUND, "no disk at \"%s\"", path);
	*out = found;
	return 0;
}
