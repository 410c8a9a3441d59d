#include "shim/pod/sandbox.h"

#include <assert.h>
#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "common/log.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "hypervisor/hint.h"
#include "hypervisor/vm.h"
#include "hypervisor/vm_device.h"
#include "hypervisor/vsock.h"
#include "proto/features.h"
#include "proto/vsock_ports.h"
#include "shim/config/config.h"
#include "shim/config/install.h"
#include "shim/host/uid_lease.h"
#include "shim/network/loopback.h"
#include "shim/network/network.h"
#include "shim/network/nic.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/guest_clock.h"
#include "shim/pod/hello.h"
#include "shim/pod/host_limits.h"
#include "shim/pod/last_words.h"
#include "shim/pod/live_network.h"
#include "shim/pod/loopback_relay.h"
#include "shim/pod/machine_growth.h"
#include "shim/pod/pod_settings.h"
#include "shim/pod/pod_size.h"
#include "shim/pod/resolvers.h"
#include "shim/spec/guest_paths.h"
#include "shim/spec/guest_spec.h"

/* Of the guest's console, to choose from. */
#define EARLY_QUEUES_MAX 2 /* of a card that is there when the machine starts */
#define CONSOLE_MAX      8192

/* QEMU's own processor (TCG) has 40 bits for a physical address: 1 TiB with all that is beside. */
#define MEMORY_ROOM_MIB (512ULL << 10)

LIST_HEAD(waiters, sandbox_waiter);

struct sandbox {
	struct ev_loop *loop;
	char *id;
	char *hostname;
	char *pod_dir;
	char *share_dir;
	const struct install *install;
	const struct config *config;
	const struct pod_size *size;
	int oom_score_adj;
	struct pod_settings *settings;

	enum sandbox_state state;
	bool was_ready;
	bool vm_gone;
	struct uid_lease *lease;
	const struct netns *netns;
	struct network *network;   /* NULL: none, or not connected */
	struct loopback *loopback; /* until the agent has said that it knows of the relay */
	struct loopback_relay *relay;
	struct resolvers *resolvers; /* NULL: the agent knows nothing of them, or it ends */
	struct vm *vm;
	struct hello *hello;
	struct agent *agent;
	struct guest_clock *clock;
	struct live_network *live; /* NULL: there is no network */
	struct machine_growth *growth;
	struct seq *boot; /* NULL once it has ended */
	struct waiters waiters;
	struct waiters network_waiters;
	struct waiters resolver_waiters;

	struct error cause; /* why it ended by itself; ERROR_NONE: it did not */
	ev_timer grace;     /* after the loss of the agent */
	ev_timer begin;     /* of the boot */
	ev_timer no_vm;     /* on_gone comes from the loop also where there was none */
	done_fn *on_gone;
	void *ctx;
};

static void set_state(struct sandbox *sandbox, enum sandbox_state state)
{
	static const char *const names[] = { "booting", "ready", "stopping", "gone" };

	assert(state > sandbox->state);
	log_debug("sandbox id=%s from=%s to=%s", sandbox->id, names[sandbox->state], names[state]);
	sandbox->state = state;
}

/* The error that users see: what failed first, what to do, and what the guest said last. */
static void complete_cause(struct sandbox *sandbox)
{
	struct error *err = &sandbox->cause;
	char console[CONSOLE_MAX] = "";

	if (!sandbox->was_ready) {
		error_wrap(err, "cannot boot the virtual machine");
		if (err->code == ERROR_DEADLINE_EXCEEDED)
			hint_add(err, HINT_GUEST_SILENT);
	}
	if (sandbox->vm)
		vm_console_tail(sandbox->vm, console, sizeof(console));
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
	live_network_destroy(take_ptr(&sandbox->live));
	network_destroy(take_ptr(&sandbox->network));
	if (sandbox->cause.code)
		complete_cause(sandbox);
	sandbox_refuse(sandbox, &refusal);
	complete_waiters(&sandbox->waiters, &refusal);
	complete_waiters(&sandbox->network_waiters, &refusal);
	complete_waiters(&sandbox->resolver_waiters, &refusal);
	machine_growth_end(sandbox->growth, &refusal);
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

	sandbox->vm_gone = true;
	ev_timer_stop(sandbox->loop, &sandbox->grace);
	if (err && !wanted)
		error_copy(&sandbox->cause, err);
	if (sandbox->boot)
		seq_cancel(sandbox->boot, &sandbox->cause);
	report_gone(sandbox);
}

/* On to on_vm_gone(), or, where there is no VM, to on_no_vm(). */
static void end(struct sandbox *sandbox)
{
	if (sandbox->vm)
		vm_stop(sandbox->vm);
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
	live_network_stop(sandbox->live);
	error_copy(&sandbox->cause, err);
	if (err->code == ERROR_UNAVAILABLE && sandbox->vm) {
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

/* The steps of the boot. Nothing is undone: a sandbox that did not boot is stopped as a whole. */

/* `start` does not wait for the milliseconds that the first steps take. */
static void boot_return_to_loop(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	ev_timer_start(sandbox->loop, &sandbox->begin);
}

static void on_begin(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct sandbox *sandbox = timer->data;

	seq_next(sandbox->boot);
}

static void boot_cancel_begin(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	ev_timer_stop(sandbox->loop, &sandbox->begin);
}

static void boot_take_uid(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	struct error err;

	if (uid_lease_take(UID_LEASE_DIR, UID_LEASE_FIRST, UID_LEASE_COUNT, &sandbox->lease, &err) <
	    0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}

/* The guest's driver uses as many as there are vCPUs when it finds the card. */
static unsigned int queues_of_card(const struct vm_size *size)
{
	return size->vcpus < VM_DEVICE_QUEUES_MAX ? size->vcpus : VM_DEVICE_QUEUES_MAX;
}

/*
 * The cards are on the VMM's command line: the guest finds them when it boots. Those with more than
 * two queues are plugged in when it has: QEMU 7.2 keeps the head of the kernel's file, by which the
 * firmware knows what to do, on its stack, and such a card overwrites it there.
 */
static void boot_connect_networks(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	unsigned int queues = queues_of_card(&sandbox->size->start);
	const struct nic_config config = {
		.pod = strrchr(sandbox->pod_dir, '/') + 1,
		.queues = queues,
		.comes_late = queues > EARLY_QUEUES_MAX,
		.vhost = !sandbox->config->disable_vhost_net,
		.rx_bits_per_s = (uint64_t)sandbox->config->rx_bits_per_s,
		.tx_bits_per_s = (uint64_t)sandbox->config->tx_bits_per_s,
	};
	struct error err;

	if (sandbox->netns && sandbox->config->network_model != NETWORK_MODEL_NONE &&
	    network_connect(sandbox->netns, &config, &sandbox->network, &err) < 0) {
		error_wrap(&err, "cannot connect the pod's network");
		seq_fail(seq, &err);
	} else {
		seq_next(seq);
	}
}

static size_t cards_of(const struct sandbox *sandbox, struct nic *const **out)
{
	return sandbox->network ? network_cards(sandbox->network, out) : 0;
}

/* The user's own come last: they count. */
static char *make_kernel_params(const struct config *config)
{
	return mem_printf("%s%s%s", config->vmm_debug ? "loglevel=7 " : "",
	                  config->agent_debug ? "agent.log=debug " : "", config->kernel_params);
}

/* Room to grow into. Of the memory alone that has been plugged the guest knows. */
static uint64_t memory_max(const struct pod_size *size)
{
	uint64_t max =
		size->max.memory_mib < MEMORY_ROOM_MIB ? size->max.memory_mib : MEMORY_ROOM_MIB;

	max -= max % VM_SIZE_STEP_MIB;
	return max > size->start.memory_mib ? max : size->start.memory_mib;
}

static int start_vm(struct sandbox *sandbox, struct error *err)
{
	autofree char *kernel_params = make_kernel_params(sandbox->config);
	static const struct vm_events events = { .on_gone = on_vm_gone };
	uid_t uid = uid_lease_uid(sandbox->lease);
	struct vm_device devices[NETWORK_CARDS_MAX];
	struct nic *const *cards = NULL;
	size_t n_cards = cards_of(sandbox, &cards);
	const struct vm_config config = {
		.vmm_path = sandbox->config->vmm_path,
		.kernel = sandbox->config->kernel,
		.initramfs = sandbox->config->initrd,
		.vsock_path = sandbox->install->vsock,
		.virtiofsd_path = sandbox->config->virtiofsd_path,
		.share_dir = sandbox->share_dir,
		.run_dir = sandbox->pod_dir,
		.memory_mib = sandbox->size->start.memory_mib,
		.memory_max_mib = memory_max(sandbox->size),
		.vcpus = sandbox->size->start.vcpus,
		.vcpus_max = sandbox->size->max.vcpus,
		.vcpus_stay = sandbox->size->cpus_are_known,
		.accel = (enum vm_accel)sandbox->config->accel,
		.cache = (enum vm_cache)sandbox->config->virtiofs_cache,
		.uid = uid,
		.gid = uid,
		.own_mounts = true,
		.oom_score_adj = sandbox->oom_score_adj ? &sandbox->oom_score_adj : NULL,
		.kernel_params = kernel_params,
		.devices = devices,
		.ndevices = n_cards,
		.ports =
			sandbox->network ? (int)network_room(sandbox->network) + 1 : VM_PORTS_USUAL,
		.handshake_timeout_ms = sandbox->config->handshake_timeout_ms,
		.stop_timeout_ms = sandbox->config->vmm_stop_timeout_ms,
	};

	int r;

	for (size_t i = 0; i < n_cards; i++)
		nic_device(cards[i], &devices[i]);
	r = vm_start(sandbox->loop, &config, &events, sandbox, &sandbox->vm, err);
	for (size_t i = 0; i < n_cards; i++)
		nic_close_fds(cards[i]); /* with the VMM's own a tap ends */
	return r;
}

static void boot_start_vm(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	struct error err;

	if (start_vm(sandbox, &err) < 0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}

static void boot_await_hello(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	struct error err;

	if (hello_await(sandbox->loop, vm_vsock(sandbox->vm), vm_guest_cid(sandbox->vm),
	                sandbox->config->boot_timeout_ms, seq_resume, seq, &sandbox->hello,
	                &err) < 0)
		seq_fail(seq, &err);
}

static void boot_cancel_hello(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	hello_cancel(sandbox->hello);
}

static void on_connected(void *ctx, int fd, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (!sandbox->boot) { /* cancelled meanwhile */
		cleanup_close(&fd);
	} else if (err) {
		seq_fail(sandbox->boot, err);
	} else {
		sandbox->agent = agent_create(sandbox->loop, fd, hello_features(sandbox->hello),
		                              sandbox->config, on_agent_lost, sandbox);
		seq_next(sandbox->boot);
	}
}

static void boot_connect(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	struct error err;

	if (vsock_connect(vm_vsock(sandbox->vm), VSOCK_PORT_AGENT,
	                  sandbox->config->agent_connect_timeout_ms, on_connected, sandbox,
	                  &err) < 0)
		seq_fail(seq, &err);
}

static void boot_cancel_connect(struct seq *seq, void *ctx)
{
	/* on_connected() sees it. */
}

/* Before a process of a container, or a file that it makes, can see the time. */
static void boot_set_clock(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	struct error err;

	if (guest_clock_start(sandbox->loop, sandbox->agent, hello_features(sandbox->hello),
	                      sandbox->config->clock_interval_ms, seq_resume, seq, &sandbox->clock,
	                      &err) < 0)
		seq_fail(seq, &err);
}

static void boot_cancel_set_clock(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	guest_clock_destroy(take_ptr(&sandbox->clock));
}

static void on_network_settled(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (sandbox->boot)
		seq_resume(sandbox->boot, err);
	else
		complete_waiters(&sandbox->network_waiters, NULL); /* a warning is in the log */
}

/* docker changes the files with the networks. */
static void on_network_changed(void *ctx)
{
	struct sandbox *sandbox = ctx;

	if (sandbox->resolvers)
		resolvers_refresh(sandbox->resolvers);
}

/* Before a process of a container can see that it is not there yet. */
static void boot_set_networks_up(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	const struct live_network_config config = {
		.network = sandbox->network,
		.vm = sandbox->vm,
		.agent = sandbox->agent,
		.features = hello_features(sandbox->hello),
		.timeout_ms = sandbox->config->agent_timeout_ms,
		.on_changed = on_network_changed,
		.ctx = sandbox,
	};
	bool settled = !sandbox->network;
	struct error err;

	if (!settled) {
		if (live_network_create(sandbox->loop, &config, on_network_settled, sandbox,
		                        &sandbox->live, &err) < 0) {
			seq_fail(seq, &err);
			return;
		}
		settled = live_network_settle(sandbox->live);
	}
	if (settled)
		seq_next(seq);
}

static void boot_cancel_set_networks_up(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	live_network_stop(sandbox->live);
	guest_clock_destroy(take_ptr(&sandbox->clock));
}

/* A warning is enough (proto/features.h): nobody has asked for these limits by a spec. */
static struct host_limits *read_host_limits(const struct sandbox *sandbox)
{
	struct error err;

	if (!sandbox->config->host_limits)
		return NULL;
	if (features_require(hello_features(sandbox->hello), FEATURE_HOST_LIMITS,
	                     "runtime.host_limits", &err) < 0) {
		log_warn("containers get the guest's limits cause=\"%s\"", err.text);
		return NULL;
	}
	return host_limits_read();
}

static void boot_create_sandbox(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	autodestroy(host_limits) struct host_limits *limits = read_host_limits(sandbox);
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	struct error err;

	request.sandbox_id = sandbox->id;
	request.hostname = sandbox->hostname;
	pod_settings_put(sandbox->settings, &request);
	if (limits)
		host_limits_put(limits, &request);
	if (agent_create_sandbox(sandbox->agent, &request, seq_resume, seq, &err) < 0)
		seq_fail(seq, &err);
}

static void boot_cancel_create_sandbox(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	guest_clock_destroy(take_ptr(&sandbox->clock));
	agent_destroy(take_ptr(&sandbox->agent));
}

/* clang-format off */
static const struct seq_step boot_steps[] = {
	{ "return to the loop", boot_return_to_loop, NULL, boot_cancel_begin },
	{ "take a uid", boot_take_uid, NULL, NULL },
	{ "connect the networks", boot_connect_networks, NULL, NULL },
	{ "start the VM", boot_start_vm, NULL, NULL },
	{ "wait for the agent's hello", boot_await_hello, NULL, boot_cancel_hello },
	{ "connect to the agent", boot_connect, NULL, boot_cancel_connect },
	{ "set the guest's clock", boot_set_clock, NULL, boot_cancel_set_clock },
	{ "set the networks up", boot_set_networks_up, NULL, boot_cancel_set_networks_up },
	{ "create the sandbox", boot_create_sandbox, NULL, boot_cancel_create_sandbox },
	{ 0 },
};
/* clang-format on */

static void on_resolvers_settled(void *ctx)
{
	struct sandbox *sandbox = ctx;

	complete_waiters(&sandbox->resolver_waiters, NULL);
}

/* Who has connected before is served now. */
static void begin_relay(struct sandbox *sandbox)
{
	const struct resolvers_config resolvers = {
		.vsock = vm_vsock(sandbox->vm),
		.netns = sandbox->netns,
		.timeout_ms = sandbox->config->agent_connect_timeout_ms,
		.on_settled = on_resolvers_settled,
		.ctx = sandbox,
	};
	const struct loopback_relay_config config = {
		.vsock = vm_vsock(sandbox->vm),
		.loopback = sandbox->loopback,
		.timeout_ms = sandbox->config->agent_connect_timeout_ms,
	};

	if (!(hello_features(sandbox->hello) & FEATURE_RELAY)) {
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

static void on_booted(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	seq_destroy(take_ptr(&sandbox->boot));
	if (err) {
		/* That it was the VM's end which cancelled the boot is on_vm_gone()'s to say. */
		if (!sandbox->vm_gone)
			fail(sandbox, err);
		return;
	}
	sandbox->was_ready = true;
	sandbox->growth = machine_growth_create(&(struct machine_growth_config){
		.vm = sandbox->vm,
		.agent = sandbox->agent,
		.now = sandbox->size->start,
		.timeout_ms = sandbox->config->agent_timeout_ms,
	});
	set_state(sandbox, SANDBOX_READY);
	begin_relay(sandbox);
	complete_waiters(&sandbox->waiters, NULL);
}

struct sandbox *sandbox_start(struct ev_loop *loop, const struct sandbox_config *config,
                              done_fn *on_gone, void *ctx)
{
	struct sandbox *sandbox = mem_new(struct sandbox);

	sandbox->loop = loop;
	sandbox->id = mem_strdup(config->id);
	sandbox->hostname = mem_strdup(config->hostname);
	sandbox->pod_dir = mem_strdup(config->pod_dir);
	sandbox->share_dir = mem_strdup(config->share_dir);
	sandbox->install = config->install;
	sandbox->config = config->config;
	sandbox->size = config->size;
	sandbox->netns = config->netns;
	sandbox->loopback = config->loopback;
	sandbox->oom_score_adj = config->oom_score_adj;
	sandbox->settings = config->settings;
	sandbox->on_gone = on_gone;
	sandbox->ctx = ctx;
	LIST_INIT(&sandbox->waiters);
	LIST_INIT(&sandbox->network_waiters);
	LIST_INIT(&sandbox->resolver_waiters);
	ev_timer_init(&sandbox->grace, on_grace_over, 0, 0);
	ev_timer_init(&sandbox->begin, on_begin, 0, 0);
	ev_timer_init(&sandbox->no_vm, on_no_vm, 0, 0);
	sandbox->grace.data = sandbox->begin.data = sandbox->no_vm.data = sandbox;
	sandbox->boot = seq_create("boot", boot_steps, sandbox, on_booted);
	seq_start(sandbox->boot);
	return sandbox;
}

static void on_guest_destroyed(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (err)
		log_warn("the guest did not end its sandbox id=%s: %s", sandbox->id, err->text);
	if (sandbox->state == SANDBOX_STOPPING)
		end(sandbox);
}

void sandbox_stop(struct sandbox *sandbox)
{
	enum sandbox_state was = sandbox->state;
	struct error err;

	if (was == SANDBOX_BOOTING) {
		error_set(&err, ERROR_CANCELED, "the pod was asked to end");
		seq_cancel(sandbox->boot, &err);
		sandbox->cause.code = ERROR_NONE;
		return;
	}
	if (was != SANDBOX_READY)
		return; /* on its way */
	set_state(sandbox, SANDBOX_STOPPING);
	end_relay(sandbox);
	live_network_stop(sandbox->live);
	if (agent_destroy_sandbox(sandbox->agent, on_guest_destroyed, sandbox, &err) < 0)
		on_guest_destroyed(sandbox, &err);
}

void sandbox_fail(struct sandbox *sandbox, const struct error *why)
{
	if (sandbox->state == SANDBOX_BOOTING)
		seq_cancel(sandbox->boot, why);
	else if (sandbox->state == SANDBOX_READY)
		fail(sandbox, why);
}

void sandbox_destroy(struct sandbox *sandbox)
{
	struct error why;

	if (!sandbox)
		return;
	sandbox_refuse(sandbox, &why);
	seq_destroy(sandbox->boot);
	end_relay(sandbox);
	guest_clock_destroy(sandbox->clock);
	live_network_stop(sandbox->live);
	machine_growth_end(sandbox->growth, &why);
	agent_destroy(sandbox->agent);
	hello_destroy(sandbox->hello);
	vm_destroy(sandbox->vm);
	machine_growth_destroy(sandbox->growth);
	live_network_destroy(sandbox->live);
	network_destroy(sandbox->network);
	uid_lease_destroy(sandbox->lease);
	pod_settings_destroy(sandbox->settings);
	ev_timer_stop(sandbox->loop, &sandbox->grace);
	ev_timer_stop(sandbox->loop, &sandbox->begin);
	ev_timer_stop(sandbox->loop, &sandbox->no_vm);
	free(sandbox->id);
	free(sandbox->hostname);
	free(sandbox->pod_dir);
	free(sandbox->share_dir);
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
	if (!sandbox->live || live_network_settle(sandbox->live))
		done(ctx, NULL);
	else
		add_waiter(&sandbox->network_waiters, waiter, done, ctx);
}

void sandbox_grow(struct sandbox *sandbox, const struct vm_size *wanted,
                  struct growth_waiter *waiter, done_fn *done, void *ctx)
{
	struct error err;

	if (sandbox->state == SANDBOX_READY) {
		machine_growth_ask(sandbox->growth, wanted, waiter, done, ctx);
	} else {
		sandbox_refuse(sandbox, &err);
		done(ctx, &err);
	}
}

void sandbox_leave_growth(struct sandbox *sandbox, struct growth_waiter *waiter)
{
	machine_growth_leave(sandbox->growth, waiter);
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
	             (sandbox->state == SANDBOX_READY && !agent_is_lost(sandbox->agent));
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
	return sandbox->agent;
}

struct vsock *sandbox_vsock(struct sandbox *sandbox)
{
	return vm_vsock(sandbox->vm);
}

uid_t sandbox_uid(const struct sandbox *sandbox)
{
	return sandbox->lease ? uid_lease_uid(sandbox->lease) : 0;
}
