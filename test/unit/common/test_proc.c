#include "common/loop/proc.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/error.h"

#define SH(script)                                                                                 \
	(const char *const[])                                                                      \
	{                                                                                          \
		"/bin/sh", "-c", script, NULL                                                      \
	}
#define SOME_UID 2000000001

static void assert_no_child(void)
{
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
	cr_assert_eq(errno, ECHILD);
}

static void keep_status(void *ctx, int status)
{
	*(int *)ctx = status;
}

/* Runs @spec with its stdout in a pipe; the output (NUL-terminated) and the status. */
static int run(struct proc_spec *spec, char *output, size_t size)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct proc_fd fds[8];
	struct proc *proc;
	struct error err;
	size_t len = 0;
	int status = -1;
	int ends[2];
	ssize_t n;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	if (spec->nfds)
		memcpy(fds, spec->fds, spec->nfds * sizeof(fds[0]));
	fds[spec->nfds++] = (struct proc_fd){ .fd = ends[1], .as = 1 };
	spec->fds = fds;
	cr_assert_eq(proc_spawn(loop, spec, keep_status, &status, &proc, &err), 0, "%s", err.text);
	close(ends[1]);
	while ((n = read(ends[0], output + len, size - 1 - len)) > 0)
		len += n;
	output[len] = '\0';
	close(ends[0]);
	ev_run(loop, 0);
	cr_assert(proc_ended(proc));
	cr_assert_eq(proc_kill(proc, SIGTERM), -ESRCH);
	proc_destroy(proc);
	ev_loop_destroy(loop);
	return status;
}

Test(proc, reports_the_exit_status)
{
	struct proc_spec spec = { .argv = SH("echo out; exit 7") };
	char output[100];
	int status = run(&spec, output, sizeof(output));

	cr_assert(WIFEXITED(status));
	cr_assert_eq(WEXITSTATUS(status), 7);
	cr_assert_str_eq(output, "out\n");
}

Test(proc, gives_no_descriptor_but_those_named)
{
	int other = open("/dev/zero", O_RDONLY); /* inheritable: no O_CLOEXEC */
	int named = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct proc_fd fds[] = { { .fd = named, .as = -1 } };
	struct proc_spec spec = { .argv = SH("for i in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14; do "
		                             "test -e /proc/$$/fd/$i && echo $i; done"),
		                  .fds = fds,
		                  .nfds = 1 };
	char output[200];
	char expected[100];

	cr_assert_geq(other, 0);
	cr_assert_geq(named, 3);
	run(&spec, output, sizeof(output));
	snprintf(expected, sizeof(expected), "0\n1\n2\n%d\n", named);
	cr_assert_str_eq(output, expected);
}

Test(proc, puts_dev_null_where_nothing_is_given)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/readlink", "/proc/self/fd/0",
		                                                 "/proc/self/fd/2", NULL } };
	char output[200];

	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "/dev/null\n/dev/null\n");
}

Test(proc, swaps_standard_descriptors_without_losing_one)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct proc_fd fds[] = { { .fd = 2, .as = 0 }, { .fd = 0, .as = 2 } };
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/readlink", "/proc/self/fd/0",
		                                                 "/proc/self/fd/2", NULL },
		                  .fds = fds,
		                  .nfds = 2 };
	char output[200];
	int stderr_copy = dup(2);

	dup2(null, 2);
	dup2(zero, 0);
	run(&spec, output, sizeof(output));
	dup2(stderr_copy, 2);
	cr_assert_str_eq(output, "/dev/null\n/dev/zero\n");
}

Test(proc, puts_descriptors_at_the_numbers_that_are_asked_for)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	int full = open("/dev/full", O_RDONLY | O_CLOEXEC);
	struct proc_fd fds[] = { { .fd = null, .as = 5 },
		                 { .fd = zero, .as = 3 },
		                 { .fd = full, .as = 4 } };
	struct proc_spec spec = { .argv = SH("for i in 3 4 5 6 7 8; do "
		                             "readlink /proc/$$/fd/$i; done"),
		                  .fds = fds,
		                  .nfds = 3 };
	char output[200];

	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "/dev/zero\n/dev/full\n/dev/null\n");
}

Test(proc, works_from_a_process_without_standard_descriptors)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/readlink", "/proc/self/fd/0",
		                                                 "/proc/self/fd/2", NULL } };
	int copies[3];
	char output[200];

	for (int i = 0; i < 3; i++) {
		copies[i] = fcntl(i, F_DUPFD_CLOEXEC, 10);
		close(i);
	}
	run(&spec, output, sizeof(output));
	for (int i = 0; i < 3; i++)
		dup2(copies[i], i);
	cr_assert_str_eq(output, "/dev/null\n/dev/null\n");
}

Test(proc, starts_with_an_empty_environment)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/usr/bin/env", NULL } };
	char output[200];

	setenv("SECRET", "1", 1);
	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "");
}

Test(proc, starts_with_the_environment_of_the_spec)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/usr/bin/env", NULL },
		                  .envp = (const char *const[]){ "A=b", NULL } };
	char output[200];

	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "A=b\n");
}

Test(proc, undoes_ignored_and_blocked_signals)
{
	struct proc_spec spec = { .argv = SH("grep -E '^Sig(Blk|Ign)' /proc/self/status") };
	char output[200];
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
}

Test(proc, sets_no_new_privs)
{
	struct proc_spec spec = { .argv = SH("grep NoNewPrivs /proc/self/status"),
		                  .no_new_privs = true };
	char output[200];

	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "NoNewPrivs:\t1\n");
}

Test(proc, sets_the_oom_score_adj)
{
	int adj = 500;
	struct proc_spec spec = { .argv = SH("cat /proc/self/oom_score_adj"),
		                  .oom_score_adj = &adj };
	char output[200];

	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "500\n");
}

Test(proc, with_an_oom_score_adj_that_it_may_not_have_runs_nevertheless)
{
	int adj = -1000;
	struct proc_spec spec = { .argv = SH("echo runs"), .oom_score_adj = &adj };
	char output[200];

	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "runs\n");
}

Test(proc, leaves_shared_memory_out_of_its_core)
{
	struct proc_spec spec = { .argv = SH("cat /proc/self/coredump_filter"),
		                  .no_shared_core = true };
	char output[200];

	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "00000031\n");
}

Test(proc, without_network_sees_no_interface_but_lo)
{
	struct proc_spec spec = { .argv = SH("tail -n +3 /proc/self/net/dev | grep -vc ' lo:'"),
		                  .no_network = true };
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc = NULL;
	struct error err;
	char output[200];

	if (geteuid() != 0) {
		cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), -EPERM);
		cr_assert_str_eq(err.text, "leave the network '/bin/sh': Operation not permitted");
	} else {
		run(&spec, output, sizeof(output));
		cr_assert_str_eq(output, "0\n");
	}
	ev_loop_destroy(loop);
}

Test(proc, gives_up_every_privilege_with_a_uid_or_says_why_not)
{
	struct proc_spec spec = {
		.argv = SH("id -u; id -g; grep -E '^(Groups|Cap)' /proc/self/status"),
		.uid = SOME_UID,
		.gid = SOME_UID + 1,
	};
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc = NULL;
	struct error err;
	char output[1000];

	if (geteuid() != 0) {
		cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), -EPERM);
		cr_assert_str_eq(err.text, "drop groups '/bin/sh': Operation not permitted");
		return;
	}
	run(&spec, output, sizeof(output));
	cr_assert_str_eq(output, "2000000001\n2000000002\nGroups:\t \n"
	                         "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n"
	                         "CapEff:\t0000000000000000\nCapBnd:\t0000000000000000\n"
	                         "CapAmb:\t0000000000000000\n");
	ev_loop_destroy(loop);
}

Test(proc, names_the_file_that_cannot_be_executed)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/no/such/file", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), -ENOENT);
	cr_assert_str_eq(err.text, "cannot execute \"/no/such/file\": No such file or directory");
	cr_assert_null(proc);
	ev_loop_destroy(loop);
	assert_no_child();
}

Test(proc, executes_a_descriptor_under_any_name)
{
	const char *const argv[] = { "a name of mine", "-c", "tr '\\0' '|' </proc/$$/cmdline",
		                     NULL };
	autoclose int sh = open("/bin/sh", O_PATH | O_CLOEXEC);
	struct proc_spec spec = { .argv = argv, .program = &sh };
	char output[100];

	cr_assert_eq(run(&spec, output, sizeof(output)), 0);
	cr_assert_str_eq(output, "a name of mine|-c|tr '\\0' '|' </proc/$$/cmdline|");
}

static int is_root_of(void *ctx)
{
	struct stat root, work;

	return stat("/", &root) == 0 && stat(".", &work) == 0 && root.st_ino == *(ino_t *)ctx &&
	       work.st_ino == root.st_ino && access("/bin", F_OK) < 0;
}

Test(proc, has_the_root_directory_that_it_is_given)
{
	char dir[] = "/tmp/proc-XXXXXX";
	struct proc_spec spec = { .main = is_root_of, .root = dir, .uid = SOME_UID };
	char output[100];
	struct stat is;

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chmod(dir, 0755), 0);
	cr_assert_eq(stat(dir, &is), 0);
	spec.main_ctx = &is.st_ino;
	cr_expect_eq(WEXITSTATUS(run(&spec, output, sizeof(output))), 1);
	rmdir(dir);
}

Test(proc, without_its_root_directory_does_not_start)
{
	struct proc_spec spec = { .argv = SH("true"), .root = "/no/such" };
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), -ENOENT);
	cr_assert_str_eq(err.text, "cannot enter the root directory of \"/bin/sh\": "
	                           "No such file or directory");
	ev_loop_destroy(loop);
}

Test(proc, enters_the_network_that_it_is_given)
{
	struct proc_spec other = { .argv = SH("exec sleep 100"), .no_network = true };
	struct proc_spec spec = { .argv = SH("readlink /proc/$$/ns/net") };
	struct ev_loop *loop = ev_loop_new(0);
	char path[64], its[64] = "", output[64];
	struct proc *proc = NULL;
	autoclose int fd = -1;
	struct error err;

	cr_assert_eq(proc_spawn(loop, &other, NULL, NULL, &proc, &err), 0, "%s", err.text);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)proc_pid(proc));
	cr_assert_gt(readlink(path, its, sizeof(its) - 1), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	spec.network = &fd;
	cr_assert_eq(run(&spec, output, sizeof(output)), 0);
	output[strcspn(output, "\n")] = '\0';
	cr_assert_str_eq(output, its);
	proc_destroy(proc);
	ev_loop_destroy(loop);
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	ev_break(loop, EVBREAK_ALL);
}

/* Runs the loop until no child is left, not even a zombie; false after @ms. */
static bool run_until_no_child(struct ev_loop *loop, int ms)
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

Test(proc, kills_when_destroyed_and_reaps_from_the_loop)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/sleep", "100", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc;
	struct error err;

	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), 0);
	cr_assert_not(proc_ended(proc));
	proc_destroy(proc);
	cr_assert(run_until_no_child(loop, 60000));
	ev_loop_destroy(loop);
}

Test(proc, killed_before_the_loop_ends_leaves_no_child)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/sleep", "100", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct proc *proc;
	struct error err;

	cr_assert_eq(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), 0);
	proc_destroy(proc);
	ev_loop_destroy(loop);
	assert_no_child();
}

Test(proc, that_is_released_is_reaped_when_it_ends)
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
	cr_assert(run_until_no_child(loop, 60000), "a zombie is left");
	ev_loop_destroy(loop);
}

/* A file system that never answers (test/lib/stuck_fs.c), in a mount namespace of the test's own. */
struct stuck_fs {
	char dir[32];
	int said; /* its standard output */
	struct proc *proc;
};

static void expect_word(const struct stuck_fs *fs, const char *word)
{
	char said[20] = "";

	cr_assert_gt(read(fs->said, said, sizeof(said) - 1), 0);
	cr_assert_str_eq(said, word);
}

static void stuck_fs_start(struct ev_loop *loop, struct stuck_fs *fs)
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
	expect_word(fs, "ready\n");
}

static void stuck_fs_stop(struct stuck_fs *fs)
{
	proc_destroy(fs->proc);
	umount2(fs->dir, MNT_DETACH);
	rmdir(fs->dir);
	close(fs->said);
}

/* A process that no signal ends until @fs does. */
static struct proc *spawn_stuck(struct ev_loop *loop, const struct stuck_fs *fs, int *status)
{
	char path[64];
	struct proc_spec spec = { .argv = (const char *const[]){ "/bin/cat", path, NULL } };
	struct proc *proc;
	struct error err;

	snprintf(path, sizeof(path), "%s/hang", fs->dir);
	cr_assert_eq(proc_spawn(loop, &spec, keep_status, status, &proc, &err), 0, "%s", err.text);
	expect_word(fs, "hanging\n");
	return proc;
}

Test(proc, that_sigkill_does_not_end_is_given_up)
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
	cr_expect(run_until_no_child(loop, 60000), "it is not reaped when it ends after all");
	ev_loop_destroy(loop);
}

Test(proc, that_sigkill_does_not_end_is_destroyed_without_waiting)
{
	struct ev_loop *loop = ev_loop_new(0);
	struct stuck_fs fs;
	int status = 0;

	stuck_fs_start(loop, &fs);
	proc_destroy(spawn_stuck(loop, &fs, &status));
	cr_expect_eq(status, 0); /* no callback */
	stuck_fs_stop(&fs);
	cr_expect(run_until_no_child(loop, 60000));
	ev_loop_destroy(loop);
}

Test(proc, whose_executable_does_not_answer_is_given_up)
{
	struct ev_loop *loop = ev_loop_new(0);
	char path[64];
	struct proc_spec spec = { .argv = (const char *const[]){ path, NULL } };
	struct proc *proc = NULL;
	struct stuck_fs fs;
	struct error err;

	stuck_fs_start(loop, &fs);
	snprintf(path, sizeof(path), "%s/hang", fs.dir);
	cr_expect_lt(proc_spawn(loop, &spec, NULL, NULL, &proc, &err), 0);
	cr_expect_eq(err.code, ERROR_DEADLINE_EXCEEDED, "%s", err.text);
	cr_expect_null(proc);
	stuck_fs_stop(&fs);
	cr_expect(run_until_no_child(loop, 60000));
	ev_loop_destroy(loop);
}

/* What proc_start() reports. */
struct start {
	bool started; /* on_started has come */
	struct error err;
	bool ended;
	int status;
};

static void on_started(void *ctx, const struct error *err)
{
	struct start *start = ctx;

	cr_expect_not(start->started || start->ended);
	start->started = true;
	error_copy(&start->err, err);
}

static void on_ended(void *ctx, int status)
{
	struct start *start = ctx;

	start->ended = true;
	start->status = status;
}

Test(proc, starts_without_waiting)
{
	struct proc_spec spec = { .argv = SH("exit 3") };
	struct ev_loop *loop = ev_loop_new(0);
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	cr_assert_not(start.started);
	ev_run(loop, 0);
	cr_expect(start.started);
	cr_expect_eq(start.err.code, ERROR_NONE, "%s", start.err.text);
	cr_expect(start.ended);
	cr_expect_eq(WEXITSTATUS(start.status), 3);
	proc_destroy(proc);
	ev_loop_destroy(loop);
	assert_no_child();
}

Test(proc, started_without_waiting_reports_what_failed)
{
	struct proc_spec spec = { .argv = (const char *const[]){ "/no/such/file", NULL } };
	struct ev_loop *loop = ev_loop_new(0);
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	ev_run(loop, 0);
	cr_expect(start.started);
	cr_expect_str_eq(start.err.text,
	                 "cannot execute \"/no/such/file\": No such file or directory");
	cr_expect_not(start.ended);
	proc_destroy(proc);
	ev_loop_destroy(loop);
	assert_no_child();
}

Test(proc, destroyed_while_it_starts_reports_nothing)
{
	struct proc_spec spec = { .argv = SH("exec sleep 100") };
	struct ev_loop *loop = ev_loop_new(0);
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct error err;

	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	proc_destroy(proc);
	cr_expect(run_until_no_child(loop, 60000));
	cr_expect_not(start.started || start.ended);
	ev_loop_destroy(loop);
}

Test(proc, whose_root_directory_does_not_answer_is_given_up_without_waiting)
{
	struct ev_loop *loop = ev_loop_new(0);
	char path[64];
	struct proc_spec spec = { .argv = SH("true"), .root = path };
	struct start start = { 0 };
	struct proc *proc = NULL;
	struct stuck_fs fs;
	struct error err;

	stuck_fs_start(loop, &fs);
	snprintf(path, sizeof(path), "%s/hang/x", fs.dir);
	cr_assert_eq(proc_start(loop, &spec, on_started, on_ended, &start, &proc, &err), 0);
	expect_word(&fs, "hanging\n");
	for (int i = 0; i < 100 && !start.started; i++)
		ev_run(loop, EVRUN_ONCE);
	cr_expect_eq(start.err.code, ERROR_DEADLINE_EXCEEDED, "%s", start.err.text);
	proc_destroy(proc);
	stuck_fs_stop(&fs);
	cr_expect(run_until_no_child(loop, 60000));
	cr_expect_not(start.ended);
	ev_loop_destroy(loop);
}

static int say_and_end(void *ctx)
{
	const int *inheritable = ctx;

	(void)!write(3, "hello", 5);
	return fcntl(4, F_GETFD) < 0 && fcntl(*inheritable, F_GETFD) < 0 ? 42 : 1;
}

Test(proc, calls_a_function_with_the_descriptors_it_is_given_and_no_other)
{
	struct ev_loop *loop = ev_loop_new(0);
	int inheritable = dup(0);
	struct proc_fd out = { .as = 3 };
	struct proc_spec spec = {
		.main = say_and_end, .main_ctx = &inheritable, .fds = &out, .nfds = 1
	};
	struct proc *proc;
	struct error err;
	char said[10] = "";
	int status = -1;
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	cr_assert_gt(inheritable, 3);
	out.fd = ends[1];
	cr_assert_eq(proc_spawn(loop, &spec, keep_status, &status, &proc, &err), 0, "%s", err.text);
	ev_run(loop, 0);
	cr_expect_eq(WEXITSTATUS(status), 42);
	cr_expect_eq(read(ends[0], said, sizeof(said)), 5);
	cr_expect_str_eq(said, "hello");
	proc_destroy(proc);
	ev_loop_destroy(loop);
}

struct suicide {
	struct proc *proc;
	int calls;
};

/* The grandchild holds the pipe's write end: an end of file says that it is gone. */
Test(proc, with_pids_of_its_own_takes_a_stopped_child_along, .timeout = 120)
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

static void destroy_on_exit(void *ctx, int status)
{
	struct suicide *suicide = ctx;

	suicide->calls++;
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), SIGTERM);
	proc_destroy(suicide->proc);
}

Test(proc, may_be_destroyed_by_its_own_callback)
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

Test(proc, dies_with_its_parent)
{
	pid_t pid = orphan(false);
	int status;

	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), SIGKILL);
}

Test(proc, outlives_its_parent_if_asked_to)
{
	pid_t pid = orphan(true);

	cr_assert_eq(waitpid(pid, NULL, WNOHANG), 0);
	kill(pid, SIGKILL);
	cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(proc, describes_how_a_process_ended)
{
	char text[100];

	proc_describe(3 << 8, text, sizeof(text));
	cr_assert_str_eq(text, "exited with status 3");
	proc_describe(SIGKILL, text, sizeof(text));
	cr_assert_str_eq(text, "was killed by signal 9 (Killed)");
	proc_describe(PROC_STUCK, text, sizeof(text));
	cr_assert_str_eq(text, "did not end within 3000 ms of SIGKILL");
}
