/*
 * Where the guest finds what the host shares with it, by the layout of upstream's agent:
 *
 *	<GUEST_SHARE>/<container>/rootfs    the root file system
 *	<GUEST_VOLUMES>/<n>                 what containers bind; no container's id begins with a dot
 *	<GUEST_BINDS>/<n>                   those of them that containers of a pod share: each a storage
 *	<GUEST_SHARE>/<MODULES_DIR>         kernel modules, for the agent (agent/guest/modprobe.h)
 *	<GUEST_SHM>                         the pod's /dev/shm, a tmpfs of the guest
 *	<GUEST_DISKS>/<container>/<n>       file systems on its disks
 *	<GUEST_ROOTS>/<container>/root      a root file system that is on disks (guest_root.h)
 *	<GUEST_LAYERS>/<disk>               layers of an image, for all containers of a pod
 *	<GUEST_EPHEMERAL>/<n>               its volumes in memory (proto/guest_dirs.h)
 */
#ifndef SHIM_GUEST_PATHS_H
#define SHIM_GUEST_PATHS_H

#define GUEST_SHARE   "/run/kata-containers/shared/containers"
#define MODULES_DIR   ".modules"
#define VOLUMES_DIR   ".volumes"
#define GUEST_VOLUMES GUEST_SHARE "/" VOLUMES_DIR
#define GUEST_BINDS   "/run/kata-containers/sandbox/binds"
#define GUEST_DISKS   "/run/kata-containers/sandbox/disks"
#define GUEST_SHM     "/run/kata-containers/sandbox/shm"
#define GUEST_ROOTS   "/run/kata-containers/sandbox/roots"
#define GUEST_LAYERS  "/run/kata-containers/sandbox/layers"

#endif
