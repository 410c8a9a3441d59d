/*
 * Protobuf messages from untrusted bytes: the memory that decoding takes is bounded, so that a few
 * megabytes of tiny fields do not become hundreds of megabytes of structures.
 */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <protobuf-c/protobuf-c.h>
#include <stddef.h>

struct error;

#define MESSAGE_MEMORY_MAX (32 << 20) /* all allocations of one decoded message */

/*
 * The caller owns *@out. ERROR_INVALID_ARGUMENT when the bytes are no message of @type, or need
 * more than MESSAGE_MEMORY_MAX.
 */
int message_decode(const ProtobufCMessageDescriptor *type, const void *data, size_t len,
                   ProtobufCMessage **out, struct error *err);
void message_free(ProtobufCMessage *message); /* NULL is fine */

/* The bytes of @message, to be freed; never NULL. The caller has checked the size where it matters.
 */
ProtobufCBinaryData message_encode(const ProtobufCMessage *message);

#endif
