#include "test/fuzz/frames.h"

#include <stdlib.h>

#include "proto/message.h"

static void send_frame(int peer, const struct ttrpc_frame *frame)
{
	uint8_t header[TTRPC_HEADER_SIZE];

	ttrpc_header_write(header, frame);
	fuzz_send(peer, header, sizeof(header));
	fuzz_send(peer, frame->payload, frame->len);
}

void frames_send(int peer, uint32_t stream, enum ttrpc_frame_type type, uint8_t flags,
                 const ProtobufCMessage *message)
{
	ProtobufCBinaryData bytes = message_encode(message);
	const struct ttrpc_frame frame = {
		.stream = stream,
		.type = type,
		.flags = flags,
		.payload = bytes.data,
		.len = (uint32_t)bytes.len,
	};

	send_frame(peer, &frame);
	free(bytes.data);
}

void frames_send_any(int peer, struct script *script)
{
	struct ttrpc_frame frame = {
		.stream = script_byte(script),
		.type = script_byte(script) % 5,
		.flags = script_byte(script),
	};
	size_t len;

	frame.payload = script_bytes(script, &len);
	frame.len = (uint32_t)len;
	send_frame(peer, &frame);
}
