/*
 * Descriptors that travel with a message over a Unix socket (SCM_RIGHTS, unix(7)).
 */
#ifndef COMMON_FD_MESSAGE_H
#define COMMON_FD_MESSAGE_H

#include <stddef.h>
#include <sys/types.h>

#define FD_MESSAGE_MAX 8 /* descriptors of a message */

/* Sends @data with the descriptors, which stay the caller's. Does not wait. Returns the bytes sent,
 * or a negative errno: -EPIPE without a signal. */
ssize_t fd_message_send(int socket, const void *data, size_t size, const int *fds, size_t nfds);

/*
 * Receives what is there, without waiting: the bytes, 0 at the end of file, or a negative errno.
 * @fds has room for @max descriptors, *@nfds of them came: close-on-exec, and the caller's. A
 * message with more than @max is taken off the socket and refused with -EPROTO: no descriptor of it
 * stays open.
 */
ssize_t fd_message_receive(int socket, void *data, size_t size, int *fds, size_t max, size_t *nfds);

#endif
