/*
 * How a child process ends.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"
#include "common/loop/proc.h"
#include "proc_bench.h"

Test(proc_end, kills_when_destroyed_and_reaps_from_the_loop)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/sleep", "100", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc;
	struct error err;

	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), 0);
	cr_assert_not(proc_ended(proc));
	proc_destroy(proc);
	cr_assert(proc_bench_run_until_no_child(loop, 60000));
	ev_loop_destroy(loop);
}

Test(proc_end, killed_before_the_loop_ends_leaves_no_child)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/sleep", "100", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc;
	struct error err;

	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), 0);
	proc_destroy(proc);
	ev_loop_destroy(loop);
	proc_bench_assert_no_child();
}

Test(proc_end, that_is_released_is_reaped_when_it_ends)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct proc_fd in = { .as = 0 };
	struct proc_spec spec = { .argv = SH("read line"), .fds = &in, .nfds = 1 };
	struct proc *proc;
	struct error err;
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	in.fd = ends[0];
	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), 0);
	close(ends[0]);
	proc_release(proc);
	ev_run(loop, 0); /* it keeps no loop going */
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), 0, "it was to run on");
	close(ends[1]);
	cr_assert(proc_bench_run_until_no_child(loop, 60000), "a zombie is left");
	ev_loop_destroy(loop);
}

/* A process that no signal ends until @fs does. */
static struct proc *spawn_stuck(struct ev_loop *loop, const struct stuck_fs *fs, int *status)
{
	char path[64];
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/cat", path, NULL } };
	struct proc *proc;
	struct error err;

	snprintf(path, sizeof(path), "%s/hang", fs->dir);
	cr_assert_eq(proc_spawn(loop, &spec, proc_bench_keep_status, status, &proc, &err), 0, "%s",
	             err.text);
	stuck_fs_expect(fs, "hanging\n");
	return proc;
}

Test(proc_end, that_sigkill_does_not_end_is_given_up)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct stuck_fs fs;
	struct proc *proc;
	int status = 0;

	stuck_fs_start(loop, &fs);
	proc = spawn_stuck(loop, &fs, &status);
	cr_assert_eq(proc_kill(proc, SIGKILL), 0);
	while (!proc_ended(proc))
		ev_run(loop, EVRUN_ONCE);
	cr_expect_eq(status, PROC_STUCK);
	cr_expect_eq(proc_kill(proc, SIGKILL), -ESRCH);
	proc_destroy(proc);
	stuck_fs_stop(&fs);
	cr_expect(proc_bench_run_until_no_child(loop, 60000),
	          "it is not reaped when it ends after all");
	ev_loop_destroy(loop);
}

Test(proc_end, that_sigkill_does_not_end_is_destroyed_without_waiting)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct stuck_fs fs;
	int status = 0;

	stuck_fs_start(loop, &fs);
	proc_destroy(spawn_stuck(loop, &fs, &status));
	cr_expect_eq(status, 0); /* no callback */
	stuck_fs_stop(&fs);
	cr_expect(proc_bench_run_until_no_child(loop, 60000));
	ev_loop_destroy(loop);
}

/* The grandchild holds the pipe's write end: an end of file says that it is gone. */
Test(proc_end, with_pids_of_its_own_takes_a_stopped_child_along, .timeout = 120)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct proc_fd out = { .as = 1 };
	struct proc_spec spec = { .argv = SH("sleep 100 & kill -STOP $!; echo ready; wait"),
		                  .fds = &out,
		                  .nfds = 1,
		                  .own_pids = true };
	struct proc *proc;
	struct error err;
	int ends[2];
	char text[10];
	int r;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	out.fd = ends[1];
	r = proc_spawn(loop, &spec, NULL, NULL, &proc, &err);
	close(ends[1]);
	if (geteuid() == 0) {
		cr_assert_eq(r, 0, "%s", err.text);
		cr_assert_eq(read(ends[0], text, sizeof(text)), strlen("ready\n"));
		proc_destroy(proc);
		cr_assert_eq(read(ends[0], text, sizeof(text)), 0);
	} else {
		cr_assert_eq(r, -EPERM);
	}
	close(ends[0]);
	ev_loop_destroy(loop);
}

struct suicide {
	struct proc *proc;
	int calls;
};

static void destroy_on_exit(void *ctx, int status)
{
	struct suicide *suicide = ctx;

	suicide->calls++;
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), SIGTERM);
	proc_destroy(suicide->proc);
}

Test(proc_end, may_be_destroyed_by_its_own_callback)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/sleep", "100", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct suicide suicide = { 0 };
	struct error err;

	cr_assert_eq(proc_spawn(loop, &spec, destroy_on_exit, &suicide, &suicide.proc, &err), 0);
	cr_assert_eq(proc_kill(suicide.proc, SIGTERM), 0);
	ev_run(loop, 0);
	cr_assert_eq(suicide.calls, 1);
	ev_loop_destroy(loop);
}

/* Starts a sleep and dies at once; the sleep's pid comes through @fd. */
static void parent_that_dies(int fd, bool no_pdeathsig)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/sleep", "100", NULL },
		                  .no_pdeathsig = no_pdeathsig };
	struct proc *proc;
	pid_t pid = -1;

	if (proc_spawn(ev_loop_new(0), &spec, NULL, NULL, &proc, NULL) == 0)
		pid = proc_pid(proc);
	_exit(write(fd, &pid, sizeof(pid)) != sizeof(pid));
}

/* The pid of a sleep whose parent has died; it is ours to reap. */
static pid_t orphan(bool no_pdeathsig)
{
	pid_t pid = -1;
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
	pid = fork();
	if (pid == 0)
		parent_that_dies(ends[1], no_pdeathsig);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
	cr_assert_eq(read(ends[0], &pid, sizeof(pid)), sizeof(pid));
	cr_assert_gt(pid, 0);
	return pid;
}

Test(proc_end, dies_with_its_parent)
{
	pid_t pid = orphan(false);
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), SIGKILL);
}

Test(proc_end, outlives_its_parent_if_asked_to)
{
	pid_t pid = orphan(true);

	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(proc_end, describes_how_a_process_ended)
{
	char text[100];

	proc_describe(3 << 8, text, sizeof(text));
	cr_assert_str_eq(text, "exited with status 3");
	proc_describe(SIGKILL, text, sizeof(text));
	cr_assert_str_eq(text, "was killed by signal 9 (Killed)");
	proc_describe(PROC_STUCK, text, sizeof(text));
	cr_assert_str_eq(text, "did not end within 3000 ms of SIGKILL");
}
