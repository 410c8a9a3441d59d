/*
 * What a virtual machine is made of, as its parts need to know it.
 */
#ifndef HYPERVISOR_VM_CONFIG_H
#define HYPERVISOR_VM_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct vm_device;

/* What each costs at boot: docs/design.md. */
#define VM_PORTS_USUAL 8
#define VM_PORTS_MAX   64

/* In the order of the choices that configuration.toml has. */
enum vm_accel {
	VM_ACCEL_AUTO, /* KVM if it can really run a guest, else TCG with one warning line */
	VM_ACCEL_KVM,
	VM_ACCEL_TCG,
};

/* What the guest may keep of the host's files; in that order, too. */
enum vm_cache {
	VM_CACHE_NEVER,
	VM_CACHE_AUTO,   /* what the host changes is seen within a second */
	VM_CACHE_ALWAYS, /* forever: no other process changes them */
};

struct vm_config {
	const char *vmm_path; /* QEMU's executable */
	const char *kernel;   /* paths; opened before the credentials are dropped */
	const char *initramfs;
	const char *kernel_params; /* appended to the VMM's own; NULL: none */
	const char *vsock_path;    /* the vsock device's executable */
	const char *virtiofsd_path;
	const char *share_dir; /* the directory the guest sees under the tag "kataShared" */
	const char *run_dir;   /* the pod's directory; the VM makes and removes "vsock" inside */
	uint64_t memory_mib;
	uint64_t memory_max_mib; /* capacity for hot-plug */
	bool huge_pages;         /* what it starts with is of the host's huge pages */
	unsigned int vcpus;
	unsigned int vcpus_max;
	bool reclaims_memory; /* what the guest frees is given back to the host */
	bool vcpus_stay;      /* unless room for more costs the start nothing: under TCG it does */
	enum vm_accel accel;
	/* What the machine has beside the share and vsock from its start; used in vm_start() only.
	 */
	const struct vm_device *devices;
	size_t ndevices;
	int ports; /* for devices that may come and go, at once; up to VM_PORTS_MAX */
	uid_t uid; /* of the VMM and the vsock device */
	gid_t gid;
	bool own_mounts; /* this process has a mount namespace of its own: a device that is root's
	                    alone may be given to @uid in it */
	const int *oom_score_adj; /* of the VM's processes (proc(5)); NULL: as this process's */
	enum vm_cache cache;      /* of the share, in the guest */
	int handshake_timeout_ms; /* to the VMM's first answer */
	int stop_timeout_ms;      /* from vm_stop() to SIGKILL */
};

/* With all it points to but the devices. */
void vm_config_copy(struct vm_config *to, const struct vm_config *from);
void vm_config_fini(struct vm_config *config); /* of a copy */

#endif
