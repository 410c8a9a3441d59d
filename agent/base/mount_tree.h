/*
 * A mount, or several on one another, that is attached nowhere: it is made, then gets its
 * attributes, and only after that can be seen in a file system. Until then it is known by its
 * descriptor alone (O_PATH, of its top), so nothing that is renamed meanwhile leads elsewhere.
 *
 * On failure the functions return -1 and errno: the caller knows what the mount was for. A tree
 * that is closed before it is attached is no more.
 */
#ifndef AGENT_MOUNT_TREE_H
#define AGENT_MOUNT_TREE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Another mount of what @path is, as for open_tree(2): below @dir, or of @dir itself when it is NULL.
 * @below: with what is mounted below it.
 */
int mount_tree_clone(int dir, const char *path, bool below);

/*
 * A new file system. @data is a list of its options, with commas between; @attrs are MOUNT_ATTR_*
 * of the mount. ENODEV: there is no such @type.
 */
int mount_tree_new(const char *type, const char *source, const char *data, uint64_t attrs);

/* The same of what fsopen(2) has returned, which stays open. */
int mount_tree_make(int context, const char *source, const char *data, uint64_t attrs);

/* The file system of the mount @fd gets other options, as for MS_REMOUNT of mount(2). */
int mount_tree_change(int fd, const char *data);

/* mount_setattr(2) of a tree, or of what is attached: of its top, or with @below of all of it. */
int mount_tree_set(int tree, uint64_t set, uint64_t clear, bool below);

/* Shared, slave, …: @flags are MS_SHARED and its like, with MS_REC for all of it. */
int mount_tree_propagate(int tree, unsigned long flags);

/* Onto what the descriptor @target is, and what is mounted there. @tree stays open. */
int mount_tree_attach(int tree, int target);

#endif
