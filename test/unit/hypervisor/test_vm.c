#include "hypervisor/vm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "hypervisor/vsock.h"

/*
 * The whole of a VM's life with fake processes: FAKE_HELPER is all of QEMU, virtiofsd and the vsock
 * device (see fake_helper.c).
 */

#define DEADLINE_S 60

static char dir[] = "/tmp/test-vm-XXXXXX";
static char *kernel;
static char *run_dir;
static char *share_dir;
static struct ev_loop *loop;
static struct vm *vm;

/* What on_gone was told. */
static struct {
	int calls;
	bool asked;
	struct error err;
} gone;

/* The fake of hypervisor/vsock.c. */
struct vsock {
	struct proc *proc;
	vsock_lost_fn *on_lost;
	void *ctx;
};

static void on_device_exit(void *ctx, int status)
{
	struct vsock *vsock = ctx;
	struct error err;

	error_set(&err, ERROR_UNAVAILABLE, "the vsock device has ended");
	vsock->on_lost(vsock->ctx, status, &err);
}

int vsock_start(struct ev_loop *device_loop, const struct vsock_config *config,
                vsock_lost_fn *on_lost, void *ctx, struct vsock **out, int *vmm_fd,
                struct error *err)
{
	struct vsock *vsock = mem_new(struct vsock);
	char vmm[32];
	int ends[2];
	char ready;
	int r;

	cr_assert_eq(access(config->dir, W_OK), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	snprintf(vmm, sizeof(vmm), "vmm=%d", ends[1]);
	vsock->on_lost = on_lost;
	vsock->ctx = ctx;
	r = proc_spawn(device_loop,
	               &(struct proc_spec){
			       .argv = (const char *const[]){ config->device_path, vmm, NULL },
			       .fds = (struct proc_fd[]){ { .fd = ends[1], .as = -1 } },
			       .nfds = 1,
		       },
	               on_device_exit, vsock, &vsock->proc, err);
	close(ends[1]);
	if (r < 0) {
		close(ends[0]);
		free(vsock);
		return r;
	}
	cr_assert_eq(read(ends[0], &ready, 1), 1); /* it handles signals now */
	*vmm_fd = ends[0];
	*out = vsock;
	return 0;
}

void vsock_destroy(struct vsock *vsock)
{
	if (vsock)
		proc_destroy(vsock->proc);
	free(vsock);
}

void vsock_kill(struct vsock *vsock)
{
	proc_kill(vsock->proc, SIGKILL);
}

pid_t vsock_pid(const struct vsock *vsock)
{
	return proc_pid(vsock->proc);
}

static void set_up(void)
{
	loop = ev_loop_new(0);
	cr_assert_not_null(mkdtemp(dir));
	kernel = mem_printf("%s/kernel", dir);
	run_dir = mem_printf("%s/run", dir);
	share_dir = mem_printf("%s/share", dir);
	cr_assert_eq(mkdir(run_dir, 0700), 0);
	cr_assert_eq(file_write(AT_FDCWD, kernel, 0644, "", 0, NULL), 0);
}

static void tear_down(void)
{
	vm_destroy(vm);
	ev_loop_destroy(loop);
	cr_assert_eq(waitpid(-1, NULL, WNOHANG), -1, "a child is left");
	cr_assert_eq(rmdir(run_dir), 0, "something is left in the run directory");
	cr_assert_eq(file_remove_tree(AT_FDCWD, dir, NULL), 0);
	free(kernel);
	free(run_dir);
	free(share_dir);
}

TestSuite(vm, .init = set_up, .fini = tear_down);

static void let_loop_run(void)
{
	static const struct timespec pause = { .tv_nsec = 1000000 };

	ev_run(loop, EVRUN_NOWAIT);
	nanosleep(&pause, NULL);
}

/* What is killed is reaped by the loop. */
static bool no_child_is_left(void)
{
	siginfo_t info;

	for (int ms = 0; ms < 10000; ms++) {
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) < 0)
			return errno == ECHILD;
		let_loop_run();
	}
	return false;
}

static struct vm_config usual(void)
{
	return (struct vm_config){
		.vmm_path = FAKE_HELPER,
		.kernel = kernel,
		.initramfs = kernel,
		.vsock_path = FAKE_HELPER,
		.virtiofsd_path = FAKE_HELPER,
		.share_dir = share_dir,
		.run_dir = run_dir,
		.memory_mib = 64,
		.memory_max_mib = 64,
		.vcpus = 1,
		.vcpus_max = 1,
		.ports = VM_PORTS_USUAL,
		.accel = VM_ACCEL_TCG,
		.handshake_timeout_ms = 60000,
		.stop_timeout_ms = 5000,
	};
}

static void on_gone(void *ctx, const struct error *err)
{
	gone.calls++;
	gone.asked = !err;
	error_copy(&gone.err, err);
	ev_break(loop, EVBREAK_ALL);
}

static const struct vm_events events = { .on_gone = on_gone };

static void start(const struct vm_config *config)
{
	struct error err;

	cr_assert_eq(vm_start(loop, config, &events, NULL, &vm, &err), 0, "%s", err.text);
	cr_assert_eq(vm_state(vm), VM_STARTING);
}

static void on_late(struct ev_loop *late_loop, ev_timer *watcher, int revents)
{
	cr_assert_fail("nothing has happened for %d s", DEADLINE_S);
}

static void run_until_gone(void)
{
	ev_timer late;

	ev_timer_init(&late, on_late, DEADLINE_S, 0);
	ev_timer_start(loop, &late);
	ev_run(loop, 0);
	ev_timer_stop(loop, &late);
	cr_assert_eq(gone.calls, 1);
	cr_assert_eq(vm_state(vm), VM_GONE);
}

static void run_until_running(void)
{
	while (vm_state(vm) == VM_STARTING)
		ev_run(loop, EVRUN_ONCE);
	cr_assert_eq(vm_state(vm), VM_RUNNING);
}

/* The cause is @text, then comes a hint with the words @hint in it; NULL: none. */
static void expect_text(const struct error *err, const char *text, const char *hint)
{
	autofree char *both = mem_printf("%s%s", text, hint ? "; hint: " : "");

	if (!hint) {
		cr_assert_str_eq(err->text, text);
		return;
	}
	cr_assert_eq(strncmp(err->text, both, strlen(both)), 0, "%s", err->text);
	cr_assert_not_null(strstr(err->text + strlen(both), hint), "%s", err->text);
}

/* Starts what is to fail by itself. */
static void expect_gone(const struct vm_config *config, const char *text, const char *hint)
{
	start(config);
	run_until_gone();
	cr_assert_not(gone.asked);
	expect_text(&gone.err, text, hint);
	cr_assert_eq(gone.err.code, ERROR_UNAVAILABLE);
}

static void expect_refused(const struct vm_config *config, const char *text, const char *hint)
{
	struct error err;

	cr_assert_lt(vm_start(loop, config, &events, NULL, &vm, &err), 0);
	cr_assert_null(vm);
	cr_assert_not_null(strstr(err.text, text), "'%s' is not in '%s'", text, err.text);
	if (hint)
		expect_text(&err, text, hint);
	cr_assert_eq(gone.calls, 0);
}

Test(vm, runs_and_quits_when_asked)
{
	struct vm_config config = usual();
	char tail[100];

	start(&config);
	run_until_running();
	cr_assert_eq(kill(vm_pid(vm), 0), 0);
	cr_assert_not_null(vm_vsock(vm));
	cr_assert_eq(vm_guest_cid(vm), 3);
	vm_stop(vm);
	cr_assert_eq(vm_state(vm), VM_STOPPING);
	vm_stop(vm); /* nothing more */
	run_until_gone();
	cr_assert(gone.asked);
	vm_console_tail(vm, tail, sizeof(tail));
	cr_assert_str_eq(tail, "[    0.0] Linux version");
}

Test(vm, needs_the_configuration_only_to_start)
{
	struct vm_config config = usual();
	autofree char *path = mem_strdup(FAKE_HELPER);

	config.vmm_path = config.vsock_path = config.virtiofsd_path = path;
	start(&config);
	memset(path, 'x', strlen(path));
	run_until_running();
}

static void expect_oom_score_adj(pid_t pid, const char *expected)
{
	autofree char *path = mem_printf("/proc/%d/oom_score_adj", pid);
	autofree char *text = NULL;

	cr_assert_gt(file_read(AT_FDCWD, path, 100, &text, NULL), 0);
	cr_assert_str_eq(text, expected);
}

Test(vm, passes_its_oom_score_adj_on)
{
	struct vm_config config = usual();
	int adj = 700;

	config.oom_score_adj = &adj;
	start(&config);
	adj = 0;
	expect_oom_score_adj(vm_pid(vm), "700\n");
}

Test(vm, that_does_not_quit_is_killed_in_time)
{
	struct vm_config config = usual();

	config.kernel_params = "fake=stubborn";
	config.stop_timeout_ms = 50;
	start(&config);
	run_until_running();
	vm_stop(vm);
	run_until_gone();
	cr_assert(gone.asked);
}

Test(vm, stopped_before_it_runs_is_killed_at_once)
{
	struct vm_config config = usual();

	start(&config);
	vm_stop(vm);
	run_until_gone();
	cr_assert(gone.asked);
}

Test(vm, destroyed_at_any_time_leaves_nothing)
{
	struct vm_config config = usual();

	start(&config);
	vm_destroy(take_ptr(&vm));
	cr_assert(no_child_is_left());
	start(&config);
	run_until_running();
	vm_destroy(take_ptr(&vm));
	cr_assert(no_child_is_left());
	cr_assert_eq(gone.calls, 0);
}

Test(vm, tells_of_a_killed_qemu)
{
	struct vm_config config = usual();

	start(&config);
	run_until_running();
	kill(vm_pid(vm), SIGKILL);
	run_until_gone();
	expect_text(&gone.err, "QEMU was killed by signal 9 (Killed)", "short of memory");
}

Test(vm, tells_of_a_qemu_that_fails)
{
	struct vm_config config = usual();

	config.kernel_params = "fake=exit";
	expect_gone(&config, "QEMU exited with status 1: fake_helper: broken", "hypervisor.qemu");
}

Test(vm, tells_of_a_guest_that_panics)
{
	struct vm_config config = usual();

	config.kernel_params = "fake=panic";
	expect_gone(&config, "the guest's kernel panicked: no init", "enable_debug");
}

Test(vm, tells_of_a_guest_that_ends)
{
	struct vm_config config = usual();

	config.kernel_params = "fake=poweroff";
	expect_gone(&config, "the guest has ended by itself: guest-shutdown", "enable_debug");
}

Test(vm, kills_a_qemu_that_talks_nonsense)
{
	struct vm_config config = usual();

	config.kernel_params = "fake=nonsense";
	start(&config);
	run_until_gone();
	cr_assert_not(gone.asked);
	cr_assert_eq(gone.err.code, ERROR_INVALID_ARGUMENT);
	cr_assert_not_null(strstr(gone.err.text, "QMP"));
}

Test(vm, tells_of_a_virtiofsd_that_fails)
{
	struct vm_config config = usual();
	autofree char *bad_share = mem_printf("%s/fake=exit", dir);

	config.share_dir = bad_share;
	expect_gone(&config, "virtiofsd exited with status 1: fake_helper: broken", NULL);
}

Test(vm, tells_of_a_vsock_device_that_is_killed)
{
	struct vm_config config = usual();

	start(&config);
	run_until_running();
	kill(vsock_pid(vm_vsock(vm)), SIGKILL);
	run_until_gone();
	cr_assert_str_eq(gone.err.text, "the vsock device has ended");
	cr_assert_eq(waitpid(vm_pid(vm), NULL, WNOHANG), -1); /* QEMU was killed, too */
}

Test(vm, blames_the_qemu_that_was_killed_not_the_helper_that_followed)
{
	struct vm_config config = usual();

	start(&config);
	run_until_running();
	kill(vsock_pid(vm_vsock(vm)), SIGUSR1); /* ends, noticed first, as a helper's end may be */
	ev_run(loop, EVRUN_ONCE);
	kill(vm_pid(vm), SIGKILL);
	run_until_gone();
	expect_text(&gone.err, "QEMU was killed by signal 9 (Killed)", "short of memory");
}

Test(vm, blames_the_qemu_that_failed_not_the_helper_that_followed)
{
	struct vm_config config = usual();

	config.kernel_params = "fake=leave";
	expect_gone(&config, "QEMU exited with status 1: fake_helper: broken", "hypervisor.qemu");
}

Test(vm, names_what_is_missing)
{
	struct vm_config config = usual();

	config.kernel = "/none/kernel";
	expect_refused(&config,
	               "cannot open the guest's kernel \"/none/kernel\": No such file or directory",
	               "hypervisor.qemu.kernel");
	config = usual();
	config.initramfs = "/none/initramfs";
	expect_refused(
		&config,
		"cannot open the guest's initramfs \"/none/initramfs\": No such file or directory",
		"hypervisor.qemu.initrd");
	config = usual();
	config.vmm_path = "/none/qemu";
	expect_refused(
		&config,
		"cannot start QEMU: cannot execute \"/none/qemu\": No such file or directory",
		"qemu-system-x86");
	config = usual();
	config.virtiofsd_path = "/none/virtiofsd";
	expect_refused(&config,
	               "cannot start virtiofsd: cannot execute \"/none/virtiofsd\": No such file "
	               "or directory",
	               "virtio_fs_daemon");
	config = usual();
	config.vsock_path = "/none/vsock";
	expect_refused(&config, "cannot execute \"/none/vsock\": No such file", NULL);
}

Test(vm, refuses_to_start_without_memory)
{
	struct vm_config config = usual();

	config.memory_mib = 0;
	expect_refused(&config, "no memory is left for the guest", "default_maxmemory");
}

Test(vm, refuses_parameters_that_the_kernel_would_cut_off)
{
	struct vm_config config = usual();
	autofree char *params = mem_printf("%01793d", 0);

	config.kernel_params = params;
	expect_refused(&config, "the guest's kernel parameters are longer than 1792 bytes", NULL);
}

Test(vm, refuses_a_kernel_that_is_no_file)
{
	struct vm_config config = usual();

	config.kernel = dir;
	expect_refused(&config, ": not a regular file", NULL);
}

Test(vm, refuses_a_kernel_that_qemus_user_could_not_read)
{
	struct vm_config config = usual();

	config.uid = config.gid = 2000000001;
	cr_assert_eq(chmod(kernel, 0600), 0);
	expect_refused(&config, "must be readable for all", NULL);
}
