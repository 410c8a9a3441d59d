#include "shim/pod/agent_search.h"

#include <ev.h>
#include <stdbool.h>
#include <unistd.h>

#include "common/log.h"
#include "common/mem.h"
#include "hypervisor/vsock.h"
#include "proto/vsock_ports.h"
#include "shim/config/config.h"
#include "shim/pod/agent_client.h"

/*
 * A guest that has no listener refuses at once, and one whose kernel is not up does not answer: so
 * an attempt costs one packet, and there is one at a time. Between two of them is a rest, which
 * grows. Every answer is the guest's word, and none is trusted with more than an announcement is.
 */

#define REST_FIRST_S 0.1
#define REST_MOST_S  0.5

struct agent_search {
	struct ev_loop *loop;
	struct vsock *vsock;
	const struct config *config;
	struct agent *agent; /* of the attempt */
	ev_timer next;       /* the next attempt */
	ev_tstamp rest;
	bool stopped;
	bool warned;
	bool serves; /* what is next is to tell of it, from the loop */
	void (*found)(void *ctx);
	void *ctx;
};

static void rest(struct agent_search *search)
{
	ev_now_update(search->loop);
	ev_timer_set(&search->next, search->rest, 0);
	ev_timer_start(search->loop, &search->next);
	search->rest = search->rest * 2 < REST_MOST_S ? search->rest * 2 : REST_MOST_S;
}

/* Somebody listens, and is no agent, or not yet. */
static void on_bad_answer(struct agent_search *search, const struct error *err)
{
	if (!search->warned)
		log_warn("the guest's agent does not answer as one: %s; it is tried again",
		         err->text);
	search->warned = true;
	rest(search);
}

static void on_features(void *ctx, unsigned int features, const struct error *err)
{
	struct agent_search *search = ctx;

	if (err) {
		on_bad_answer(search, err);
		return;
	}
	if (features) { /* our own, whose announcement is on its way */
		search->stopped = true;
		return;
	}
	search->serves = true;
	search->rest = 0;
	rest(search);
}

static void on_checked(void *ctx, const struct error *err)
{
	struct agent_search *search = ctx;
	struct error own;

	if (!err && agent_ask_features(search->agent, on_features, search, &own) == 0)
		return;
	on_bad_answer(search, err ? err : &own);
}

static void on_lost(void *ctx, const struct error *err)
{
	/* The call that was under way has failed. */
}

static void on_connected(void *ctx, int fd, const struct error *failure)
{
	struct agent_search *search = ctx;
	struct error err;

	if (search->stopped) {
		cleanup_close(&fd);
		return;
	}
	if (failure) {
		rest(search);
		return;
	}
	search->agent = agent_create(search->loop, fd, 0, search->config, on_lost, search);
	if (agent_check(search->agent, on_checked, search, &err) < 0)
		on_bad_answer(search, &err);
}

static void on_next(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct agent_search *search = timer->data;
	struct error err;

	agent_destroy(take_ptr(&search->agent));
	if (search->serves) {
		log_info("an agent was found that does not announce itself");
		search->stopped = true;
		search->found(search->ctx);
		return;
	}
	if (vsock_connect(search->vsock, VSOCK_PORT_AGENT, search->config->agent_connect_timeout_ms,
	                  on_connected, search, &err) < 0) {
		log_debug("cannot look for an agent: %s", err.text);
		rest(search);
	}
}

struct agent_search *agent_search_start(struct ev_loop *loop, struct vsock *vsock,
                                        const struct config *config, void (*found)(void *ctx),
                                        void *ctx)
{
	struct agent_search *search = mem_new(struct agent_search);

	search->loop = loop;
	search->vsock = vsock;
	search->config = config;
	search->rest = REST_FIRST_S;
	search->found = found;
	search->ctx = ctx;
	ev_now_update(loop);
	ev_timer_init(&search->next, on_next, config->agent_search_after_ms / 1e3, 0);
	search->next.data = search;
	ev_timer_start(loop, &search->next);
	return search;
}

void agent_search_stop(struct agent_search *search)
{
	if (!search)
		return;
	search->stopped = true;
	ev_timer_stop(search->loop, &search->next);
	agent_destroy(take_ptr(&search->agent));
}

void agent_search_destroy(struct agent_search *search)
{
	agent_search_stop(search);
	free(search);
}
