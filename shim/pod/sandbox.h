/*
 * The life of the pod's machine (machine.h): from the boot, which begins before containerd asks for
 * anything, to the end, by whatever cause. Nothing here knows a container.
 *
 *   state      what it means                                  leaves it by
 *   BOOTING    the VM starts; sandbox_when_ready() waits      the agent's answer; a failure
 *   READY      the agent serves                               its loss; sandbox_stop(), _fail()  
 *   STOPPING   asked to end, by us or after a loss            the VM's end
 *   GONE       the VM has ended, on_gone has been called      -
 */
#ifndef SHIM_SANDBOX_H
#define SHIM_SANDBOX_H

#include <sched.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "shim/pod/machine.h"

struct agent;
struct disks;
struct ev_loop;
struct loopback;
struct pod_settings;
struct sandbox;
struct vsock;

enum sandbox_state {
	SANDBOX_BOOTING,
	SANDBOX_READY,
	SANDBOX_STOPPING,
	SANDBOX_GONE,
};

struct sandbox_config {
	struct machine_config machine;
	struct pod_settings *settings; /* taken over */
	struct loopback *loopback;     /* of the same network namespace; NULL: none. Taken over */
};

/*
 * Begins the boot. Never fails: what goes wrong, at once or later, is the sandbox's end. @on_gone
 * is called once, from the loop; @err is NULL after sandbox_stop().
 */
struct sandbox *sandbox_start(struct ev_loop *loop, const struct sandbox_config *config,
                              done_fn *on_gone, void *ctx);

/* Asks the guest to end, then the VMM; on_gone follows, also if it is not ready or lost already. */
void sandbox_stop(struct sandbox *sandbox);
/* The guest does not do what it must: it is not asked for more, the VMM ends. One that boots ends with
 * this cause. Nothing if it ends already. */
void sandbox_fail(struct sandbox *sandbox, const struct error *why);
/* NULL is fine; kills what lives, no callback. Streams and calls of the guest are destroyed first,
 * by their owners. */
void sandbox_destroy(struct sandbox *sandbox);

enum sandbox_state sandbox_state(const struct sandbox *sandbox);
/* Fails with the reason why it is not READY. */
int sandbox_refuse(const struct sandbox *sandbox, struct error *err);
/* Why it is GONE, if by itself, with a hint and the guest's last words; else NULL. */
const struct error *sandbox_cause(const struct sandbox *sandbox);

/* One who waits for the guest: embedded, lives until it is called or left. */
struct sandbox_waiter {
	LIST_ENTRY(sandbox_waiter) link;
	done_fn *done;
	void *ctx;
};
/* Calls @done once, at once if it is READY or GONE; with the cause if that is why. */
void sandbox_when_ready(struct sandbox *sandbox, struct sandbox_waiter *waiter, done_fn *done,
                        void *ctx);

/* Calls @done once, when the guest has what is in the pod's network namespace now, or cannot have it:
 * at once if it has. With an error only if the machine ends first. Legal when READY. */
void sandbox_when_connected(struct sandbox *sandbox, struct sandbox_waiter *waiter, done_fn *done,
                            void *ctx);

/* Calls @done once, when the guest reaches the nameservers of the host's loopback that the file at
 * @resolv_conf (NULL: none) names, or cannot: at once if nothing is to be done. With an error only if
 * the machine ends first. Legal when READY. */
void sandbox_when_resolving(struct sandbox *sandbox, const char *resolv_conf,
                            struct sandbox_waiter *waiter, done_fn *done, void *ctx);

/* Calls @done once, when the machine is as big as @wanted, or as the most that it can be: at once if
 * it is. With an error it may have become bigger all the same. */
struct size_waiter;
struct vm_size;
void sandbox_grow(struct sandbox *sandbox, const struct vm_size *wanted, struct size_waiter *waiter,
                  done_fn *done, void *ctx);
/* Calls @done once, when the machine has given back what no container wants, as far as the guest does
 * in time: at once if there is nothing. With an error only if the machine ends first. */
void sandbox_shrink(struct sandbox *sandbox, struct size_waiter *waiter, done_fn *done, void *ctx);
void sandbox_leave_size(struct sandbox *sandbox, struct size_waiter *waiter);
/* The same, without a wait, when no container has gone for a while. */
void sandbox_shrink_later(struct sandbox *sandbox);

/* Why what was asked of the guest failed with @err: if it died under it, @done is called with the
 * first cause, once that is known; else with @err, at once. */
void sandbox_explain(struct sandbox *sandbox, const struct error *err,
                     struct sandbox_waiter *waiter, done_fn *done, void *ctx);

/* Legal when READY. */
struct agent *sandbox_agent(struct sandbox *sandbox);
struct vsock *sandbox_vsock(struct sandbox *sandbox);
/* From READY on; when it ends they do. */
struct disks *sandbox_disks(struct sandbox *sandbox);
/* The VMM's pid; 0: there is none. */
pid_t sandbox_vmm(const struct sandbox *sandbox);
/* vm_pin(), if it is READY. */
void sandbox_pin(struct sandbox *sandbox, const cpu_set_t *cpus);
/* Of the pod, and its gid; taken in the first step of the boot. 0: not yet, or there is none. */
uid_t sandbox_uid(const struct sandbox *sandbox);

CLEANUP_DESTROY(sandbox)

#endif
