/*
 * Out-of-memory kills in containers, told to those who asked (GetOOMEvent). Kills that are seen at
 * once, or before anybody asks, are one event of their container. Events that nobody has asked for
 * yet are kept, OOM_EVENTS_MAX at most.
 *
 * The kernel tells of a kill late, and not at all when the cgroup goes before it does; but it counts
 * the kill before it sends the signal. So the count is read whenever a process has been reaped.
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

/* Reads the count of kills; a new one is told to who waits, before this returns. NULL is fine. */
void oom_watch_look(struct oom_watch *watch);

/* Takes the container's event out of those that nobody has asked for yet; false: there is none.
 * NULL is fine. */
bool oom_watch_take(struct oom_watch *watch);

/* Answers @call with the next event, now or when there is one. */
void oom_answer(struct oom *oom, struct ttrpc_call *call);

#endif
