/*
 * The Task service as containerd calls it, v2 and v3: one table of methods for both, since their
 * messages have the same fields and only the package's name differs.
 */
#ifndef SHIM_TASK_H
#define SHIM_TASK_H

#include "proto/ttrpc/ttrpc_server.h"

/* Ended by a zero row. The server's ctx is a struct pod. */
extern const struct ttrpc_method task_methods[];

#endif
