/*
 * One ttrpc frame: a 10-byte header and a payload (containerd/ttrpc PROTOCOL.md).
 * The header is: u32 big-endian payload length, u32 big-endian stream id (odd, increasing, from the
 * client), u8 type, u8 flags.
 */
#ifndef PROTO_TTRPC_FRAME_H
#define PROTO_TTRPC_FRAME_H

#include <stddef.h>
#include <stdint.h>

struct error;

#define TTRPC_HEADER_SIZE 10
#define TTRPC_PAYLOAD_MAX (4 << 20)

enum ttrpc_frame_type {
	TTRPC_FRAME_REQUEST = 1,
	TTRPC_FRAME_RESPONSE = 2,
	TTRPC_FRAME_DATA = 3,
};

struct ttrpc_frame {
	uint32_t stream;
	uint8_t type;
	uint8_t flags;
	const uint8_t *payload; /* points into the caller's bytes */
	uint32_t len;
};

/*
 * Reads the first frame of @data: returns the bytes it takes, 0 when more bytes are needed, or a
 * negative errno when the stream is broken (a payload over TTRPC_PAYLOAD_MAX, an unknown type).
 */
long ttrpc_frame_read(const uint8_t *data, size_t size, struct ttrpc_frame *out, struct error *err);

void ttrpc_header_write(uint8_t out[TTRPC_HEADER_SIZE], const struct ttrpc_frame *frame);

#endif
