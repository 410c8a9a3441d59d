/*
 * Where a pod's cgroup on the host is, by the `linux.cgroupsPath` of what it begins with. It has one
 * of two forms: a path, or for systemd "SLICE:PREFIX:NAME".
 */
#ifndef SHIM_CGROUP_PATH_H
#define SHIM_CGROUP_PATH_H

#include <stdbool.h>

struct cgroup_path {
	char *dir;   /* below each hierarchy, absolute and without "..": its last name is ours */
	char *slice; /* of the systemd form, else NULL */
	char *unit;  /* the scope in it, else NULL */
};

/* As upstream's runtimes name it: the last part of a path becomes "kata_<part>", that of systemd
 * stays. False: @text is empty, or names no cgroup. Free by cgroup_path_fini(). */
bool cgroup_path_parse(const char *text, struct cgroup_path *out);
void cgroup_path_fini(struct cgroup_path *path);

#endif
