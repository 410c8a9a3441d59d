#include "shim/config/config_keys.h"

#include "shim/config/config.h"

#define QEMU     "hypervisor.qemu"
#define AGENT    "agent.kata"
#define RUNTIME  "runtime"
#define TIMEOUTS "timeouts"

#define MEMORY_MIN_MIB 128
#define MEMORY_MAX_MIB 16777216
#define VCPUS_MAX      1024
#define PORTS_MAX      64 /* hypervisor/vm_config.h */
#define SECONDS_MAX    86400
#define PERCENT_MAX    1000
#define MS_MAX         86400000

/* NOLINTBEGIN(bugprone-macro-parentheses): initialisers, no expressions */
#define KEY(table_, name_, type_, member, initial_)                                                \
	.table = table_, .name = name_, .type = type_, .offset = offsetof(struct config, member),  \
	.initial = initial_
#define FIXED(table_, name_, initial_)                                                             \
	.table = table_, .name = name_, .type = CONFIG_FIXED, .initial = initial_
#define RANGE(min_, max_) .min = (min_), .max = (max_)
#define ONE_OF(...)                                                                                \
	.choices = (const char *const[])                                                           \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define MEANS(text) .meaning = text
#define TIMEOUT_MS(name_, member, initial_, text)                                                  \
	{                                                                                          \
		KEY(TIMEOUTS, name_, CONFIG_INTEGER, member, initial_), RANGE(1, MS_MAX),          \
			MEANS(text)                                                                \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/* clang-format off: one key a paragraph */
const struct config_key config_keys[] = {
	{ KEY(QEMU, "path", CONFIG_PATH, vmm_path, "\"\""),
	  MEANS("QEMU's executable. Empty: where distributions put it.") },
	{ KEY(QEMU, "kernel", CONFIG_PATH, kernel, "\"\""),
	  MEANS("The guest's kernel. Empty: the installed one. What it loads on demand is in "
	        "`modules` beside it, if there is any.") },
	{ KEY(QEMU, "initrd", CONFIG_PATH, initrd, "\"\""),
	  MEANS("The guest's initramfs. Empty: the installed one.") },
	{ KEY(QEMU, "kernel_params", CONFIG_STRING, kernel_params, "\"\""),
	  MEANS("Added to the guest kernel's command line.") },
	{ FIXED(QEMU, "machine_type", "\"q35\""), ONE_OF("q35"),
	  MEANS("The machine that QEMU emulates.") },
	{ KEY(QEMU, "accel", CONFIG_CHOICE, accel, "\"auto\""), ONE_OF("auto", "kvm", "tcg"),
	  MEANS("What runs the guest's code. `auto`: KVM if it can really run a guest, else TCG "
	        "with a warning.") },
	{ KEY(QEMU, "default_vcpus", CONFIG_INTEGER, vcpus, "1"), RANGE(-1, VCPUS_MAX),
	  MEANS("vCPUs for the guest itself; limits of the workload come on top. 0 is 1; -1: as "
	        "many as the host has.") },
	{ KEY(QEMU, "default_maxvcpus", CONFIG_INTEGER, max_vcpus, "0"), RANGE(0, VCPUS_MAX),
	  MEANS("The most vCPUs that a guest gets. 0: as many as the host has.") },
	{ KEY(QEMU, "default_memory", CONFIG_INTEGER, memory_mib, "2048"),
	  RANGE(MEMORY_MIN_MIB, MEMORY_MAX_MIB),
	  MEANS("Memory for the guest itself in MiB; limits of the workload come on top. The "
	        "host's memory is used only where the guest touches it.") },
	{ KEY(QEMU, "default_maxmemory", CONFIG_INTEGER, max_memory_mib, "0"),
	  RANGE(0, MEMORY_MAX_MIB),
	  MEANS("The most memory that a guest gets, in MiB. 0: as much as the host has.") },
	{ KEY(QEMU, "reclaim_guest_freed_memory", CONFIG_BOOLEAN, reclaims_memory, "true"),
	  MEANS("Memory that the guest has freed goes back to the host, within some seconds, by a "
	        "balloon device that reports free pages. Needs `modules` beside the kernel.") },
	{ KEY(QEMU, "enable_hugepages", CONFIG_BOOLEAN, enable_hugepages, "false"),
	  MEANS("The memory that a guest starts with is of the host's huge pages of 2 MiB, which "
	        "are set aside for it: it gives none back, and what it gets later is of ordinary "
	        "pages.") },
	{ KEY(QEMU, "enable_guest_swap", CONFIG_BOOLEAN, enable_guest_swap, "false"),
	  MEANS("The guest swaps to a file of the host without a name, which takes of the disk "
	        "what is swapped out.") },
	{ KEY(QEMU, "guest_swap_path", CONFIG_STRING, guest_swap_path, "\"/var/tmp\""),
	  MEANS("The directory, and so the file system, of that file.") },
	{ KEY(QEMU, "guest_swap_size_percent", CONFIG_INTEGER, guest_swap_percent, "100"),
	  RANGE(1, PERCENT_MAX), MEANS("Its size, of the memory that the guest starts with.") },
	{ KEY(QEMU, "guest_swap_create_threshold_secs", CONFIG_SECONDS, guest_swap_delay_ms, "60"),
	  RANGE(0, SECONDS_MAX), MEANS("It comes when the machine has run for so many seconds.") },
	{ FIXED(QEMU, "shared_fs", "\"virtio-fs\""), ONE_OF("virtio-fs"),
	  MEANS("How the guest gets the host's files.") },
	{ KEY(QEMU, "virtio_fs_daemon", CONFIG_PATH, virtiofsd_path, "\"\""),
	  MEANS("The executable that serves files: virtiofsd, the one in Rust or QEMU's in C; or "
	        "our "
	        "`kata-fs`, in `libexec/kata-containers` beside the shim's `bin`. Empty: virtiofsd "
	        "where distributions put it, the one in Rust first.") },
	{ KEY(QEMU, "virtio_fs_cache", CONFIG_CHOICE, virtiofs_cache, "\"auto\""),
	  ONE_OF("never", "auto", "always"),
	  MEANS("What the guest caches of the host's files. `never`: nothing, and no shared "
	        "writable mappings; `auto`: for a second, or while open; `always`: forever.") },
	{ KEY(QEMU, "disable_vhost_net", CONFIG_BOOLEAN, disable_vhost_net, "false"),
	  MEANS("QEMU itself moves the packets of network cards, also where the host has "
	        "`/dev/vhost-net`.") },
	{ KEY(QEMU, "disable_block_device_use", CONFIG_BOOLEAN, disable_block_device_use, "false"),
	  MEANS("A root file system in an image or on a block device is mounted by the host, which "
	        "shares it, and does not become a disk of the guest.") },
	{ KEY(QEMU, "pcie_root_port", CONFIG_INTEGER, root_ports, "0"), RANGE(0, PORTS_MAX),
	  MEANS("How many PCIe root ports a machine has at least: one for each network card and "
	        "disk "
	        "that it has at once, and one for memory. 0: eight, or sixteen for a pod with more "
	        "than seven links at its start. Each costs the start.") },
	{ KEY(QEMU, "rx_rate_limiter_max_rate", CONFIG_RATE, rx_bits_per_s, "0"),
	  MEANS("The most bits a second that each network card of the guest receives. 0: no "
	        "limit. The host's kernel needs CONFIG_NET_SCH_TBF.") },
	{ KEY(QEMU, "tx_rate_limiter_max_rate", CONFIG_RATE, tx_bits_per_s, "0"),
	  MEANS("The same of what it sends. The limit is a qdisc of the link in the pod's network "
	        "namespace, which must have none then.") },
	{ KEY(QEMU, "enable_debug", CONFIG_BOOLEAN, vmm_debug, "false"),
	  MEANS("The guest's kernel prints all its messages.") },

	{ KEY(AGENT, "dial_timeout", CONFIG_SECONDS, boot_timeout_ms, "60"), RANGE(1, SECONDS_MAX),
	  MEANS("Seconds from the start of the machine to the agent's announcement.") },
	{ KEY(AGENT, "enable_debug", CONFIG_BOOLEAN, agent_debug, "false"),
	  MEANS("The agent logs every step.") },

	{ KEY(RUNTIME, "enable_debug", CONFIG_BOOLEAN, debug, "false"),
	  MEANS("The shim logs every step, as with containerd's own debug level.") },
	{ KEY(RUNTIME, "create_container_timeout", CONFIG_SECONDS, create_timeout_ms, "60"),
	  RANGE(1, SECONDS_MAX), MEANS("Seconds for the guest to create a container.") },
	{ KEY(RUNTIME, "internetworking_model", CONFIG_CHOICE, network_model, "\"tcfilter\""),
	  ONE_OF("tcfilter", "none"),
	  MEANS("How the guest is connected with the pod's network namespace. `tcfilter`: for "
	        "each link in it that is up and has an address the guest has a network card; "
	        "`none`: not at all.") },
	{ KEY(RUNTIME, "host_limits", CONFIG_BOOLEAN, host_limits, "true"),
	  MEANS("Processes inherit the shim's resource limits (`ulimit`), as under runc, and the "
	        "guest's kernel gets at least the host's values of settings without a namespace "
	        "(`vm.max_map_count` and others: see limitations.md).") },
	{ KEY(RUNTIME, "sandbox_cgroup_only", CONFIG_BOOLEAN, sandbox_cgroup_only, "true"),
	  MEANS("On the host, the pod's cgroup has the machine, its helpers and the shim. `false`: "
	        "the vCPUs alone (cgroup v1), or QEMU's process; the others are in "
	        "`/kata_overhead/<id>`, unlimited.") },

	{ KEY(RUNTIME, "enable_vcpus_pinning", CONFIG_BOOLEAN, pin_vcpus, "false"),
	  MEANS("Each vCPU is bound to one of the CPUs that the specs of the pod's containers name "
	        "(`cpu.cpus`) while there are as many; else they run wherever the shim may.") },
	{ KEY(RUNTIME, "static_sandbox_resource_mgmt", CONFIG_BOOLEAN, static_size, "false"),
	  MEANS("The machine keeps the size that it has at its start, by the limits that are known "
	        "then: those of a single container, or those that the annotations of a pod's "
	        "sandbox name.") },

	TIMEOUT_MS(
		"idle_ms", idle_timeout_ms, "60000",
		"A pod without a Create ends after this time. (containerd does not always report "
		"that it has given up.)"),
	TIMEOUT_MS("shutdown_ms", shutdown_timeout_ms, "5000",
	           "A pod ends this long after Delete of its last container, without a Shutdown."),
	TIMEOUT_MS("handshake_ms", handshake_timeout_ms, "60000",
	           "From QEMU's start to its first answer."),
	TIMEOUT_MS("vmm_stop_ms", vmm_stop_timeout_ms, "3000",
	           "From the request to QEMU to quit to SIGKILL."),
	TIMEOUT_MS("mount_ms", mount_timeout_ms, "30000",
	           "Mounting or unmounting the file systems of a container on the host."),
	TIMEOUT_MS(
		"agent_search_ms", agent_search_after_ms, "1000",
		"From the machine's start until the shim looks itself for an agent that does not "
		"announce itself, as upstream's does not."),
	TIMEOUT_MS("agent_connect_ms", agent_connect_timeout_ms, "10000",
	           "Connecting to an agent that has announced itself, or that was found, and its "
	           "first answer."),
	TIMEOUT_MS("agent_ms", agent_timeout_ms, "30000",
	           "The agent's answer to a call without a timeout of its own."),
	TIMEOUT_MS("agent_lost_ms", agent_lost_timeout_ms, "1000",
	           "From the loss of the agent to the end of its machine, which tells the cause; "
	           "after that, the machine is stopped."),
	TIMEOUT_MS("agent_stop_ms", agent_stop_timeout_ms, "5000",
	           "The guest's orderly shutdown, before QEMU is asked to quit."),
	TIMEOUT_MS("kill_ms", kill_timeout_ms, "10000",
	           "From SIGKILL to the end of a container; after that, its machine is stopped."),
	TIMEOUT_MS("clock_ms", clock_interval_ms, "10000",
	           "Between two checks of the guest's clock against the host's."),
	TIMEOUT_MS("give_back_ms", give_back_timeout_ms, "10000",
	           "The guest gives back vCPUs, or memory, that its containers want no more."),
	TIMEOUT_MS("shrink_ms", shrink_delay_ms, "360000",
	           "From the Delete of a container until the machine gives back its share: longer "
	           "than a kubelet waits to restart it, at most five minutes."),
	TIMEOUT_MS("stdio_open_ms", stdio_open_timeout_ms, "10000",
	           "Opening a stream to the guest."),
	TIMEOUT_MS(
		"stdio_exit_ms", stdio_exit_timeout_ms, "400",
		"An exit is reported when the output before it has been read, or after this long "
		"without a read."),
	TIMEOUT_MS("stdio_stall_ms", stdio_stall_timeout_ms, "5000",
	           "Delete waits for output in flight, but no longer than this without a read."),
	TIMEOUT_MS("stdio_drain_ms", stdio_drain_timeout_ms, "10000",
	           "The longest wait of Delete for output in flight."),
	TIMEOUT_MS("logger_ready_ms", logger_ready_timeout_ms, "10000",
	           "From the start of a logging program (binary://) until it is ready."),
	TIMEOUT_MS("logger_grace_ms", logger_grace_timeout_ms, "2000",
	           "From the end of the output to SIGTERM for a logging program."),
	TIMEOUT_MS("logger_term_ms", logger_term_timeout_ms, "1000",
	           "From SIGTERM to SIGKILL for a logging program."),
	TIMEOUT_MS("event_ms", event_timeout_ms, "5000",
	           "containerd's answer to an event; after that, the event is sent again."),
	TIMEOUT_MS("events_drain_ms", events_drain_timeout_ms, "10000",
	           "After the end of its pod, the shim waits for containerd to accept the last "
	           "events."),
	{ 0 },
};
/* clang-format on */
