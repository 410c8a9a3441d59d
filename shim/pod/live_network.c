#include "shim/pod/live_network.h"

#include <ev.h>
#include <stdlib.h>

#include "common/log.h"
#include "common/mem.h"
#include "common/netlink/net_socket.h"
#include "hypervisor/vm.h"
#include "hypervisor/vm_device.h"
#include "shim/network/guest_network.h"
#include "shim/network/network.h"
#include "shim/network/nic.h"
#include "shim/pod/network_setup.h"

/* After a change, since changes come in groups: a link, its addresses, its routes. */
#define REST_S 0.02

/* Nobody waits longer for a namespace that changes all the time. */
#define STEPS_MAX 50

struct live_network {
	struct ev_loop *loop;
	struct live_network_config config;
	int watch_fd;
	ev_io changed;
	ev_timer rest;
	bool stopped;
	bool has_changed;   /* since the last step ended */
	bool busy;          /* a step is under way */
	bool is_waited_for; /* by live_network_settle() */
	unsigned int steps; /* since then */
	bool failed;        /* something, since the last change */
	bool cannot_tell;   /* the guest, since the last change */
	struct error cause; /* of the first failure */
	struct nic *moving; /* that is plugged in or unplugged */
	struct network_setup *setup;
	struct guest_network *telling;
	struct guest_network *told; /* NULL: what the guest has is unknown */
	done_fn *on_settled;
	void *ctx;
};

static void advance(struct live_network *live);

static void note_failure(struct live_network *live, const struct error *err)
{
	if (live->stopped)
		return;
	log_warn("network: %s", err->text);
	if (!live->failed)
		error_copy(&live->cause, err);
	live->failed = true;
}

static void on_plugged(void *ctx, const struct error *err)
{
	struct live_network *live = ctx;

	live->busy = false;
	if (err) {
		note_failure(live, err);
		network_remove(live->config.network, live->moving);
	}
	live->moving = NULL;
	advance(live);
}

static void on_unplugged(void *ctx, const struct error *err)
{
	struct live_network *live = ctx;

	live->busy = false;
	if (err) /* the guest keeps it, with nothing at its other end */
		note_failure(live, err);
	network_remove(live->config.network, take_ptr(&live->moving));
	advance(live);
}

static void on_told(void *ctx, const struct error *err)
{
	struct live_network *live = ctx;

	live->busy = false;
	guest_network_destroy(live->told);
	live->told = take_ptr(&live->telling);
	if (err) {
		note_failure(live, err);
		live->cannot_tell = true;
		guest_network_destroy(take_ptr(&live->told));
	}
	network_setup_destroy(take_ptr(&live->setup));
	advance(live);
}

/* Each of these begins a step (live->busy), or has none to begin. */

static void unplug_next(struct live_network *live)
{
	struct error err;

	while (!live->busy) {
		live->moving = network_find_gone(live->config.network);
		if (!live->moving)
			return;
		live->busy = true;
		if (vm_unplug(live->config.vm, nic_id(live->moving), live->config.timeout_ms,
		              on_unplugged, live, &err) == 0)
			return;
		live->busy = false;
		note_failure(live, &err);
		network_remove(live->config.network, take_ptr(&live->moving));
	}
}

static void plug_next(struct live_network *live)
{
	struct vm_device device;
	struct error err;

	while (!live->busy) {
		if (network_add_next(live->config.network, &live->moving, &err) < 0) {
			note_failure(live, &err);
			continue;
		}
		if (!live->moving)
			return;
		nic_device(live->moving, &device);
		live->busy = true;
		if (vm_plug(live->config.vm, &device, live->config.timeout_ms, on_plugged, live,
		            &err) < 0) {
			live->busy = false;
			note_failure(live, &err);
			network_remove(live->config.network, take_ptr(&live->moving));
			continue;
		}
		nic_close_fds(live->moving); /* the VMM has its own */
	}
}

static int describe(struct live_network *live, struct guest_network **out, struct error *err)
{
	autodestroy(guest_network) struct guest_network *guest =
		network_describe(live->config.network, live->config.features);
	struct nic *const *cards;
	size_t n = network_cards(live->config.network, &cards);
	char path[VM_DEVICE_PATH_MAX];

	for (size_t i = 0; i < n; i++) {
		int r = vm_device_path(live->config.vm, nic_id(cards[i]), path, err);

		if (r < 0)
			return r;
		guest_network_set_path(guest, i, path);
	}
	*out = take_ptr(&guest);
	return 0;
}

static void tell(struct live_network *live)
{
	struct error err;

	if (describe(live, &live->telling, &err) < 0 ||
	    network_setup_start(live->config.agent, live->telling, live->told, on_told, live,
	                        &live->setup, &err) < 0) {
		note_failure(live, &err);
		live->cannot_tell = true;
		guest_network_destroy(take_ptr(&live->telling));
	} else if (live->setup) {
		live->busy = true;
	} else {
		guest_network_destroy(live->told);
		live->told = take_ptr(&live->telling);
	}
}

static void begin_step(struct live_network *live)
{
	struct error err;

	if (network_refresh(live->config.network, &err) < 0) {
		note_failure(live, &err);
		return;
	}
	unplug_next(live);
	if (!live->busy)
		plug_next(live);
	if (!live->busy && !live->cannot_tell)
		tell(live);
}

/* Its last act may be the callback. */
static void advance(struct live_network *live)
{
	if (live->stopped || live->busy)
		return;
	begin_step(live);
	live->steps++;
	if (live->busy && !(live->is_waited_for && live->steps > STEPS_MAX))
		return;
	if (live->has_changed) {
		live->has_changed = false;
		live->config.on_changed(live->config.ctx);
	}
	if (!live->is_waited_for)
		return;
	live->is_waited_for = false;
	live->on_settled(live->ctx, live->failed ? &live->cause : NULL);
}

static void begin(struct live_network *live)
{
	live->failed = live->cannot_tell = false;
	advance(live);
}

static void on_changed(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct live_network *live = watcher->data;

	net_watch_drain(live->watch_fd);
	live->has_changed = true;
	if (!ev_is_active(&live->rest)) {
		ev_timer_set(&live->rest, REST_S, 0);
		ev_timer_start(loop, &live->rest);
	}
}

static void on_rest_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct live_network *live = timer->data;

	if (live->busy)
		return; /* the next step reads it all */
	begin(live);
}

int live_network_create(struct ev_loop *loop, const struct live_network_config *config,
                        done_fn *on_settled, void *ctx, struct live_network **out,
                        struct error *err)
{
	struct live_network *live;
	int fd = -1;
	int r = network_watch(config->network, &fd, err);

	if (r < 0)
		return r;
	live = mem_new(struct live_network);
	live->loop = loop;
	live->config = *config;
	live->watch_fd = fd;
	live->on_settled = on_settled;
	live->ctx = ctx;
	ev_io_init(&live->changed, on_changed, fd, EV_READ);
	ev_timer_init(&live->rest, on_rest_over, REST_S, 0);
	live->changed.data = live->rest.data = live;
	ev_io_start(loop, &live->changed);
	*out = live;
	return 0;
}

bool live_network_settle(struct live_network *live)
{
	if (live->stopped)
		return true;
	live->steps = 0;
	if (!live->busy)
		begin(live);
	live->is_waited_for = live->busy || live->failed;
	if (live->failed && !live->busy) { /* it is tried again, from the loop */
		ev_timer_stop(live->loop, &live->rest);
		ev_timer_set(&live->rest, 0, 0);
		ev_timer_start(live->loop, &live->rest);
	}
	return !live->is_waited_for;
}

void live_network_stop(struct live_network *live)
{
	if (!live || live->stopped)
		return;
	live->stopped = true;
	ev_io_stop(live->loop, &live->changed);
	ev_timer_stop(live->loop, &live->rest);
	network_setup_destroy(take_ptr(&live->setup));
}

void live_network_destroy(struct live_network *live)
{
	if (!live)
		return;
	live_network_stop(live);
	guest_network_destroy(live->telling);
	guest_network_destroy(live->told);
	close(live->watch_fd);
	free(live);
}
