/*
 * An output of a process, a pipe or a terminal, for a client that reads it by calls (ReadStdout,
 * ReadStderr). A call waits until there is something to read, and takes at most what it asks for.
 * What no call has taken stays in the pipe: when that is full, the process waits.
 */
#ifndef AGENT_CALL_OUTPUT_H
#define AGENT_CALL_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

struct call_output;
struct ev_loop;
struct ttrpc_call;

#define CALL_OUTPUT_MAX (64 << 10) /* the bytes of an answer: what a pipe holds */

struct call_output *call_output_create(struct ev_loop *loop);

/* NULL is fine. Calls that wait are failed: ERROR_NOT_FOUND. */
void call_output_destroy(struct call_output *output);

/* Where the output comes from, once that exists; taken over, and made non-blocking. */
void call_output_connect(struct call_output *output, int fd);

/* The process has been reaped: when nothing is left to read that is the end, also while another has
 * the pipe open. */
void call_output_finish(struct call_output *output);

/* Answers @call, now or later, unless an error is returned. An answer without data is the end. */
int call_output_read(struct call_output *output, uint32_t len, struct ttrpc_call *call,
                     struct error *err);

bool call_output_ended(const struct call_output *output); /* a call has seen the end */

#endif
