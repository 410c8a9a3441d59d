#include "hypervisor/vsock/endpoint.h"

#include <assert.h>
#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

void endpoint_init(struct endpoint *endpoint, size_t keep)
{
	*endpoint = (struct endpoint){ .fd = -1, .kept = BUF_INIT(keep) };
}

void endpoint_open(struct endpoint *endpoint, int fd)
{
	assert(endpoint->fd < 0);
	endpoint->fd = fd;
	endpoint->readable = true; /* until it says otherwise */
	endpoint->writable = true;
}

void endpoint_fini(struct endpoint *endpoint)
{
	if (endpoint->fd >= 0)
		close(endpoint->fd);
	endpoint->fd = -1;
	endpoint->readable = false;
	endpoint->writable = false;
	buf_fini(&endpoint->kept);
}

void endpoint_event(struct endpoint *endpoint, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
		endpoint->readable = true;
	if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
		endpoint->writable = true;
	if (events & (EPOLLHUP | EPOLLERR))
		endpoint->hung_up = true;
}

/* Returns the bytes written, 0 when the descriptor is full. */
static ssize_t write_now(struct endpoint *endpoint, const struct iovec *iov, unsigned int niov)
{
	ssize_t n = writev(endpoint->fd, iov, (int)niov); /* no signal has a handler: no EINTR */

	if (n < 0 && errno == EAGAIN) {
		endpoint->writable = false;
		return 0;
	}
	if (n < 0)
		return -errno;
	endpoint->moved += n;
	return n;
}

/* Keeps what follows the first @skip bytes. */
static void queue_rest(struct endpoint *endpoint, const struct iovec *iov, unsigned int niov,
                       size_t skip)
{
	for (unsigned int i = 0; i < niov; i++) {
		size_t off = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		int r = buf_append(&endpoint->kept, (const char *)iov[i].iov_base + off,
		                   iov[i].iov_len - off);

		assert(r == 0); /* the guest's credit ends where the room does */
		skip -= off;
	}
}

ssize_t endpoint_write(struct endpoint *endpoint, const struct iovec *iov, unsigned int niov)
{
	ssize_t n = 0;
	ssize_t flushed;

	if (!endpoint->kept.len && endpoint->writable && niov) {
		n = write_now(endpoint, iov, niov);
		if (n < 0)
			return n;
	}
	queue_rest(endpoint, iov, niov, n);
	flushed = endpoint_flush(endpoint); /* only now it is known that the descriptor is full */
	return flushed < 0 ? flushed : n + flushed;
}

ssize_t endpoint_flush(struct endpoint *endpoint)
{
	ssize_t total = 0;

	while (endpoint->kept.len && endpoint->writable) {
		struct iovec iov = { (void *)buf_data(&endpoint->kept), endpoint->kept.len };
		ssize_t n = write_now(endpoint, &iov, 1);

		if (n < 0)
			return n;
		buf_consume(&endpoint->kept, n);
		total += n;
	}
	if (!endpoint->kept.len)
		buf_fini(&endpoint->kept);
	return total;
}

ssize_t endpoint_read(struct endpoint *endpoint, const struct iovec *iov, unsigned int niov)
{
	ssize_t n = readv(endpoint->fd, iov, (int)niov);

	if (n < 0 && errno == EAGAIN)
		endpoint->readable = false;
	if (n < 0)
		return -errno;
	endpoint->moved += n;
	return n;
}
