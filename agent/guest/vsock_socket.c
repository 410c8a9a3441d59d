#include "agent/guest/vsock_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <linux/vm_sockets.h>

#include "common/cleanup.h"
#include "common/error.h"

/* 50 execs at once open 150 streams before the loop comes round. */
#define BACKLOG 1024

/* What a socket has on its way is bounded by its own buffer, too: as much as the host's device
 * takes, so that a chunk of output goes at once. */
#define BUFFER_SIZE (1ULL << 20)

static int new_socket(void)
{
	return socket(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static struct sockaddr_vm address(uint32_t cid, uint32_t port)
{
	return (struct sockaddr_vm){ .svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port };
}

/* Accepted sockets inherit it. What fails costs speed only. */
static void enlarge_buffer(int fd)
{
	const unsigned long long size = BUFFER_SIZE;

	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &size, sizeof(size));
	setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &size, sizeof(size));
}

int vsock_socket_listen(uint32_t port, int *out, struct error *err)
{
	struct sockaddr_vm any = address(VMADDR_CID_ANY, port);
	autoclose int fd = new_socket();

	enlarge_buffer(fd);
	if (fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0 || listen(fd, BACKLOG) < 0)
		return error_errno(err, "cannot listen on vsock port %u", port);
	*out = take_fd(&fd);
	return 0;
}

int vsock_socket_connect(uint32_t port, int *out, struct error *err)
{
	struct sockaddr_vm host = address(VMADDR_CID_HOST, port);
	autoclose int fd = new_socket();

	if (fd < 0 ||
	    (connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0 && errno != EINPROGRESS))
		return error_errno(err, "cannot connect to vsock port %u of the host", port);
	*out = take_fd(&fd);
	return 0;
}

int vsock_socket_cid(uint32_t *out, struct error *err)
{
	autoclose int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
	uint32_t cid;

	if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
		return error_errno(err, "cannot get the guest's CID from \"/dev/vsock\"");
	if (cid == VMADDR_CID_ANY || cid == VMADDR_CID_LOCAL)
		return error_set(err, ERROR_UNAVAILABLE, "the guest has no vsock device yet");
	*out = cid;
	return 0;
}

int vsock_socket_peer(int fd, uint32_t *port, struct error *err)
{
	struct sockaddr_vm peer = { 0 };
	socklen_t len = sizeof(peer);

	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return error_errno(err, "cannot get the peer of a vsock connection");
	if (peer.svm_family != AF_VSOCK || peer.svm_cid != VMADDR_CID_HOST)
		return error_set(err, ERROR_PERMISSION_DENIED,
		                 "a vsock connection from CID %u, not from the host", peer.svm_cid);
	*port = peer.svm_port;
	return 0;
}
