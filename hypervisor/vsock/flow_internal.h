/*
 * What flow.c and flow_control.c share: flow.c has the guest's packets and the bytes,
 * flow_control.c the lines of the process that asked for the stream.
 */
#ifndef HYPERVISOR_VSOCK_FLOW_INTERNAL_H
#define HYPERVISOR_VSOCK_FLOW_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "hypervisor/vsock/flow.h"

struct flow *flow_new(struct flow_table *table, bool from_guest);
void flow_wake(struct flow *flow); /* it has something for the guest */
void flow_set_state(struct flow *flow, enum flow_state state);
void flow_enter(struct flow *flow, uint32_t host_port, uint32_t guest_port); /* the guest's side */
int flow_attach(struct flow *flow, int fd);      /* @fd, taken over, becomes the host's end */
void flow_written(struct flow *flow, ssize_t n); /* as endpoint_flush() says */

/* The host's side is lost or refuses: the guest is told, and what it has sent is dropped. */
void flow_fail(struct flow *flow, const char *why);

/* "<word> <number>" to the process. */
int flow_send_line(struct flow *flow, const char *word, uint64_t number);
/* "MOVED <bytes> <kept>" */
int flow_send_moved(struct flow *flow);

#endif
