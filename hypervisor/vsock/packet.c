#include "hypervisor/vsock/packet.h"

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "hypervisor/vhost/virtqueue.h"

_Static_assert(sizeof(struct virtio_vsock_hdr) == 44, "the header as it is in guest memory");

int packet_read(const struct chain *chain, struct iovec *iov, unsigned int *niov,
                struct virtio_vsock_hdr *header)
{
	size_t at = 0;

	if (chain->bytes < sizeof(*header))
		return -EPROTO;
	for (unsigned int i = 0; at < sizeof(*header); i++) {
		size_t n = sizeof(*header) - at;

		if (n > iov[i].iov_len)
			n = iov[i].iov_len;
		memcpy((char *)header + at, iov[i].iov_base, n);
		at += n;
	}
	if (header->len > chain->bytes - sizeof(*header))
		return -EPROTO;
	*niov = packet_trim(iov, chain->niov, sizeof(*header), header->len);
	return 0;
}

void packet_write(const struct iovec *iov, unsigned int niov, const struct virtio_vsock_hdr *header)
{
	size_t at = 0;

	for (unsigned int i = 0; i < niov && at < sizeof(*header); i++) {
		size_t n = sizeof(*header) - at;

		if (n > iov[i].iov_len)
			n = iov[i].iov_len;
		memcpy(iov[i].iov_base, (const char *)header + at, n);
		at += n;
	}
	assert(at == sizeof(*header));
}

unsigned int packet_trim(struct iovec *iov, unsigned int niov, size_t skip, size_t len)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < niov && len; i++) {
		size_t off = skip < iov[i].iov_len ? skip : iov[i].iov_len;
		size_t n = iov[i].iov_len - off;

		skip -= off;
		if (!n)
			continue;
		if (n > len)
			n = len;
		iov[kept++] = (struct iovec){ (char *)iov[i].iov_base + off, n };
		len -= n;
	}
	return kept;
}
