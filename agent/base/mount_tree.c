#include "agent/base/mount_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <string.h>
#include <sys/mount.h>

#include "common/cleanup.h"
#include "common/mem.h"

int mount_tree_clone(int dir, const char *path, bool below)
{
	return open_tree(dir, path ? path : "",
	                 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (path ? 0 : AT_EMPTY_PATH) |
	                         (below ? AT_RECURSIVE : 0));
}

/* One option: "word" or "word=value". */
static int set_option(int context, char *option)
{
	char *value = strchr(option, '=');

	if (!value)
		return fsconfig(context, FSCONFIG_SET_FLAG, option, NULL, 0);
	*value++ = '\0';
	return fsconfig(context, FSCONFIG_SET_STRING, option, value, 0);
}

static int set_options(int context, const char *data)
{
	autofree char *options = mem_strdup(data);
	char *rest = options;
	char *option;

	while ((option = strsep(&rest, ",")))
		if (*option && set_option(context, option) < 0)
			return -1;
	return 0;
}

int mount_tree_new(const char *type, const char *source, const char *data, uint64_t attrs)
{
	autoclose int context = fsopen(type, FSOPEN_CLOEXEC);

	return context < 0 ? -1 : mount_tree_make(context, source, data, attrs);
}

int mount_tree_make(int context, const char *source, const char *data, uint64_t attrs)
{
	if ((*source && fsconfig(context, FSCONFIG_SET_STRING, "source", source, 0) < 0) ||
	    set_options(context, data) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -1;
	return fsmount(context, FSMOUNT_CLOEXEC, attrs);
}

int mount_tree_change(int fd, const char *data)
{
	autoclose int context = fspick(fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH);

	if (context < 0 || set_options(context, data) < 0)
		return -1;
	return fsconfig(context, FSCONFIG_CMD_RECONFIGURE, NULL, NULL, 0);
}

static int set_attr(int tree, struct mount_attr *attr, bool below)
{
	return mount_setattr(tree, "", AT_EMPTY_PATH | (below ? AT_RECURSIVE : 0), attr,
	                     sizeof(*attr));
}

int mount_tree_set(int tree, uint64_t set, uint64_t clear, bool below)
{
	struct mount_attr attr = { .attr_set = set, .attr_clr = clear };

	return set || clear ? set_attr(tree, &attr, below) : 0;
}

int mount_tree_propagate(int tree, unsigned long flags)
{
	struct mount_attr attr = { .propagation = flags & ~(unsigned long)MS_REC };

	return set_attr(tree, &attr, flags & MS_REC);
}

int mount_tree_attach(int tree, int target)
{
	return move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}
