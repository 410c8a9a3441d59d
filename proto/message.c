#include "proto/message.h"

#include <stdlib.h>

#include "common/error.h"
#include "common/mem.h"

/* What the C library adds to an allocation at most, for small ones. */
#define ALLOCATION_OVERHEAD 16

static void *bounded_alloc(void *left_, size_t size)
{
	size_t *left = left_;

	if (size + ALLOCATION_OVERHEAD > *left)
		return NULL;
	*left -= size + ALLOCATION_OVERHEAD;
	return malloc(size);
}

/* Freed memory is not given back to the budget: it bounds the work too. */
static void bounded_free(void *left, void *p)
{
	free(p);
}

int message_decode(const ProtobufCMessageDescriptor *type, const void *data, size_t len,
                   ProtobufCMessage **out, struct error *err)
{
	size_t left = MESSAGE_MEMORY_MAX;
	ProtobufCAllocator bounded = {
		.alloc = bounded_alloc,
		.free = bounded_free,
		.allocator_data = &left,
	};
	ProtobufCMessage *message = protobuf_c_message_unpack(type, &bounded, len, data);

	if (!message)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid message %s: cannot decode %zu bytes", type->name, len);
	*out = message;
	return 0;
}

void message_free(ProtobufCMessage *message)
{
	if (message)
		protobuf_c_message_free_unpacked(message, NULL);
}

ProtobufCBinaryData message_encode(const ProtobufCMessage *message)
{
	ProtobufCBinaryData bytes = { .len = protobuf_c_message_get_packed_size(message) };

	bytes.data = mem_alloc(bytes.len);
	protobuf_c_message_pack(message, bytes.data);
	return bytes;
}
