/*
 * A process's standard streams on their way from the host's vsock streams to its descriptors 0, 1
 * and 2: pipes, or one pseudo-terminal, and the pumps between. stdin ends with the process's
 * record; output flows on until its last byte (agent/pod/streams.h).
 */
#ifndef AGENT_STDIO_H
#define AGENT_STDIO_H

#include <stdbool.h>
#include <stdint.h>

struct error;
struct ev_loop;
struct pump;
struct streams;

struct stdio {
	uint32_t port[3]; /* of the host; 0: none */
	int stream[3];    /* the host's; -1: none, or handed on */
	int ours[3];      /* our ends of the pipes */
	int child[3];     /* what becomes 0, 1, 2; all -1 with a terminal */
	int console;      /* the terminal's master, for its size */
	struct pump *in;
	bool stdin_closed; /* before it was connected */
};

void stdio_init(struct stdio *stdio);

/*
 * Claims the streams of the host's @ports (0: none) and makes the pipes to them. A terminal has one
 * output: a port for its stderr is refused.
 */
int stdio_open(struct stdio *stdio, struct streams *streams, const uint32_t ports[3], bool terminal,
               struct error *err);

/* The child has got its ends; they are closed here. */
void stdio_close_child(struct stdio *stdio);

/* Starts copying. @console: the terminal's master, taken over; -1 without a terminal. */
int stdio_connect(struct stdio *stdio, struct ev_loop *loop, struct streams *streams, int console,
                  struct error *err);

/* What has arrived by now is the end of stdin; a terminal's stays open, as under runc. */
void stdio_close_stdin(struct stdio *stdio);
int stdio_resize(const struct stdio *stdio, uint32_t rows, uint32_t columns, struct error *err);

/* What has been written by now to output @which, 1 or 2. False: it has ended, or is about to. */
bool stdio_written(const struct stdio *stdio, const struct streams *streams, int which,
                   uint64_t *out);

void stdio_fini(struct stdio *stdio); /* output that is being copied flows on */

#endif
