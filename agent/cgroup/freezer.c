#include "agent/cgroup/freezer.h"

#include <ev.h>
#include <sys/queue.h>

#include "agent/cgroup/cgroup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/monotonic.h"
#include "proto/ttrpc/ttrpc_server.h"

/* Between looks whether the last process has stopped: the wait doubles up to a maximum. */
#define FIRST_S 0.001
#define MOST_S  0.02

/* A signal that waits for the processes to stop. */
struct signal {
	LIST_ENTRY(signal) link;
	struct freezer *freezer;
	int number;
	struct ttrpc_call *call;
	ev_timer look;
	int64_t send_by; /* of monotonic_ms() */
};

struct freezer {
	struct ev_loop *loop;
	struct cgroup *cgroup;
	bool on;                     /* paused, or on the way to it */
	LIST_HEAD(, signal) signals; /* frozen for these too */
	struct ttrpc_call *call;     /* is answered when all have stopped */
	ev_timer look;
	int64_t freeze_by; /* the same */
};

static void freezer_end(struct freezer *freezer, const struct error *err)
{
	ev_timer_stop(freezer->loop, &freezer->look);
	if (freezer->call)
		ttrpc_call_finish(take_ptr(&freezer->call), err);
}

/* Unless something else wants it frozen. */
static int thaw(struct freezer *freezer, struct error *err)
{
	if (freezer->on || !LIST_EMPTY(&freezer->signals))
		return 0;
	return cgroup_freeze(freezer->cgroup, false, err);
}

static void pause_failed(struct freezer *freezer, const struct error *err)
{
	freezer->on = false;
	thaw(freezer, NULL);
	freezer_end(freezer, err);
}

static void schedule_poll(struct ev_loop *loop, ev_timer *watcher)
{
	ev_tstamp wait = watcher->repeat * 2;

	watcher->repeat = wait < MOST_S ? wait : MOST_S;
	ev_timer_again(loop, watcher);
}

static void on_poll(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct freezer *freezer = watcher->data;
	struct error err;
	bool frozen;

	if (cgroup_frozen(freezer->cgroup, &frozen, &err) < 0) {
		pause_failed(freezer, &err);
	} else if (frozen) {
		freezer_end(freezer, NULL);
	} else if (monotonic_ms() > freezer->freeze_by) {
		error_set(&err, ERROR_DEADLINE_EXCEEDED, "processes have not stopped after %d ms",
		          FREEZER_TIMEOUT_MS);
		pause_failed(freezer, &err);
	} else {
		schedule_poll(loop, watcher);
	}
}

struct freezer *freezer_create(struct ev_loop *loop, struct cgroup *cgroup)
{
	struct freezer *freezer = mem_new(struct freezer);

	freezer->loop = loop;
	freezer->cgroup = cgroup;
	LIST_INIT(&freezer->signals);
	ev_timer_init(&freezer->look, on_poll, 0, 0);
	freezer->look.data = freezer;
	return freezer;
}

int freezer_freeze(struct freezer *freezer, struct ttrpc_call *call, struct error *err)
{
	int r;

	r = cgroup_freeze(freezer->cgroup, true, err);
	if (r < 0)
		return r;
	freezer->on = true;
	freezer->call = call;
	freezer->freeze_by = monotonic_ms() + FREEZER_TIMEOUT_MS;
	freezer->look.repeat = FIRST_S;
	on_poll(freezer->loop, &freezer->look, 0);
	return 0;
}

int freezer_thaw(struct freezer *freezer, struct error *err)
{
	struct error resumed;
	int r;

	freezer->on = false;
	r = thaw(freezer, err);
	freezer->on = r < 0;
	if (r < 0)
		return r;
	error_set(&resumed, ERROR_ABORTED, "resumed before every process had stopped");
	freezer_end(freezer, &resumed);
	return 0;
}

/* Frees it and finishes its call with @err. */
static void signal_end(struct signal *signal, const struct error *err)
{
	struct ttrpc_call *call = signal->call;

	ev_timer_stop(signal->freezer->loop, &signal->look);
	LIST_REMOVE(signal, link);
	free(signal);
	ttrpc_call_finish(call, err);
}

static void signal_send(struct signal *signal)
{
	struct freezer *freezer = signal->freezer;
	struct error err, stuck;
	int r = cgroup_signal(freezer->cgroup, signal->number, &err);

	signal_end(signal, r < 0 ? &err : NULL);
	if (thaw(freezer, &stuck) < 0)
		log_error("a container stays frozen cause=\"%s\"", stuck.text);
}

static void on_signal_poll(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct signal *signal = watcher->data;
	bool frozen = false;

	if (cgroup_frozen(signal->freezer->cgroup, &frozen, NULL) < 0 || frozen ||
	    monotonic_ms() > signal->send_by)
		signal_send(signal);
	else
		schedule_poll(loop, watcher);
}

int freezer_signal(struct freezer *freezer, int sig, struct ttrpc_call *call, struct error *err)
{
	struct signal *signal;
	int r;

	r = cgroup_freeze(freezer->cgroup, true, err);
	if (r < 0)
		return r;
	signal = mem_new(struct signal);
	signal->freezer = freezer;
	signal->number = sig;
	signal->call = call;
	signal->send_by = monotonic_ms() + FREEZER_SIGNAL_MS;
	ev_timer_init(&signal->look, on_signal_poll, 0, FIRST_S);
	signal->look.data = signal;
	LIST_INSERT_HEAD(&freezer->signals, signal, link);
	on_signal_poll(freezer->loop, &signal->look, 0);
	return 0;
}

bool freezer_on(const struct freezer *freezer)
{
	return freezer->on;
}

void freezer_destroy(struct freezer *freezer)
{
	struct error err;

	if (!freezer)
		return;
	error_set(&err, ERROR_ABORTED, "the container was removed");
	freezer_end(freezer, &err);
	for (struct signal *signal = LIST_FIRST(&freezer->signals), *next; signal; signal = next) {
		next = LIST_NEXT(signal, link);
		signal_end(signal, &err);
	}
	free(freezer);
}
