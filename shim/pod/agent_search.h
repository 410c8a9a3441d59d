/*
 * The search for an agent that does not announce itself, as upstream's does not: connects to its
 * port again and again until one listens there, and asks it whether it serves and what it can do.
 * Beside the wait for the announcement (hello.h), which comes first where there is one.
 */
#ifndef SHIM_AGENT_SEARCH_H
#define SHIM_AGENT_SEARCH_H

struct agent_search;
struct config;
struct ev_loop;
struct vsock;

/* Begins after agent_search_ms. Calls @found once, from the loop, when an agent serves that has none of
 * our features; or never: one that has some announces itself, and whoever waits has a deadline. What it
 * has connected is closed before. @config outlives it. */
struct agent_search *agent_search_start(struct ev_loop *loop, struct vsock *vsock,
                                        const struct config *config, void (*found)(void *ctx),
                                        void *ctx);
void agent_search_stop(struct agent_search *search); /* NULL is fine; drops the callback */
/* After the vsock's end: a connection that is under way cannot be cancelled. NULL is fine. */
void agent_search_destroy(struct agent_search *search);

#endif
