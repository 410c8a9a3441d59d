/*
 * A device as QEMU is told of it: a backend, which is what it is on the host, and a frontend, which
 * is what the guest sees. Both are the same for the two ways a device comes in: on the command
 * line, and by commands of QMP.
 */
#ifndef HYPERVISOR_QEMU_DEVICE_H
#define HYPERVISOR_QEMU_DEVICE_H

#include <jansson.h>

#include "hypervisor/vm_device.h"

struct arg_list;
struct error;

#define DEVICE_NO_PORT (-1) /* on the root bus, where nothing can be unplugged */

/* How QEMU gets the descriptor of a device, and what its backend calls it. */
enum device_passing {
	DEVICE_BY_NAME,   /* getfd: a name, which the backend takes */
	DEVICE_BY_SET,    /* add-fd: /dev/fdset/<its port>, of which QEMU makes duplicates */
	DEVICE_BY_NUMBER, /* add-fd: /proc/self/fd/<the descriptor>, which QEMU opens again */
};

/* What is the same for all devices of a kind. */
struct device_kind {
	enum device_passing passing;
	const char *add; /* the QMP commands of its backend */
	const char *remove;
	const char *remove_key; /* the argument of @remove that is the device's id */
};

const struct device_kind *device_kind(const struct vm_device *device);

/* Whether @device can be one: its id, its serial, its queues, what its descriptor is. */
int device_check(const struct vm_device *device, struct error *err);

/* The arguments of device_add on @port, or DEVICE_NO_PORT. */
json_t *device_frontend(const struct vm_device *device, int port);

/* What QEMU calls the descriptors, joined by ':': each "<prefix><its place>"; with no @prefix its
 * number. free() it. */
char *device_fd_names(const struct vm_device *device, const char *prefix);

/* The arguments of the kind's @add; @fd_names is what QEMU calls the descriptors, joined by ':'. */
json_t *device_backend(const struct vm_device *device, const char *fd_names);

/* Appends the options of the command line. QEMU inherits the descriptors under the same numbers. */
void device_add_args(struct arg_list *list, const struct vm_device *device, int port);

/* Appends the option that makes root port @port. */
void device_add_port_args(struct arg_list *list, int port);

/* Where the guest finds what is on root port @port: see vm_device_path(). */
void device_port_path(int port, char path[VM_DEVICE_PATH_MAX]);

#endif
