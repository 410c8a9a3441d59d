#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "hypervisor/hint.h"
#include "hypervisor/memory_file.h"
#include "hypervisor/virtiofsd.h"
#include "hypervisor/vm_device.h"
#include "hypervisor/vm_internal.h"
#include "hypervisor/vsock.h"

/*
 * How a machine starts. Nothing waits for another process until all of them run: the sockets hold
 * what is said before it is heard. The steps have no undo: what a start that fails has made is the
 * machine's, and goes with it.
 */

#define SHARE_TAG              "kataShared"
#define OOM_SCORE_ADJ_TEXT_MAX 16
#define HELPER_DEVICES         2 /* the share and the vsock */

static int spawn_vsock(struct vm *vm, struct error *err)
{
	struct vsock_config config = {
		.device_path = vm->config.vsock_path,
		.dir = vm->vsock_dir,
		.guest_cid = VM_GUEST_CID,
		.uid = vm->config.uid,
		.gid = vm->config.gid,
		.oom_score_adj = vm->config.oom_score_adj,
	};

	if (mkdir(vm->vsock_dir, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make \"%s\"", vm->vsock_dir);
	if (vm->config.uid && chown(vm->vsock_dir, vm->config.uid, vm->config.gid) < 0)
		return error_errno(err, "cannot give \"%s\" to its user", vm->vsock_dir);
	return vsock_start(vm->loop, &config, vm_on_vsock_lost, vm, &vm->vsock, &vm->start.vsock_fd,
	                   err);
}

static int spawn_virtiofsd(struct vm *vm, struct error *err)
{
	struct virtiofsd_config config = {
		.path = vm->config.virtiofsd_path,
		.share_dir = vm->config.share_dir,
		.run_dir = vm->config.run_dir,
		.cache = vm->config.cache,
		.oom_score_adj = vm->config.oom_score_adj,
	};

	return virtiofsd_start(vm->loop, &config, vm_on_virtiofsd_lost, vm, &vm->virtiofsd,
	                       &vm->start.share_fd, err);
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

static void step_end(struct seq *seq, int r, const struct error *err)
{
	if (r < 0)
		seq_fail(seq, err);
	else
		seq_next(seq);
}

static void make_memory(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct error err;

	vm->start.memory_fd = vm->config.huge_pages
	                              ? memory_file_make_huge(vm->config.memory_mib, &err)
	                              : memory_file_make(vm->config.memory_mib, &err);
	step_end(seq, vm->start.memory_fd, &err);
}

static void create_vmm(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct error err;

	step_end(seq, vm->ops->create(vm->loop, &vm->config, &vm_vmm_events, vm, &vm->vmm, &err),
	         &err);
}

static void start_vsock(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct error err;

	step_end(seq, spawn_vsock(vm, &err), &err);
}

static void start_virtiofsd(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct error err;

	step_end(seq, spawn_virtiofsd(vm, &err), &err);
}

static int start_with_devices(struct vm *vm, struct error *err)
{
	const struct vm_start *start = &vm->start;
	size_t ndevices = HELPER_DEVICES + start->ndevices;
	autofree struct vm_device *devices = mem_alloc(ndevices * sizeof(*devices));
	const struct vmm_inputs inputs = {
		.memory_fd = start->memory_fd,
		.devices = devices,
		.ndevices = ndevices,
	};

	devices[0] = (struct vm_device){
		.kind = VM_DEVICE_SHARE, .id = "share", .fd = start->share_fd, .tag = SHARE_TAG
	};
	devices[1] =
		(struct vm_device){ .kind = VM_DEVICE_VSOCK, .id = "vsock", .fd = start->vsock_fd };
	for (size_t i = 0; i < start->ndevices; i++)
		devices[HELPER_DEVICES + i] = start->devices[i];
	return vm->ops->start(vm->vmm, &inputs, err);
}

static void close_fds(struct vm_start *start)
{
	int *const fds[] = { &start->memory_fd, &start->share_fd, &start->vsock_fd };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (*fds[i] >= 0)
			close(take_fd(fds[i]));
}

static void start_vmm(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct error err;
	int r = start_with_devices(vm, &err);

	close_fds(&vm->start);
	if (r == 0)
		check_oom_score_adj(vm);
	step_end(seq, r, &err);
}

static void await_handshake(struct seq *seq, void *ctx)
{
	/* vm_start_continue() */
}

/* clang-format off */
static const struct seq_step cold_start_steps[] = {
	{ "make the memory", make_memory, NULL, NULL },
	{ "create the VMM", create_vmm, NULL, NULL },
	{ "start the vsock device", start_vsock, NULL, NULL },
	{ "start virtiofsd", start_virtiofsd, NULL, NULL },
	{ "start the VMM", start_vmm, NULL, NULL },
	{ "wait for the handshake", await_handshake, NULL, NULL },
	{ 0 },
};
/* clang-format on */

static void on_started(void *ctx, const struct error *err)
{
	struct vm *vm = ctx;
	struct error cause;

	error_copy(&cause, err);
	seq_destroy(take_ptr(&vm->start.seq));
	if (vm->start.failed_at_once)
		error_copy(vm->start.failed_at_once, &cause);
	else if (err)
		vm_end(vm, &cause);
}

int vm_start(struct ev_loop *loop, const struct vm_config *config, const struct vm_events *events,
             void *ctx, struct vm **out, struct error *err)
{
	struct vm *vm = vm_create(loop, config, events, ctx);
	struct error failed = { 0 };

	vm->start = (struct vm_start){
		.seq = seq_create("machine", cold_start_steps, vm, on_started),
		.devices = config->devices,
		.ndevices = config->ndevices,
		.memory_fd = -1,
		.share_fd = -1,
		.vsock_fd = -1,
		.failed_at_once = &failed,
	};
	seq_start(vm->start.seq);
	vm->start.failed_at_once = NULL;
	vm->start.devices = NULL;
	if (!vm->start.seq) {
		vm_destroy(vm);
		error_copy(err, &failed);
		return error_code_errno(failed.code);
	}
	*out = vm;
	return 0;
}

void vm_start_continue(struct vm *vm)
{
	seq_next(vm->start.seq);
}

void vm_start_fini(struct vm_start *start)
{
	seq_destroy(take_ptr(&start->seq));
	close_fds(start);
}
