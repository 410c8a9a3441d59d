#include "shim/pod/sandbox.h"

#include <assert.h>
#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/hint.h"
#include "hypervisor/vm.h"
#include "proto/features.h"
#include "shim/config/config.h"
#include "shim/host/cgroup_oom.h"
#include "shim/network/loopback.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/last_words.h"
#include "shim/pod/live_network.h"
#include "shim/pod/loopback_relay.h"
#include "shim/pod/machine.h"
#include "shim/pod/machine_size.h"
#include "shim/pod/resolvers.h"

/* Of the guest's console, to choose from. */
#define CONSOLE_MAX 8192

LIST_HEAD(waiters, sandbox_waiter);

struct sandbox {
	struct ev_loop *loop;
	struct machine *machine;
	const struct config *config;
	const struct netns *netns;

	enum sandbox_state state;
	bool was_ready;
	bool vm_gone;
	struct loopback *loopback; /* until the agent has said that it knows of the relay */
	struct loopback_relay *relay;
	struct resolvers *resolvers; /* NULL: the agent knows nothing of them, or it ends */
	struct waiters waiters;
	struct waiters network_waiters;
	struct waiters resolver_waiters;

	struct error cause; /* why it ended by itself; ERROR_NONE: it did not */
	ev_timer grace;     /* after the loss of the agent */
	ev_timer no_vm;     /* on_gone comes from the loop also where there was none */
	done_fn *on_gone;
	void *ctx;
};

static void set_state(struct sandbox *sandbox, enum sandbox_state state)
{
	static const char *const names[] = { "booting", "ready", "stopping", "gone" };

	assert(state > sandbox->state);
	log_debug("sandbox id=%s from=%s to=%s", sandbox->machine->config.id, names[sandbox->state],
	          names[state]);
	sandbox->state = state;
}

/* The error that users see: what failed first, what to do, and what the guest said last. A setting
 * that the guest refuses says all by itself. */
static void complete_cause(struct sandbox *sandbox)
{
	struct error *err = &sandbox->cause;
	char console[CONSOLE_MAX] = "";

	if (sandbox->machine->refused)
		return;
	if (!sandbox->was_ready) {
		error_wrap(err, "cannot boot the virtual machine");
		if (err->code == ERROR_DEADLINE_EXCEEDED)
			hint_add(err, HINT_GUEST_SILENT);
	}
	if (sandbox->machine->vm)
		vm_console_tail(sandbox->machine->vm, console, sizeof(console));
	last_words_add(err->text, sizeof(err->text), console);
}

static void complete_waiters(struct waiters *waiters, const struct error *err)
{
	struct sandbox_waiter *waiter;

	while ((waiter = LIST_FIRST(waiters))) {
		LIST_REMOVE(waiter, link);
		waiter->done(waiter->ctx, err);
	}
}

/* Whoever connects to the pod's loopback finds nobody any more. */
static void end_relay(struct sandbox *sandbox)
{
	loopback_relay_destroy(take_ptr(&sandbox->relay));
	resolvers_destroy(take_ptr(&sandbox->resolvers));
	loopback_destroy(take_ptr(&sandbox->loopback));
}

/* Its last act is on_gone, which may free the sandbox. */
static void report_gone(struct sandbox *sandbox)
{
	struct error refusal;

	set_state(sandbox, SANDBOX_GONE);
	end_relay(sandbox);
	machine_release_network(sandbox->machine);
	if (sandbox->cause.code)
		complete_cause(sandbox);
	sandbox_refuse(sandbox, &refusal);
	complete_waiters(&sandbox->waiters, &refusal);
	complete_waiters(&sandbox->network_waiters, &refusal);
	complete_waiters(&sandbox->resolver_waiters, &refusal);
	machine_end_changes(sandbox->machine, &refusal);
	sandbox->on_gone(sandbox->ctx, sandbox->cause.code ? &sandbox->cause : NULL);
}

static void on_no_vm(struct ev_loop *loop, ev_timer *timer, int events)
{
	report_gone(timer->data);
}

/* The VM's end, whoever wanted it. */
static void on_vm_gone(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;
	bool wanted = sandbox->state == SANDBOX_STOPPING && !sandbox->cause.code;
	struct error oom;

	sandbox->vm_gone = true;
	ev_timer_stop(sandbox->loop, &sandbox->grace);
	if (err && !wanted)
		error_copy(&sandbox->cause, err);
	if (!wanted && cgroup_oom_explain(sandbox->machine->config.cgroup, &oom))
		error_copy(&sandbox->cause, &oom);
	machine_cancel_boot(sandbox->machine, &sandbox->cause);
	report_gone(sandbox);
}

/* On to on_vm_gone(), or, where there is no VM, to on_no_vm(). */
static void end(struct sandbox *sandbox)
{
	if (sandbox->machine->vm)
		vm_stop(sandbox->machine->vm);
	else
		ev_timer_start(sandbox->loop, &sandbox->no_vm);
}

static void on_grace_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	end(timer->data);
}

/* It ends by itself. When a guest dies, its agent's connection ends before the VMM does, which is
 * given time to say the first cause. */
static void fail(struct sandbox *sandbox, const struct error *err)
{
	set_state(sandbox, SANDBOX_STOPPING);
	end_relay(sandbox);
	live_network_stop(sandbox->machine->live);
	error_copy(&sandbox->cause, err);
	if (err->code == ERROR_UNAVAILABLE && sandbox->machine->vm) {
		ev_timer_set(&sandbox->grace, sandbox->config->agent_lost_timeout_ms / 1e3, 0);
		ev_timer_start(sandbox->loop, &sandbox->grace);
	} else {
		end(sandbox);
	}
}

static void on_agent_lost(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;
	struct error cause;

	if (sandbox->state != SANDBOX_READY)
		return; /* it ends, or its boot fails by the call that was lost */
	error_copy(&cause, err);
	error_wrap(&cause, "the guest's agent is lost");
	hint_add(&cause, HINT_GUEST_ENDED);
	fail(sandbox, &cause);
}

static void on_resolvers_settled(void *ctx)
{
	struct sandbox *sandbox = ctx;

	complete_waiters(&sandbox->resolver_waiters, NULL);
}

/* Who has connected before is served now. */
static void begin_relay(struct sandbox *sandbox)
{
	const struct resolvers_config resolvers = {
		.vsock = vm_vsock(sandbox->machine->vm),
		.netns = sandbox->netns,
		.timeout_ms = sandbox->config->agent_connect_timeout_ms,
		.on_settled = on_resolvers_settled,
		.ctx = sandbox,
	};
	const struct loopback_relay_config config = {
		.vsock = vm_vsock(sandbox->machine->vm),
		.loopback = sandbox->loopback,
		.timeout_ms = sandbox->config->agent_connect_timeout_ms,
	};

	if (!agent_has(sandbox->machine->agent, FEATURE_RELAY)) {
		end_relay(sandbox);
		return;
	}
	if (sandbox->netns)
		sandbox->resolvers = resolvers_create(sandbox->loop, &resolvers);
	if (!sandbox->loopback)
		return;
	sandbox->loopback = NULL;
	sandbox->relay = loopback_relay_create(sandbox->loop, &config);
}

static void on_network_settled(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	complete_waiters(&sandbox->network_waiters, NULL); /* a warning is in the log */
}

/* docker changes the files with the networks. */
static void on_network_changed(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (sandbox->resolvers)
		resolvers_refresh(sandbox->resolvers);
}

static void on_booted(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (err) {
		/* That it was the VM's end which cancelled the boot is on_vm_gone()'s to say. */
		if (!sandbox->vm_gone)
			fail(sandbox, err);
		return;
	}
	sandbox->was_ready = true;
	set_state(sandbox, SANDBOX_READY);
	begin_relay(sandbox);
	complete_waiters(&sandbox->waiters, NULL);
}

static const struct machine_events machine_events = {
	.on_booted = on_booted,
	.on_vm_gone = on_vm_gone,
	.on_agent_lost = on_agent_lost,
	.on_network_settled = on_network_settled,
	.on_network_changed = on_network_changed,
};

struct sandbox *sandbox_start(struct ev_loop *loop, const struct sandbox_config *config,
                              done_fn *on_gone, void *ctx)
{
	struct sandbox *sandbox = mem_new(struct sandbox);

	sandbox->loop = loop;
	sandbox->machine =
		machine_create(loop, &config->machine, config->settings, &machine_events, sandbox);
	sandbox->config = config->machine.config;
	sandbox->netns = config->machine.netns;
	sandbox->loopback = config->loopback;
	sandbox->on_gone = on_gone;
	sandbox->ctx = ctx;
	LIST_INIT(&sandbox->waiters);
	LIST_INIT(&sandbox->network_waiters);
	LIST_INIT(&sandbox->resolver_waiters);
	ev_timer_init(&sandbox->grace, on_grace_over, 0, 0);
	ev_timer_init(&sandbox->no_vm, on_no_vm, 0, 0);
	sandbox->grace.data = sandbox->no_vm.data = sandbox;
	machine_boot(sandbox->machine);
	return sandbox;
}

static void on_guest_destroyed(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (err)
		log_warn("the guest did not end its sandbox id=%s: %s", sandbox->machine->config.id,
		         err->text);
	if (sandbox->state == SANDBOX_STOPPING)
		end(sandbox);
}

void sandbox_stop(struct sandbox *sandbox)
{
	enum sandbox_state was = sandbox->state;
	struct error err;

	if (was == SANDBOX_BOOTING) {
		error_set(&err, ERROR_CANCELED, "the pod was asked to end");
		machine_cancel_boot(sandbox->machine, &err);
		sandbox->cause.code = ERROR_NONE;
		return;
	}
	if (was != SANDBOX_READY)
		return; /* on its way */
	set_state(sandbox, SANDBOX_STOPPING);
	end_relay(sandbox);
	live_network_stop(sandbox->machine->live);
	if (agent_destroy_sandbox(sandbox->machine->agent, on_guest_destroyed, sandbox, &err) < 0)
		on_guest_destroyed(sandbox, &err);
}

void sandbox_fail(struct sandbox *sandbox, const struct error *why)
{
	if (sandbox->state == SANDBOX_BOOTING)
		machine_cancel_boot(sandbox->machine, why);
	else if (sandbox->state == SANDBOX_READY)
		fail(sandbox, why);
}

void sandbox_destroy(struct sandbox *sandbox)
{
	struct error why;

	if (!sandbox)
		return;
	sandbox_refuse(sandbox, &why);
	end_relay(sandbox);
	machine_end_changes(sandbox->machine, &why);
	machine_destroy(sandbox->machine);
	ev_timer_stop(sandbox->loop, &sandbox->grace);
	ev_timer_stop(sandbox->loop, &sandbox->no_vm);
	free(sandbox);
}

enum sandbox_state sandbox_state(const struct sandbox *sandbox)
{
	return sandbox->state;
}

int sandbox_refuse(const struct sandbox *sandbox, struct error *err)
{
	if (sandbox->cause.code) {
		error_copy(err, &sandbox->cause);
		return error_code_errno(err->code);
	}
	return error_set(err, ERROR_UNAVAILABLE, "the virtual machine is %s",
	                 sandbox->state == SANDBOX_BOOTING ? "starting" : "being stopped");
}

const struct error *sandbox_cause(const struct sandbox *sandbox)
{
	return sandbox->state == SANDBOX_GONE && sandbox->cause.code ? &sandbox->cause : NULL;
}

static void add_waiter(struct waiters *waiters, struct sandbox_waiter *waiter, done_fn *done,
                       void *ctx)
{
	waiter->done = done;
	waiter->ctx = ctx;
	LIST_INSERT_HEAD(waiters, waiter, link);
}

void sandbox_when_ready(struct sandbox *sandbox, struct sandbox_waiter *waiter, done_fn *done,
                        void *ctx)
{
	struct error err;

	if (sandbox->state == SANDBOX_READY) {
		done(ctx, NULL);
	} else if (sandbox->state == SANDBOX_GONE) {
		sandbox_refuse(sandbox, &err);
		done(ctx, &err);
	} else {
		add_waiter(&sandbox->waiters, waiter, done, ctx);
	}
}

void sandbox_when_connected(struct sandbox *sandbox, struct sandbox_waiter *waiter, done_fn *done,
                            void *ctx)
{
	if (!sandbox->machine->live || live_network_settle(sandbox->machine->live))
		done(ctx, NULL);
	else
		add_waiter(&sandbox->network_waiters, waiter, done, ctx);
}

void sandbox_grow(struct sandbox *sandbox, const struct vm_size *wanted, struct size_waiter *waiter,
                  done_fn *done, void *ctx)
{
	struct error err;

	if (sandbox->state == SANDBOX_READY) {
		machine_size_grow(sandbox->machine->size, wanted, waiter, done, ctx);
	} else {
		sandbox_refuse(sandbox, &err);
		done(ctx, &err);
	}
}

void sandbox_shrink(struct sandbox *sandbox, struct size_waiter *waiter, done_fn *done, void *ctx)
{
	struct error err;

	if (sandbox->state == SANDBOX_READY) {
		machine_size_shrink(sandbox->machine->size, waiter, done, ctx);
	} else {
		sandbox_refuse(sandbox, &err);
		done(ctx, &err);
	}
}

void sandbox_leave_size(struct sandbox *sandbox, struct size_waiter *waiter)
{
	machine_size_leave(sandbox->machine->size, waiter);
}

void sandbox_shrink_later(struct sandbox *sandbox)
{
	if (sandbox->state == SANDBOX_READY)
		machine_size_shrink_later(sandbox->machine->size);
}

void sandbox_when_resolving(struct sandbox *sandbox, const char *resolv_conf,
                            struct sandbox_waiter *waiter, done_fn *done, void *ctx)
{
	if (sandbox->resolvers && resolv_conf && !resolvers_add(sandbox->resolvers, resolv_conf))
		add_waiter(&sandbox->resolver_waiters, waiter, done, ctx);
	else
		done(ctx, NULL);
}

void sandbox_explain(struct sandbox *sandbox, const struct error *err,
                     struct sandbox_waiter *waiter, done_fn *done, void *ctx)
{
	/* While it boots nothing has been asked of the guest: the error is of something else. */
	bool lives = sandbox->state == SANDBOX_BOOTING ||
	             (sandbox->state == SANDBOX_READY && !agent_is_lost(sandbox->machine->agent));
	struct error cause;

	if (err->code != ERROR_UNAVAILABLE || lives) {
		done(ctx, err);
	} else if (sandbox->state == SANDBOX_GONE) {
		sandbox_refuse(sandbox, &cause);
		done(ctx, &cause);
	} else {
		add_waiter(&sandbox->waiters, waiter, done, ctx);
	}
}

struct agent *sandbox_agent(struct sandbox *sandbox)
{
	return sandbox->machine->agent;
}

struct disks *sandbox_disks(struct sandbox *sandbox)
{
	return sandbox->machine->disks;
}

struct vsock *sandbox_vsock(struct sandbox *sandbox)
{
	return vm_vsock(sandbox->machine->vm);
}

pid_t sandbox_vmm(const struct sandbox *sandbox)
{
	return sandbox->machine->vm ? vm_pid(sandbox->machine->vm) : 0;
}

void sandbox_pin(struct sandbox *sandbox, const cpu_set_t *cpus)
{
	if (sandbox->state == SANDBOX_READY)
		vm_pin(sandbox->machine->vm, cpus);
}

uid_t sandbox_uid(const struct sandbox *sandbox)
{
	return machine_uid(sandbox->machine);
}
