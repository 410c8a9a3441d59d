/*
 * Whoever connects to the port on which an agent announces itself, and what they say. The vsock
 * device is not there: its listener is the target's own.
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hypervisor/vsock.h"
#include "shim/pod/hello.h"
#include "test/fuzz/fuzz.h"

#define GUESTS     3
#define STEPS      64
#define TIMEOUT_MS 60000

static struct {
	vsock_accepted_fn *on_accept;
	void *ctx;
} listener;

int vsock_listen(struct vsock *vsock, uint32_t host_port, vsock_accepted_fn *on_accept, void *ctx,
                 struct error *err)
{
	listener.on_accept = on_accept;
	listener.ctx = ctx;
	return 0;
}

void vsock_unlisten(struct vsock *vsock, uint32_t host_port)
{
	assert(listener.on_accept);
	listener.on_accept = NULL;
}

/* An error: there was too much nonsense. */
static void on_hello(void *ctx, const struct error *err)
{
	int *hellos = ctx;

	*hellos += 1;
}

static void connect_guest(int *guest)
{
	int fd;

	if (*guest >= 0)
		close(*guest);
	fd = fuzz_socket(guest);
	if (listener.on_accept)
		listener.on_accept(listener.ctx, fd);
	else
		close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	int guests[GUESTS] = { -1, -1, -1 };
	struct hello *hello = NULL;
	int hellos = 0;

	if (hello_await(fuzz_loop(), NULL, 3, TIMEOUT_MS, on_hello, &hellos, &hello, NULL) < 0)
		abort();
	for (int i = 0; i < STEPS && script.left; i++) {
		uint8_t what = script_byte(&script);
		int *guest = &guests[what / 4 % GUESTS];

		if (*guest < 0 || what % 4 == 0) {
			connect_guest(guest);
		} else if (what % 4 == 1) {
			shutdown(*guest, SHUT_WR);
		} else {
			fuzz_send_bytes(*guest, &script);
		}
		fuzz_turn();
	}
	assert(hellos <= 1);
	hello_destroy(hello);
	assert(!listener.on_accept);
	for (int i = 0; i < GUESTS; i++)
		if (guests[i] >= 0)
			close(guests[i]);
	return 0;
}
