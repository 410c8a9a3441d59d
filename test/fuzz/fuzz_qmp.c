/*
 * What QEMU may send over QMP, in pieces, to a client whose callbacks may destroy it. Each command
 * is answered once at most, the loss is told once, and nothing is called after either end.
 */
#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/mem.h"
#include "hypervisor/qemu/qmp.h"
#include "test/fuzz/fuzz.h"

#define INPUT_MAX  (64 << 10) /* less than a socket holds */
#define COMMANDS   3          /* beside the handshake, which has the id 1 */
#define TIMEOUT_MS 60000

static struct {
	struct qmp *qmp; /* NULL: destroyed */
	int callbacks;
	int destroy_at; /* the number of the callback that destroys it */
	bool lost;
	int answers[COMMANDS];
} run;

static void count_callback(void)
{
	if (!run.qmp || run.lost)
		abort();
	if (++run.callbacks == run.destroy_at)
		qmp_destroy(take_ptr(&run.qmp));
}

static void on_ready(void *ctx)
{
	count_callback();
}

static void on_event(void *ctx, const char *name, const json_t *data)
{
	if (!*name && json_object_size(data) > INPUT_MAX)
		abort();
	count_callback();
}

static void on_lost(void *ctx, const struct error *err)
{
	for (int i = 0; i < COMMANDS; i++)
		if (run.answers[i] != 1)
			abort();
	count_callback();
	run.lost = true;
}

static void on_done(void *ctx, const json_t *result, const struct error *err)
{
	int *answers = ctx;

	if (++*answers > 1 || !result == !err)
		abort();
	count_callback();
}

static const struct qmp_events events = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_lost = on_lost,
};

/* @data[0]: which callback destroys the client; @data[1]: the length of the pieces. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ev_loop *loop;
	size_t piece;
	int ends[2];

	if (size < 2 || size > INPUT_MAX || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0)
		return 0;
	loop = ev_loop_new(0);
	run = (typeof(run)){ .destroy_at = data[0] % 8 };
	run.qmp = qmp_create(loop, ends[0], TIMEOUT_MS, &events, NULL);
	for (int i = 0; i < COMMANDS; i++)
		qmp_execute(run.qmp, "command", NULL, TIMEOUT_MS, on_done, &run.answers[i], NULL);
	piece = data[1] + 1;
	for (size_t at = 2; at < size && run.qmp; at += piece) {
		size_t n = size - at < piece ? size - at : piece;

		if (send(ends[1], data + at, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
		ev_run(loop, EVRUN_NOWAIT);
	}
	close(ends[1]);
	while (run.qmp && !run.lost)
		ev_run(loop, EVRUN_ONCE);
	qmp_destroy(run.qmp);
	ev_loop_destroy(loop);
	return 0;
}
