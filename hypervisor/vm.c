#include "hypervisor/vm.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "hypervisor/hint.h"
#include "hypervisor/virtiofsd.h"
#include "hypervisor/vm_device.h"
#include "hypervisor/vmm.h"
#include "hypervisor/vsock.h"

#define GUEST_CID 3 /* the same for all: each VM has vsock sockets of its own */

/*
 * When one of a VM's processes ends the others follow, so the first that is noticed need not be the
 * cause. A VMM that was killed, or whose guest has ended, is the cause whatever its helpers say. A
 * VMM that failed may have lost a helper: one that failed before it is. A helper that ended by
 * itself may have lost the VMM: the VMM's end is waited for, which takes its time where guest
 * memory is given back; with status 0 it has not failed. A helper that was killed followed nobody.
 */
#define CAUSE_WAIT_S 0.5

#define OOM_SCORE_ADJ_TEXT_MAX 16

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

static void config_copy(struct vm_config *to, const struct vm_config *from)
{
	*to = *from;
	to->vmm_path = mem_strdup(from->vmm_path);
	to->kernel = mem_strdup(from->kernel);
	to->initramfs = mem_strdup(from->initramfs);
	to->kernel_params = mem_strdup(from->kernel_params);
	to->vsock_path = mem_strdup(from->vsock_path);
	to->virtiofsd_path = mem_strdup(from->virtiofsd_path);
	to->share_dir = mem_strdup(from->share_dir);
	to->run_dir = mem_strdup(from->run_dir);
	if (from->oom_score_adj)
		to->oom_score_adj = mem_dup(from->oom_score_adj, sizeof(*from->oom_score_adj));
}

static void config_fini(struct vm_config *config)
{
	free((char *)config->vmm_path);
	free((char *)config->kernel);
	free((char *)config->initramfs);
	free((char *)config->kernel_params);
	free((char *)config->vsock_path);
	free((char *)config->virtiofsd_path);
	free((char *)config->share_dir);
	free((char *)config->run_dir);
	free((int *)config->oom_score_adj);
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
static void vm_end(struct vm *vm, const struct error *cause)
{
	vm->asked = vm->state == VM_STOPPING;
	error_copy(&vm->cause, cause);
	ev_timer_stop(vm->loop, &vm->cause_timer);
	vm_set_state(vm, VM_ENDING);
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

static void on_vsock_lost(void *ctx, int status, const struct error *err)
{
	struct vm *vm = ctx;

	vm->vsock_ended = true;
	helper_ended(vm, status, err);
	check_gone(vm);
}

static void on_virtiofsd_lost(void *ctx, int status, const struct error *err)
{
	struct vm *vm = ctx;

	vm->virtiofsd_ended = true;
	helper_ended(vm, status, err);
	check_gone(vm);
}

static void on_vmm_running(void *ctx)
{
	struct vm *vm = ctx;

	if (vm->state == VM_STARTING)
		vm_set_state(vm, VM_RUNNING);
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

static const struct vmm_events vmm_events = {
	.on_running = on_vmm_running,
	.on_ended = on_vmm_ended,
};

/* The guest's memory: what the guest touches is taken from the host, no more. Sealed, since one of
 * those who map it could otherwise end the others by cutting it off. */
static int make_memory(uint64_t mib, struct error *err)
{
	autoclose int fd = -1;

	if (mib == 0) {
		error_set(err, ERROR_INVALID_ARGUMENT, "no memory is left for the guest");
		return hint_add(err, HINT_MEMORY);
	}
	fd = memfd_create("guest-memory", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0 || ftruncate(fd, (off_t)(mib << 20)) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		error_errno(err, "make %lu MiB of guest memory", mib);
		return hint_add(err, HINT_MEMORY);
	}
	return take_fd(&fd);
}

static int start_vsock(struct vm *vm, int *vmm_fd, struct error *err)
{
	struct vsock_config config = {
		.device_path = vm->config.vsock_path,
		.dir = vm->vsock_dir,
		.guest_cid = GUEST_CID,
		.uid = vm->config.uid,
		.gid = vm->config.gid,
		.oom_score_adj = vm->config.oom_score_adj,
	};

	if (mkdir(vm->vsock_dir, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "make '%s'", vm->vsock_dir);
	if (vm->config.uid && chown(vm->vsock_dir, vm->config.uid, vm->config.gid) < 0)
		return error_errno(err, "give '%s' to its user", vm->vsock_dir);
	return vsock_start(vm->loop, &config, on_vsock_lost, vm, &vm->vsock, vmm_fd, err);
}

static int start_virtiofsd(struct vm *vm, int *vmm_fd, struct error *err)
{
	struct virtiofsd_config config = {
		.path = vm->config.virtiofsd_path,
		.share_dir = vm->config.share_dir,
		.run_dir = vm->config.run_dir,
		.cache = vm->config.cache,
		.oom_score_adj = vm->config.oom_score_adj,
	};

	return virtiofsd_start(vm->loop, &config, on_virtiofsd_lost, vm, &vm->virtiofsd, vmm_fd,
	                       err);
}

/* A lower value needs a right that this process may not have. */
static void check_oom_score_adj(const struct vm *vm)
{
	autofree char *path = mem_printf("/proc/%d/oom_score_adj", vm_pid(vm));
	autofree char *text = NULL;

	if (!vm->config.oom_score_adj ||
	    file_read(AT_FDCWD, path, OOM_SCORE_ADJ_TEXT_MAX, &text, NULL) < 0)
		return;
	if (strtol(text, NULL, 10) != *vm->config.oom_score_adj)
		log_warn("oom_score_adj cannot be lowered here wanted=%d actual=%ld",
		         *vm->config.oom_score_adj, strtol(text, NULL, 10));
}

/* Nothing here waits for another: the sockets hold what is said before it is heard. */
static int start_processes(struct vm *vm, struct error *err)
{
	autoclose int memory_fd = make_memory(vm->config.memory_mib, err);
	autoclose int vsock_fd = -1;
	autoclose int share_fd = -1;
	const struct vm_config *config = &vm->config;
	autofree struct vm_device *devices = NULL;
	struct vmm_inputs inputs;
	int r;

	if (memory_fd < 0)
		return memory_fd;
	r = vm->ops->create(vm->loop, &vm->config, &vmm_events, vm, &vm->vmm, err);
	if (r < 0)
		return r;
	r = start_vsock(vm, &vsock_fd, err);
	if (r < 0)
		return r;
	r = start_virtiofsd(vm, &share_fd, err);
	if (r < 0)
		return r;
	devices = mem_alloc((2 + config->ndevices) * sizeof(*devices));
	devices[0] = (struct vm_device){
		.kind = VM_DEVICE_SHARE, .id = "share", .fd = share_fd, .tag = "kataShared"
	};
	devices[1] = (struct vm_device){ .kind = VM_DEVICE_VSOCK, .id = "vsock", .fd = vsock_fd };
	for (size_t i = 0; i < config->ndevices; i++)
		devices[2 + i] = config->devices[i];
	inputs = (struct vmm_inputs){
		.memory_fd = memory_fd,
		.devices = devices,
		.ndevices = 2 + config->ndevices,
	};
	return vm->ops->start(vm->vmm, &inputs, err);
}

int vm_start(struct ev_loop *loop, const struct vm_config *config, const struct vm_events *events,
             void *ctx, struct vm **out, struct error *err)
{
	struct vm *vm = mem_new(struct vm);
	int r;

	vm->loop = loop;
	vm->events = *events;
	vm->ctx = ctx;
	vm->ops = &vmm_qemu;
	vm->vsock_dir = mem_printf("%s/vsock", config->run_dir);
	config_copy(&vm->config, config);
	ev_timer_init(&vm->cause_timer, on_cause_timer, 0, 0);
	vm->cause_timer.data = vm;
	r = start_processes(vm, err);
	if (r < 0) {
		vm_destroy(vm);
		return r;
	}
	vm->config.devices = NULL;
	check_oom_score_adj(vm);
	*out = vm;
	return 0;
}

static const char *const kind_names[] = {
	[VM_DEVICE_SHARE] = "share",      [VM_DEVICE_VSOCK] = "vsock",
	[VM_DEVICE_NIC] = "network card", [VM_DEVICE_DISK] = "disk",
	[VM_DEVICE_MEMORY] = "memory",
};

static int check_running(const struct vm *vm, struct error *err)
{
	if (vm->state == VM_RUNNING)
		return 0;
	return error_set(err, ERROR_FAILED_PRECONDITION, "the virtual machine is %s",
	                 state_names[vm->state]);
}

int vm_plug(struct vm *vm, const struct vm_device *device, int timeout_ms, done_fn *done, void *ctx,
            struct error *err)
{
	int r = check_running(vm, err);

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
	int r = check_running(vm, err);

	if (r == 0)
		r = vm->ops->unplug(vm->vmm, id, timeout_ms, done, ctx, err);
	return r < 0 ? error_wrap(err, "cannot unplug \"%s\"", id) : 0;
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
	vm->ops->destroy(vm->vmm);
	virtiofsd_destroy(vm->virtiofsd);
	vsock_destroy(vm->vsock);
	if (file_remove_tree(AT_FDCWD, vm->vsock_dir, &err) < 0)
		log_warn("%s", err.text);
	config_fini(&vm->config);
	free(vm->vsock_dir);
	free(vm);
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
	return GUEST_CID;
}

void vm_console_tail(const struct vm *vm, char *text, size_t size)
{
	vm->ops->console_tail(vm->vmm, text, size);
}
