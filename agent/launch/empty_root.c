#include "agent/launch/empty_root.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "agent/launch/rootfs.h"
#include "common/cleanup.h"
#include "common/error.h"

#define PLACE "/proc" /* a directory that there always is: what is mounted over it */

int empty_root_enter(const char *name, struct error *err)
{
	autoclose int root = -1;

	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return error_errno(err, "cannot make the mounts private");
	if (mount(name, PLACE, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return error_errno(err, "cannot mount an empty root");
	root = open(PLACE, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, "cannot open the empty root");
	return rootfs_enter(root, err);
}
