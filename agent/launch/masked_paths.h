/*
 * Paths of a container that the spec hides (linux.maskedPaths) or makes read-only
 * (linux.readonlyPaths), before its root file system becomes the root. A path that is not there is
 * fine.
 */
#ifndef AGENT_MASKED_PATHS_H
#define AGENT_MASKED_PATHS_H

struct error;

/* A directory becomes an empty one, anything else the null device. */
int masked_paths_hide(int root, const char *path, struct error *err);

/* Read-only; what is mounted below it stays as it is, as under runc. */
int masked_paths_protect(int root, const char *path, struct error *err);

#endif
