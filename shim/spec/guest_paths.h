/*
 * Where the guest finds what the host shares with it, by the layout of upstream's agent:
 *
 *	<GUEST_SHARE>/<container>/rootfs               the root file system
 *	<GUEST_SHARE>/<container>/<VOLUMES_DIR>/<n>    mount number n of the container's spec
 *	<GUEST_SHM>                                    the pod's /dev/shm, a tmpfs of the guest
 */
#ifndef SHIM_GUEST_PATHS_H
#define SHIM_GUEST_PATHS_H

#define GUEST_SHARE "/run/kata-containers/shared/containers"
#define VOLUMES_DIR "mounts"
#define GUEST_SHM   "/run/kata-containers/sandbox/shm"

#endif
