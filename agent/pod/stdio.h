/*
 * A process's standard streams on their way from the host to its descriptors 0, 1 and 2, which are
 * pipes, or one pseudo-terminal. The host's vsock streams are copied by pumps: stdin ends with the
 * process's record, output flows on until its last byte (agent/pod/streams.h). Or calls of the host
 * read and write: all of that ends with the process's record.
 */
#ifndef AGENT_STDIO_H
#define AGENT_STDIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct call_input;
struct call_output;
struct error;
struct ev_loop;
struct pump;
struct streams;
struct ttrpc_call;

struct stdio_config {
	uint32_t ports[3]; /* of the host; 0: none, /dev/null */
	bool by_calls;     /* there are no ports: stdio_read(), stdio_write() */
	bool terminal;
};

struct stdio {
	uint32_t port[3]; /* of the host; 0: none */
	int stream[3];    /* the host's; -1: none, or handed on */
	int ours[3];      /* our ends of the pipes */
	int child[3];     /* what becomes 0, 1, 2; all -1 with a terminal */
	int console;      /* the terminal's master, for its size */
	bool terminal;
	struct pump *in;
	bool stdin_closed;          /* before it was connected */
	struct call_input *call_in; /* NULL: not by calls */
	struct call_output *call_out[3];
};

void stdio_init(struct stdio *stdio);

/*
 * Claims the streams of the host's ports and makes the pipes to them. A terminal has one output: a
 * port for its stderr is refused.
 */
int stdio_open(struct stdio *stdio, struct ev_loop *loop, struct streams *streams,
               const struct stdio_config *config, struct error *err);

/* The child has got its ends; they are closed here. */
void stdio_close_child(struct stdio *stdio);

/* Starts copying. @console: the terminal's master, taken over; -1 without a terminal. */
int stdio_connect(struct stdio *stdio, struct ev_loop *loop, struct streams *streams, int console,
                  struct error *err);

/* What has arrived by now is the end of stdin; a terminal's stays open, as under runc. */
void stdio_close_stdin(struct stdio *stdio);
int stdio_resize(const struct stdio *stdio, uint32_t rows, uint32_t columns, struct error *err);

/*
 * By calls: as call_input_write() and call_output_read(). A write without data closes stdin. A
 * terminal's stderr is at its end. ERROR_FAILED_PRECONDITION: not by calls.
 */
int stdio_write(struct stdio *stdio, const uint8_t *data, size_t len, struct ttrpc_call *call,
                struct error *err);
int stdio_read(struct stdio *stdio, int which, uint32_t len, struct ttrpc_call *call,
               struct error *err);

/* The process has been reaped: no call waits any more. */
void stdio_finish(struct stdio *stdio);
bool stdio_was_read(const struct stdio *stdio); /* no call will find more output */

/* What has been written by now to output @which, 1 or 2. False: it has ended, or is about to. */
bool stdio_written(const struct stdio *stdio, const struct streams *streams, int which,
                   uint64_t *out);

void stdio_fini(struct stdio *stdio); /* output that is being copied flows on */

#endif
