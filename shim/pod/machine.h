/*
 * The pod's virtual machine and what its boot makes of it, step by step: its uid, its cards, the
 * VMM, the agent's connection, the clock, the networks inside. Nothing here knows a container, nor
 * for how long the machine is wanted (sandbox.h).
 */
#ifndef SHIM_MACHINE_H
#define SHIM_MACHINE_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "shim/pod/machine_size.h"

struct agent;
struct agent_search;
struct config;
struct disks;
struct guest_clock;
struct guest_swap;
struct hello;
struct host_cgroup;
struct install;
struct live_network;
struct netns;
struct network;
struct pod_settings;
struct pod_size;
struct seq;
struct uid_lease;
struct vm;

struct machine_config {
	const char *id;
	const char *hostname; /* of the guest */
	const char *pod_dir;
	const char *share_dir;
	/* These outlive the machine. */
	const struct install *install;
	const struct config *config;
	const struct pod_size *size;
	const struct netns *netns;  /* whose links the guest gets; NULL: none */
	struct host_cgroup *cgroup; /* which all processes of the machine are in */
	int oom_score_adj;          /* of the VM's processes; 0: as the shim's */
	/* What the containers want it to be (machine_size.h); NULL: it never becomes smaller. */
	machine_size_wanted_fn *wanted_size;
	const void *wanted_ctx;
};

/* From the loop, each with the ctx of machine_create(). */
struct machine_events {
	done_fn *on_booted;          /* once; with an error: a part of the machine may be there */
	done_fn *on_vm_gone;         /* once, whoever wanted it */
	done_fn *on_agent_lost;      /* the agent's connection has ended */
	done_fn *on_network_settled; /* after the boot: as live_network.h has it */
	done_fn *on_network_changed; /* as live_network.h has it; no error */
};

/* Its parts are NULL until the boot has made them; only machine.c changes them. */
struct machine {
	struct ev_loop *loop;
	struct machine_config config; /* with strings of its own */
	const struct machine_events *events;
	void *ctx;
	struct pod_settings *settings;
	struct seq *boot; /* NULL once it has ended */
	ev_timer begin;

	struct uid_lease *lease;
	struct network *network; /* NULL: none, or not connected */
	struct vm *vm;
	struct hello *hello;
	struct agent_search *search;
	unsigned int features; /* of the agent: a set of enum feature */
	struct agent *agent;
	struct guest_clock *clock;
	struct live_network *live; /* NULL: there is no network */
	struct machine_size *size;
	struct disks *disks;
	struct guest_swap *swap; /* NULL: it is to have none */
	bool refused; /* the boot has failed by a setting of the pod that the agent refuses */
};

/* Takes @settings over. @events outlives the machine. */
struct machine *machine_create(struct ev_loop *loop, const struct machine_config *config,
                               struct pod_settings *settings, const struct machine_events *events,
                               void *ctx);
/* Begins the boot: on_booted follows. */
void machine_boot(struct machine *machine);
/* on_booted is called with @why. Nothing if the boot has ended. */
void machine_cancel_boot(struct machine *machine, const struct error *why);
/* Of its processes, and their gid; 0: not yet, or there is none. */
uid_t machine_uid(const struct machine *machine);
/* The machine ends, or its agent: who waits for more memory, a processor, a disk is answered with
 * @why. */
void machine_end_changes(struct machine *machine, const struct error *why);
/* The VM has ended: the host's network is as it was. */
void machine_release_network(struct machine *machine);
/* NULL is fine; kills what lives, no callback. Nobody waits for its size any more. */
void machine_destroy(struct machine *machine);

CLEANUP_DESTROY(machine)

#endif
