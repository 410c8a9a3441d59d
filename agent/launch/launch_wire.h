/*
 * Between the agent (launch.c) and the child that becomes a container process (launch_child.c): the
 * child's descriptors, and the messages that cross their socket pair (SOCK_SEQPACKET).
 *
 *	agent                                    child
 *	  ── launch.Request, a memfd ──────────────►
 *	  ◄─ CONSOLE, with the pty's master ────────  only when a terminal was asked for
 *	  ◄─ READY ─────────────────────────────────  all is done but execve
 *	  ── one byte: go ─────────────────────────►
 *	  ◄─ end of file ───────────────────────────  execve has closed the socket
 *
 * FAILED may come instead of any of the child's. All but CONSOLE go by write(2) and read(2): a
 * seccomp profile that takes the network away leaves those.
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
	LAUNCH_FD_INIT = 5,    /* a pidfd of the container's init; only with launch.Request.exec */
	LAUNCH_FD_SECCOMP = 6, /* seccomp_write() by a container's init, seccomp_read() by execs */
	LAUNCH_FD_GUEST_CGROUP = 7,  /* where seccomp_compile_apart() is counted; not for execs */
	LAUNCH_FD_PID_NAMESPACE = 8, /* only with launch.Request.joins_pid_namespace */
	LAUNCH_FD_END,
};

enum launch_message_kind {
	LAUNCH_READY = 1,
	LAUNCH_FAILED = 2,
	LAUNCH_CONSOLE = 3,
};

struct launch_message {
	int32_t kind;
	int32_t code;                    /* enum error_code */
	char step[LAUNCH_STEP_NAME_MAX]; /* which failed; empty: the text says it all */
	char text[ERROR_TEXT_MAX];
};

/* 0, or -1 with errno. An agent that has gone ends the child (SIGPIPE). */
int launch_wire_send(int socket, const struct launch_message *message);

/* CONSOLE. */
int launch_wire_send_console(int socket, int master);

/* What the agent got. */
struct launch_received {
	struct launch_message message;
	pid_t pid; /* who sent it, as the kernel says; 0: unknown */
	int fd;    /* came with it; -1: none. More than one are closed. The caller's. */
};

/* Makes the agent's end report the pid of the sender. 0, or -1 with errno. */
int launch_wire_ask_sender(int socket);

/* Receives one without waiting: its length, 0 at the end of file, -1 with errno. */
ssize_t launch_wire_receive(int socket, struct launch_received *out);

#endif
