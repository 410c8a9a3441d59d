#include <ev.h>

#include "agent/cgroup/oom.h"
#include "agent/guest/guest.h"
#include "agent/pod/calls.h"
#include "agent/pod/sandbox.h"
#include "common/mem.h"

/* The answer is on its way, and the host may end the machine, before it ends itself. */
#define POWER_OFF_DELAY_S 0.2

void sandbox_on_create(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct error err;

	if (sandbox_setup(ctx, (const Grpc__CreateSandboxRequest *)request, ttrpc_call_finish, call,
	                  &err) < 0)
		ttrpc_call_fail(call, &err);
}

static void on_power_off(struct ev_loop *loop, ev_timer *watcher, int events)
{
	guest_power_off();
}

static void on_torn_down(void *ctx, const struct error *err)
{
	ev_timer *end;

	ttrpc_call_finish(ctx, err);
	if (err)
		return;
	end = mem_new(ev_timer); /* never freed: the end of all */
	ev_timer_init(end, on_power_off, POWER_OFF_DELAY_S, 0);
	ev_timer_start(ev_default_loop(0), end);
}

void sandbox_on_destroy(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct error err;

	if (sandbox_teardown(ctx, on_torn_down, call, &err) < 0)
		ttrpc_call_fail(call, &err);
}

void sandbox_on_oom_event(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	oom_answer(sandbox_oom(ctx), call);
}
