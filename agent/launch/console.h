/*
 * A container's pseudo-terminal, one of its own devpts.
 */
#ifndef AGENT_CONSOLE_H
#define AGENT_CONSOLE_H

#include <stdbool.h>

#include "proto/oci.pb-c.h"

struct error;

struct console {
	int master;
	int slave;
};

/* Opens a new one by /dev/ptmx below @root; @size may be NULL. */
int console_open(int root, const Grpc__Box *size, struct console *out, struct error *err);

/* Mounts it on /dev/console below @root, before that is the root. */
int console_mount(int root, const struct console *console, struct error *err);

/* Whether @fd is the master of a pseudo-terminal, of any devpts. */
bool console_is_master(int fd);

/* Its slave becomes 0, 1, 2 and is closed otherwise. */
int console_connect(struct console *console, struct error *err);

/* What is connected becomes the controlling terminal of this session, which has none. */
int console_control(struct error *err);

#endif
