/*
 * Stops the processes of a container's cgroup: for a pause, whose caller is answered when every
 * process has stopped, and for a moment, to send a signal that no process escapes by fork(2).
 */
#ifndef AGENT_FREEZER_H
#define AGENT_FREEZER_H

#include <stdbool.h>

struct cgroup;
struct error;
struct ev_loop;
struct freezer;
struct ttrpc_call;

#define FREEZER_TIMEOUT_MS 5000 /* then it is thawed again: ERROR_DEADLINE_EXCEEDED */
#define FREEZER_SIGNAL_MS  500

struct freezer *freezer_create(struct ev_loop *loop, struct cgroup *cgroup); /* borrows @cgroup */

/* NULL is fine. A call that waits is failed; the cgroup stays as it is. */
void freezer_destroy(struct freezer *freezer);

/*
 * Sends @sig to every process in the cgroup and below, and answers @call, unless an error is
 * returned. Processes that have not stopped after FREEZER_SIGNAL_MS (they sleep in the kernel) are
 * signalled as they are.
 */
int freezer_signal(struct freezer *freezer, int sig, struct ttrpc_call *call, struct error *err);

/* Answers @call (PauseContainer) unless an error is returned. Not twice without a thaw. */
int freezer_freeze(struct freezer *freezer, struct ttrpc_call *call, struct error *err);

/* A freeze that is still under way is given up: its call fails. */
int freezer_thaw(struct freezer *freezer, struct error *err);

bool freezer_on(const struct freezer *freezer); /* frozen, or on the way to it */

#endif
