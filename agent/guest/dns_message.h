/*
 * DNS messages (RFC 1035, section 4.1), as far as a datagram's length is concerned. What is in them
 * is anybody's: of a container of the guest, or of a nameserver.
 */
#ifndef AGENT_DNS_MESSAGE_H
#define AGENT_DNS_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#define DNS_HEADER_SIZE 12
#define DNS_MESSAGE_MAX 65535
#define DNS_DATAGRAM    512 /* that everybody takes */

/* The bytes of an answer that who sent this query takes in a datagram (RFC 6891, section 6.2.5). */
size_t dns_datagram_limit(const uint8_t *query, size_t len);

/* Makes the answer one of at most @limit bytes, DNS_DATAGRAM or more, and returns its length: one
 * that is longer keeps its question and the answers that fit, and says that it is truncated. */
size_t dns_fit(uint8_t *answer, size_t len, size_t limit);

/* Makes a query the answer that the server has failed; returns its length, 0: it is no query. */
size_t dns_fail(uint8_t *query, size_t len);

#endif
