/*
 * How QEMU is passed the descriptors of a device that is plugged in: by QMP commands, one for each.
 * Its backend is told of them by what QEMU calls them then.
 */
#ifndef HYPERVISOR_QEMU_FD_PASSING_H
#define HYPERVISOR_QEMU_FD_PASSING_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct qmp;
struct vm_device;

#define FD_PASSING_NAME_MAX 48

struct fd_passing {
	struct qmp *qmp;
	const struct vm_device *device;
	int set;                        /* of add-fd */
	int64_t deadline;               /* of monotonic_ms() */
	char name[FD_PASSING_NAME_MAX]; /* of the descriptor; of several what each begins with */
	size_t n;                       /* that QEMU has */
	struct error cause;
	done_fn *done;
	void *ctx;
};

/* @device and @qmp stay the caller's until @done, which comes from the loop. With an error QEMU has
 * none of them, if it answers. @set: that no other device has. */
int fd_passing_start(struct fd_passing *passing, struct qmp *qmp, const struct vm_device *device,
                     int set, int64_t deadline, done_fn *done, void *ctx, struct error *err);

/* What was passed is taken back, unless a backend has taken it. */
int fd_passing_undo(struct fd_passing *passing, struct qmp *qmp, int64_t deadline, done_fn *done,
                    void *ctx, struct error *err);

/* What QEMU calls all of them, as device_backend() takes it. free() it. */
char *fd_passing_names(const struct fd_passing *passing);

#endif
