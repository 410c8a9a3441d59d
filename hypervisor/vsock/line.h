/*
 * The text that a host process and the vsock device speak on a Unix socket, one line at a time:
 * each line is followed by a newline and may carry one file descriptor (SCM_RIGHTS).
 *
 * A process connects to <dir>/vsock.sock and says what it wants:
 *
 *	CONNECT <port>              a stream to this port of the guest. Answer: "OK <host port>",
 *	                            after which the socket is the stream; or the socket is closed.
 *	                            This much is Firecracker's protocol (docs/vsock.md there).
 *	CONNECT <port> READ         the line carries the descriptor that is the host's end: the
 *	                            device reads from it and sends to the guest,
 *	CONNECT <port> WRITE        or it writes to it what the guest sends.
 *	CONNECT <port> READ LATER   the descriptor comes by ATTACH.
 *	CONNECT <port> WRITE LATER
 *	CONNECT <port> DUPLEX <greeting>  the line carries a connected socket: the device copies
 *	                            both ways, and "<greeting>\n" is the first that it sends to the
 *	                            guest: one word of at most LINE_GREETING_MAX bytes.
 *	PING                        nothing: the device answers "OK 0" and closes the socket.
 *
 * With READ, WRITE and DUPLEX the socket stays a line of control; closing it aborts the stream:
 *
 *	OK <host port>            < the guest has taken the stream. Until then: FAILED.
 *	ATTACH                    > carries the descriptor.
 *	MOVED                     > how many bytes have gone through the descriptor?
 *	MOVED <bytes> <kept>      < kept: the guest's, for which the descriptor has no room yet
 *	DONE <bytes>              < the last line: all bytes are in the descriptor (READ: with the
 *	                            guest), and the device has closed it. <bytes> are those from the
 *	                            guest, with READ those to it.
 *	FAILED <bytes> <kept> <reason>  < the last line: the stream ended otherwise, and what
 *	                            was kept is dropped.
 *
 * A stream of DUPLEX that has not ended in order on both sides resets the socket: a TCP peer sees
 * that (ECONNRESET).
 *
 * Past LINE_STREAMS_MAX at once, a CONNECT is refused: FAILED, or the socket is closed.
 *
 * A guest that connects to the host's port N reaches who listens on <dir>/vsock.sock_N.
 */
#ifndef HYPERVISOR_VSOCK_LINE_H
#define HYPERVISOR_VSOCK_LINE_H

#include <stddef.h>

#define LINE_SOCKET "vsock.sock"

#define LINE_CONNECT "CONNECT"
#define LINE_READ    "READ"
#define LINE_WRITE   "WRITE"
#define LINE_DUPLEX  "DUPLEX"
#define LINE_LATER   "LATER"
#define LINE_ATTACH  "ATTACH"
#define LINE_OK      "OK"
#define LINE_PING    "PING"
#define LINE_MOVED   "MOVED"
#define LINE_DONE    "DONE"
#define LINE_FAILED  "FAILED"

#define LINE_STREAMS_MAX  768
#define LINE_GREETING_MAX 32

#define LINE_MAX_SIZE 256 /* with its end */

/*
 * Takes the next line off the non-blocking socket @fd, and not a byte of what follows it. The
 * newline is replaced by a NUL. *@passed is the descriptor that came with it, or -1. Returns 1, or
 * 0 at the end of file, -EAGAIN when no whole line is there yet, -EPROTO when it is no line or
 * more than one descriptor came with it.
 */
int line_receive(int fd, char line[LINE_MAX_SIZE], int *passed);

/* Sends @line, which has its newline, whole or not at all, with the descriptor @pass or -1: 0 or a
 * negative errno. */
int line_send(int fd, const char *line, int pass);

#endif
