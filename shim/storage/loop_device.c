#include "shim/storage/loop_device.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>

#include "common/cleanup.h"
#include "common/error.h"

#define CONTROL  "/dev/loop-control"
#define ATTEMPTS 100 /* another may take the device first */

static int configure(int device, int file, bool read_only)
{
	const struct loop_config config = {
		.fd = (__u32)file,
		.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0),
	};

	return ioctl(device, LOOP_CONFIGURE, &config);
}

int loop_device_open(int file, bool read_only, char node[LOOP_DEVICE_NODE_MAX], struct error *err)
{
	autoclose int control = open(CONTROL, O_RDWR | O_CLOEXEC);

	if (control < 0)
		return error_errno(err, "cannot open " CONTROL);
	for (int i = 0; i < ATTEMPTS; i++) {
		autoclose int device = -1;
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		if (number < 0)
			return error_errno(err, "cannot get a loop device");
		snprintf(node, LOOP_DEVICE_NODE_MAX, "/dev/loop%d", number);
		device = open(node, (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
		if (device < 0)
			return error_errno(err, "cannot open %s", node);
		if (configure(device, file, read_only) == 0)
			return take_fd(&device);
		if (errno != EBUSY)
			return error_errno(err, "cannot make %s a file", node);
	}
	return error_set(err, ERROR_UNAVAILABLE, "cannot get a loop device: all are taken");
}
