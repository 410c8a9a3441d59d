#include "common/unix_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

#define MODE 0600

_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == UNIX_SOCKET_PATH_MAX + 1, "");

int unix_socket_check(const char *path, struct error *err)
{
	size_t len = strlen(path);

	if (len == 0)
		return error_set(err, ERROR_INVALID_ARGUMENT, "invalid socket path \"\": empty");
	if (len > UNIX_SOCKET_PATH_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid socket path \"%s\": longer than %d bytes", path,
		                 UNIX_SOCKET_PATH_MAX);
	return 0;
}

static struct sockaddr_un address_of(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path, path, strlen(path));
	return address;
}

static int make_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

int unix_socket_connect(const char *path)
{
	struct sockaddr_un address;
	autoclose int fd = -1;

	if (unix_socket_check(path, NULL) < 0)
		return -EINVAL;
	address = address_of(path);
	fd = make_socket();
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return -errno;
	return take_fd(&fd);
}

int unix_socket_listen(const char *path, int backlog, struct error *err)
{
	struct sockaddr_un address;
	autoclose int fd = -1;
	int r = unix_socket_check(path, err);

	if (r < 0)
		return r;
	address = address_of(path);
	fd = make_socket();
	/* The socket's own mode is what bind(2) gives to its file. */
	if (fd < 0 || fchmod(fd, MODE) < 0 ||
	    bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
		return error_errno(err, "cannot bind socket \"%s\"", path);
	if (listen(fd, backlog) < 0) {
		r = error_errno(err, "cannot listen on socket \"%s\"", path);
		unlink(path);
		return r;
	}
	return take_fd(&fd);
}

int unix_socket_adopt(int fd, int backlog, struct error *err)
{
	return listen(fd, backlog) < 0 ? error_errno(err, "cannot listen on a socket") : 0;
}

pid_t unix_socket_listener(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0 ? 0 : peer.pid;
}
