#include "shim/task/wait.h"

#include <stdlib.h>

#include "common/mem.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "shim/pod/process.h"

/* One that has not been answered. */
struct wait {
	struct ttrpc_call *call;
	struct process_waiter *waiter;
	wait_reply_fn *reply;
};

static void on_exit_told(void *ctx, const struct process *process, const struct error *err)
{
	struct wait *wait = ctx;

	if (err)
		ttrpc_call_fail(wait->call, err);
	else
		wait->reply(wait->call, process);
	free(wait);
}

static void on_abandoned(void *ctx)
{
	struct wait *wait = ctx;

	process_forget(wait->waiter);
	ttrpc_call_finish(wait->call, NULL);
	free(wait);
}

void wait_run(struct process *process, struct ttrpc_call *call, wait_reply_fn *reply)
{
	struct wait *wait = mem_new(struct wait);
	struct process_waiter *waiter;
	struct error err;

	wait->call = call;
	wait->reply = reply;
	if (ttrpc_call_park(call, on_abandoned, wait, &err) < 0) {
		ttrpc_call_fail(call, &err);
		free(wait);
		return;
	}
	waiter = process_wait(process, on_exit_told, wait);
	if (waiter) /* else it has been told at once */
		wait->waiter = waiter;
}
