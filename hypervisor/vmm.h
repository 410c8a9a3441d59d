/*
 * A VMM as hypervisor.c sees it: a row of functions and what it can do. Adding a VMM is adding a
 * row; nothing above this folder notices.
 */
#ifndef HYPERVISOR_VMM_H
#define HYPERVISOR_VMM_H

#include <sys/types.h>

#include "common/error.h"
#include "hypervisor/vm.h"

struct ev_loop;

/* What a VMM is given when it starts. The descriptors stay the caller's. */
struct vmm_inputs {
	int memory_fd; /* config->memory_mib long */
	int share_fd;  /* virtiofsd's vhost-user socket */
	int vsock_fd;  /* the vsock device's */
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
	void (*stop)(void *vmm, int timeout_ms); /* asks it to quit; SIGKILL after the deadline */
	void (*kill)(void *vmm);                 /* on_ended follows; the rest stays as it is */
	void (*destroy)(void *vmm);              /* NULL is fine; kills it, no callback */
	pid_t (*pid)(const void *vmm);
	void (*console_tail)(const void *vmm, char *text, size_t size);
};

extern const struct vmm vmm_qemu; /* hypervisor/qemu/qemu.c */

#endif
