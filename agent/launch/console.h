/*
 * A container's pseudo-terminal, one of its own devpts.
 */
#ifndef AGENT_CONSOLE_H
#define AGENT_CONSOLE_H

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

/* It becomes the controlling terminal of this session and 0, 1, 2; its slave is closed. */
int console_attach(struct console *console, struct error *err);

#endif
