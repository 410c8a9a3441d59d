#include "proto/ttrpc/ttrpc_frame.h"

#include <endian.h>
#include <string.h>

#include "common/error.h"

struct header {
	uint32_t len;
	uint32_t stream;
	uint8_t type;
	uint8_t flags;
} __attribute__((packed));

_Static_assert(sizeof(struct header) == TTRPC_HEADER_SIZE, "the header as it is on the wire");

long ttrpc_frame_read(const uint8_t *data, size_t size, struct ttrpc_frame *out, struct error *err)
{
	struct header header;
	uint32_t len;

	if (size < sizeof(header))
		return 0;
	memcpy(&header, data, sizeof(header));
	len = be32toh(header.len);
	if (len > TTRPC_PAYLOAD_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "a ttrpc frame announces %u bytes, at most %d are allowed", len,
		                 TTRPC_PAYLOAD_MAX);
	if (header.type < TTRPC_FRAME_REQUEST || header.type > TTRPC_FRAME_DATA)
		return error_set(err, ERROR_INVALID_ARGUMENT, "a ttrpc frame has the type %u",
		                 header.type);
	if (size - sizeof(header) < len)
		return 0;
	*out = (struct ttrpc_frame){
		.stream = be32toh(header.stream),
		.type = header.type,
		.flags = header.flags,
		.payload = data + sizeof(header),
		.len = len,
	};
	return (long)(sizeof(header) + len);
}

void ttrpc_header_write(uint8_t out[TTRPC_HEADER_SIZE], const struct ttrpc_frame *frame)
{
	const struct header header = {
		.len = htobe32(frame->len),
		.stream = htobe32(frame->stream),
		.type = frame->type,
		.flags = frame->flags,
	};

	memcpy(out, &header, sizeof(header));
}
