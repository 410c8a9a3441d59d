/*
 * What containerd tells `start`, and the form in which it wants the answer. Three forms are alive:
 *
 *	               told by                                   answer
 *	1.6, CRI-O     flags and environment, options on stdin   the address
 *	1.7 to 2.2     the same and MAX_SHIM_VERSION             JSON, version 2
 *	2.3 and later  BootstrapParams on stdin as well          BootstrapResult, version 3
 *
 * The version is that of the Task service: we serve both.
 */
#ifndef SHIM_HANDSHAKE_H
#define SHIM_HANDSHAKE_H

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>

#include "common/cleanup.h"
#include "shim/config/runtime_options.h"

struct error;
struct command_line;

enum handshake_form {
	HANDSHAKE_ADDRESS,
	HANDSHAKE_JSON,
	HANDSHAKE_PROTOBUF,
};

struct handshake {
	enum handshake_form form;
	bool debug;
	char *ttrpc_address; /* where events go; NULL: nowhere */
	char *socket_dir;    /* NULL: ours */
	struct runtime_options runtime_options;
};

/*
 * From the flags, the environment and @fd, standard input (standard_input.h): runtime options or
 * BootstrapParams. Those are believed only when they name the id and the namespace of the flags,
 * since options can look like them.
 */
int handshake_read(const struct command_line *line, int fd, struct handshake **out,
                   struct error *err);
void handshake_destroy(struct handshake *handshake); /* NULL is fine */

/* The bytes of the answer, to be freed. */
ProtobufCBinaryData handshake_answer(enum handshake_form form, const char *uri);

CLEANUP_DESTROY(handshake)

#endif
