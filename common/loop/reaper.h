/*
 * Reaps children without an owner: each when it ends, by its pidfd, without blocking. The record of
 * a child frees itself, at the latest with the loop.
 */
#ifndef COMMON_REAPER_H
#define COMMON_REAPER_H

#include <stdbool.h>

struct ev_loop;

#define REAPER_LAST_WAIT_MS 1000

#define REAPER_UNKNOWN (-2) /* a status: somebody else has reaped it; proc.h hands it on */

/*
 * Reaps the child of @pidfd if it has ended: true, with its status (waitpid(2)). Never waits. Where
 * the loop is the default one, libev reaps every child on SIGCHLD: who comes second gets
 * REAPER_UNKNOWN. By the pidfd it is never another child that has got the number since.
 */
bool reaper_try(int pidfd, int *status);

/*
 * Takes the child of @pidfd, and that, over. A child alone does not keep ev_run() going. When the
 * loop is destroyed, a child that has been @killed is waited for once more, REAPER_LAST_WAIT_MS at
 * most: a process that ends in good order leaves no child behind.
 */
void reaper_take(struct ev_loop *loop, int pidfd, bool killed);

#endif
