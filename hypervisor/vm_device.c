#include "hypervisor/vm_device.h"

#include <fcntl.h>
#include <stdlib.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

unsigned int vm_device_queues(const struct vm_device *device)
{
	return device->queues ? device->queues : 1;
}

size_t vm_device_count_fds(const struct vm_device *device)
{
	size_t queues = vm_device_queues(device);

	if (device->kind != VM_DEVICE_NIC)
		return 1;
	return device->vhost ? 2 * queues : queues;
}

int vm_device_fd(const struct vm_device *device, size_t i)
{
	return i == 0 ? device->fd : device->more_fds[i - 1];
}

static int *place_of_fd(struct vm_device *device, size_t i)
{
	return i == 0 ? &device->fd : &device->more_fds[i - 1];
}

void vm_device_copy(const struct vm_device *from, struct vm_device *to)
{
	*to = *from;
	to->id = mem_strdup(from->id);
	to->tag = mem_strdup(from->tag);
	to->serial = mem_strdup(from->serial);
	for (size_t i = 0; i < VM_DEVICE_FDS_MAX; i++)
		*place_of_fd(to, i) = -1;
}

int vm_device_dup_fds(const struct vm_device *from, struct vm_device *to, struct error *err)
{
	for (size_t i = 0; i < vm_device_count_fds(from); i++) {
		int fd = fcntl(vm_device_fd(from, i), F_DUPFD_CLOEXEC, 0);

		if (fd < 0) {
			error_errno(err, "cannot duplicate its descriptor");
			vm_device_close_fds(to);
			return error_code_errno(err->code);
		}
		*place_of_fd(to, i) = fd;
	}
	return 0;
}

void vm_device_close_fds(struct vm_device *device)
{
	for (size_t i = 0; i < vm_device_count_fds(device); i++)
		cleanup_close(place_of_fd(device, i));
}

void vm_device_fini(struct vm_device *device)
{
	vm_device_close_fds(device);
	free((char *)device->id);
	free((char *)device->tag);
	free((char *)device->serial);
	*device = (struct vm_device){ .fd = -1 };
}
