/* Directories of the guest that shim and agent know by name. */
#ifndef PROTO_GUEST_DIRS_H
#define PROTO_GUEST_DIRS_H

/*
 * The pod's volumes in memory: each a storage of driver "ephemeral", mounted on a directory of its own
 * here. Containers write there: a path below one is looked up within it, and is made where it is not
 * there, as a directory, for a mount of it.
 */
#define GUEST_EPHEMERAL "/run/kata-containers/sandbox/ephemeral"

/*
 * Devices that containers bind: each a storage of driver "device", mounted on a directory of its own
 * here, which has this one file. Its source is the number, "10:229".
 */
#define GUEST_DEVICES     "/run/kata-containers/sandbox/devices"
#define GUEST_DEVICE_NAME "device"

#endif
