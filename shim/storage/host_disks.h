/*
 * A root file system that comes as disks (root_disks.h), mounted by the host: where the machine is to
 * get no disks, and where what the container writes goes into a directory of the host.
 */
#ifndef SHIM_HOST_DISKS_H
#define SHIM_HOST_DISKS_H

struct error;
struct root_disks;

/*
 * Mounts them at @name in the container's directory @dirfd (O_PATH), whose path is @dir. Of an
 * overlay nothing else stays mounted. For a child process: it may block, and changes its working
 * directory. After a failure what is below @dir is to be unmounted.
 */
int host_disks_mount(const struct root_disks *disks, int dirfd, const char *dir, const char *name,
                     struct error *err);

#endif
