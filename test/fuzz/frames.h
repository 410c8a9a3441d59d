/*
 * ttrpc frames from the far end of a socket.
 */
#ifndef TEST_FUZZ_FRAMES_H
#define TEST_FUZZ_FRAMES_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "proto/ttrpc/ttrpc_frame.h"
#include "test/fuzz/fuzz.h"

/* Of a sound form, with @message as its payload. */
void frames_send(int peer, uint32_t stream, enum ttrpc_frame_type type, uint8_t flags,
                 const ProtobufCMessage *message);
/* With any type, stream and payload. */
void frames_send_any(int peer, struct script *script);

#endif
