/*
 * Reaps children that nobody owns any more: each when it ends, by its pidfd, without waiting for
 * it. What is kept of a child frees itself, at the latest with the loop.
 */
#ifndef COMMON_REAPER_H
#define COMMON_REAPER_H

#include <stdbool.h>
#include <sys/types.h>

struct ev_loop;

#define REAPER_LAST_WAIT_MS 1000

/* Reaps the child @pid if it has ended: true, with its status (waitpid(2)). Never waits. */
bool reaper_try(pid_t pid, int *status);

/*
 * Takes the child @pid and its @pidfd over. A child alone does not keep ev_run() going. When the
 * loop is destroyed, a child that has been @killed is waited for once more, REAPER_LAST_WAIT_MS at
 * most: a process that ends in good order leaves no child behind.
 */
void reaper_take(struct ev_loop *loop, pid_t pid, int pidfd, bool killed);

#endif
