/* A regular file as a block device of the host, which is gone when nobody has it open or mounted. */
#ifndef SHIM_LOOP_DEVICE_H
#define SHIM_LOOP_DEVICE_H

#include <stdbool.h>

struct error;

#define LOOP_DEVICE_NODE_MAX 32

/* Returns a descriptor of the device, whose name is @node: to be mounted before it is closed. For a
 * child process: it may block. */
int loop_device_open(int file, bool read_only, char node[LOOP_DEVICE_NODE_MAX], struct error *err);

#endif
