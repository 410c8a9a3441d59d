#include "hypervisor/vm.h"

#include <assert.h>
#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common/file.h"
#include "common/log.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "hypervisor/virtiofsd.h"
#include "hypervisor/vm_device.h"
#include "hypervisor/vm_internal.h"
#include "hypervisor/vsock.h"

/*
 * When one of a VM's processes ends the others follow, so the first that is noticed need not be the
 * cause. A VMM that was killed, or whose guest has ended, is the cause whatever its helpers say. A
 * VMM that failed may have lost a helper: one that failed before it is. A helper that ended by
 * itself may have lost the VMM: the VMM's end is waited for, which takes its time where guest
 * memory is given back; with status 0 it has not failed. A helper that was killed followed nobody.
 */
#define CAUSE_WAIT_S 0.5

static const char *const state_names[] = {
	[VM_STARTING] = "starting", [VM_RUNNING] = "running", [VM_STOPPING] = "stopping",
	[VM_ENDING] = "ending",     [VM_GONE] = "gone",
};

static void vm_set_state(struct vm *vm, enum vm_state state)
{
	assert(state > vm->state); /* a VM only goes forward */
	log_debug("vm state from=%s to=%s", state_names[vm->state], state_names[state]);
	vm->state = state;
}

/* Once nothing runs any more. Its last act is on_gone, which may free the VM. */
static void check_gone(struct vm *vm)
{
	if (vm->state != VM_ENDING || !vm->vmm_ended || !vm->vsock_ended || !vm->virtiofsd_ended)
		return;
	vm_set_state(vm, VM_GONE);
	vm->events.on_gone(vm->ctx, vm->asked ? NULL : &vm->cause);
}

/*
 * Kills what still runs, and waits for it: in the loop, and no longer than a process is waited for
 * (proc.h). What can be told after the end is kept: the console, and the vsock object with its
 * streams. @cause counts unless the VM was stopped. Its last act may be on_gone.
 */
void vm_end(struct vm *vm, const struct error *cause)
{
	vm->asked = vm->state == VM_STOPPING;
	error_copy(&vm->cause, cause);
	ev_timer_stop(vm->loop, &vm->cause_timer);
	vm_set_state(vm, VM_ENDING);
	vm_start_fini(&vm->start);
	if (!vm->vmm_ended)
		vm->ops->kill(vm->vmm);
	if (!vm->virtiofsd_ended)
		virtiofsd_kill(vm->virtiofsd);
	if (!vm->vsock_ended)
		vsock_kill(vm->vsock);
	check_gone(vm);
}

static void on_cause_timer(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct vm *vm = watcher->data;

	vm_end(vm, &vm->helper_cause);
}

static void helper_ended(struct vm *vm, int status, const struct error *err)
{
	if (vm->state >= VM_ENDING && status == PROC_STUCK)
		log_warn("%s", err->text);
	if (vm->helper_ended || vm->state >= VM_ENDING)
		return;
	vm->helper_ended = true;
	vm->helper_failed = status != 0;
	error_copy(&vm->helper_cause, err);
	if (vm->state == VM_STOPPING)
		return; /* it only follows the VMM */
	ev_timer_set(&vm->cause_timer, WIFSIGNALED(status) ? 0 : CAUSE_WAIT_S, 0);
	ev_timer_start(vm->loop, &vm->cause_timer);
}

void vm_on_vsock_lost(void *ctx, int status, const struct error *err)
{
	struct vm *vm = ctx;

	vm->vsock_ended = true;
	helper_ended(vm, status, err);
	check_gone(vm);
}

void vm_on_virtiofsd_lost(void *ctx, int status, const struct error *err)
{
	struct vm *vm = ctx;

	vm->virtiofsd_ended = true;
	helper_ended(vm, status, err);
	check_gone(vm);
}

static void on_vmm_running(void *ctx)
{
	struct vm *vm = ctx;

	if (vm->state != VM_STARTING)
		return;
	vm_set_state(vm, VM_RUNNING);
	vm_start_continue(vm);
}

static void on_vmm_ended(void *ctx, int status, const struct error *err)
{
	struct vm *vm = ctx;
	bool failed = WIFEXITED(status) && WEXITSTATUS(status) != 0;

	vm->vmm_ended = true;
	if (status == PROC_STUCK)
		log_warn("%s", err->text);
	if (vm->state == VM_ENDING)
		check_gone(vm);
	else
		vm_end(vm, failed && vm->helper_failed ? &vm->helper_cause : err);
}

const struct vmm_events vm_vmm_events = {
	.on_running = on_vmm_running,
	.on_ended = on_vmm_ended,
};

struct vm *vm_create(struct ev_loop *loop, const struct vm_config *config,
                     const struct vm_events *events, void *ctx)
{
	struct vm *vm = mem_new(struct vm);

	vm->loop = loop;
	vm->events = *events;
	vm->ctx = ctx;
	vm->ops = &vmm_qemu;
	vm->vsock_dir = mem_printf("%s/vsock", config->run_dir);
	vm_config_copy(&vm->config, config);
	ev_timer_init(&vm->cause_timer, on_cause_timer, 0, 0);
	vm->cause_timer.data = vm;
	return vm;
}

static const char *const kind_names[] = {
	[VM_DEVICE_SHARE] = "share",      [VM_DEVICE_VSOCK] = "vsock",
	[VM_DEVICE_NIC] = "network card", [VM_DEVICE_DISK] = "disk",
	[VM_DEVICE_MEMORY] = "memory",
};

int vm_check_running(const struct vm *vm, struct error *err)
{
	if (vm->state == VM_RUNNING)
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION, "the virtual machine is %s",
	                 state_names[vm->state]);
}

int vm_plug(struct vm *vm, const struct vm_device *device, int timeout_ms, done_fn *done, void *ctx,
            struct error *err)
{
	int r = vm_check_running(vm, err);

	if (r == 0 && !(vm->ops->caps.plugs & 1U << device->kind))
		r = error_set(err, ERROR_UNIMPLEMENTED, "a %s: not supported by %s",
		              kind_names[device->kind], vm->ops->name);
	if (r == 0)
		r = vm->ops->plug(vm->vmm, device, timeout_ms, done, ctx, err);
	return r < 0 ? error_wrap(err, "cannot plug \"%s\"", device->id) : 0;
}

int vm_unplug(struct vm *vm, const char *id, int timeout_ms, done_fn *done, void *ctx,
              struct error *err)
{
	int r = vm_check_running(vm, err);

	if (r == 0)
		r = vm->ops->unplug(vm->vmm, id, timeout_ms, done, ctx, err);
	return r < 0 ? error_wrap(err, "cannot unplug \"%s\"", id) : 0;
}

int vm_resize_disk(struct vm *vm, const char *id, uint64_t bytes, struct error *err)
{
	int r = vm_check_running(vm, err);

	if (r == 0)
		r = vm->ops->resize_disk(vm->vmm, id, bytes, err);
	return r < 0 ? error_wrap(err, "cannot resize \"%s\"", id) : 0;
}

void vm_stop(struct vm *vm)
{
	if (vm->state >= VM_STOPPING)
		return;
	vm_set_state(vm, VM_STOPPING);
	vm->ops->stop(vm->vmm, vm->config.stop_timeout_ms);
}

void vm_destroy(struct vm *vm)
{
	struct error err;

	if (!vm)
		return;
	ev_timer_stop(vm->loop, &vm->cause_timer);
	vm_start_fini(&vm->start);
	vm_resize_fini(&vm->resize);
	vm->ops->destroy(vm->vmm);
	virtiofsd_destroy(vm->virtiofsd);
	vsock_destroy(vm->vsock);
	if (file_remove_tree(AT_FDCWD, vm->vsock_dir, &err) < 0)
		log_warn("%s", err.text);
	vm_config_fini(&vm->config);
	free(vm->vsock_dir);
	free(vm);
}

int vm_device_path(const struct vm *vm, const char *id, char path[VM_DEVICE_PATH_MAX],
                   struct error *err)
{
	return vm->ops->device_path(vm->vmm, id, path, err);
}

unsigned int vm_free_ports(const struct vm *vm)
{
	return vm->ops->free_ports(vm->vmm);
}

enum vm_state vm_state(const struct vm *vm)
{
	return vm->state;
}

pid_t vm_pid(const struct vm *vm)
{
	return vm->ops->pid(vm->vmm);
}

struct vsock *vm_vsock(struct vm *vm)
{
	return vm->vsock;
}

uint32_t vm_guest_cid(const struct vm *vm)
{
	return VM_GUEST_CID;
}

unsigned int vm_vcpus_max(const struct vm *vm)
{
	return vm->ops->vcpus_max(vm->vmm);
}

uint64_t vm_memory_max_mib(const struct vm *vm)
{
	return vm->config.memory_max_mib;
}

void vm_console_tail(const struct vm *vm, char *text, size_t size)
{
	vm->ops->console_tail(vm->vmm, text, size);
}
