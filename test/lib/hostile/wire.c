#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"

enum {
	WIRE_VARINT = 0,
	WIRE_BYTES = 2
};

/* Takes a number off the front; what is no number ends the message. */
static uint64_t take_varint(struct bytes *from)
{
	uint64_t value = 0;

	for (unsigned int shift = 0; from->len && shift < 64; shift += 7) {
		uint8_t byte = *from->data;

		from->data++;
		from->len--;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80))
			return value;
	}
	from->len = 0;
	return 0;
}

/* The next field: its tag, and its bytes or its number. 0: no more that is known. */
static uint64_t take_field(struct bytes *from, struct bytes *bytes, uint64_t *number)
{
	uint64_t tag = take_varint(from);

	*bytes = (struct bytes){ 0 };
	*number = 0;
	if ((tag & 7) == WIRE_VARINT) {
		*number = take_varint(from);
	} else if ((tag & 7) == WIRE_BYTES) {
		uint64_t len = take_varint(from);

		if (len > from->len)
			return 0;
		*bytes = (struct bytes){ from->data, len };
		from->data += len;
		from->len -= len;
	} else {
		return 0;
	}
	return tag;
}

struct bytes field_bytes(struct bytes message, unsigned int number, unsigned int n)
{
	struct bytes bytes;
	uint64_t value, tag;

	while (message.len && (tag = take_field(&message, &bytes, &value)))
		if (tag == (number << 3 | WIRE_BYTES) && n-- == 0)
			return bytes;
	return (struct bytes){ 0 };
}

uint64_t field_number(struct bytes message, unsigned int number)
{
	struct bytes bytes;
	uint64_t value, tag;

	while (message.len && (tag = take_field(&message, &bytes, &value)))
		if (tag == (number << 3 | WIRE_VARINT))
			return value;
	return 0;
}

void write_all(int fd, const void *data, size_t len)
{
	const char *from = data;

	while (len) {
		ssize_t n = write(fd, from, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			from += n;
			len -= (size_t)n;
		}
	}
}

void frame_header(uint8_t out[FRAME_HEADER], uint32_t len, uint32_t stream)
{
	uint32_t words[2] = { htonl(len), htonl(stream) };

	memcpy(out, words, sizeof(words));
	out[8] = FRAME_RESPONSE;
	out[9] = 0;
}

void answer(int fd, uint32_t stream, const void *payload, size_t len)
{
	uint8_t frame[FRAME_HEADER + 2 + 120];
	size_t wrapped = len ? len + 2 : 0; /* Response.payload, the second field */

	frame_header(frame, (uint32_t)wrapped, stream);
	frame[FRAME_HEADER] = 2 << 3 | WIRE_BYTES;
	frame[FRAME_HEADER + 1] = (uint8_t)len;
	memcpy(frame + FRAME_HEADER + 2, payload, len);
	write_all(fd, frame, FRAME_HEADER + wrapped);
}
