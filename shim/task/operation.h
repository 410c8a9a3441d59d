/*
 * A call from containerd that works on a process in steps. It holds the turn on the process, or
 * runs beside the turn; it has a sequence, whose running step may wait for an answer of the agent,
 * for the guest, or for an exit. The call is answered once: by kind->succeed, or with the error of
 * the step that failed, or, if the machine has died meanwhile, with the cause of its death. If the
 * process is destroyed first, the operation is abandoned: its call is answered and its waits are
 * dropped.
 */
#ifndef SHIM_OPERATION_H
#define SHIM_OPERATION_H

#include <ev.h>
#include <stdbool.h>

#include "common/loop/seq.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "shim/pod/machine_size.h"
#include "shim/pod/sandbox.h"
#include "shim/pod/turn.h"

struct agent;
struct agent_call;
struct operation;
struct pod;
struct process;
struct process_waiter;

struct operation_kind {
	const char *name;             /* for the log: "start" */
	bool beside;                  /* runs beside the turn: no other call waits for its end */
	const struct seq_step *steps; /* their ctx is the operation */
	/* Every step has ended: answers operation->call. */
	void (*succeed)(struct operation *operation);
	/* Optional: after a failed step, when its predecessors are undone and the call is answered. */
	void (*fail)(struct operation *operation, const struct error *err);
	/* Optional: releases the members of the object beyond its operation, in every case. */
	void (*fini)(struct operation *operation);
	/* Optional, called last: ends the turn by turn_over(), or by turn_leave() and the
	 * destruction of the process. Without it, turn_over() follows. @err: NULL for success. */
	void (*leave)(struct pod *pod, struct process *process, const struct error *err);
};

/* The first member of an object from mem_new() that operation_run() takes over. */
struct operation {
	const struct operation_kind *kind;
	struct pod *pod;
	struct process *process;
	struct ttrpc_call *call;
	struct seq *seq;
	struct agent_call *pending;   /* the agent's call that the step waits for; NULL: none */
	struct process_waiter *exit;  /* the step waits for the process's exit; NULL: it does not */
	struct sandbox_waiter waiter; /* the guest is waited for, or its last words */
	bool waits;                   /* @waiter is listed */
	struct size_waiter size;      /* the machine becomes bigger, or smaller */
	bool resizes;                 /* @size is listed */
	struct turn_side side;        /* of a kind that takes no turn */
	ev_timer go_on;               /* a step goes on from the loop */
};

/* Takes the turn of @process, which is free (kind->beside: it takes none), and begins. @operation
 * may be freed by it. */
void operation_run(struct operation *operation, const struct operation_kind *kind, struct pod *pod,
                   struct process *process, struct ttrpc_call *call);

/* For succeed: the answer is empty. */
void operation_finish(struct operation *operation);

/* Done_fn's for the agent's calls, to be used with &operation->pending: the step has ended. An
 * agent's NotFound is not of what containerd asks for: it becomes Unknown. */
void operation_answered(void *operation, const struct error *err);
/* The same where an error is logged and the next step begins. */
void operation_tried(void *operation, const struct error *err);
/* The running step has ended so: for what cannot wait. */
void operation_try(struct operation *operation, const struct error *err); /* NULL: success */

/* A call of the agent's that needs only the container's id. */
typedef int operation_ask_fn(struct agent *agent, const char *id, done_fn *done, void *ctx,
                             struct agent_call **out, struct error *err);
/* Asks the agent; the answer, or that it cannot be asked, goes to @done: operation_answered(),
 * operation_tried() or what ends in one of them. */
void operation_ask(struct operation *operation, operation_ask_fn *ask, done_fn *done);

/* The step ends when the machine is as big as the limits of the pod's containers want it. */
void operation_make_room(struct operation *operation);
/* The step ends when the machine has given back what they do not want, or cannot. */
void operation_give_room_back(struct operation *operation);

/* The step ends when the process has exited. */
void operation_wait_for_exit(struct operation *operation);

/* Steps that several operations have; @operation is their ctx. */
void operation_wait_for_guest(struct seq *seq, void *operation); /* fails with why it never comes */
void operation_wait_for_network(struct seq *seq, void *operation);
/* Until the guest reaches those that the container's resolv.conf names on the loopback. */
void operation_wait_for_nameservers(struct seq *seq, void *ctx);
void operation_open_streams(struct seq *seq, void *operation); /* here and to the guest */
void operation_open_stdin(struct seq *seq, void *operation);
/* Begins; without a uid of the pod the await does. */
void operation_start_placeholder(struct seq *seq, void *operation);
void operation_await_placeholder(struct seq *seq, void *operation); /* then it has its pid */
void operation_end_placeholders(struct seq *seq, void *operation);  /* all of the container's */
/* Logs what fails, and ends when they have ended. */
void operation_run_poststop_hooks(struct seq *seq, void *operation);
void operation_watch(struct seq *seq, void *operation); /* asks the guest to report the exit */

#endif
