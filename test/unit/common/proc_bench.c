#include "proc_bench.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/loop/proc.h"

void proc_bench_assert_no_child(void)
{
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
	cr_assert_eq(errno, ECHILD);
}

void proc_bench_keep_status(void *status, int value)
{
	*(int *)status = value;
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	ev_break(loop, EVBREAK_ALL);
}

bool proc_bench_run_until_no_child(struct ev_loop *loop, int ms)
{
	siginfo_t info;
	ev_timer late;
	int r;

	ev_timer_init(&late, on_late, ms / 1e3, 0);
	ev_now_update(loop);
	ev_timer_start(loop, &late);
	while ((r = waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT)) == 0 &&
	       ev_is_active(&late))
		ev_run(loop, EVRUN_ONCE);
	ev_timer_stop(loop, &late);
	return r < 0 && errno == ECHILD;
}

void stuck_fs_expect(const struct stuck_fs *fs, const char *word)
{
	char said[20] = "";

	cr_assert_gt(read(fs->said, said, sizeof(said) - 1), 0);
	cr_assert_str_eq(said, word);
}

void stuck_fs_start(struct ev_loop *loop, struct stuck_fs *fs)
{
	struct proc_fd out = { .as = 1 };
	struct proc_spec spec = { .argv = (const char *const[]){ STUCK_FS, fs->dir, NULL },
		                  .fds = &out,
		                  .nfds = 1 };
	struct error err;
	int ends[2];

	strcpy(fs->dir, "/tmp/stuck-XXXXXX");
	cr_assert_not_null(mkdtemp(fs->dir));
	cr_assert_eq(unshare(CLONE_NEWNS), 0);
	cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), 0);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	out.fd = ends[1];
	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &fs->proc, &err), 0, "%s", err.text);
	close(ends[1]);
	fs->said = ends[0];
	stuck_fs_expect(fs, "ready\n");
}

void stuck_fs_stop(struct stuck_fs *fs)
{
	proc_destroy(fs->proc);
	umount2(fs->dir, MNT_DETACH);
	rmdir(fs->dir);
	close(fs->said);
}
