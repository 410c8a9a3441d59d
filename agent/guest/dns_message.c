#include "agent/guest/dns_message.h"

#include <string.h>

#define FLAGS_AT         2 /* the first byte of two */
#define FLAG_ANSWER      0x80
#define FLAG_TRUNCATED   0x02
#define RCODE_MASK       0x0f
#define RCODE_FAILED     2
#define QUESTIONS_AT     4
#define ANSWERS_AT       6
#define ADDITIONAL_AT    10
#define LABEL_MAX        63
#define NAME_MAX_BYTES   255
#define QUESTION_FIXED   4    /* after its name: type, class */
#define RECORD_FIXED     10   /* the same: type, class, time to live, size of its data */
#define POINTER          0xc0 /* the rest of a name is elsewhere: two bytes */
#define OPT_SIZE         5    /* of an OPT record, up to its size: root name, type, size */
#define OPT_TYPE         41
#define DATAGRAM_LARGEST 4096 /* as the usual resolvers ask for at most */

static uint16_t read_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void write_u16(uint8_t *at, uint16_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

/* Where the only question ends; DNS_HEADER_SIZE where there is no such. */
static size_t question_end(const uint8_t *message, size_t len)
{
	size_t at = DNS_HEADER_SIZE;

	if (len < DNS_HEADER_SIZE || read_u16(message + QUESTIONS_AT) != 1)
		return DNS_HEADER_SIZE;
	while (at < len && message[at] && message[at] <= LABEL_MAX)
		at += 1 + (size_t)message[at];
	if (at >= len || message[at] || at - DNS_HEADER_SIZE >= NAME_MAX_BYTES ||
	    len - at - 1 < QUESTION_FIXED)
		return DNS_HEADER_SIZE;
	return at + 1 + QUESTION_FIXED;
}

/* An OPT record that follows the question at once: as every resolver sends it. */
size_t dns_datagram_limit(const uint8_t *query, size_t len)
{
	size_t at = question_end(query, len);
	size_t limit;

	if (at == DNS_HEADER_SIZE || len - at < OPT_SIZE || query[at] ||
	    read_u16(query + ANSWERS_AT) || read_u16(query + ANSWERS_AT + 2) ||
	    !read_u16(query + ADDITIONAL_AT) || read_u16(query + at + 1) != OPT_TYPE)
		return DNS_DATAGRAM;
	limit = read_u16(query + at + 3);
	if (limit < DNS_DATAGRAM)
		return DNS_DATAGRAM;
	return limit < DATAGRAM_LARGEST ? limit : DATAGRAM_LARGEST;
}

/* Leaves the header and the question; returns the new length. */
static size_t keep_question(uint8_t *message, size_t len)
{
	size_t end = question_end(message, len);

	write_u16(message + QUESTIONS_AT, end > DNS_HEADER_SIZE);
	memset(message + ANSWERS_AT, 0, DNS_HEADER_SIZE - ANSWERS_AT);
	return end;
}

/* Where the record at @at ends; 0: none is there. */
static size_t record_end(const uint8_t *message, size_t len, size_t at)
{
	while (at < len && message[at] && message[at] <= LABEL_MAX)
		at += 1 + (size_t)message[at];
	if (at >= len || (message[at] && message[at] < POINTER))
		return 0;
	at += message[at] ? 2 : 1;
	if (at > len || len - at < RECORD_FIXED)
		return 0;
	len -= at + RECORD_FIXED;
	at += RECORD_FIXED;
	return read_u16(message + at - 2) <= len ? at + read_u16(message + at - 2) : 0;
}

/* Many resolvers take what there is in a datagram, and never ask again by TCP. */
size_t dns_fit(uint8_t *answer, size_t len, size_t limit)
{
	uint16_t n, kept = 0;
	size_t at, end;

	if (len <= limit)
		return len;
	n = read_u16(answer + ANSWERS_AT);
	answer[FLAGS_AT] |= FLAG_TRUNCATED;
	at = keep_question(answer, len);
	for (; at > DNS_HEADER_SIZE && kept < n; kept++) {
		end = record_end(answer, len, at);
		if (!end || end > limit)
			break;
		at = end;
	}
	write_u16(answer + ANSWERS_AT, kept);
	return at;
}

size_t dns_fail(uint8_t *query, size_t len)
{
	if (len < DNS_HEADER_SIZE || query[FLAGS_AT] & FLAG_ANSWER)
		return 0;
	query[FLAGS_AT] |= FLAG_ANSWER;
	query[FLAGS_AT + 1] = (uint8_t)((query[FLAGS_AT + 1] & ~RCODE_MASK) | RCODE_FAILED);
	return keep_question(query, len);
}
