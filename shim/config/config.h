/*
 * The configuration: upstream's configuration.toml with its drop-ins, and time-outs of our own. The
 * keys are in config_keys.c; docs/configuration.md is generated from the same table.
 * The struct does not change once it is loaded.
 */
#ifndef SHIM_CONFIG_H
#define SHIM_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "hypervisor/vm_config.h" /* the enums of choices */

/* How the guest is connected with the pod's network namespace. */
enum network_model {
	NETWORK_MODEL_TCFILTER, /* a tap for each link, joined by filters of tc */
	NETWORK_MODEL_NONE,     /* not at all */
};

struct config {
	char *file; /* what was read; NULL: there was none */
	/* [hypervisor.qemu]; paths are never NULL */
	char *vmm_path;
	char *kernel;
	char *initrd;
	char *kernel_params;
	char *virtiofsd_path;
	int accel;          /* enum vm_accel */
	int virtiofs_cache; /* enum vm_cache */
	int vcpus;          /* < 0: all of the host's */
	int max_vcpus;      /* 0: the host's */
	int memory_mib;
	int max_memory_mib; /* 0: the host's */
	bool reclaims_memory;
	bool enable_hugepages;
	bool enable_guest_swap;
	int guest_swap_percent; /* of the memory */
	int guest_swap_delay_ms;
	char *guest_swap_path;
	bool vmm_debug;
	bool disable_vhost_net;
	int root_ports;                /* at least; 0: as many as are needed at the start */
	bool disable_block_device_use; /* root file systems are mounted by the host */
	int64_t rx_bits_per_s;         /* of each network card; 0: no limit */
	int64_t tx_bits_per_s;
	/* [agent.kata] */
	int boot_timeout_ms;
	bool agent_debug;
	/* [runtime] */
	bool debug;
	int create_timeout_ms;
	bool host_limits;
	bool sandbox_cgroup_only;
	bool static_size;
	bool pin_vcpus;
	int network_model; /* enum network_model */
	/* [timeouts] */
	int idle_timeout_ms;
	int shutdown_timeout_ms;
	int handshake_timeout_ms;
	int vmm_stop_timeout_ms;
	int mount_timeout_ms;
	int agent_search_after_ms;
	int agent_connect_timeout_ms;
	int agent_timeout_ms;
	int agent_lost_timeout_ms;
	int agent_stop_timeout_ms;
	int kill_timeout_ms;
	int clock_interval_ms;
	int give_back_timeout_ms;
	int shrink_delay_ms;
	int stdio_open_timeout_ms;
	int stdio_exit_timeout_ms;
	int stdio_stall_timeout_ms;
	int stdio_drain_timeout_ms;
	int logger_ready_timeout_ms;
	int logger_grace_timeout_ms;
	int logger_term_timeout_ms;
	int event_timeout_ms;
	int events_drain_timeout_ms;
};

#endif
