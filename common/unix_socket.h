/*
 * Unix sockets (SOCK_STREAM) by their path: non-blocking and close-on-exec, all of them.
 */
#ifndef COMMON_UNIX_SOCKET_H
#define COMMON_UNIX_SOCKET_H

#include <sys/types.h>

struct error;

#define UNIX_SOCKET_PATH_MAX 107 /* bytes of a path (unix(7)), its end not counted */

/* ERROR_INVALID_ARGUMENT when @path is too long for a socket, or empty. */
int unix_socket_check(const char *path, struct error *err);

/* A connection, the caller's, or a negative errno. Never waits: a listener that is busy is -EAGAIN,
 * -ECONNREFUSED a socket without a listener, -ENOENT no socket. */
int unix_socket_connect(const char *path);

/* A listening socket, the caller's, or a negative errno with @err. @path is made with mode 0600,
 * and must not be there. */
int unix_socket_listen(const char *path, int backlog, struct error *err);

/* Who listens, for clients (SO_PEERCRED, unix(7)), is the process that called listen(2) last: this
 * one, which has inherited the socket. */
int unix_socket_adopt(int fd, int backlog, struct error *err);
/* The process at the other end of a connection that a client has made; 0: none that is seen here. */
pid_t unix_socket_listener(int fd);

#endif
