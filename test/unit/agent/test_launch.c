#include "agent/pod/launch.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "common/file.h"
#include "common/mem.h"
#include "container_bench.h"
#include "proto/message.h"

static struct bench bench;

static void setup(void)
{
	bench_init(&bench);
}

static void teardown(void)
{
	bench_fini(&bench);
}

TestSuite(launch, .init = setup, .fini = teardown);

Test(launch, process_has_what_the_spec_says)
{
	bench_runs(&bench, "cat /proc/self/status; hostname; env; umask; pwd; ulimit -n");
	bench_has_lines(&bench, "CapInh:\t0000000000000000");
	bench_has_lines(&bench, "CapPrm:\t00000000080000a1");
	bench_has_lines(&bench, "CapEff:\t00000000080000a1");
	bench_has_lines(&bench, "CapBnd:\t00000000080000a1");
	bench_has_lines(&bench, "CapAmb:\t0000000000000000");
	bench_has_lines(&bench, "NoNewPrivs:\t1");
	bench_has_lines(&bench, "Seccomp:\t0");
	bench_has_lines(&bench, "SigIgn:\t0000000000000000");
	bench_has_lines(&bench, "SigBlk:\t0000000000000000");
	bench_has_lines(&bench, "bench");
	bench_has_lines(&bench, "HOME=/root");
	bench_has_lines(&bench, "A=3");
	bench_has_not(&bench, "A=1\n");
	bench_has_lines(&bench, "0022\n/");
	cr_expect_eq(bench.status, 0);
}

Test(launch, exit_code_is_the_process_s_own)
{
	bench_runs(&bench, "exit 7");
	cr_expect_eq(WEXITSTATUS(bench.status), 7);
}

Test(launch, namespaces_are_the_container_s_own)
{
	static const char *const links[] = { "cgroup", "ipc", "mnt", "pid", "uts" };
	size_t i;

	bench_runs(&bench, "echo process $$; cat /proc/self/cgroup; ls -l /proc/self/ns; ps");
	bench_has_lines(&bench, "process 1");
	bench_has_lines(&bench, "0::/");
	for (i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
		autofree char *path = mem_printf("/proc/self/ns/%s", links[i]);
		autofree char *start = mem_printf("%s -> %s:[", links[i], links[i]);
		char own[64] = "";

		cr_assert_gt(readlink(path, own, sizeof(own) - 1), 0);
		bench_has(&bench, start);
		bench_has_not(&bench, own);
	}
	bench_has_not(&bench, "test_agent_launch");
}

Test(launch, mounts_are_the_spec_s)
{
	bench_runs(&bench, "mount");
	bench_has_lines(&bench, "proc on /proc type proc (rw,nosuid,nodev,noexec,relatime)");
	bench_has_lines(&bench, "tmpfs on /dev type tmpfs (rw,nosuid,size=65536k,mode=755)");
	bench_has_lines(&bench, "devpts on /dev/pts type devpts "
	                        "(rw,nosuid,noexec,relatime,gid=5,mode=620,ptmxmode=666)");
	bench_has_lines(&bench,
	                "shm on /dev/shm type tmpfs (rw,nosuid,nodev,noexec,relatime,size=65536k)");
	bench_has_lines(&bench,
	                "mqueue on /dev/mqueue type mqueue (rw,nosuid,nodev,noexec,relatime)");
	bench_has_lines(&bench, "sysfs on /sys type sysfs (ro,nosuid,nodev,noexec,relatime)");
	bench_has_lines(&bench, "proc on /proc/sys type proc (ro,nosuid,nodev,noexec,relatime)");
	bench_has_lines(&bench, "tmpfs on /proc/keys type tmpfs (rw,nosuid,size=65536k,mode=755)");
	bench_has_not(&bench, " /tmp/");
}

Test(launch, devices_are_the_default_ones)
{
	bench_runs(&bench,
	           "stat -c '%n %a %t:%T' /dev/null /dev/zero /dev/full /dev/random /dev/urandom "
	           "/dev/tty; ls -l /dev; ls /dev/console");
	bench_has_lines(
		&bench,
		"/dev/null 666 1:3\n/dev/zero 666 1:5\n/dev/full 666 1:7\n/dev/random 666 1:8\n"
		"/dev/urandom 666 1:9\n/dev/tty 666 5:0");
	bench_has(&bench, "fd -> /proc/self/fd\n");
	bench_has(&bench, "stdin -> /proc/self/fd/0\n");
	bench_has(&bench, "ptmx -> pts/ptmx\n");
	bench_has(&bench, "/dev/console: No such file");
}

Test(launch, masked_and_read_only_paths_hold)
{
	bench_runs(
		&bench,
		"cat /proc/keys; ls /sys/firmware; echo x >/proc/sys/kernel/domainname; echo end");
	bench_has(&bench, "Read-only file system");
	bench_has_lines(&bench, "end");
	cr_expect_eq(strncmp(bench.output, "sh: ", 4), 0, "%s", bench.output);
}

Test(launch, root_can_be_read_only)
{
	bench.spec->root->readonly = 1;
	bench_runs(&bench, "touch /x; touch /run/y && echo written");
	bench_has_lines(&bench, "touch: /x: Read-only file system");
	bench_has_lines(&bench, "written");
}

Test(launch, dev_can_be_read_only)
{
	static const char *const words[] = { "ro", "rro" };
	Grpc__Mount *dev = bench.spec->mounts[1];

	for (size_t i = 0; i < 2; i++) {
		free(dev->options[1]);
		dev->options[1] = mem_strdup(words[i]);
		bench_runs(&bench, "touch /dev/x; mount; ls /dev/null");
		bench_has_lines(&bench, "touch: /dev/x: Read-only file system");
		bench_has(&bench, "tmpfs on /dev type tmpfs (ro,nosuid");
		bench_has_lines(&bench, "/dev/null");
	}
}

Test(launch, user_is_changed_and_keeps_no_capabilities)
{
	static uint32_t groups[] = { 5, 7 };
	Grpc__User *user = bench.spec->process->user;

	user->uid = 1000;
	user->gid = 100;
	user->additionalgids = mem_dup(groups, sizeof(groups));
	user->n_additionalgids = 2;
	bench_runs(&bench, "id; cat /proc/self/status; env; echo again >/proc/self/fd/1");
	bench_has(&bench, "uid=1000(me) gid=100 groups=5,7");
	bench_has_lines(&bench, "CapPrm:\t0000000000000000");
	bench_has_lines(&bench, "CapBnd:\t00000000080000a1");
	bench_has_lines(&bench, "HOME=/home/me");
	bench_has_lines(&bench, "again");
}

Test(launch, ambient_capabilities_outlive_the_user)
{
	Grpc__LinuxCapabilities *caps = bench.spec->process->capabilities;
	char *name = "CAP_KILL";

	bench.spec->process->user->uid = 1000;
	caps->inheritable = mem_alloc(sizeof(char *));
	caps->ambient = mem_alloc(sizeof(char *));
	caps->inheritable[caps->n_inheritable++] = mem_strdup(name);
	caps->ambient[caps->n_ambient++] = mem_strdup(name);
	bench_runs(&bench, "cat /proc/self/status");
	bench_has_lines(&bench, "CapAmb:\t0000000000000020");
	bench_has_lines(&bench, "CapEff:\t0000000000000020");
}

/* Some spec writers leave the inheritable ones out since CVE-2022-24769. */
Test(launch, ambient_capabilities_that_cannot_be_had_are_left_out)
{
	Grpc__LinuxCapabilities *caps = bench.spec->process->capabilities;

	caps->ambient = mem_alloc(sizeof(char *));
	caps->ambient[caps->n_ambient++] = mem_strdup("CAP_KILL");
	bench_runs(&bench, "cat /proc/self/status");
	bench_has_lines(&bench, "CapEff:\t00000000080000a1");
	bench_has_lines(&bench, "CapAmb:\t0000000000000000");
}

Test(launch, without_capabilities_there_are_none)
{
	grpc__linux_capabilities__free_unpacked(bench.spec->process->capabilities, NULL);
	bench.spec->process->capabilities = NULL;
	bench_runs(&bench, "cat /proc/self/status");
	bench_has_lines(&bench, "CapEff:\t0000000000000000");
	bench_has_lines(&bench, "CapBnd:\t0000000000000000");
}

static void limit(const char *type, uint64_t soft, uint64_t hard)
{
	Grpc__POSIXRlimit *row = mem_alloc(sizeof(*row));

	grpc__posixrlimit__init(row);
	row->type = mem_strdup(type);
	row->soft = soft;
	row->hard = hard;
	bench.spec->process->rlimits = mem_alloc(sizeof(void *));
	bench.spec->process->rlimits[bench.spec->process->n_rlimits++] = row;
}

Test(launch, resource_limits_are_set)
{
	limit("RLIMIT_NOFILE", 12, 24);
	bench_runs(&bench, "ulimit -n; ulimit -Hn");
	cr_expect_str_eq(bench.output, "12\n24\n");
}

Test(launch, working_directory_is_made)
{
	free(bench.spec->process->cwd);
	bench.spec->process->cwd = mem_strdup("/new/deep");
	bench_runs(&bench, "pwd ;");
	cr_expect_str_eq(bench.output, "/new/deep\n");
}

Test(launch, missing_executable_is_told_as_runc_does)
{
	bench_refuses(&bench, "nosuch", ERROR_NOT_FOUND,
	              "exec: \"nosuch\": executable file not found in $PATH");
	bench_refuses(&bench, "/nosuch", ERROR_NOT_FOUND,
	              "exec: \"/nosuch\": stat /nosuch: no such file or directory");
	bench_refuses(&bench, "/etc/passwd", ERROR_PERMISSION_DENIED,
	              "exec: \"/etc/passwd\": permission denied");
	bench_refuses(&bench, "/bin", ERROR_PERMISSION_DENIED, "exec: \"/bin\": permission denied");
}

Test(launch, what_cannot_be_executed_fails_the_start)
{
	bench_write(&bench, "bin/text", "no program\n", 0755);
	bench_refuses(&bench, "/bin/text", ERROR_INVALID_ARGUMENT,
	              "exec /bin/text: exec format error");
}

Test(launch, failing_step_is_named)
{
	bench.spec->mounts[2]->type[0] = 'x';
	bench_refuses(&bench, "true", ERROR_UNKNOWN,
	              "make the mounts: cannot mount \"devpts\" (xevpts) on \"/dev/pts\" with "
	              "\"newinstance,ptmxmode=0666,mode=0620,gid=5\": No such device");
}

Test(launch, terminal_is_the_container_s_own)
{
	Grpc__Box *size = mem_alloc(sizeof(*size));

	grpc__box__init(size);
	size->height = 33;
	size->width = 111;
	bench.spec->process->terminal = 1;
	bench.spec->process->consolesize = size;
	bench_runs(&bench, "tty; stty size; stat -c '%n %t:%T' /dev/console; ls -1 /dev/pts; echo "
	                   "x >/dev/tty");
	cr_expect_str_eq(bench.output,
	                 "/dev/pts/0\r\n33 111\r\n/dev/console 88:0\r\n0\r\nptmx\r\nx\r\n");
}

Test(launch, links_in_the_root_file_system_lead_nowhere_else)
{
	autofree char *outside = mem_printf("%s/outside", bench.dir);
	autofree char *run_dir = mem_printf("%s/run", bench.rootfs);
	autofree char *dev_dir = mem_printf("%s/dev", bench.rootfs);
	autofree char *upwards = mem_printf("../../../../../..%s/outside", bench.dir);

	cr_assert_eq(mkdir(outside, 0755), 0);
	cr_assert_eq(rmdir(run_dir), 0);
	cr_assert_eq(symlink(outside, run_dir), 0);
	cr_assert_eq(symlink(upwards, dev_dir), 0);
	free(bench.spec->process->cwd);
	bench.spec->process->cwd = mem_strdup("/run/made");
	bench_runs(&bench, "pwd; ls -l /dev/");
	bench_has(&bench, "/outside/made\n");
	bench_has(&bench, "null");
	cr_expect_eq(rmdir(outside), 0, "something was made outside");
}

static void set_sysctl(const char *key, const char *value)
{
	Grpc__Linux__SysctlEntry *entry = mem_alloc(sizeof(*entry));

	grpc__linux__sysctl_entry__init(entry);
	entry->key = mem_strdup(key);
	entry->value = mem_strdup(value);
	bench.spec->linux->sysctl = mem_alloc(sizeof(void *));
	bench.spec->linux->sysctl[0] = entry;
	bench.spec->linux->n_sysctl = 1;
}

Test(launch, kernel_settings_are_the_container_s)
{
	set_sysctl("kernel.msgmax", "4242");
	bench_runs(&bench, "cat /proc/sys/kernel/msgmax /proc/sys/kernel/domainname");
	cr_expect_eq(strncmp(bench.output, "4242\n", 5), 0, "%s", bench.output);
}

static void on_created(void *ctx, int console, const struct error *err)
{
	*(bool *)ctx = true;
}

Test(launch, destroying_a_created_process_kills_it)
{
	struct launch_config config = { .id = "bench",
		                        .spec = bench.spec,
		                        .process = bench.spec->process,
		                        .rootfs = bench.rootfs,
		                        .cgroup_fd = cgroup_fd(bench.cgroup),
		                        .pid_namespace = -1,
		                        .stdio = { -1, -1, -1 } };
	bool created = false;
	struct launch *launch = NULL;
	int status = 0;
	pid_t pid;

	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(launch_create(bench.loop, &config, on_created, &created, &launch, &bench.err),
	             0);
	while (!created)
		ev_run(bench.loop, EVRUN_ONCE);
	pid = launch_pid(launch);
	launch_destroy(launch);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(WTERMSIG(status), SIGKILL);
}

Test(launch, process_killed_before_it_starts_is_an_error)
{
	struct launch_config config = { .id = "bench",
		                        .spec = bench.spec,
		                        .process = bench.spec->process,
		                        .rootfs = bench.rootfs,
		                        .cgroup_fd = cgroup_fd(bench.cgroup),
		                        .pid_namespace = -1,
		                        .stdio = { -1, -1, -1 } };
	bool created = false;
	struct launch *launch = NULL;

	bench_command(bench.spec->process, "sleep 1000");
	cr_assert_eq(launch_create(bench.loop, &config, on_created, &created, &launch, &bench.err),
	             0);
	while (!created)
		ev_run(bench.loop, EVRUN_ONCE);
	cr_assert_eq(kill(launch_pid(launch), SIGKILL), 0);
	waitpid(launch_pid(launch), NULL, 0);
	ev_run(bench.loop, EVRUN_ONCE);
	cr_expect_lt(launch_run(launch, NULL, NULL, &bench.err), 0);
	cr_expect_str_eq(bench.err.text, "the container's process has ended");
	launch_destroy(launch);
}
