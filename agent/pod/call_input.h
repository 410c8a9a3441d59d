/*
 * The input of a process, a pipe or a terminal, for a client that writes it by calls (WriteStdin).
 * One call at a time; it is answered when the pipe has taken all of it.
 */
#ifndef AGENT_CALL_INPUT_H
#define AGENT_CALL_INPUT_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct call_input;
struct ev_loop;
struct ttrpc_call;

struct call_input *call_input_create(struct ev_loop *loop);
void call_input_destroy(struct call_input *input); /* NULL is fine; as call_input_finish() */

/* Where the input goes to, once that exists; taken over, and made non-blocking. */
void call_input_connect(struct call_input *input, int fd);

/*
 * Answers @call (WriteStdin), now or later, unless an error is returned. @data is of the call, or
 * outlives it. ERROR_FAILED_PRECONDITION: the input is closed, on either side, or another call is
 * under way.
 */
int call_input_write(struct call_input *input, const uint8_t *data, size_t len,
                     struct ttrpc_call *call, struct error *err);

/* The process sees the end after what a call under way still writes. */
void call_input_close(struct call_input *input);

/* The process has been reaped: its side is closed. */
void call_input_finish(struct call_input *input);

#endif
