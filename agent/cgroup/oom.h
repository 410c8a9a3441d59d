/*
 * Out-of-memory kills in containers, reported by GetOOMEvent. Kills seen together, or before
 * a call asks for them, are one event of their container. At most OOM_EVENTS_MAX events are queued.
 *
 * The kernel notifies of a kill late, and not at all if the cgroup is removed first; but it counts
 * the kill before it sends the signal. So the agent reads the count whenever it reaps a process.
 */
#ifndef AGENT_OOM_H
#define AGENT_OOM_H

#include <stdbool.h>

struct error;
struct ev_loop;
struct oom;
struct oom_watch;
struct ttrpc_call;

#define OOM_EVENTS_MAX 64 /* the oldest is dropped for one more */

struct oom *oom_create(struct ev_loop *loop);
/* NULL is fine. All watches are gone by now; calls that wait fail. */
void oom_destroy(struct oom *oom);

/* Watches the memory.events of the cgroup directory @cgroup_fd. */
int oom_watch_create(struct oom *oom, const char *container_id, int cgroup_fd,
                     struct oom_watch **out, struct error *err);
void oom_watch_destroy(struct oom_watch *watch); /* NULL is fine */

/* Reads the count of kills; a new one is first reported to waiting calls. NULL is fine. */
void oom_watch_check(struct oom_watch *watch);

/* Takes the container's event from the queue; false: it has none.
 * NULL is fine. */
bool oom_watch_take(struct oom_watch *watch);

/* Answers @call with the next event, now or when there is one. */
void oom_answer(struct oom *oom, struct ttrpc_call *call);

#endif
