#include "agent/cgroup/freezer.h"

#include <ev.h>

#include "agent/cgroup/cgroup.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/ttrpc/ttrpc_server.h"

/* Between looks whether the last process has stopped: the wait doubles up to a maximum. */
#define FIRST_S 0.001
#define MOST_S  0.02

struct freezer {
	struct ev_loop *loop;
	struct cgroup *cgroup;
	bool on;
	struct ttrpc_call *call; /* is answered when all have stopped */
	ev_timer look;
	ev_tstamp freeze_by;
};

static void freezer_end(struct freezer *freezer, const struct error *err)
{
	ev_timer_stop(freezer->loop, &freezer->look);
	if (freezer->call)
		ttrpc_call_finish(take_ptr(&freezer->call), err);
}

static void give_up(struct freezer *freezer)
{
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED, "processes have not stopped after %d ms",
	          FREEZER_TIMEOUT_MS);
	freezer->on = false;
	cgroup_freeze(freezer->cgroup, false, NULL);
	freezer_end(freezer, &err);
}

static void on_look(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct freezer *freezer = watcher->data;
	ev_tstamp wait = watcher->repeat * 2;
	struct error err;
	bool frozen;

	if (cgroup_frozen(freezer->cgroup, &frozen, &err) < 0) {
		freezer_end(freezer, &err);
	} else if (frozen) {
		freezer_end(freezer, NULL);
	} else if (ev_now(loop) > freezer->freeze_by) {
		give_up(freezer);
	} else {
		watcher->repeat = wait < MOST_S ? wait : MOST_S;
		ev_timer_again(loop, watcher);
	}
}

struct freezer *freezer_create(struct ev_loop *loop, struct cgroup *cgroup)
{
	struct freezer *freezer = mem_new(struct freezer);

	freezer->loop = loop;
	freezer->cgroup = cgroup;
	ev_timer_init(&freezer->look, on_look, 0, 0);
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
	freezer->freeze_by = ev_now(freezer->loop) + FREEZER_TIMEOUT_MS / 1000.0;
	freezer->look.repeat = FIRST_S;
	on_look(freezer->loop, &freezer->look, 0);
	return 0;
}

int freezer_thaw(struct freezer *freezer, struct error *err)
{
	struct error resumed;
	int r;

	r = cgroup_freeze(freezer->cgroup, false, err);
	if (r < 0)
		return r;
	freezer->on = false;
	error_set(&resumed, ERROR_ABORTED, "resumed before every process had stopped");
	freezer_end(freezer, &resumed);
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
	free(freezer);
}
