/*
 * A root directory with nothing in it, for a process that others may get hold of.
 */
#ifndef AGENT_EMPTY_ROOT_H
#define AGENT_EMPTY_ROOT_H

struct error;

/* In a mount namespace of its own, whose tree is left for good. @name is what /proc/mounts shows. */
int empty_root_enter(const char *name, struct error *err);

#endif
