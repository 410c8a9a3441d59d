#include "proto/ttrpc/ttrpc_frame.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/error.h"

Test(ttrpc_frame, a_header_is_length_stream_type_and_flags_big_endian)
{
	const uint8_t expected[TTRPC_HEADER_SIZE] = { 0, 0, 1, 2, 0, 0, 0, 7, 1, 0 };
	const struct ttrpc_frame frame = { .len = 258, .stream = 7, .type = TTRPC_FRAME_REQUEST };
	uint8_t bytes[TTRPC_HEADER_SIZE];

	ttrpc_header_write(bytes, &frame);
	cr_assert_arr_eq(bytes, expected, sizeof(expected));
}

Test(ttrpc_frame, is_read_when_its_last_byte_is_there)
{
	const uint8_t bytes[] = { 0, 0, 0, 3, 0, 0, 0, 9, 2, 1, 'a', 'b', 'c', 0xff };
	struct ttrpc_frame frame;
	struct error err;

	for (size_t size = 0; size < 13; size++)
		cr_assert_eq(ttrpc_frame_read(bytes, size, &frame, &err), 0);
	cr_assert_eq(ttrpc_frame_read(bytes, sizeof(bytes), &frame, &err), 13);
	cr_assert_eq(frame.stream, 9);
	cr_assert_eq(frame.type, TTRPC_FRAME_RESPONSE);
	cr_assert_eq(frame.flags, 1);
	cr_assert_eq(frame.len, 3);
	cr_assert_arr_eq(frame.payload, "abc", 3);
}

Test(ttrpc_frame, is_broken_when_too_long_or_of_an_unknown_type)
{
	const uint8_t too_long[] = { 0, 0x40, 0, 1, 0, 0, 0, 1, 1, 0 };
	const uint8_t no_type[] = { 0, 0, 0, 0, 0, 0, 0, 1, 0, 0 };
	const uint8_t unknown_type[] = { 0, 0, 0, 0, 0, 0, 0, 1, 4, 0 };
	struct ttrpc_frame frame;
	struct error err;

	cr_assert_lt(ttrpc_frame_read(too_long, sizeof(too_long), &frame, &err), 0);
	cr_assert_eq(err.code, ERROR_RESOURCE_EXHAUSTED);
	cr_assert_lt(ttrpc_frame_read(no_type, sizeof(no_type), &frame, &err), 0);
	cr_assert_lt(ttrpc_frame_read(unknown_type, sizeof(unknown_type), &frame, &err), 0);
	cr_assert_eq(err.code, ERROR_INVALID_ARGUMENT);
}
