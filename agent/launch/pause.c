#include "agent/launch/pause.h"

#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/base/kernel_file.h"
#include "agent/launch/caps.h"
#include "agent/launch/empty_root.h"
#include "common/cleanup.h"
#include "common/error.h"

#define NEVER_KILLED "-1000"

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
	r = empty_root_enter(PAUSE_ARGUMENT, err);
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
