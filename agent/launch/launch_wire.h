/*
 * Between the agent (launch.c) and the child that becomes a container process (launch_child.c): the
 * child's descriptors, and the one message that crosses their socket pair (SOCK_SEQPACKET).
 *
 *	agent                                    child
 *	  ── launch.Request, a memfd ──────►
 *	  ◄─ READY, with the pty's master ──────────  all is done but execve
 *	  ── one byte: go ─────────────────────────►
 *	  ◄─ end of file ───────────────────────────  execve has closed the socket
 *
 * FAILED may come instead of READY or of the end of file.
 */
#ifndef AGENT_LAUNCH_WIRE_H
#define AGENT_LAUNCH_WIRE_H

#include <stdint.h>
#include <sys/types.h>

#include "common/error.h"

#define LAUNCH_ARGUMENT      "launch" /* argv[1] of the child */
#define LAUNCH_REQUEST_MAX   (8 << 20)
#define LAUNCH_STEP_NAME_MAX 64

enum launch_fd { /* after 0, 1 and 2 */
	LAUNCH_FD_REQUEST = 3,
	LAUNCH_FD_SOCKET = 4,
	LAUNCH_FD_INIT = 5, /* a pidfd; only with launch.Request.exec */
	LAUNCH_FD_SECCOMP =
		6, /* seccomp_write() by a container's init, seccomp_read() by its execs */
	LAUNCH_FD_END,
};

enum launch_message_kind {
	LAUNCH_READY = 1,
	LAUNCH_FAILED = 2,
};

struct launch_message {
	int32_t kind;
	int32_t code;                    /* enum error_code */
	char step[LAUNCH_STEP_NAME_MAX]; /* which failed; empty: the text says it all */
	char text[ERROR_TEXT_MAX];
};

/* Sends @message, and @fd with it unless that is negative; 0 or -1 with errno. */
int launch_wire_send(int socket, const struct launch_message *message, int fd);

/* Receives one without waiting: its length, 0 at the end of file, -1 with errno. A descriptor that
 * came with it goes to *@fd. */
ssize_t launch_wire_receive(int socket, struct launch_message *message, int *fd);

#endif
