/*
 * What vsock.c and vsock_stream.c share: the implementation of vsock.h by our vhost-user device.
 */
#ifndef HYPERVISOR_VSOCK_INTERNAL_H
#define HYPERVISOR_VSOCK_INTERNAL_H

#include <stdint.h>

struct ev_loop;
struct error;
struct vsock;

struct ev_loop *vsock_loop(const struct vsock *vsock);

/* Connects to the device and sends @line with the descriptor @pass (-1: none), which stays the
 * caller's; the answer is awaited on the returned descriptor. */
int vsock_dial(const struct vsock *vsock, const char *line, int pass, struct error *err);

/*
 * To be called when a request had no answer within @timeout_ms: finds out whether the guest or the
 * device does not answer. A device that does not answer a ping within the same time is killed, and
 * lost.
 */
void vsock_ping(struct vsock *vsock, int timeout_ms);

#endif
