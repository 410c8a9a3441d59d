/*
 * One virtual machine, as the shim uses it. A VMM is a row of functions (struct vmm) behind
 * this header; what it can do is data (struct vm_caps), so nothing above asks which VMM runs. A VM
 * owns its memory, its VMM process, its vsock device and its shared-directory daemon; all of them
 * die with this process.
 */
#ifndef HYPERVISOR_VM_H
#define HYPERVISOR_VM_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"
#include "hypervisor/vm_config.h"
#include "hypervisor/vm_device.h"

struct ev_loop;
struct vm;
struct vsock;

enum vm_state {
	VM_STARTING, /* vm_start() has returned; the processes run, the guest may not yet */
	VM_RUNNING,  /* the VMM has answered its handshake */
	VM_STOPPING,
	VM_ENDING, /* its processes have been killed, and are waited for */
	VM_GONE,   /* on_gone has been called */
};

struct vm_events {
	/* Once: the VM has ended, whoever ended it. @err is NULL after vm_stop(); else the first
	 * cause. */
	done_fn *on_gone;
};

/*
 * Spawns everything; returns without waiting for the guest. On failure nothing is left and on_gone
 * never comes. Strings of @config are copied. A missing executable, kernel or initramfs is named
 * here.
 */
int vm_start(struct ev_loop *loop, const struct vm_config *config, const struct vm_events *events,
             void *ctx, struct vm **out, struct error *err);

/*
 * Plugs @device into a machine that runs; @done is called when the VMM has it, after @timeout_ms at
 * the latest. The guest sees it soon after. What @device points to is copied and its descriptor
 * duplicated: the caller may drop both at once. @done must not destroy the VM.
 */
int vm_plug(struct vm *vm, const struct vm_device *device, int timeout_ms, done_fn *done, void *ctx,
            struct error *err);

/*
 * Pulls out what was plugged, or was in vm_config.devices: asks the guest to let go of it; @done is
 * called when the guest has and the VMM holds its descriptor no more. With an error the device
 * stays. @done must not destroy the VM.
 */
int vm_unplug(struct vm *vm, const char *id, int timeout_ms, done_fn *done, void *ctx,
              struct error *err);

/* A disk has another size on the host: the guest sees it soon after. What the VMM refuses is logged:
 * a disk that is read-only keeps its size. */
int vm_resize_disk(struct vm *vm, const char *id, uint64_t bytes, struct error *err);

/*
 * Where the guest finds a device that may be unplugged, as upstream's agent takes it (PciPath): the
 * slot of a bridge on the root bus, and the slot on the bus behind it, "03/00" in hexadecimal. It is
 * known when vm_start() returns, or when vm_plug() does.
 */
int vm_device_path(const struct vm *vm, const char *id, char path[VM_DEVICE_PATH_MAX],
                   struct error *err);
/* How many more devices can be plugged now. */
unsigned int vm_free_ports(const struct vm *vm);

/*
 * Gives a machine that runs @vcpus processors and @memory_mib of memory, more or less than it has,
 * between what it started with and the maximum of its configuration; 0: that stays as it is. @done
 * is called when the guest has the memory, or has given it back, and the VMM the processors, which
 * the guest then has to bring online. Each is waited for @timeout_ms at the most. With an error the
 * machine keeps what it has by then, and may be resized again. @done must not destroy the VM.
 */
int vm_resize(struct vm *vm, unsigned int vcpus, uint64_t memory_mib, int timeout_ms, done_fn *done,
              void *ctx, struct error *err);
/* A resize under way does not wait for the guest any more; it ends soon, perhaps with an error. */
void vm_resize_hurry(struct vm *vm);

/* Binds each vCPU of a machine that runs to one of @cpus, if there are as many; else they run wherever
 * this process may. To be repeated when vCPUs or @cpus have changed. A failure is logged. */
void vm_pin(struct vm *vm, const cpu_set_t *cpus);

/* Whether vCPUs that have been plugged can be taken out again: else vm_resize() refuses. */
bool vm_vcpus_leave(const struct vm *vm);

/* What it has now, as the VMM says: a guest may give back late. */
unsigned int vm_vcpus(const struct vm *vm);
uint64_t vm_memory_mib(const struct vm *vm);

/* The maxima of the configuration, or fewer vCPUs (vm_config.vcpus_stay). */
unsigned int vm_vcpus_max(const struct vm *vm);
uint64_t vm_memory_max_mib(const struct vm *vm);

/* Asks the VMM to quit (the guest has synced already), SIGKILL after the deadline; on_gone follows.
 */
void vm_stop(struct vm *vm);
void vm_destroy(struct vm *vm); /* NULL is fine; kills what lives, removes what is on disk; no
                                   callback */

enum vm_state vm_state(const struct vm *vm);
pid_t vm_pid(const struct vm *vm); /* the VMM's */
struct vsock *vm_vsock(struct vm *vm);
uint32_t vm_guest_cid(const struct vm *vm);

/* The last lines of the guest's console and of the VMM's stderr, for error texts: copied, at most
 * @size - 1 bytes. */
void vm_console_tail(const struct vm *vm, char *text, size_t size);

#endif
