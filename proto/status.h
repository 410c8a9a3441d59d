/*
 * The outcome of a call on the wire (google.rpc.Status) and ours (struct error): the codes are the
 * same numbers.
 */
#ifndef PROTO_STATUS_H
#define PROTO_STATUS_H

#include "common/error.h"
#include "proto/status.pb-c.h"

/* A status with its text, which is valid UTF-8 on one line whatever the error's is: Go's protobuf
 * refuses a whole answer for one wrong byte. Not to be copied: @message points into it. */
struct status {
	Google__Rpc__Status message;
	char text[ERROR_TEXT_MAX];
};

void status_from_error(struct status *status, const struct error *err);

/* @message may be NULL, which is success: ERROR_NONE. An unknown code is ERROR_UNKNOWN. */
void status_to_error(const Google__Rpc__Status *message, struct error *out);

#endif
