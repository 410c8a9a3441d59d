/*
 * What the containers of a pod bind: each source is mounted once in the share, at a place that has a
 * number, for as long as one of them binds it. Two mounts of one directory are two file systems in
 * the guest (virtiofsd announces each mount as one): a Unix socket, a FIFO or a lock in the one
 * would not be that in the other.
 *
 * A child process mounts, with the copy of the table that it was made with. So what is found there
 * must not go while a child is at work: a place that nobody uses is given away only when none is.
 */
#ifndef SHIM_VOLUME_TABLE_H
#define SHIM_VOLUME_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct volume_identity;
struct volume_table;

struct volume_table *volume_table_create(void);
void volume_table_destroy(struct volume_table *table); /* NULL is fine */

/* A child begins that needs at most @n new places: the number of the first. */
uint64_t volume_table_begin(struct volume_table *table, size_t n);
void volume_table_end(struct volume_table *table); /* it has ended */

/*
 * One more container uses a mount of @what that has been made at @place. Returns the place to use:
 * another where the same has been mounted before. A read-only bind uses a writable mount (the guest
 * makes it read-only for the container): the pod can write there anyway.
 */
uint64_t volume_table_use(struct volume_table *table, const struct volume_identity *what,
                          uint64_t place);
/* Whether there is one to use; then *@place is its. */
bool volume_table_find(const struct volume_table *table, const struct volume_identity *what,
                       uint64_t *place);
/* What is mounted at a place that somebody uses. */
const struct volume_identity *volume_table_at(const struct volume_table *table, uint64_t place);
void volume_table_leave(struct volume_table *table, uint64_t place);

/* Takes out of the table the places that nobody uses, which the caller unmounts: *@out is an array
 * that it frees. 0 while a child is at work. */
size_t volume_table_take_unused(struct volume_table *table, uint64_t **out);

CLEANUP_DESTROY(volume_table)

#endif
