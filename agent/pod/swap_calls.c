/*
 * AddSwap: a disk that the host has plugged in for the guest to swap to. It is waited for, and a child
 * process has the kernel use it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/guest/disk_wait.h"
#include "agent/guest/swap.h"
#include "agent/pod/calls.h"
#include "agent/pod/sandbox.h"
#include "common/buf.h"
#include "common/error.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "proto/agent.pb-c.h"

#define SWAP_TIMEOUT_MS 30000
#define PATH_MAX_SLOTS  8

/* A call under way. */
struct swap {
	struct ttrpc_call *call;
	struct ev_loop *loop;
	struct disk_wait *wait;
	struct errand *errand;
};

static void finish(struct swap *swap, const struct error *err)
{
	ttrpc_call_finish(swap->call, err);
	errand_destroy(swap->errand);
	disk_wait_destroy(swap->wait);
	free(swap);
}

static void on_begun(void *ctx, const struct error *err)
{
	finish(ctx, err);
}

static int begin(void *ctx, struct errand_result *result, struct error *err)
{
	const struct swap *swap = ctx;

	return swap_begin(disk_wait_found(swap->wait, 0)->node, err);
}

static void on_disk(void *ctx, const struct error *cause)
{
	struct swap *swap = ctx;
	struct error err;

	if (cause)
		finish(swap, cause);
	else if (errand_start(swap->loop, begin, swap, SWAP_TIMEOUT_MS, on_begun, swap,
	                      &swap->errand, &err) < 0)
		finish(swap, &err);
}

/* The slots, as text: "03/00". */
static char *path_of(const Grpc__AddSwapRequest *request)
{
	char *path = mem_strdup("");

	for (size_t i = 0; i < request->n_pcipath && i < PATH_MAX_SLOTS; i++) {
		char *longer = mem_printf("%s%s%02x", path, i ? "/" : "", request->pcipath[i]);

		free(path);
		path = longer;
	}
	return path;
}

void guest_on_add_swap(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__AddSwapRequest *request = (const Grpc__AddSwapRequest *)message;
	const struct disk_wait_config *config = sandbox_disks(ctx);
	struct swap *swap = mem_new(struct swap);
	autofree char *path = path_of(request);

	swap->call = call;
	swap->loop = config->loop;
	swap->wait = disk_wait_create(config);
	disk_wait_add(swap->wait, path);
	disk_wait_start(swap->wait, on_disk, swap);
}
