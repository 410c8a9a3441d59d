#include "shim/pod/guest_swap.h"

#include <ev.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/types.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/disks.h"

struct guest_swap {
	struct guest_swap_config config;
	ev_timer delay;
	struct errand *errand;
	struct disk_use use;
	struct agent_call *pending;
};

static void fail(const struct error *err)
{
	log_warn("the guest has no swap: %s", err->text);
}

static void on_added(void *ctx, const struct error *err)
{
	struct guest_swap *swap = ctx;

	swap->pending = NULL;
	if (err) {
		fail(err);
		disk_use_forget(&swap->use);
		return;
	}
	log_info("the guest swaps mib=%llu", (unsigned long long)swap->config.mib);
}

static void on_plugged(void *ctx, const struct error *cause)
{
	struct guest_swap *swap = ctx;
	struct error err;

	if (cause) {
		fail(cause);
		return;
	}
	if (agent_add_swap(swap->config.agent, disk_use_path(&swap->use), on_added, swap,
	                   &swap->pending, &err) == 0)
		return;
	fail(&err);
	disk_use_forget(&swap->use);
}

/* In a child process: the directory may be on any file system. */
static int make_file(void *ctx, struct errand_result *result, struct error *err)
{
	const struct guest_swap *swap = ctx;
	autoclose int fd = open(swap->config.dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0 || ftruncate(fd, (off_t)(swap->config.mib << 20)) < 0)
		return error_errno(err, "cannot make a file in \"%s\"", swap->config.dir);
	result->fds[result->nfds++] = take_fd(&fd);
	return 0;
}

static void on_made(void *ctx, const struct error *err)
{
	struct guest_swap *swap = ctx;
	autoclose int fd = err ? -1 : take_fd(&errand_result(swap->errand)->fds[0]);

	errand_destroy(take_ptr(&swap->errand));
	if (err)
		fail(err);
	else
		disks_plug(swap->config.disks, fd, &swap->use, on_plugged, swap);
}

static void on_delay_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct guest_swap *swap = timer->data;
	struct error err;

	if (errand_start(loop, make_file, swap, swap->config.timeout_ms, on_made, swap,
	                 &swap->errand, &err) < 0)
		fail(&err);
}

struct guest_swap *guest_swap_create(const struct guest_swap_config *config)
{
	struct guest_swap *swap = mem_new(struct guest_swap);

	swap->config = *config;
	ev_timer_init(&swap->delay, on_delay_over, config->delay_s, 0);
	swap->delay.data = swap;
	ev_now_update(config->loop);
	ev_timer_start(config->loop, &swap->delay);
	return swap;
}

void guest_swap_destroy(struct guest_swap *swap)
{
	if (!swap)
		return;
	ev_timer_stop(swap->config.loop, &swap->delay);
	errand_destroy(swap->errand);
	agent_forget(swap->pending);
	disk_use_forget(&swap->use);
	free(swap);
}
