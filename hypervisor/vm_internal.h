/*
 * What vm.c, vm_start.c and vm_resize.c share: the machine, and what of it each may call.
 */
#ifndef HYPERVISOR_VM_INTERNAL_H
#define HYPERVISOR_VM_INTERNAL_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "hypervisor/vm.h"
#include "hypervisor/vmm.h"

struct seq;
struct virtiofsd;

#define VM_GUEST_CID 3 /* the same for all: each VM has vsock sockets of its own */

/* What the steps of a start leave to the ones that follow. */
struct vm_start {
	struct seq *seq; /* NULL: not under way */
	const struct vm_device *devices;
	size_t ndevices;
	int memory_fd;
	int share_fd; /* the VMM's ends of the two vhost-user sockets */
	int vsock_fd;
	struct error *failed_at_once; /* where to say so, while vm_start() runs */
};

struct vm_resize {
	struct seq *seq;    /* NULL: none is under way */
	bool has_memory;    /* the memory that grows is plugged */
	unsigned int vcpus; /* what is wanted; 0: what is there */
	uint64_t memory_mib;
	int timeout_ms; /* of each step */
	struct error *failed_at_once;
	done_fn *done;
	void *ctx;
};

struct vm {
	struct ev_loop *loop;
	struct vm_config config; /* what it points to is ours */
	struct vm_events events;
	void *ctx;
	enum vm_state state;
	const struct vmm *ops;
	void *vmm;
	struct vsock *vsock;
	struct virtiofsd *virtiofsd;
	char *vsock_dir;
	struct vm_start start;
	struct vm_resize resize;
	bool vmm_ended;
	bool vsock_ended;
	bool virtiofsd_ended;
	bool asked;         /* the end was asked for by vm_stop() */
	struct error cause; /* of the end otherwise */
	bool helper_ended;
	bool helper_failed;
	struct error helper_cause; /* of the first helper that ended */
	ev_timer cause_timer;
};

/* A machine of which nothing is there yet; to be destroyed by vm_destroy(). */
struct vm *vm_create(struct ev_loop *loop, const struct vm_config *config,
                     const struct vm_events *events, void *ctx);

extern const struct vmm_events vm_vmm_events;

/* Kills what still runs; on_gone follows, perhaps within. @cause counts unless the VM was stopped.
 */
void vm_end(struct vm *vm, const struct error *cause);

/* 0 while the VM is running. */
int vm_check_running(const struct vm *vm, struct error *err);

/* What the end of one of its processes calls; @status as in proc.h. */
void vm_on_vsock_lost(void *ctx, int status, const struct error *err);
void vm_on_virtiofsd_lost(void *ctx, int status, const struct error *err);

/* The VMM takes commands: the last step of a start. */
void vm_start_continue(struct vm *vm);

/* Drops the steps that are under way; NULLs are fine. */
void vm_start_fini(struct vm_start *start);
void vm_resize_fini(struct vm_resize *resize);

#endif
