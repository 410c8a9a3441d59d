/*
 * The streams of the fake guest's processes, of an agent that has them by calls alone, as
 * upstream's: what a process writes waits until it is read, and is forgotten when its exit has been
 * told.
 */
#ifndef TEST_FAKE_STDIO_H
#define TEST_FAKE_STDIO_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/ttrpc/ttrpc_server.h"

#define FAKE_OUTPUT_MAX 262144
#define FAKE_INPUT_MAX  131072

struct fake_process {
	char exec_id[64];
	struct fake_output {
		char *bytes; /* FAKE_OUTPUT_MAX */
		size_t len;
		size_t taken;
		struct ttrpc_call *reader; /* NULL: nobody reads */
		size_t max;                /* that it asks for */
	} outputs[2];
	char *input; /* FAKE_INPUT_MAX */
	size_t input_len;
	bool input_closed;
	size_t takes; /* of each piece of the input; 0: all */
	bool greedy;  /* it sends more than is asked for */
	bool ended;
	int status;
};

/* Made when it is first named. */
struct fake_process *fake_process(const char *exec_id);
void fake_process_write(struct fake_process *process, bool is_err, const void *bytes, size_t len);
/* It ends: whoever reads sees the end after the last byte. */
void fake_process_end(struct fake_process *process, int status);
/* Calls that were not answered are answered; all processes are forgotten. */
void fake_stdio_fini(void);

/* Handlers of the agent's methods. */
void fake_on_read_stdout(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx);
void fake_on_read_stderr(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx);
void fake_on_write_stdin(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx);
void fake_on_close_stdin(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx);

#endif
