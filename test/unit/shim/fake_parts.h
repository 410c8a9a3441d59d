/*
 * The fake guest's own parts, each with a file of its own: what they ask of one another.
 */
#ifndef TEST_FAKE_PARTS_H
#define TEST_FAKE_PARTS_H

#include <stdbool.h>
#include <stdlib.h>

#include "fake_guest.h"

struct ttrpc_call;

static inline void must(bool good)
{
	if (!good)
		abort();
}

/* A line of the log: "@what @of". */
void fake_note(const char *what, const char *of);

/* Callbacks come from the loop. */
void fake_do_later(void (*fn)(void *arg), void *arg);
void fake_forget_later(const void *arg); /* NULL: all of them */

/* The agent. Calls that were not answered are lost with it. */
void fake_agent_start(void);
void fake_agent_stop(void);
int fake_agent_connect(void); /* -1: it does not run */
/* Whether the call is the one that is to be held; fake_release() answers it. */
bool fake_hold(struct ttrpc_call *call);

/* Its processes: what waits for their end. */
void fake_await(struct ttrpc_call *call, const char *exec_id);
bool fake_is_awaited(const char *exec_id);
void fake_forget_awaited(void); /* their calls are lost */

/* A connection of the guest to the host's port; closed where nobody listens. */
void fake_vsock_accept(int fd);

#endif
