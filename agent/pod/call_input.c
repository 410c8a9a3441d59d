#include "agent/pod/call_input.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

struct call_input {
	struct ev_loop *loop;
	int fd;      /* -1: not connected yet, or closed */
	bool closed; /* no call writes any more */
	ev_io writable;
	struct ttrpc_call *call; /* NULL: none is under way */
	const uint8_t *data;
	size_t len;
	size_t done;
};

static int refuse_closed(struct error *err)
{
	return error_set(err, ERROR_FAILED_PRECONDITION, "the process's stdin is closed");
}

static void input_close(struct call_input *input)
{
	ev_io_stop(input->loop, &input->writable);
	cleanup_close(&input->fd);
	input->closed = true;
}

static void call_end(struct call_input *input, const struct error *err)
{
	Grpc__WriteStreamResponse response = GRPC__WRITE_STREAM_RESPONSE__INIT;
	struct ttrpc_call *call = take_ptr(&input->call);

	ev_io_stop(input->loop, &input->writable);
	response.len = (uint32_t)input->len;
	if (err)
		ttrpc_call_fail(call, err);
	else
		ttrpc_call_reply(call, &response.base);
}

/* Returns whether there is more to write, later. */
static bool write_now(struct call_input *input, struct error *err)
{
	while (input->done < input->len) {
		ssize_t n = write(input->fd, input->data + input->done, input->len - input->done);

		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0 && errno != EINTR) {
			refuse_closed(err);
			return false;
		}
		input->done += n > 0 ? (size_t)n : 0;
	}
	return false;
}

static void write_on(struct call_input *input)
{
	struct error err = { .code = ERROR_NONE };

	if (!input->call || input->fd < 0)
		return;
	if (write_now(input, &err)) {
		ev_io_start(input->loop, &input->writable);
		return;
	}
	if (input->closed || err.code)
		input_close(input);
	call_end(input, err.code ? &err : NULL);
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	write_on(watcher->data);
}

/* What it has written stays written. */
static void on_orphan(void *ctx)
{
	struct call_input *input = ctx;

	call_end(input, NULL);
	if (input->closed)
		input_close(input);
}

struct call_input *call_input_create(struct ev_loop *loop)
{
	struct call_input *input = mem_new(struct call_input);

	input->loop = loop;
	input->fd = -1;
	ev_io_init(&input->writable, on_writable, -1, EV_WRITE);
	input->writable.data = input;
	return input;
}

void call_input_destroy(struct call_input *input)
{
	if (!input)
		return;
	call_input_finish(input);
	free(input);
}

void call_input_connect(struct call_input *input, int fd)
{
	file_set_nonblocking(fd);
	input->fd = fd;
	ev_io_set(&input->writable, fd, EV_WRITE);
	write_on(input);
	if (input->closed && !input->call)
		input_close(input);
}

int call_input_write(struct call_input *input, const uint8_t *data, size_t len,
                     struct ttrpc_call *call, struct error *err)
{
	int r;

	if (input->closed)
		return refuse_closed(err);
	if (input->call)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "another call writes to the process's stdin");
	r = ttrpc_call_park(call, on_orphan, input, err);
	if (r < 0)
		return r;
	input->call = call;
	input->data = data;
	input->len = len;
	input->done = 0;
	write_on(input);
	return 0;
}

void call_input_close(struct call_input *input)
{
	input->closed = true;
	if (!input->call)
		input_close(input);
}

void call_input_finish(struct call_input *input)
{
	struct error err;

	input_close(input);
	refuse_closed(&err);
	if (input->call)
		call_end(input, &err);
}
