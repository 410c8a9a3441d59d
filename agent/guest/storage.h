/*
 * A file system that the host asks to be mounted in the guest (Storage of agent.proto). Drivers are
 * rows of a table; one that is not there is refused by name.
 */
#ifndef AGENT_STORAGE_H
#define AGENT_STORAGE_H

#include "proto/agent.pb-c.h"

struct error;

/* The mount point is made when it is missing. One that is mounted already is an error. */
int storage_mount(const Grpc__Storage *storage, struct error *err);

/* Detaches it: never waits for processes that still use it. */
int storage_unmount(const char *mount_point, struct error *err);

/* The drivers' names, for GetGuestDetails; NULL-terminated. */
const char *const *storage_drivers(void);

#endif
