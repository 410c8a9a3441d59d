/*
 * Out-of-memory kills in containers, told to those who asked (GetOOMEvent): one answer for each
 * kill event, in order. Events that nobody has asked for yet are kept, OOM_EVENTS_MAX at most.
 */
#ifndef AGENT_OOM_H
#define AGENT_OOM_H

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

/* Answers @call with the next event, now or when there is one. */
void oom_answer(struct oom *oom, struct ttrpc_call *call);

#endif
