#include "hypervisor/fs/caller.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdint.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

void caller_init(struct caller *caller)
{
	*caller = (struct caller){ 0 };
	umask(0);
}

/* The kernel clears it with each change of what the process may do. That the parent has gone in
 * between is noticed by the VMM's end of its socket: the VMM goes with the parent. */
static void die_with_parent(void)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

int caller_become(struct caller *caller, uid_t uid, gid_t gid)
{
	if (caller->uid == uid && caller->gid == gid)
		return 0;
	setfsgid(gid); /* they return the old value, and no error */
	setfsuid(uid);
	die_with_parent();
	/* What it has become: it stays what it was where there is no such user or group, as of -1. */
	caller->gid = (gid_t)setfsgid((gid_t)-1);
	caller->uid = (uid_t)setfsuid((uid_t)-1);
	return caller->uid == uid && caller->gid == gid ? 0 : -EPERM;
}

void caller_set_umask(struct caller *caller, mode_t mask)
{
	if (caller->umask != mask)
		umask(mask);
	caller->umask = mask;
}

int caller_keep_setid(struct caller *caller, bool keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {
		{ .permitted = (uint32_t)CALLER_CAPABILITIES },
		{ .permitted = (uint32_t)(CALLER_CAPABILITIES >> 32) },
	};

	if (caller->without_fsetid == !keep)
		return 0;
	data[0].effective = data[0].permitted & ~(keep ? 0U : 1U << CAP_FSETID);
	data[1].effective = data[1].permitted;
	if (syscall(SYS_capset, &header, data) < 0)
		return -errno;
	caller->without_fsetid = !keep;
	if (keep)
		die_with_parent();
	return 0;
}
