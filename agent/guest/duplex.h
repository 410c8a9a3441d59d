/*
 * Bytes between two connected stream sockets, both ways, with backpressure: what one sends goes to
 * the other, and so does the end of a direction (shutdown(2)). It ends when both directions have,
 * or with a reset: whatever fails on one side resets the other.
 */
#ifndef AGENT_DUPLEX_H
#define AGENT_DUPLEX_H

struct duplex;
struct ev_loop;

/* Both sockets are closed; the duplex may be destroyed in it. Called once, from the loop. */
typedef void duplex_ended_fn(void *ctx);

/* Takes ownership of both descriptors and makes them non-blocking. */
struct duplex *duplex_create(struct ev_loop *loop, int a, int b, duplex_ended_fn *ended, void *ctx);
void duplex_destroy(struct duplex *duplex); /* NULL is fine; resets what has not ended */

#endif
