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
#include "proc_bench.h"

#define SOME_UID 2000000001

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
	cr_assert_eq(proc_spawn(loop, spec, proc_bench_keep_status, &status, &proc, &err), 0, "%s",
	             err.text);
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
	proc_bench_assert_no_child();
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
	cr_assert_eq(proc_spawn(loop, &spec, proc_bench_keep_status, &status, &proc, &err), 0, "%s",
	             err.text);
	ev_run(loop, 0);
	cr_expect_eq(WEXITSTATUS(status), 42);
	cr_expect_eq(read(ends[0], said, sizeof(said)), 5);
	cr_expect_str_eq(said, "hello");
	proc_destroy(proc);
	ev_loop_destroy(loop);
}
