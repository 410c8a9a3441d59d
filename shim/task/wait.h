/*
 * A call that is answered when a process has exited, perhaps never: Wait, and WaitSandbox.
 */
#ifndef SHIM_WAIT_H
#define SHIM_WAIT_H

struct process;
struct ttrpc_call;

/* Answers @call with what is known of @process, which has exited. */
typedef void wait_reply_fn(struct ttrpc_call *call, const struct process *process);

/* Answers @call, at once or later: by @reply, or with the reason why @process went before its exit. */
void wait_run(struct process *process, struct ttrpc_call *call, wait_reply_fn *reply);

#endif
