/*
 * DNS messages of anybody, as the agent passes them on: first a query, then an answer.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/guest/dns_message.h"
#include "common/mem.h"
#include "test/fuzz/fuzz.h"

/* On memory of exactly that size. */
static uint8_t *copy_of(struct script *script, size_t *len)
{
	const uint8_t *bytes = script_bytes(script, len);
	uint8_t *copy = malloc(*len ? *len : 1);

	if (!copy)
		abort();
	if (*len)
		memcpy(copy, bytes, *len);
	return copy;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script script = { data, size };
	size_t query_len, answer_len;
	autofree uint8_t *query = copy_of(&script, &query_len);
	autofree uint8_t *answer = copy_of(&script, &answer_len);
	size_t limit = dns_datagram_limit(query, query_len);

	if (limit < DNS_DATAGRAM || limit > DNS_MESSAGE_MAX)
		abort();
	if (dns_fit(answer, answer_len, limit) > answer_len)
		abort();
	if (dns_fail(query, query_len) > query_len)
		abort();
	return 0;
}
