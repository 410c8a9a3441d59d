/*
 * The cgroup hierarchies that the host has mounted: one for each controller or set of controllers
 * of cgroup v1, at most one of v2, or both kinds ("hybrid").
 * Source: cgroup-v1/cgroups.rst, cgroup-v2.rst, proc(5) (mountinfo), cgroups(7).
 */
#ifndef SHIM_CGROUP_MOUNTS_H
#define SHIM_CGROUP_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>

struct error;

struct cgroup_mount {
	char *dir;         /* where it is mounted */
	char *home;        /* the directory of the cgroup that this process is in */
	char *controllers; /* separated by commas; of v2: empty, its files say it */
	bool is_v2;
};

struct cgroup_mounts {
	struct cgroup_mount *list;
	size_t n;
};

/* Of this process's mount and cgroup namespaces, without one of v2 that is beside others and has none of
 * the controllers that are used here. */
int cgroup_mounts_read(struct cgroup_mounts *out, struct error *err);
/* The same of the text of /proc/self/mountinfo and of /proc/self/cgroup. What makes no sense is
 * passed over. */
void cgroup_mounts_parse(const char *mountinfo, const char *own, struct cgroup_mounts *out);
void cgroup_mounts_drop(struct cgroup_mounts *mounts, size_t index);
void cgroup_mounts_fini(struct cgroup_mounts *mounts);

/* The one of v1 with @controller, else that of v2 if it has it; NULL: none. */
const struct cgroup_mount *cgroup_mounts_with(const struct cgroup_mounts *mounts,
                                              const char *controller);

#endif
