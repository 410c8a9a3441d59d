#include "fake_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/vm.h"

struct vm {
	const struct vm_events *events;
	void *ctx;
	char cause[100]; /* empty: asked to end */
	bool ended;
};

static struct vm *vm;

static void vm_ends(void *arg)
{
	struct error err;

	if (vm->ended)
		return;
	vm->ended = true;
	fake_agent_stop();
	error_set(&err, ERROR_UNKNOWN, "%s", vm->cause);
	vm->events->on_gone(vm->ctx, *vm->cause ? &err : NULL);
}

static void say_hello(void *arg)
{
	int ends[2];
	const char *hello = "hello 1 clock host-limits signal-all exit-details "
			    "network-details pid-namespace-of sandbox-sysctls relay "
			    "link-settings streams cpus-offline\n";

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	must(write(ends[1], hello, strlen(hello)) == (ssize_t)strlen(hello));
	close(ends[1]);
	fake_vsock_accept(ends[0]);
}

int vm_start(struct ev_loop *loop, const struct vm_config *config, const struct vm_events *events,
             void *ctx, struct vm **out, struct error *err)
{
	if (fake.vm_refuses)
		return error_set(err, ERROR_NOT_FOUND, "%s", fake.vm_refuses);
	vm = *out = mem_new(struct vm);
	vm->events = events;
	vm->ctx = ctx;
	fake.n_devices = config->ndevices;
	fake.vcpus = config->vcpus;
	fake.vcpus_max = config->vcpus_max;
	fake.vcpus_stay = config->vcpus_stay;
	fake.memory_mib = config->memory_mib;
	fake.memory_max_mib = config->memory_max_mib;
	fake.vms++;
	fake_agent_start();
	if (fake.boot_dies)
		fake_kill_vm(fake.boot_dies);
	else if (!fake.no_hello && !fake.upstream)
		fake_do_later(say_hello, vm);
	return 0;
}

void fake_kill_vm(const char *cause)
{
	if (!fake.vms)
		return;
	snprintf(vm->cause, sizeof(vm->cause), "%s", cause);
	fake_do_later(vm_ends, vm);
}

void vm_stop(struct vm *one)
{
	fake_note("vm_stop", "");
	*one->cause = '\0';
	fake_do_later(vm_ends, one);
}

void vm_destroy(struct vm *one)
{
	if (!one)
		return;
	fake_forget_later(one);
	fake_agent_stop();
	fake.vms--;
	free(one);
}

unsigned int vm_vcpus_max(const struct vm *one)
{
	return fake.vcpus_max;
}

uint64_t vm_memory_max_mib(const struct vm *one)
{
	return fake.memory_max_mib;
}

/* The machine becomes bigger a moment later. */
static struct {
	unsigned int vcpus;
	uint64_t memory_mib;
	done_fn *done;
	void *ctx;
} resize;

static void resized(void *arg)
{
	struct error err;

	error_set(&err, ERROR_ABORTED, "the machine stays small");
	if (!fake.resize_fails) {
		fake.vcpus = resize.vcpus ? resize.vcpus : fake.vcpus;
		fake.memory_mib = resize.memory_mib ? resize.memory_mib : fake.memory_mib;
	}
	resize.done(resize.ctx, fake.resize_fails ? &err : NULL);
}

int vm_resize(struct vm *one, unsigned int vcpus, uint64_t memory_mib, int timeout_ms,
              done_fn *done, void *ctx, struct error *err)
{
	autofree char *text = mem_printf("%u %lu", vcpus, memory_mib);

	fake_note("resize", text);
	resize.vcpus = vcpus;
	resize.memory_mib = memory_mib;
	resize.done = done;
	resize.ctx = ctx;
	fake_do_later(resized, vm);
	return 0;
}

void vm_resize_hurry(struct vm *one)
{
	fake_note("hurry", "");
}

void vm_pin(struct vm *one, const cpu_set_t *cpus)
{
	autofree char *text = mem_printf("%d", CPU_COUNT(cpus));

	fake_note("pin", text);
}

bool vm_vcpus_leave(const struct vm *one)
{
	return fake.vcpus_leave;
}

unsigned int vm_vcpus(const struct vm *one)
{
	return fake.vcpus;
}

uint64_t vm_memory_mib(const struct vm *one)
{
	return fake.memory_mib;
}

/* A card that comes or goes: the machine says so a moment later. */
static struct {
	done_fn *done;
	void *ctx;
} card;

static void card_moved(void *arg)
{
	struct error err;

	error_set(&err, ERROR_ABORTED, "the machine refuses");
	card.done(card.ctx, fake.cards_refused ? &err : NULL);
}

static int move_card(const char *verb, const char *id, done_fn *done, void *ctx)
{
	fake_note(verb, id);
	card.done = done;
	card.ctx = ctx;
	fake_do_later(card_moved, vm);
	return 0;
}

int vm_plug(struct vm *one, const struct vm_device *device, int timeout_ms, done_fn *done,
            void *ctx, struct error *err)
{
	return move_card("plug", device->id, done, ctx);
}

int vm_resize_disk(struct vm *one, const char *id, uint64_t bytes, struct error *err)
{
	fake_note("resize", id);
	return 0;
}

int vm_unplug(struct vm *one, const char *id, int timeout_ms, done_fn *done, void *ctx,
              struct error *err)
{
	return move_card("unplug", id, done, ctx);
}

int vm_device_path(const struct vm *one, const char *id, char path[VM_DEVICE_PATH_MAX],
                   struct error *err)
{
	snprintf(path, VM_DEVICE_PATH_MAX, "at-%.10s", id);
	return 0;
}

unsigned int vm_free_ports(const struct vm *one)
{
	return 8;
}

pid_t vm_pid(const struct vm *one)
{
	return 0;
}

struct vsock *vm_vsock(struct vm *one)
{
	return (struct vsock *)one;
}

uint32_t vm_guest_cid(const struct vm *one)
{
	return 3;
}

void vm_console_tail(const struct vm *one, char *text, size_t size)
{
	snprintf(text, size, "last | words");
}
