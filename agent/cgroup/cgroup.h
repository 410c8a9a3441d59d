/*
 * A container's cgroup, on cgroup v2 only (kernel Documentation/admin-guide/cgroup-v2.rst): made
 * with the controllers that the kernel has, its limits from the spec's resources, its device rules,
 * killed and removed as a whole.
 *
 * A limit whose controller the kernel lacks is an error that names the file. A limit that cgroup v2
 * does not have is refused by name (ERROR_UNIMPLEMENTED), except memory.kernel and
 * memory.kernelTCP: they are obsolete and ignored, as by runc.
 */
#ifndef AGENT_CGROUP_H
#define AGENT_CGROUP_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct cgroup;
struct device_program;
struct error;

#define CGROUP_MOUNT    "/sys/fs/cgroup"
#define CGROUP_PATH_MAX 1024

/*
 * Makes the cgroup at @path below @mount (CGROUP_MOUNT), and what is missing on the way to it.
 * @path is the spec's cgroupsPath ("/default/x", or "slice:prefix:name" of the systemd driver,
 * which becomes "slice/prefix-name.scope"), or, when that is empty, the container's id. All
 * controllers there are get enabled down to it. ERROR_ALREADY_EXISTS: another container has it.
 */
int cgroup_create(const char *mount, const char *path, struct cgroup **out, struct error *err);

/* Its directory, for clone3(2) CLONE_INTO_CGROUP; owned by the cgroup. */
int cgroup_fd(const struct cgroup *cgroup);

/*
 * Opens the cgroup that @pid is in, at this one or below; @out is the caller's. A container that
 * has enabled controllers for cgroups below its own has no processes in its own any more, and the
 * kernel takes none into it (EBUSY). ERROR_NOT_FOUND: @pid has ended, or is elsewhere.
 */
int cgroup_open_of(const struct cgroup *cgroup, pid_t pid, int *out, struct error *err);

/* Writes the limits of @resources (NULL: none); what is unset (0, empty) stays as it is. */
int cgroup_limit(struct cgroup *cgroup, const Grpc__LinuxResources *resources, struct error *err);

/* Attaches the device rules of @resources and the ones every container gets (device_rules.h, as
 * @last). Once in a cgroup's life. */
int cgroup_restrict_devices(struct cgroup *cgroup, const Grpc__LinuxResources *resources,
                            struct device_program *last, struct error *err);

int cgroup_freeze(struct cgroup *cgroup, bool frozen, struct error *err);
/* Whether every process in it has stopped: some time after cgroup_freeze(). */
int cgroup_frozen(const struct cgroup *cgroup, bool *out, struct error *err);
/* Sends SIGKILL to every process in it and below. */
int cgroup_kill(struct cgroup *cgroup, struct error *err);
/* Sends @sig to every process in it and below; see freezer_signal(). ERROR_NOT_FOUND: no process is
 * in it. */
int cgroup_signal(struct cgroup *cgroup, int sig, struct error *err);

/*
 * Removes the directory with all below it, and the parents that are empty with it; in slices, as
 * a container can have made many below. -EAGAIN: the next slice is to be asked for. -EBUSY: a
 * process still dies in there; call again soon. 0 also when it is gone already.
 */
int cgroup_remove(struct cgroup *cgroup, struct error *err);

void cgroup_destroy(struct cgroup *cgroup); /* NULL is fine; leaves the directory alone */
CLEANUP_DESTROY(cgroup)

#endif
