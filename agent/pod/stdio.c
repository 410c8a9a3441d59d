#include "agent/pod/stdio.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "agent/pod/call_input.h"
#include "agent/pod/call_output.h"
#include "agent/pod/pump.h"
#include "agent/pod/streams.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

/* A writer and this process take turns on one CPU: the more a pipe of output holds, the fewer the
 * turns. The default of fs.pipe-max-size. What calls read has the kernel's default size: an answer
 * holds no more. */
#define PIPE_SIZE (1 << 20)
/* struct winsize has 16 bits for each. */
#define WINSIZE_MAX 0xffff

static const char *const names[3] = { "stdin", "stdout", "stderr" };

void stdio_init(struct stdio *stdio)
{
	*stdio = (struct stdio){
		.stream = { -1, -1, -1 },
		.ours = { -1, -1, -1 },
		.child = { -1, -1, -1 },
		.console = -1,
	};
}

static int make_pipe(struct stdio *stdio, int i, struct error *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe for %s", names[i]);
	if (i > 0 && stdio->stream[i] >= 0)
		fcntl(ends[0], F_SETPIPE_SZ, PIPE_SIZE);
	stdio->ours[i] = ends[i == 0];
	stdio->child[i] = ends[i != 0];
	return 0;
}

static int open_for_calls(struct stdio *stdio, struct ev_loop *loop, bool terminal,
                          struct error *err)
{
	int r = 0;

	stdio->call_in = call_input_create(loop);
	stdio->call_out[1] = call_output_create(loop);
	if (terminal)
		return 0;
	stdio->call_out[2] = call_output_create(loop);
	for (int i = 0; i < 3 && r == 0; i++)
		r = make_pipe(stdio, i, err);
	return r;
}

int stdio_open(struct stdio *stdio, struct ev_loop *loop, struct streams *streams,
               const struct stdio_config *config, struct error *err)
{
	const uint32_t *ports = config->ports;
	int r = 0;

	stdio->terminal = config->terminal;
	if (config->by_calls)
		return open_for_calls(stdio, loop, config->terminal, err);
	if (config->terminal && ports[2])
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "a process with a terminal has no stderr of its own");
	for (int i = 0; i < 3 && r == 0; i++) {
		if (!ports[i])
			continue;
		stdio->port[i] = ports[i];
		r = streams_claim(streams, ports[i], &stdio->stream[i], err);
		if (r < 0)
			error_wrap(err, "%s", names[i]);
		else if (!config->terminal)
			r = make_pipe(stdio, i, err);
	}
	return r;
}

static void close_all(int fds[3])
{
	for (int i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(take_fd(&fds[i]));
}

void stdio_close_child(struct stdio *stdio)
{
	close_all(stdio->child);
}

static void on_stdin_ended(void *ctx)
{
	struct stdio *stdio = ctx;

	pump_destroy(stdio->in);
	stdio->in = NULL;
}

/* Each direction owns a descriptor of its own of the terminal. */
static int split_console(struct stdio *stdio, int console, struct error *err)
{
	stdio->console = console;
	for (int i = 0; i < 2; i++) {
		if (stdio->stream[i] < 0 && !stdio->call_in)
			continue;
		stdio->ours[i] = fcntl(console, F_DUPFD_CLOEXEC, 0);
		if (stdio->ours[i] < 0)
			return error_errno(err, "cannot connect the terminal");
	}
	return 0;
}

static void connect_calls(struct stdio *stdio)
{
	call_input_connect(stdio->call_in, take_fd(&stdio->ours[0]));
	for (int i = 1; i < 3; i++)
		if (stdio->call_out[i])
			call_output_connect(stdio->call_out[i], take_fd(&stdio->ours[i]));
}

int stdio_connect(struct stdio *stdio, struct ev_loop *loop, struct streams *streams, int console,
                  struct error *err)
{
	int r;

	if (console >= 0) {
		r = split_console(stdio, console, err);
		if (r < 0)
			return r;
	}
	if (stdio->call_in)
		connect_calls(stdio);
	if (stdio->stream[0] >= 0)
		stdio->in = pump_create(loop, take_fd(&stdio->stream[0]), take_fd(&stdio->ours[0]),
		                        on_stdin_ended, stdio);
	if (stdio->stdin_closed)
		stdio_close_stdin(stdio);
	for (int i = 1; i < 3; i++)
		if (stdio->stream[i] >= 0)
			streams_drain(streams, stdio->port[i], take_fd(&stdio->ours[i]),
			              take_fd(&stdio->stream[i]));
	return 0;
}

void stdio_close_stdin(struct stdio *stdio)
{
	stdio->stdin_closed = true;
	if (stdio->terminal)
		return;
	if (stdio->in)
		pump_finish(stdio->in);
	if (stdio->call_in)
		call_input_close(stdio->call_in);
}

static int refuse_calls(int which, struct error *err)
{
	return error_set(err, ERROR_FAILED_PRECONDITION,
	                 "%s is not for calls: it is a stream of the host's, or /dev/null",
	                 names[which]);
}

int stdio_write(struct stdio *stdio, const uint8_t *data, size_t len, struct ttrpc_call *call,
                struct error *err)
{
	Grpc__WriteStreamResponse nothing = GRPC__WRITE_STREAM_RESPONSE__INIT;

	if (!stdio->call_in)
		return refuse_calls(0, err);
	if (len)
		return call_input_write(stdio->call_in, data, len, call, err);
	stdio_close_stdin(stdio);
	ttrpc_call_reply(call, &nothing.base);
	return 0;
}

int stdio_read(struct stdio *stdio, int which, uint32_t len, struct ttrpc_call *call,
               struct error *err)
{
	Grpc__ReadStreamResponse end = GRPC__READ_STREAM_RESPONSE__INIT;

	if (!stdio->call_in)
		return refuse_calls(which, err);
	if (stdio->call_out[which])
		return call_output_read(stdio->call_out[which], len, call, err);
	ttrpc_call_reply(call, &end.base);
	return 0;
}

void stdio_finish(struct stdio *stdio)
{
	if (stdio->call_in)
		call_input_finish(stdio->call_in);
	for (int i = 1; i < 3; i++)
		if (stdio->call_out[i])
			call_output_finish(stdio->call_out[i]);
}

bool stdio_was_read(const struct stdio *stdio)
{
	for (int i = 1; i < 3; i++)
		if (stdio->call_out[i] && !call_output_ended(stdio->call_out[i]))
			return false;
	return true;
}

int stdio_resize(const struct stdio *stdio, uint32_t rows, uint32_t columns, struct error *err)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)columns };

	if (stdio->console < 0)
		return error_set(err, ERROR_UNAVAILABLE, "the process has no terminal");
	if (rows > WINSIZE_MAX || columns > WINSIZE_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid terminal size \"%ux%u\": more than %d rows or columns",
		                 rows, columns, WINSIZE_MAX);
	if (ioctl(stdio->console, TIOCSWINSZ, &size) < 0)
		return error_errno(err, "cannot resize the terminal");
	return 0;
}

bool stdio_written(const struct stdio *stdio, const struct streams *streams, int which,
                   uint64_t *out)
{
	struct pollfd terminal = { .fd = stdio->console, .events = POLLIN };

	/* Of a terminal that nobody has any more the end comes; else asking whether there is
	 * something to read brings on what the kernel has on its way. */
	if (terminal.fd >= 0 && poll(&terminal, 1, 0) == 1 && (terminal.revents & POLLHUP))
		return false;
	return stdio->port[which] && streams_written(streams, stdio->port[which], out);
}

void stdio_fini(struct stdio *stdio)
{
	pump_destroy(stdio->in);
	call_input_destroy(stdio->call_in);
	for (int i = 1; i < 3; i++)
		call_output_destroy(stdio->call_out[i]);
	close_all(stdio->stream);
	close_all(stdio->ours);
	close_all(stdio->child);
	if (stdio->console >= 0)
		close(stdio->console);
	stdio_init(stdio);
}
