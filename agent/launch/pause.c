#include "agent/launch/pause.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "agent/launch/caps.h"
#include "agent/launch/rootfs.h"
#include "common/cleanup.h"
#include "common/error.h"

#define EMPTY_ROOT   "/proc" /* a directory that there always is: what is mounted over it */
#define NEVER_KILLED "-1000"

static int leave_the_tree(struct error *err)
{
	autoclose int root = -1;

	if (mount(NULL, "/", NULL, MS_PRIVATE | MS_REC, NULL) < 0)
		return error_errno(err, "cannot make the mounts private");
	if (mount("pause", EMPTY_ROOT, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
	          NULL) < 0)
		return error_errno(err, "cannot mount an empty root");
	root = open(EMPTY_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return error_errno(err, "cannot open the empty root");
	return rootfs_enter(root, err);
}

/* All that is in the namespace would go with it. In the guest there is the right to do so. */
static void disable_oom_kill(void)
{
	autoclose int self = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (self >= 0)
		kernel_file_write(self, "oom_score_adj", NEVER_KILLED, NULL);
}

static int drop_capabilities(struct error *err)
{
	static const struct caps none;
	int r = caps_prepare(&none, err);

	return r < 0 ? r : caps_apply(&none, 0, err);
}

static int become_pause(struct error *err)
{
	int r;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* one that came too late has nobody to tell */
	prctl(PR_SET_NAME, PAUSE_ARGUMENT, 0, 0, 0);
	setsid();
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps */
	disable_oom_kill();
	r = leave_the_tree(err);
	return r < 0 ? r : drop_capabilities(err);
}

int pause_main(void)
{
	struct error err = { 0 };
	bool failed = become_pause(&err) < 0;

	if (write(PAUSE_READY_FD, &err, sizeof(err)) != sizeof(err) || failed)
		return 1;
	close(PAUSE_READY_FD);
	for (;;)
		pause();
}
