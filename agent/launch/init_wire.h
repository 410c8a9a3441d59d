/*
 * Between the agent (init.c) and the child that becomes a container process (init_child.c): the
 * child's descriptors, and the one message that crosses their socket pair (SOCK_SEQPACKET).
 *
 *	agent                                    child
 *	  ── container_init.Request, a memfd ──────►
 *	  ◄─ READY, with the pty's master ──────────  all is done but execve
 *	  ── one byte: go ─────────────────────────►
 *	  ◄─ end of file ───────────────────────────  execve has closed the socket
 *
 * FAILED may come instead of READY or of the end of file.
 */
#ifndef AGENT_INIT_WIRE_H
#define AGENT_INIT_WIRE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

#define INIT_ARGUMENT      "container-init" /* argv[1] of the child */
#define INIT_REQUEST_MAX   (8 << 20)
#define INIT_STEP_NAME_MAX 64

enum init_fd { /* after 0, 1 and 2 */
	INIT_FD_REQUEST = 3,
	INIT_FD_SOCKET = 4,
	INIT_FD_JOIN = 5, /* a pidfd; only with container_init.Request.join */
	INIT_FD_SECCOMP =
		6, /* seccomp_write() by a container's init, seccomp_read() by its execs */
	INIT_FD_END,
};

enum init_message_kind {
	INIT_READY = 1,
	INIT_FAILED = 2,
};

struct init_message {
	int32_t kind;
	int32_t code;                  /* enum error_code */
	char step[INIT_STEP_NAME_MAX]; /* which failed; empty: the text says it all */
	char text[ERROR_TEXT_MAX];
};

/* Sends @message, and @fd with it unless that is negative; 0 or -1 with errno. */
int init_wire_send(int socket, const struct init_message *message, int fd);

/* Receives one without waiting: its length, 0 at the end of file, -1 with errno. A descriptor that
 * came with it goes to *@fd. */
ssize_t init_wire_receive(int socket, struct init_message *message, int *fd);

#endif
