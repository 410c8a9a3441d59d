#include "hypervisor/qemu/kvm_node.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"

static bool may_use(const struct stat *st, uid_t uid, gid_t gid)
{
	if (st->st_uid == uid)
		return (st->st_mode & S_IRUSR) && (st->st_mode & S_IWUSR);
	if (st->st_gid == gid)
		return (st->st_mode & S_IRGRP) && (st->st_mode & S_IWGRP);
	return (st->st_mode & S_IROTH) && (st->st_mode & S_IWOTH);
}

/* On a file system of its own, since where pods have their directories devices do not open. */
static int mount_node_over(const char *path, const char *scratch, dev_t device, uid_t uid,
                           gid_t gid)
{
	autofree char *node = mem_printf("%s/node", scratch);

	if (mknod(node, S_IFCHR | 0600, device) < 0 || chown(node, uid, gid) < 0 ||
	    mount(node, path, NULL, MS_BIND, NULL) < 0)
		return -1;
	return 0;
}

static int give_by_mounts(const char *path, const char *scratch, dev_t device, uid_t uid, gid_t gid,
                          struct error *err)
{
	int r = 0;

	if (mount("tmpfs", scratch, "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=0700,size=64k") < 0)
		return error_errno(err, "cannot mount a tmpfs on \"%s\"", scratch);
	if (mount_node_over(path, scratch, device, uid, gid) < 0)
		r = error_errno(err, "cannot give \"%s\" to user %u", path, uid);
	umount2(scratch, MNT_DETACH);
	return r;
}

int kvm_node_give(const char *path, const char *dir, uid_t uid, gid_t gid, struct error *err)
{
	autofree char *scratch = NULL;
	struct stat st;
	int r;

	if (stat(path, &st) < 0)
		return error_errno(err, "cannot stat \"%s\"", path);
	if (!S_ISCHR(st.st_mode))
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "invalid device \"%s\": not a device", path);
	if (may_use(&st, uid, gid))
		return 0;
	if (!dir)
		return error_set(err, ERROR_PERMISSION_DENIED, "\"%s\" cannot be opened by user %u",
		                 path, uid);
	scratch = mem_printf("%s/device", dir);
	if (mkdir(scratch, 0700) < 0 && errno != EEXIST)
		return error_errno(err, "cannot make \"%s\"", scratch);
	r = give_by_mounts(path, scratch, st.st_rdev, uid, gid, err);
	rmdir(scratch);
	return r;
}
