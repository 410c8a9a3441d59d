/*
 * The shim's side of the vsock device's lines, with a device that has been taken over by its guest:
 * the stream ends once, whatever it says.
 */
#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

#include "hypervisor/vsock.h"
#include "hypervisor/vsock_internal.h"
#include "test/fuzz/fuzz.h"

#define STEPS      64
#define TIMEOUT_MS 60000

struct world {
	struct vsock_stream *stream;
	int opened; /* calls of on_open, and so on */
	int done;
	bool failed; /* on_open said so */
	bool asked;
	bool dies; /* destroyed by its callback */
};

static int far_end;

struct ev_loop *vsock_loop(const struct vsock *vsock)
{
	return fuzz_loop();
}

void vsock_ping(struct vsock *vsock, int timeout_ms)
{
}

int vsock_dial(const struct vsock *vsock, const char *line, int pass, struct error *err)
{
	return fuzz_socket(&far_end);
}

static void end(struct world *world)
{
	if (!world->dies)
		return;
	vsock_stream_destroy(world->stream);
	world->stream = NULL;
}

static void on_open(void *ctx, uint32_t host_port, const struct error *err)
{
	struct world *world = ctx;

	assert(world->opened == 0 && world->done == 0);
	world->opened++;
	world->failed = err;
	if (err)
		end(world);
}

static void on_done(void *ctx, const struct error *err)
{
	struct world *world = ctx;

	assert(world->opened == 1 && !world->failed && world->done == 0);
	world->done++;
	end(world);
}

static void on_moved(void *ctx, const struct error *err)
{
	struct world *world = ctx;

	assert(world->asked);
	world->asked = false;
}

static void step(struct world *world, struct script *script)
{
	char lines[4096];

	switch (script_byte(script) % 5) {
	case 0:
		fuzz_send_bytes(far_end, script);
		break;
	case 1:
		if (!world->asked)
			world->asked =
				vsock_stream_moved(world->stream, on_moved, world, NULL) == 0;
		break;
	case 2:
		vsock_stream_attach(world->stream, dup(far_end), NULL);
		break;
	case 3:
		fuzz_receive(far_end, lines, sizeof(lines));
		break;
	case 4:
		fuzz_pass(TIMEOUT_MS + 1);
		break;
	}
	fuzz_turn();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	struct world world = { .dies = size % 2 };
	enum vsock_direction direction = script_byte(&script) & 1 ? VSOCK_READ : VSOCK_WRITE;

	if (vsock_stream_open(NULL, 1027, direction, -1, TIMEOUT_MS, on_open, on_done, &world,
	                      &world.stream, NULL) < 0)
		abort();
	for (int i = 0; i < STEPS && script.left && world.stream; i++)
		step(&world, &script);
	close(far_end);
	for (int i = 0; i < STEPS && !world.done && !world.failed; i++) /* a line a turn */
		fuzz_turn();
	vsock_stream_destroy(world.stream);
	return 0;
}
