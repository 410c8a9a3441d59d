#include <unistd.h>

#include "common/cleanup.h"
#include "common/loop/seq.h"
#include "hypervisor/memory_file.h"
#include "hypervisor/vm_device.h"
#include "hypervisor/vm_internal.h"

/*
 * How a machine grows, and shrinks. The memory that it did not start with is one device, plugged
 * when it is wanted first and as big as it can ever become: the guest is given more or less of it,
 * and those who map guest memory by vhost-user have one region more, whose number is limited.
 */

#define MEMORY_ID   "more-memory"
#define MEMORY_STEP 2 /* MiB: what virtio-mem gives and takes at once */

static bool memory_stays(const struct vm *vm)
{
	return !vm->resize.memory_mib;
}

static uint64_t wanted_beside(const struct vm *vm)
{
	return vm->resize.memory_mib - vm->config.memory_mib;
}

static void on_memory_plugged(void *ctx, const struct error *err)
{
	struct vm *vm = ctx;

	vm->resize.has_memory = !err;
	seq_resume(vm->resize.seq, err);
}

static void plug_memory(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct vm_device memory = {
		.kind = VM_DEVICE_MEMORY,
		.id = MEMORY_ID,
		.size_mib = vm->config.memory_max_mib - vm->config.memory_mib,
	};
	struct error err;
	int r;

	if (vm->resize.has_memory || memory_stays(vm) || !wanted_beside(vm)) {
		seq_next(seq);
		return;
	}
	r = memory.fd = memory_file_make(memory.size_mib, &err);
	if (r >= 0)
		r = vm->ops->plug(vm->vmm, &memory, vm->resize.timeout_ms, on_memory_plugged, vm,
		                  &err);
	if (memory.fd >= 0)
		close(memory.fd);
	if (r < 0)
		seq_fail(seq, &err);
}

static void give_memory(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct error err;

	if (!vm->resize.has_memory || memory_stays(vm))
		seq_next(seq);
	else if (vm->ops->resize_memory(vm->vmm, MEMORY_ID, wanted_beside(vm),
	                                vm->resize.timeout_ms, seq_resume, seq, &err) < 0)
		seq_fail(seq, &err);
}

static void change_vcpus(struct seq *seq, void *ctx)
{
	struct vm *vm = ctx;
	struct error err;

	if (!vm->resize.vcpus)
		seq_next(seq);
	else if (vm->ops->resize_vcpus(vm->vmm, vm->resize.vcpus, vm->resize.timeout_ms, seq_resume,
	                               seq, &err) < 0)
		seq_fail(seq, &err);
}

static const struct seq_step resize_steps[] = {
	{ "plug the memory", plug_memory, NULL, NULL },
	{ "give the memory", give_memory, NULL, NULL },
	{ "plug or unplug vCPUs", change_vcpus, NULL, NULL },
	{ 0 },
};

static void on_resized(void *ctx, const struct error *err)
{
	struct vm *vm = ctx;
	struct vm_resize *resize = &vm->resize;
	done_fn *done = take_ptr(&resize->done);
	struct error cause;

	error_copy(&cause, err);
	seq_destroy(take_ptr(&resize->seq));
	if (resize->failed_at_once)
		error_copy(resize->failed_at_once, &cause);
	error_wrap(&cause, "cannot resize the virtual machine");
	if (done)
		done(resize->ctx, err ? &cause : NULL);
}

static int check(const struct vm *vm, unsigned int vcpus, uint64_t memory_mib, struct error *err)
{
	const struct vm_config *config = &vm->config;
	const struct vm_caps *caps = &vm->ops->caps;
	unsigned int vcpus_max;
	int r = vm_check_running(vm, err);

	if (r < 0)
		return r;
	vcpus_max = vm_vcpus_max(vm);
	if (vm->resize.seq)
		return error_set(err, ERROR_FAILED_PRECONDITION, "another resize is in progress");
	if (vcpus && vcpus != config->vcpus && !caps->vcpus)
		return error_set(err, ERROR_UNIMPLEMENTED, "vCPUs: not supported by %s",
		                 vm->ops->name);
	if (vcpus && vcpus < vm_vcpus(vm) && !vm_vcpus_leave(vm))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "taking vCPUs away: not supported by %s here", vm->ops->name);
	if (memory_mib && memory_mib != config->memory_mib && !caps->memory)
		return error_set(err, ERROR_UNIMPLEMENTED, "memory: not supported by %s",
		                 vm->ops->name);
	if (vcpus && (vcpus < config->vcpus || vcpus > vcpus_max))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid number of vCPUs \"%u\": not from %u to %u", vcpus,
		                 config->vcpus, vcpus_max);
	if (memory_mib && (memory_mib < config->memory_mib || memory_mib > config->memory_max_mib ||
	                   (memory_mib - config->memory_mib) % MEMORY_STEP))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid memory \"%lu MiB\": not from %lu to %lu in steps of %d",
		                 memory_mib, config->memory_mib, config->memory_max_mib,
		                 MEMORY_STEP);
	return 0;
}

int vm_resize(struct vm *vm, unsigned int vcpus, uint64_t memory_mib, int timeout_ms, done_fn *done,
              void *ctx, struct error *err)
{
	struct vm_resize *resize = &vm->resize;
	struct error failed = { 0 };

	if (check(vm, vcpus, memory_mib, err) < 0)
		return error_wrap(err, "cannot resize the virtual machine");
	resize->vcpus = vcpus;
	resize->memory_mib = memory_mib;
	resize->timeout_ms = timeout_ms;
	resize->seq = seq_create("resize", resize_steps, vm, on_resized);
	resize->failed_at_once = &failed;
	seq_start(resize->seq);
	resize->failed_at_once = NULL;
	if (!resize->seq) {
		error_copy(err, &failed);
		return error_wrap(err, "cannot resize the virtual machine");
	}
	resize->done = done;
	resize->ctx = ctx;
	return 0;
}

void vm_resize_hurry(struct vm *vm)
{
	if (vm->resize.seq)
		vm->ops->resize_hurry(vm->vmm);
}

void vm_pin(struct vm *vm, const cpu_set_t *cpus)
{
	if (vm->state == VM_RUNNING)
		vm->ops->pin(vm->vmm, cpus);
}

bool vm_vcpus_leave(const struct vm *vm)
{
	return vm->ops->vcpus_leave(vm->vmm);
}

unsigned int vm_vcpus(const struct vm *vm)
{
	unsigned int vcpus = vm->ops->vcpus(vm->vmm);

	return vcpus ? vcpus : vm->config.vcpus;
}

uint64_t vm_memory_mib(const struct vm *vm)
{
	return vm->config.memory_mib + (vm->ops->memory_plugged(vm->vmm) >> 20);
}

void vm_resize_fini(struct vm_resize *resize)
{
	seq_destroy(take_ptr(&resize->seq));
}
