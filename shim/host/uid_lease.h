/*
 * A user id for each pod: two VMMs under one id could open each other's guest memory (proc(5)).
 * An id is taken by locking a file of its name (flock(2)), for as long as the taker lives.
 */
#ifndef SHIM_UID_LEASE_H
#define SHIM_UID_LEASE_H

#include <sys/types.h>

#include "common/cleanup.h"

struct error;
struct uid_lease;

#define UID_LEASE_DIR "/run/kata/uids"
/* In a range that neither systemd (docs/UIDS-GIDS.md) nor subordinate ids (login.defs(5)) use. */
#define UID_LEASE_FIRST 2000000000
#define UID_LEASE_COUNT 65536

/* Some id of @first … @first + @count - 1 that is free in @dir, which is made if missing, and
 * that no process has. ERROR_RESOURCE_EXHAUSTED: there is none. The gid of the same number is the holder's too. */
int uid_lease_take(const char *dir, uid_t first, unsigned int count, struct uid_lease **out,
                   struct error *err);
uid_t uid_lease_uid(const struct uid_lease *lease);
void uid_lease_destroy(struct uid_lease *lease); /* NULL is fine; removes the file, frees the id */

/* Removes the files of holders that were killed, and @dir when it is empty. Nothing there is fine.
 */
void uid_lease_sweep(const char *dir);

CLEANUP_DESTROY(uid_lease)

#endif
