/*
 * A container's pause: its cgroup is frozen, and the one who asked is answered when every process
 * in it has stopped.
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

struct freezer *freezer_create(struct ev_loop *loop, struct cgroup *cgroup); /* borrows @cgroup */

/* NULL is fine. A call that waits is failed; the cgroup stays as it is. */
void freezer_destroy(struct freezer *freezer);

/* Answers @call (PauseContainer) unless an error is returned. Not twice without a thaw. */
int freezer_freeze(struct freezer *freezer, struct ttrpc_call *call, struct error *err);

/* A freeze that is still under way is given up: its call fails. */
int freezer_thaw(struct freezer *freezer, struct error *err);

bool freezer_on(const struct freezer *freezer); /* frozen, or on the way to it */

#endif
