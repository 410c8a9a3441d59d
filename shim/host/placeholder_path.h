/*
 * Namespaces of the host that a spec names by the pid of a placeholder (placeholder.h): they mean
 * those of its pod.
 */
#ifndef SHIM_PLACEHOLDER_PATH_H
#define SHIM_PLACEHOLDER_PATH_H

#include <stdbool.h>

/* Whether @path is "/proc/<pid>/ns/<type>" of a placeholder of any pod of the host. */
bool placeholder_is_meant(const char *path);

#endif
