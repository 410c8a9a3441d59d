/*
 * A process as containerd sees it: a container's init or an exec. This module owns its state; the
 * agent only knows whether it is alive.
 *
 *   state      what it means                         leaves it by
 *   CREATED    stopped before its execve, or an      Start; kill of an init
 *              exec that the guest has not seen
 *   STARTING   the guest has been asked to start it  the guest's answer
 *   RUNNING    or exited, not reported yet           Pause; exit
 *   PAUSED     frozen with its container             Resume; exit
 *   STOPPED    exited, and reported                  -
 *
 * What containerd may ask in each is the table in process.c.
 */
#ifndef SHIM_PROCESS_H
#define SHIM_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "common/error.h"
#include "proto/google.pb-c.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/turn.h"

struct container;
struct events;
struct placeholder;
struct process_waiter;
struct stdio;

enum process_state {
	PROCESS_CREATED,
	PROCESS_STARTING,
	PROCESS_RUNNING,
	PROCESS_PAUSED,
	PROCESS_STOPPED,
	PROCESS_STATES,
};

/* What containerd asks of a process. */
enum process_verb {
	PROCESS_START,
	PROCESS_DELETE,
	PROCESS_KILL,
	PROCESS_EXEC,
	PROCESS_PAUSE,
	PROCESS_RESUME,
	PROCESS_UPDATE,
	PROCESS_RESIZE,
	PROCESS_CHECKPOINT,
	PROCESS_ANY, /* legal in every state */
	PROCESS_VERBS,
};

#define PROCESS_STATUS_KILLED  137 /* the VM was killed under it */
#define PROCESS_STATUS_UNKNOWN 255

/* As Create and Exec bring it. */
struct process_stdio {
	char *in;
	char *out;
	char *err;
	bool terminal;
};

struct process {
	LIST_ENTRY(process) link; /* an exec's, in its container */
	struct container *container;
	struct events *events;
	bool is_no_task; /* but a sandbox: its exit is no event */
	char *container_id;
	char *id;            /* the exec's; empty for an init */
	char *guest_id;      /* its exec id in the guest; never that of another process */
	Grpc__Process *spec; /* an exec's, until it is started; else NULL */
	struct process_stdio paths;
	struct stdio *stdio; /* NULL: not opened yet */
	bool stdin_closed;   /* CloseIO came before the start */

	enum process_state state;
	/* On the host: a placeholder's, from the first moment that the process is told of to its
	 * Delete. NULL, 0: there is none yet, or its start has failed. */
	struct placeholder *placeholder;
	uint32_t pid;
	struct agent_call *kill; /* of a process whose placeholder was killed; NULL: none */
	int exit_status;         /* once it is STOPPED */
	struct timespec exited_at;
	/* A known exit is reported, to all callers at once, after the start has been reported and
	 * the wait for the output to be read has ended (stdio_await_read()). */
	bool exited;
	bool settled;
	int end_status; /* what exit_status will be */

	struct turn turn;
	struct agent *agent; /* whose calls bring its streams; NULL: none yet */
	bool is_read;        /* the exit is asked for when its output has been read */
	bool killed;         /* it is not waited for its reader */
	struct agent_call *wait;
	LIST_HEAD(, process_waiter) waiters;
};

/* @exec_id: NULL for an init. Strings are copied. */
struct process *process_create(struct container *container, const char *container_id,
                               const char *exec_id, const struct process_stdio *paths,
                               struct events *events);
/* NULL is fine. Every operation on it and every wait for it ends with @why, or, if that is NULL,
 * with ERROR_NOT_FOUND, as for a deleted process. */
void process_destroy(struct process *process, const struct error *why);

bool process_is_init(const struct process *process);
struct agent_process process_in_guest(const struct process *process);

/* FailedPrecondition (kill and stats of a finished one: NotFound), with runc's shim's text. */
int process_allows(const struct process *process, enum process_verb verb, struct error *err);

/* The guest has been asked to start it: an exit is held back until the guest has answered. */
void process_starting(struct process *process);
/* The start has been reported (event and reply); an exit that was held back follows. */
void process_started(struct process *process);
/* An init is CREATED again, if it has not ended; an exec never was: STOPPED without an exit. */
void process_start_failed(struct process *process);
/* Frozen or thawed, unless it has ended meanwhile. */
void process_paused(struct process *process);
void process_resumed(struct process *process);

/* Fills and returns @at; NULL: it has not ended. */
Google__Protobuf__Timestamp *process_exit_time(const struct process *process,
                                               Google__Protobuf__Timestamp *at);

/* Asks the guest to report the exit: process_exited() follows. */
int process_watch(struct process *process, struct agent *agent, struct error *err);
/* SIGKILL is on its way to it: a reader that does not read no longer keeps the guest from being
 * asked for the exit. */
void process_killed(struct process *process);
/* Stops watching: the exit is not reported. */
void process_unwatch(struct process *process);

/* Of an exec that is not started yet. */
void process_set_console_size(struct process *process, uint32_t rows, uint32_t columns);
/* CloseIO, at any time. */
void process_close_stdin(struct process *process);

/* The process has ended: the exit is published and every wait completed once it is due (@settled).
 * Does nothing if an exit is known already. */
void process_exited(struct process *process, int status);
/* Reports a known exit now, without waiting for its output. False: no exit is known. */
bool process_report_exit(struct process *process);

/* Calls @done once: at once if it has exited, else when it does; it must not destroy the process.
 * @err: it was destroyed instead. */
typedef void process_wait_fn(void *ctx, const struct process *process, const struct error *err);
/* Returns the waiter until it is called, for process_forget(); NULL: it has been. */
struct process_waiter *process_wait(struct process *process, process_wait_fn *done, void *ctx);
void process_forget(struct process_waiter *waiter); /* drops the callback; NULL is fine */

#endif
