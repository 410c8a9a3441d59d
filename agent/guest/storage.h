/*
 * The storages of the guest: file systems that the host asks to be mounted (Storage of agent.proto),
 * in one list. Each is mounted once, however many sets claim its mount point, and unmounted when the
 * last of them has released it, or with the list (storage_driver.stays). A set holds the storages of one owner: the sandbox, a container.
 *
 * Where that can wait, a child process makes the mount and opens its place; PID 1 only attaches the
 * one to the other, by their descriptors. So PID 1 never waits for a file system, and a child that
 * its deadline ends leaves nothing mounted.
 */
#ifndef AGENT_STORAGE_H
#define AGENT_STORAGE_H

#include "common/error.h"
#include "proto/agent.pb-c.h"

struct ev_loop;
struct storage_driver;
struct storage_list;
struct storage_set;

#define STORAGE_UNMOUNT_TIMEOUT_MS 5000

/* @drivers outlive the list: storage_drivers(). */
struct storage_list *storage_list_create(struct ev_loop *loop,
                                         const struct storage_driver *drivers);

/* NULL is fine. Not in a callback; all sets are gone. Unmounts what is still mounted, waiting. */
void storage_list_destroy(struct storage_list *list);

/* Unmounts all, newest first; the last failure is told. In a child process: it waits. */
int storage_list_unmount(const struct storage_list *list, struct error *err);

struct storage_set *storage_set_create(struct storage_list *list); /* empty */

/* NULL is fine; callbacks are dropped. What is not released stays mounted as long as the list
 * lives. */
void storage_set_destroy(struct storage_set *set);

/*
 * Takes references to @n storages, which are copied; the set is empty. On failure it stays so.
 * ERROR_ALREADY_EXISTS: another storage has the mount point.
 */
int storage_set_claim(struct storage_set *set, Grpc__Storage *const *storages, size_t n,
                      struct error *err);

/* Mounts those that are not mounted, one after the other. @done comes once, maybe before this
 * returns. On failure the set is to be released. */
void storage_set_mount(struct storage_set *set, done_fn *done, void *ctx);
void storage_set_cancel(struct storage_set *set); /* drops that @done; to be released, too */

/* Newest first, until the set is empty; it goes on after a failure, of which the last is told.
 * @done comes once, maybe before this returns. */
void storage_set_release(struct storage_set *set, done_fn *done, void *ctx);

#endif
