#include "proto/message.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "proto/agent.pb-c.h"

Test(message, comes_back_as_it_was_encoded)
{
	Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;
	ProtobufCMessage *decoded = NULL;
	Grpc__SignalProcessRequest *got;
	ProtobufCBinaryData bytes;

	request.container_id = "c1";
	request.signal = 15;
	bytes = message_encode(&request.base);
	cr_assert_eq(message_decode(&grpc__signal_process_request__descriptor, bytes.data,
	                            bytes.len, &decoded, NULL),
	             0);
	got = (Grpc__SignalProcessRequest *)decoded;
	cr_assert_str_eq(got->container_id, "c1");
	cr_assert_eq(got->signal, 15);
	message_free(decoded);
	free(bytes.data);
}

Test(message, broken_bytes_name_the_type)
{
	ProtobufCMessage *decoded = NULL;
	struct error err;

	cr_assert_lt(message_decode(&grpc__signal_process_request__descriptor, "\x0a\x7f", 2,
	                            &decoded, &err),
	             0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
	cr_assert_not_null(strstr(err.text, "grpc.SignalProcessRequest"));
	cr_assert_null(decoded);
}

Test(message, millions_of_empty_fields_are_refused)
{
	/* Two bytes each: an empty element of CreateContainerRequest.devices (field 4). */
	const size_t count = 1 << 20;
	uint8_t *bytes = calloc(2, count);
	ProtobufCMessage *decoded = NULL;
	struct error err;

	for (size_t i = 0; i < count; i++)
		bytes[2 * i] = 0x22;
	cr_assert_lt(message_decode(&grpc__create_container_request__descriptor, bytes, 2 * count,
	                            &decoded, &err),
	             0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
	free(bytes);
}
