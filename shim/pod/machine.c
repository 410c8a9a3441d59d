#include "shim/pod/machine.h"

#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "hypervisor/vm.h"
#include "hypervisor/vm_device.h"
#include "hypervisor/vsock.h"
#include "proto/features.h"
#include "proto/vsock_ports.h"
#include "shim/config/config.h"
#include "shim/config/install.h"
#include "shim/host/host_cgroup.h"
#include "shim/host/uid_lease.h"
#include "shim/network/network.h"
#include "shim/network/nic.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/agent_search.h"
#include "shim/pod/disks.h"
#include "shim/pod/guest_clock.h"
#include "shim/pod/guest_swap.h"
#include "shim/pod/hello.h"
#include "shim/pod/host_limits.h"
#include "shim/pod/live_network.h"
#include "shim/pod/machine_size.h"
#include "shim/pod/pod_settings.h"
#include "shim/pod/pod_size.h"

#define EARLY_QUEUES_MAX 2 /* of a card that is there when the machine starts */

/* QEMU's own processor (TCG) has 40 bits for a physical address: 1 TiB with all that is beside. */
#define MEMORY_ROOM_MIB (512ULL << 10)

static void on_vm_gone(void *ctx, const struct error *err)
{
	struct machine *machine = ctx;

	machine->events->on_vm_gone(machine->ctx, err);
}

static void on_agent_lost(void *ctx, const struct error *err)
{
	struct machine *machine = ctx;

	machine->events->on_agent_lost(machine->ctx, err);
}

/* The steps of the boot. Nothing is undone: a machine that did not boot is ended as a whole. */

/* `start` does not wait for the milliseconds that the first steps take. */
static void boot_return_to_loop(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	ev_timer_start(machine->loop, &machine->begin);
}

static void on_begin(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct machine *machine = timer->data;

	seq_next(machine->boot);
}

static void boot_cancel_begin(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	ev_timer_stop(machine->loop, &machine->begin);
}

/* A pod without it runs all the same: the guest limits its containers. */
static void on_cgroup_entered(void *ctx, const struct error *err)
{
	struct machine *machine = ctx;

	if (err)
		log_warn("the pod's cgroup on the host is not as asked for: %s", err->text);
	seq_next(machine->boot);
}

static void boot_enter_cgroup(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	host_cgroup_enter(machine->config.cgroup, machine->loop, on_cgroup_entered, machine);
}

static void boot_cancel_enter_cgroup(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	host_cgroup_cancel(machine->config.cgroup);
}

static void boot_take_uid(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;
	struct error err;

	if (uid_lease_take(UID_LEASE_DIR, UID_LEASE_FIRST, UID_LEASE_COUNT, &machine->lease, &err) <
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
	struct machine *machine = ctx;
	unsigned int queues = queues_of_card(&machine->config.size->start);
	const struct nic_config config = {
		.pod = strrchr(machine->config.pod_dir, '/') + 1,
		.queues = queues,
		.comes_late = queues > EARLY_QUEUES_MAX,
		.vhost = !machine->config.config->disable_vhost_net,
		.rx_bits_per_s = (uint64_t)machine->config.config->rx_bits_per_s,
		.tx_bits_per_s = (uint64_t)machine->config.config->tx_bits_per_s,
	};
	struct error err;

	if (machine->config.netns && machine->config.config->network_model != NETWORK_MODEL_NONE &&
	    network_connect(machine->config.netns, &config, &machine->network, &err) < 0) {
		error_wrap(&err, "cannot connect the pod's network");
		seq_fail(seq, &err);
	} else {
		seq_next(seq);
	}
}

static size_t cards_of(const struct machine *machine, struct nic *const **out)
{
	return machine->network ? network_cards(machine->network, out) : 0;
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

static int ports_of(const struct machine *machine)
{
	int needed = machine->network ? (int)network_room(machine->network) + 1 : VM_PORTS_USUAL;

	return needed > machine->config.config->root_ports ? needed
	                                                   : machine->config.config->root_ports;
}

static int start_vm(struct machine *machine, struct error *err)
{
	autofree char *kernel_params = make_kernel_params(machine->config.config);
	static const struct vm_events events = { .on_gone = on_vm_gone };
	uid_t uid = uid_lease_uid(machine->lease);
	struct vm_device devices[NETWORK_CARDS_MAX];
	struct nic *const *cards = NULL;
	size_t n_cards = cards_of(machine, &cards);
	const struct vm_config config = {
		.vmm_path = machine->config.config->vmm_path,
		.kernel = machine->config.config->kernel,
		.initramfs = machine->config.config->initrd,
		.vsock_path = machine->config.install->vsock,
		.virtiofsd_path = machine->config.config->virtiofsd_path,
		.share_dir = machine->config.share_dir,
		.run_dir = machine->config.pod_dir,
		.memory_mib = machine->config.size->start.memory_mib,
		.memory_max_mib = memory_max(machine->config.size),
		.huge_pages = machine->config.config->enable_hugepages,
		.vcpus = machine->config.size->start.vcpus,
		.vcpus_max = machine->config.size->max.vcpus,
		/* A huge page that went back would be set aside no more. */
		.reclaims_memory = machine->config.config->reclaims_memory &&
		                   !machine->config.config->enable_hugepages,
		.vcpus_stay = machine->config.size->cpus_are_known,
		.accel = (enum vm_accel)machine->config.config->accel,
		.cache = (enum vm_cache)machine->config.config->virtiofs_cache,
		.uid = uid,
		.gid = uid,
		.own_mounts = true,
		.oom_score_adj =
			machine->config.oom_score_adj ? &machine->config.oom_score_adj : NULL,
		.kernel_params = kernel_params,
		.devices = devices,
		.ndevices = n_cards,
		.ports = ports_of(machine),
		.handshake_timeout_ms = machine->config.config->handshake_timeout_ms,
		.stop_timeout_ms = machine->config.config->vmm_stop_timeout_ms,
	};

	int r;

	for (size_t i = 0; i < n_cards; i++)
		nic_device(cards[i], &devices[i]);
	r = vm_start(machine->loop, &config, &events, machine, &machine->vm, err);
	for (size_t i = 0; i < n_cards; i++)
		nic_close_fds(cards[i]); /* with the VMM's own a tap ends */
	return r;
}

static void boot_start_vm(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;
	struct error err;

	if (start_vm(machine, &err) < 0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}

static void on_hello(void *ctx, const struct error *err)
{
	struct machine *machine = ctx;

	agent_search_stop(machine->search);
	if (!err)
		machine->features = hello_features(machine->hello);
	seq_resume(machine->boot, err);
}

static void on_found(void *ctx)
{
	struct machine *machine = ctx;

	hello_cancel(machine->hello);
	seq_next(machine->boot);
}

static void boot_find_agent(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;
	struct error err;

	if (hello_await(machine->loop, vm_vsock(machine->vm), vm_guest_cid(machine->vm),
	                machine->config.config->boot_timeout_ms, on_hello, machine, &machine->hello,
	                &err) < 0)
		seq_fail(seq, &err);
	else
		machine->search = agent_search_start(machine->loop, vm_vsock(machine->vm),
		                                     machine->config.config, on_found, machine);
}

static void boot_cancel_find_agent(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	hello_cancel(machine->hello);
	agent_search_stop(machine->search);
}

static void on_connected(void *ctx, int fd, const struct error *err)
{
	struct machine *machine = ctx;

	if (!machine->boot) { /* cancelled meanwhile */
		cleanup_close(&fd);
	} else if (err) {
		seq_fail(machine->boot, err);
	} else {
		machine->agent = agent_create(machine->loop, fd, machine->features,
		                              machine->config.config, on_agent_lost, machine);
		seq_next(machine->boot);
	}
}

static void boot_place_vcpus(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;
	struct error err;

	if (host_cgroup_add_vmm(machine->config.cgroup, vm_pid(machine->vm), &err) < 0)
		log_warn("vCPUs are not in the pod's cgroup on the host: %s", err.text);
	seq_next(seq);
}

static void boot_connect(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;
	struct error err;

	if (vsock_connect(vm_vsock(machine->vm), VSOCK_PORT_AGENT,
	                  machine->config.config->agent_connect_timeout_ms, on_connected, machine,
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
	struct machine *machine = ctx;
	struct error err;

	if (guest_clock_start(machine->loop, machine->agent, machine->features,
	                      machine->config.config->clock_interval_ms, seq_resume, seq,
	                      &machine->clock, &err) < 0)
		seq_fail(seq, &err);
}

static void boot_cancel_set_clock(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	guest_clock_destroy(take_ptr(&machine->clock));
}

static void on_network_settled(void *ctx, const struct error *err)
{
	struct machine *machine = ctx;

	if (machine->boot)
		seq_resume(machine->boot, err);
	else
		machine->events->on_network_settled(machine->ctx, err);
}

static void on_network_changed(void *ctx)
{
	struct machine *machine = ctx;

	machine->events->on_network_changed(machine->ctx, NULL);
}

/* Before a process of a container can see that it is not there yet. */
static void boot_set_networks_up(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;
	const struct live_network_config config = {
		.network = machine->network,
		.vm = machine->vm,
		.agent = machine->agent,
		.features = machine->features,
		.timeout_ms = machine->config.config->agent_timeout_ms,
		.on_changed = on_network_changed,
		.ctx = machine,
	};
	bool settled = !machine->network;
	struct error err;

	if (!settled) {
		if (live_network_create(machine->loop, &config, on_network_settled, machine,
		                        &machine->live, &err) < 0) {
			seq_fail(seq, &err);
			return;
		}
		settled = live_network_settle(machine->live);
	}
	if (settled)
		seq_next(seq);
}

static void boot_cancel_set_networks_up(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	live_network_stop(machine->live);
	guest_clock_destroy(take_ptr(&machine->clock));
}

/* A warning is enough (proto/features.h): nobody has asked for these limits by a spec. */
static struct host_limits *read_host_limits(const struct machine *machine)
{
	struct error err;

	if (!machine->config.config->host_limits)
		return NULL;
	if (features_require(machine->features, FEATURE_HOST_LIMITS, "runtime.host_limits", &err) <
	    0) {
		log_warn("containers get the guest's limits cause=\"%s\"", err.text);
		return NULL;
	}
	return host_limits_read();
}

static void on_sandbox_created(void *ctx, const struct error *err)
{
	struct machine *machine = ctx;

	machine->refused = err && err->code == ERROR_INVALID_ARGUMENT;
	seq_resume(machine->boot, err);
}

static void boot_create_sandbox(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;
	autodestroy(host_limits) struct host_limits *limits = read_host_limits(machine);
	Grpc__CreateSandboxRequest request = GRPC__CREATE_SANDBOX_REQUEST__INIT;
	struct error err;

	request.sandbox_id = (char *)machine->config.id;
	request.hostname = (char *)machine->config.hostname;
	pod_settings_put(machine->settings, &request);
	if (limits)
		host_limits_put(limits, &request);
	if (agent_create_sandbox(machine->agent, &request, on_sandbox_created, machine, &err) < 0)
		seq_fail(seq, &err);
}

static void boot_cancel_create_sandbox(struct seq *seq, void *ctx)
{
	struct machine *machine = ctx;

	guest_clock_destroy(take_ptr(&machine->clock));
	agent_destroy(take_ptr(&machine->agent));
}

/* clang-format off */
static const struct seq_step boot_steps[] = {
	{ "return to the loop", boot_return_to_loop, NULL, boot_cancel_begin },
	{ "enter the pod's cgroup", boot_enter_cgroup, NULL, boot_cancel_enter_cgroup },
	{ "take a uid", boot_take_uid, NULL, NULL },
	{ "connect the networks", boot_connect_networks, NULL, NULL },
	{ "start the VM", boot_start_vm, NULL, NULL },
	{ "wait for the agent's hello", boot_find_agent, NULL, boot_cancel_find_agent },
	{ "place the vCPUs", boot_place_vcpus, NULL, NULL },
	{ "connect to the agent", boot_connect, NULL, boot_cancel_connect },
	{ "set the guest's clock", boot_set_clock, NULL, boot_cancel_set_clock },
	{ "set the networks up", boot_set_networks_up, NULL, boot_cancel_set_networks_up },
	{ "create the sandbox", boot_create_sandbox, NULL, boot_cancel_create_sandbox },
	{ 0 },
};
/* clang-format on */

static void make_changeable(struct machine *machine)
{
	const struct config *config = machine->config.config;

	machine->size = machine_size_create(machine->loop,
	                                    &(struct machine_size_config){
						    .vm = machine->vm,
						    .agent = machine->agent,
						    .start = machine->config.size->start,
						    .timeout_ms = config->agent_timeout_ms,
						    .give_back_ms = config->give_back_timeout_ms,
						    .delay_ms = config->shrink_delay_ms,
						    .wanted = machine->config.wanted_size,
						    .ctx = machine->config.wanted_ctx,
					    });
	machine->disks = disks_create(&(struct disks_config){
		.look_s = DISKS_LOOK_S,
		.loop = machine->loop,
		.vm = machine->vm,
		.timeout_ms = machine->config.config->agent_timeout_ms,
	});
}

static void begin_swap(struct machine *machine)
{
	const struct config *config = machine->config.config;

	if (!config->enable_guest_swap)
		return;
	machine->swap = guest_swap_create(&(struct guest_swap_config){
		.loop = machine->loop,
		.agent = machine->agent,
		.disks = machine->disks,
		.dir = config->guest_swap_path,
		.mib = machine->config.size->start.memory_mib *
	               (uint64_t)config->guest_swap_percent / 100,
		.delay_s = config->guest_swap_delay_ms / 1e3,
		.timeout_ms = config->mount_timeout_ms,
	});
}

static void on_booted(void *ctx, const struct error *err)
{
	struct machine *machine = ctx;

	seq_destroy(take_ptr(&machine->boot));
	if (!err) {
		make_changeable(machine);
		begin_swap(machine);
	}
	machine->events->on_booted(machine->ctx, err);
}

struct machine *machine_create(struct ev_loop *loop, const struct machine_config *config,
                               struct pod_settings *settings, const struct machine_events *events,
                               void *ctx)
{
	struct machine *machine = mem_new(struct machine);

	machine->loop = loop;
	machine->config = *config;
	machine->config.id = mem_strdup(config->id);
	machine->config.hostname = mem_strdup(config->hostname);
	machine->config.pod_dir = mem_strdup(config->pod_dir);
	machine->config.share_dir = mem_strdup(config->share_dir);
	machine->settings = settings;
	machine->events = events;
	machine->ctx = ctx;
	ev_timer_init(&machine->begin, on_begin, 0, 0);
	machine->begin.data = machine;
	return machine;
}

void machine_boot(struct machine *machine)
{
	machine->boot = seq_create("boot", boot_steps, machine, on_booted);
	seq_start(machine->boot);
}

void machine_cancel_boot(struct machine *machine, const struct error *why)
{
	if (machine->boot)
		seq_cancel(machine->boot, why);
}

uid_t machine_uid(const struct machine *machine)
{
	return machine->lease ? uid_lease_uid(machine->lease) : 0;
}

void machine_end_changes(struct machine *machine, const struct error *why)
{
	machine_size_end(machine->size, why);
	disks_end(machine->disks, why);
}

void machine_release_network(struct machine *machine)
{
	live_network_destroy(take_ptr(&machine->live));
	network_destroy(take_ptr(&machine->network));
}

void machine_destroy(struct machine *machine)
{
	if (!machine)
		return;
	seq_destroy(machine->boot);
	guest_swap_destroy(machine->swap);
	guest_clock_destroy(machine->clock);
	live_network_stop(machine->live);
	agent_destroy(machine->agent);
	hello_destroy(machine->hello);
	vm_destroy(machine->vm);
	agent_search_destroy(machine->search);
	machine_size_destroy(machine->size);
	disks_destroy(machine->disks);
	machine_release_network(machine);
	uid_lease_destroy(machine->lease);
	pod_settings_destroy(machine->settings);
	ev_timer_stop(machine->loop, &machine->begin);
	free((char *)machine->config.id);
	free((char *)machine->config.hostname);
	free((char *)machine->config.pod_dir);
	free((char *)machine->config.share_dir);
	free(machine);
}
