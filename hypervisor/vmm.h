/*
 * A VMM as vm.c sees it: a row of functions and what it can do. Adding a VMM is adding a
 * row; nothing above this folder notices.
 */
#ifndef HYPERVISOR_VMM_H
#define HYPERVISOR_VMM_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "hypervisor/vm_config.h"
#include "hypervisor/vm_device.h"

struct ev_loop;

/* What a VMM can do with a machine that runs. */
struct vm_caps {
	unsigned int plugs; /* the kinds of devices that can be plugged: 1 << enum vm_device_kind */
	bool memory;        /* a memory device can be given to the guest in part */
	bool vcpus;         /* vCPUs can be plugged */
};

/* What a VMM is given when it starts: all of it stays the caller's. */
struct vmm_inputs {
	int memory_fd; /* config->memory_mib long */
	const struct vm_device *devices;
	size_t ndevices;
};

struct vmm_events {
	void (*on_running)(void *ctx);
	/* Once: the VMM's process has ended, @status as in proc.h; @err says why in its own
	 * words. Destroying the VMM in it is allowed. */
	void (*on_ended)(void *ctx, int status, const struct error *err);
};

struct vmm {
	const char *name;
	struct vm_caps caps;
	/* Checks all that can be wrong with @config, which outlives the VMM; spawns nothing. */
	int (*create)(struct ev_loop *loop, const struct vm_config *config,
	              const struct vmm_events *events, void *ctx, void **out, struct error *err);
	int (*start)(void *vmm, const struct vmm_inputs *inputs, struct error *err);
	/* See vm_plug() and vm_unplug(). Never called for what @caps has not, nor before
	 * on_running. Those that wait get on_ended's error before on_ended. */
	int (*plug)(void *vmm, const struct vm_device *device, int timeout_ms, done_fn *done,
	            void *ctx, struct error *err);
	int (*unplug)(void *vmm, const char *id, int timeout_ms, done_fn *done, void *ctx,
	              struct error *err);
	/* See vm_resize_disk(). */
	int (*resize_disk)(void *vmm, const char *id, uint64_t bytes, struct error *err);
	/* See vm_device_path(). */
	int (*device_path)(const void *vmm, const char *id, char path[VM_DEVICE_PATH_MAX],
	                   struct error *err);
	/* See vm_free_ports(). */
	unsigned int (*free_ports)(const void *vmm);
	/* As many as vCPUs can be plugged. */
	unsigned int (*vcpus_max)(const void *vmm);
	/* Gives the guest @mib of the memory device @id; see qemu/resize.h. */
	int (*resize_memory)(void *vmm, const char *id, uint64_t mib, int timeout_ms, done_fn *done,
	                     void *ctx, struct error *err);
	int (*resize_vcpus)(void *vmm, unsigned int count, int timeout_ms, done_fn *done, void *ctx,
	                    struct error *err);
	/* See vm_pin(). */
	void (*pin)(void *vmm, const cpu_set_t *cpus);
	/* Whether vCPUs that have been plugged can be taken out again. */
	bool (*vcpus_leave)(const void *vmm);
	void (*resize_hurry)(void *vmm);
	/* What has been plugged: vCPUs in all, 0 if that is not known yet; bytes of memory. */
	unsigned int (*vcpus)(const void *vmm);
	uint64_t (*memory_plugged)(const void *vmm);
	void (*stop)(void *vmm, int timeout_ms); /* asks it to quit; SIGKILL after the deadline */
	void (*kill)(void *vmm);                 /* on_ended follows; the rest stays as it is */
	void (*destroy)(void *vmm);              /* NULL is fine; kills it, no callback */
	pid_t (*pid)(const void *vmm);
	void (*console_tail)(const void *vmm, char *text, size_t size);
};

extern const struct vmm vmm_qemu; /* hypervisor/qemu/qemu.c */

#endif
