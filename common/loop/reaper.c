#include "common/loop/reaper.h"

#include <errno.h>
#include <ev.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mem.h"

/* A child without an owner. */
struct orphan {
	struct ev_loop *loop;
	int pidfd;
	bool killed;
	ev_io exited;
	ev_cleanup loop_ends;
};

static int status_of(const siginfo_t *info)
{
	if (info->si_code == CLD_EXITED)
		return W_EXITCODE(info->si_status, 0);
	return W_EXITCODE(0, info->si_status) | (info->si_code == CLD_DUMPED ? WCOREFLAG : 0);
}

bool reaper_try(int pidfd, int *status)
{
	siginfo_t info = { 0 }; /* si_pid stays 0 while it lives */
	int r;

	do
		r = waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG);
	while (r < 0 && errno == EINTR);
	if (r == 0 && info.si_pid == 0)
		return false;
	*status = r == 0 ? status_of(&info) : REAPER_UNKNOWN;
	return r == 0 || errno == ECHILD;
}

static void orphan_free(struct orphan *orphan)
{
	ev_ref(orphan->loop);
	ev_io_stop(orphan->loop, &orphan->exited);
	ev_cleanup_stop(orphan->loop, &orphan->loop_ends);
	close(orphan->pidfd);
	free(orphan);
}

static void on_exited(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct orphan *orphan = watcher->data;
	int status;

	if (reaper_try(orphan->pidfd, &status))
		orphan_free(orphan);
}

static void on_loop_ends(struct ev_loop *loop, ev_cleanup *watcher, int events)
{
	struct orphan *orphan = watcher->data;
	struct pollfd end = { .fd = orphan->pidfd, .events = POLLIN };
	int status;

	if (orphan->killed)
		poll(&end, 1, REAPER_LAST_WAIT_MS);
	reaper_try(orphan->pidfd, &status);
	orphan_free(orphan);
}

void reaper_take(struct ev_loop *loop, int pidfd, bool killed)
{
	struct orphan *orphan = mem_new(struct orphan);

	orphan->loop = loop;
	orphan->pidfd = pidfd;
	orphan->killed = killed;
	ev_io_init(&orphan->exited, on_exited, pidfd, EV_READ);
	ev_cleanup_init(&orphan->loop_ends, on_loop_ends);
	orphan->exited.data = orphan->loop_ends.data = orphan;
	ev_io_start(loop, &orphan->exited);
	ev_unref(loop);
	ev_cleanup_start(loop, &orphan->loop_ends);
}
