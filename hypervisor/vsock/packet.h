/*
 * The header of a vsock packet (virtio 1.2, section 5.10.6), as it lies in a chain of guest memory.
 */
#ifndef HYPERVISOR_VSOCK_PACKET_H
#define HYPERVISOR_VSOCK_PACKET_H

#include <linux/virtio_vsock.h>
#include <stdint.h>
#include <sys/uio.h>

struct chain;

#define PACKET_HEADER_SIZE sizeof(struct virtio_vsock_hdr)
#define PACKET_HOST_CID    2

/*
 * Copies the header out of a popped chain, and takes it off the front of @iov: *@niov pieces of
 * header->len bytes of payload remain. -EPROTO: the chain holds no header, or less than the header
 * says.
 */
int packet_read(const struct chain *chain, struct iovec *iov, unsigned int *niov,
                struct virtio_vsock_hdr *header);

/* Copies @header to the front of an empty chain of at least its size. */
void packet_write(const struct iovec *iov, unsigned int niov,
                  const struct virtio_vsock_hdr *header);

/* Takes @skip bytes off the front of @iov and leaves @len; returns the number of pieces, which are
 * in @iov from its start. There are skip + len bytes at least. */
unsigned int packet_trim(struct iovec *iov, unsigned int niov, size_t skip, size_t len);

#endif
