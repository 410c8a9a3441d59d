/*
 * Devices that the guest has of its own: those whose number means the same in every Linux (kernel
 * Documentation/admin-guide/devices.txt) and that are nothing of the host's. What a container is
 * given of them is the guest's, with the path, mode and owner that its spec says.
 */
#ifndef SHIM_GUEST_DEVICES_H
#define SHIM_GUEST_DEVICES_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/oci.pb-c.h"

struct error;

/* The name below /dev of a device (@mode: S_IFCHR or S_IFBLK) that each Linux has by this number; NULL:
 * the guest has none. A loop device of the host that has a file is a disk of the host's. */
const char *guest_devices_name(mode_t mode, dev_t number);

/*
 * Whether @device, of @linux, is a block device of the host that becomes a disk of the machine: not
 * one of the guest's own. Where all devices are permitted those are none that have their path on the
 * host: who lists all that is below /dev does not want the host's disks in the machine.
 */
bool guest_devices_is_disk(const Grpc__Linux *linux, const Grpc__LinuxDevice *device);

/*
 * Leaves in linux.devices those of the guest, disks, and FIFOs, with no more of their mode than mknod(2)
 * sets. Any other one is refused by name (ERROR_UNIMPLEMENTED), or, where all devices are permitted
 * (proto/all_devices.h), taken out, with one line in the log for all of them.
 */
int guest_devices_apply(Grpc__Linux *linux, struct error *err);

#endif
