/*
 * A process of a container, its init or an exec: made (agent/pod/launch.h), started, signalled, waited
 * for, reaped. The exit is known when the process is reaped, whatever its output does.
 */
#ifndef AGENT_PROCESS_H
#define AGENT_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/pod/launch.h"
#include "common/cleanup.h"

struct cgroup;
struct ev_loop;
struct oom_watch;
struct process;
struct streams;
struct ttrpc_call;

#define PROCESS_STATUS_SIGNALED 128 /* plus the signal's number, as a shell says it */

struct process_config {
	struct launch_config launch; /* its stdio is filled in from @ports */
	uint32_t ports[3];           /* of the host, for stdin, stdout, stderr; 0: /dev/null */
	bool by_calls;               /* instead, without a port: process_read(), process_write() */
	const struct cgroup *cgroup; /* the container's: launch.cgroup_fd is of it */
	struct oom_watch *oom;       /* of the container, outlives the process; NULL: none */
};

/* The process has been reaped. It may be destroyed in it. */
typedef void process_exited_fn(void *ctx);

/*
 * @loop is the default loop: its child watchers reap. @created comes once unless 0 was not
 * returned; with an error the process is to be destroyed. @exited comes once, also without
 * process_start(), unless the creation has failed.
 */
int process_create(struct ev_loop *loop, struct streams *streams,
                   const struct process_config *config, done_fn *created, process_exited_fn *exited,
                   void *ctx, struct process **out, struct error *err);

/* Lets it go on to its execve; once. */
int process_start(struct process *process, done_fn *done, void *ctx, struct error *err);

bool process_exited(const struct process *process);
const struct launch *process_launch(const struct process *process); /* owned by the process */

/* ERROR_NOT_FOUND: it has ended. */
int process_signal(struct process *process, int sig, struct error *err);

/*
 * Answers @call (WaitProcess) when the process has been reaped: now, or later. Calls for an
 * out-of-memory event are answered first; @with_oom: the answer includes an event that no call
 * waits for.
 */
void process_wait(struct process *process, struct ttrpc_call *call, bool with_oom);

/* ERROR_UNAVAILABLE: it has no terminal. */
int process_resize(struct process *process, uint32_t rows, uint32_t columns, struct error *err);
void process_close_stdin(struct process *process);

/* As stdio_write() and stdio_read(), for a process by calls. */
int process_write(struct process *process, const uint8_t *data, size_t len, struct ttrpc_call *call,
                  struct error *err);
int process_read(struct process *process, int which, uint32_t len, struct ttrpc_call *call,
                 struct error *err);
bool process_was_read(const struct process *process); /* to the end, or it is not by calls */

/*
 * NULL is fine. Kills what has not reached its execve; waiting calls are answered with
 * ERROR_NOT_FOUND; callbacks are dropped. Output flows on.
 */
void process_destroy(struct process *process);
CLEANUP_DESTROY(process)

#endif
