#include "shim/network/vhost_net.h"

#include <fcntl.h>
#include <linux/vhost.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

#define DEVICE "/dev/vhost-net"

/* The file alone does not say that it works. */
static int open_queue(struct error *err)
{
	autoclose int fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	uint64_t features;

	if (fd < 0 || ioctl(fd, VHOST_GET_FEATURES, &features) < 0)
		return error_errno(err, "cannot use \"" DEVICE "\"");
	return take_fd(&fd);
}

int vhost_net_open(unsigned int n, int *fds, struct error *err)
{
	for (unsigned int i = 0; i < n; i++) {
		fds[i] = open_queue(err);
		if (fds[i] >= 0)
			continue;
		while (i > 0)
			close(take_fd(&fds[--i]));
		return error_code_errno(err->code);
	}
	return 0;
}
