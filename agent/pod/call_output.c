#include "agent/pod/call_output.h"

#include <errno.h>
#include <ev.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/file.h"
#include "common/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

struct reader {
	STAILQ_ENTRY(reader) link;
	struct call_output *output;
	struct ttrpc_call *call;
	size_t len;
};

struct call_output {
	struct ev_loop *loop;
	int fd; /* -1: not connected yet, or ended */
	bool finished;
	bool ended;
	ev_io readable; /* while readers wait */
	STAILQ_HEAD(, reader) readers;
};

/* Returns the reader's call. */
static struct ttrpc_call *reader_take(struct reader *reader)
{
	struct ttrpc_call *call = reader->call;

	STAILQ_REMOVE(&reader->output->readers, reader, reader, link);
	free(reader);
	return call;
}

static void reader_answer(struct reader *reader, char *data, size_t len)
{
	Grpc__ReadStreamResponse response = GRPC__READ_STREAM_RESPONSE__INIT;

	response.data.data = (uint8_t *)data;
	response.data.len = len;
	ttrpc_call_reply(reader_take(reader), &response.base);
}

static void output_end(struct call_output *output)
{
	ev_io_stop(output->loop, &output->readable);
	cleanup_close(&output->fd);
	output->ended = true;
}

/* False: there is nothing for the reader yet. */
static bool serve(struct call_output *output, struct reader *reader)
{
	autofree char *data = NULL;
	ssize_t n;

	if (output->ended) {
		reader_answer(reader, NULL, 0);
		return true;
	}
	if (output->fd < 0)
		return false;
	data = mem_alloc(reader->len);
	do
		n = read(output->fd, data, reader->len);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN && !output->finished)
		return false;
	if (n <= 0) /* EIO: the last process has closed the terminal */
		output_end(output);
	reader_answer(reader, data, n > 0 ? (size_t)n : 0);
	return true;
}

static void serve_all(struct call_output *output)
{
	struct reader *reader;

	while ((reader = STAILQ_FIRST(&output->readers)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): STAILQ_REMOVE() moves the head */
		if (!serve(output, reader))
			break;
	if (!reader)
		ev_io_stop(output->loop, &output->readable);
	else if (output->fd >= 0)
		ev_io_start(output->loop, &output->readable);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	serve_all(watcher->data);
}

/* What comes is for those that still wait. */
static void on_orphan(void *ctx)
{
	struct reader *reader = ctx;
	struct call_output *output = reader->output;

	ttrpc_call_finish(reader_take(reader), NULL);
	if (STAILQ_EMPTY(&output->readers))
		ev_io_stop(output->loop, &output->readable);
}

struct call_output *call_output_create(struct ev_loop *loop)
{
	struct call_output *output = mem_new(struct call_output);

	output->loop = loop;
	output->fd = -1;
	ev_io_init(&output->readable, on_readable, -1, EV_READ);
	output->readable.data = output;
	STAILQ_INIT(&output->readers);
	return output;
}

void call_output_destroy(struct call_output *output)
{
	struct reader *reader;
	struct error err;

	if (!output)
		return;
	output_end(output);
	error_set(&err, ERROR_NOT_FOUND, "the process was removed");
	while ((reader = STAILQ_FIRST(&output->readers)))
		ttrpc_call_fail(reader_take(reader), &err);
	free(output);
}

void call_output_connect(struct call_output *output, int fd)
{
	file_set_nonblocking(fd);
	output->fd = fd;
	ev_io_set(&output->readable, fd, EV_READ);
	serve_all(output);
}

void call_output_finish(struct call_output *output)
{
	output->finished = true;
	serve_all(output);
}

int call_output_read(struct call_output *output, uint32_t len, struct ttrpc_call *call,
                     struct error *err)
{
	Grpc__ReadStreamResponse nothing = GRPC__READ_STREAM_RESPONSE__INIT;
	struct reader *reader;
	int r;

	if (len == 0) { /* no question whether there is more */
		ttrpc_call_reply(call, &nothing.base);
		return 0;
	}
	reader = mem_new(struct reader);
	r = ttrpc_call_park(call, on_orphan, reader, err);
	if (r < 0) {
		free(reader);
		return r;
	}
	reader->output = output;
	reader->call = call;
	reader->len = len < CALL_OUTPUT_MAX ? len : CALL_OUTPUT_MAX;
	STAILQ_INSERT_TAIL(&output->readers, reader, link);
	serve_all(output);
	return 0;
}

bool call_output_ended(const struct call_output *output)
{
	return output->ended;
}
