/*
 * Calls whose requests mean something: made field by field, as the script says.
 */
#ifndef TEST_FUZZ_REQUESTS_H
#define TEST_FUZZ_REQUESTS_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "common/buf.h"
#include "test/fuzz/fuzz.h"

#define REQUESTS_MAX 72 /* of one client */

struct request_kind {
	const char *method;
	const ProtobufCMessageDescriptor *type;
};

/* What goes into the fields: a text for the name of a field, a new message or NULL. Numbers are
 * below 16. */
struct request_filler {
	const char *(*text)(struct script *script, const char *field);
	ProtobufCMessage *(*message)(struct script *script, const char *field);
	/* How many messages there are in a field that is repeated. NULL: none. */
	size_t (*count)(struct script *script, const char *field);
};

/* A client of a ttrpc server, and which of its calls have been answered. */
struct requests {
	int client; /* -1: not connected */
	uint32_t sent;
	bool answered[REQUESTS_MAX];
	struct buf answers;
};

void requests_init(struct requests *requests, int client); /* takes @client over */
void requests_fini(struct requests *requests);

/* Nothing when there are REQUESTS_MAX already. */
void requests_send(struct requests *requests, struct script *script, const char *service,
                   const struct request_kind *kind, const struct request_filler *filler);
void requests_receive(struct requests *requests); /* no answer comes twice */

#endif
