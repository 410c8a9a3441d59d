/*
 * agent/base/mount_tree.h without mounts: none is made, and what is attached is attached nowhere.
 * Linked into a test it takes the place of the real one.
 */
#include "agent/base/mount_tree.h"

int mount_tree_clone(int dir, const char *path, bool below)
{
	return -1;
}

int mount_tree_new(const char *type, const char *source, const char *data, uint64_t attrs)
{
	return -1;
}

int mount_tree_change(int fd, const char *data)
{
	return -1;
}

int mount_tree_set(int tree, uint64_t set, uint64_t clear, bool below)
{
	return -1;
}

int mount_tree_propagate(int tree, unsigned long flags)
{
	return -1;
}

int mount_tree_attach(int tree, int target)
{
	return 0;
}
