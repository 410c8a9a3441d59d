#include "container_bench.h"

#include <criterion/criterion.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/launch/launch_child.h"
#include "agent/launch/pause.h"
#include "common/file.h"
#include "common/mem.h"
#include "proto/message.h"
#include "shim/spec/spec.h"

#define WAIT_MS 60000

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The agent runs itself again as the container's process, or as pause; here that is the test's executable. */
int main(int argc, char *argv[])
{
	struct criterion_test_set *tests;
	int ok = 1;

	if (argc > 1 && !strcmp(argv[1], "launch"))
		return launch_child_main();
	if (argc > 1 && !strcmp(argv[1], PAUSE_ARGUMENT))
		return pause_main();
	tests = criterion_initialize();
	if (criterion_handle_args(argc, argv, true))
		ok = criterion_run_all_tests(tests);
	criterion_finalize(tests);
	return !ok;
}

static const struct {
	const char *destination, *type, *source, *options[6];
} mounts[] = {
	{ "/proc", "proc", "proc", { "nosuid", "noexec", "nodev" } },
	{ "/dev", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
	{ "/dev/pts",
	  "devpts",
	  "devpts",
	  { "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5" } },
	{ "/dev/shm", "tmpfs", "shm", { "nosuid", "noexec", "nodev", "mode=1777", "size=65536k" } },
	{ "/dev/mqueue", "mqueue", "mqueue", { "nosuid", "noexec", "nodev" } },
	{ "/sys", "sysfs", "sysfs", { "nosuid", "noexec", "nodev", "ro" } },
	{ "/run", "tmpfs", "tmpfs", { "nosuid", "strictatime", "mode=755", "size=65536k" } },
};

static char *const namespaces[] = { "pid", "ipc", "uts", "mount", "cgroup" };
static char *const masked[] = { "/proc/keys", "/proc/timer_list", "/sys/firmware", "/nosuch" };
static char *const readonly[] = { "/proc/sys", "/proc/bus", "/nosuch" };
static char *const caps[] = { "CAP_CHOWN", "CAP_KILL", "CAP_MKNOD", "CAP_SETUID" };

/* What a message points to lives in static storage: the spec that is used is a copy. */
static void fill_mounts(Grpc__Spec *spec)
{
	static Grpc__Mount rows[COUNT(mounts)];
	static Grpc__Mount *pointers[COUNT(mounts)];
	size_t i;

	for (i = 0; i < COUNT(mounts); i++) {
		Grpc__Mount *mount = &rows[i];

		grpc__mount__init(mount);
		mount->destination = (char *)mounts[i].destination;
		mount->type = (char *)mounts[i].type;
		mount->source = (char *)mounts[i].source;
		mount->options = (char **)mounts[i].options;
		while (mount->n_options < COUNT(mounts[i].options) &&
		       mounts[i].options[mount->n_options])
			mount->n_options++;
		pointers[i] = mount;
	}
	spec->mounts = pointers;
	spec->n_mounts = COUNT(mounts);
}

static void fill_linux(Grpc__Linux *config)
{
	static Grpc__LinuxNamespace rows[COUNT(namespaces)];
	static Grpc__LinuxNamespace *pointers[COUNT(namespaces)];
	size_t i;

	for (i = 0; i < COUNT(namespaces); i++) {
		grpc__linux_namespace__init(&rows[i]);
		rows[i].type = namespaces[i];
		pointers[i] = &rows[i];
	}
	config->namespaces = pointers;
	config->n_namespaces = COUNT(namespaces);
	config->maskedpaths = (char **)masked;
	config->n_maskedpaths = COUNT(masked);
	config->readonlypaths = (char **)readonly;
	config->n_readonlypaths = COUNT(readonly);
}

static void fill_process(Grpc__Process *process)
{
	static Grpc__LinuxCapabilities set;
	static Grpc__User user;
	static char *environment[] = { "PATH=/bin", "A=1", "B=2", "A=3" };

	grpc__linux_capabilities__init(&set);
	grpc__user__init(&user);
	set.bounding = set.effective = set.permitted = (char **)caps;
	set.n_bounding = set.n_effective = set.n_permitted = COUNT(caps);
	process->capabilities = &set;
	process->user = &user;
	process->cwd = "/";
	process->env = environment;
	process->n_env = COUNT(environment);
	process->nonewprivileges = 1;
}

/* Packed and unpacked again, all of it is of one allocator and can be changed and freed. */
static Grpc__Spec *make_spec(void)
{
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Process process = GRPC__PROCESS__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	Grpc__Linux config = GRPC__LINUX__INIT;
	ProtobufCBinaryData data;
	ProtobufCMessage *copy = NULL;

	spec.process = &process;
	spec.root = &root;
	spec.linux = &config;
	spec.hostname = "bench";
	fill_mounts(&spec);
	fill_linux(&config);
	fill_process(&process);
	data = message_encode(&spec.base);
	cr_assert_eq(message_decode(&grpc__spec__descriptor, data.data, data.len, &copy, NULL), 0);
	free(data.data);
	return (Grpc__Spec *)copy;
}

void bench_write(const struct bench *bench, const char *name, const char *text, unsigned int mode)
{
	autofree char *path = mem_printf("%s/%s", bench->rootfs, name);

	cr_assert_eq(file_write(AT_FDCWD, path, mode, text, strlen(text), NULL), 0, "%s", path);
	cr_assert_eq(chmod(path, mode), 0);
}

static void make_rootfs(struct bench *bench)
{
	static const char *const dirs[] = { "bin", "etc", "tmp", "run", "root" };
	static const char *const applets[] = { "sh",  "cat",  "ls",    "id",       "mount", "env",
		                               "tty", "stat", "sleep", "hostname", "stty",  "true",
		                               "ps",  "kill", "touch", "mkdir",    "dd",    "pwd" };
	size_t i;

	cr_assert(mkdtemp(strcpy(bench->dir, "/tmp/kata-container-XXXXXX")));
	snprintf(bench->rootfs, sizeof(bench->rootfs), "%s/rootfs", bench->dir);
	for (i = 0; i < COUNT(dirs); i++) {
		autofree char *path = mem_printf("%s/%s", bench->rootfs, dirs[i]);

		cr_assert_eq(file_make_dirs(path, 0755, NULL), 0);
	}
	for (i = 0; i < COUNT(applets); i++) {
		autofree char *path = mem_printf("%s/bin/%s", bench->rootfs, applets[i]);

		cr_assert_eq(symlink("busybox", path), 0);
	}
	{
		autofree char *busybox = mem_printf("cp /bin/busybox %s/bin/", bench->rootfs);

		cr_assert_eq(system(busybox), 0);
	}
	bench_write(bench, "etc/passwd",
	            "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\n", 0644);
}

static void cgroup_mount_point(char *path, size_t size)
{
	char line[512];
	FILE *mounted = fopen("/proc/mounts", "r");
	bool found = false;

	cr_assert_not_null(mounted);
	while (!found && fgets(line, sizeof(line), mounted))
		found = sscanf(line, "%*s %255s cgroup2 ", path) == 1 && strstr(line, " cgroup2 ");
	fclose(mounted);
	cr_assert(found, "no cgroup2 is mounted");
}

void bench_init(struct bench *bench)
{
	autofree char *name = NULL;
	char mounted[256];

	memset(bench, 0, sizeof(*bench));
	bench->pid_namespace = -1;
	bench->loop = ev_loop_new(0); /* the default one would reap what we wait for */
	cgroup_mount_point(mounted, sizeof(mounted));
	bench->guest_cgroup = open(mounted, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	make_rootfs(bench);
	name = mem_printf("unit-test-%d", getpid());
	cr_assert_eq(cgroup_create(mounted, name, &bench->cgroup, &bench->err), 0, "%s",
	             bench->err.text);
	bench->spec = make_spec();
}

void bench_fini(struct bench *bench)
{
	int i;

	cgroup_kill(bench->cgroup, NULL);
	launch_destroy(bench->init);
	for (i = 0; i < WAIT_MS && cgroup_remove(bench->cgroup, NULL) < 0; i++) {
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		usleep(1000);
	}
	cgroup_destroy(bench->cgroup);
	close(bench->guest_cgroup);
	message_free(&bench->spec->base);
	cr_expect_eq(file_remove_tree(AT_FDCWD, bench->dir, NULL), 0);
}

int bench_new_pid_namespace(void)
{
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);
	autofree char *path = NULL;
	int fd;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		signal(SIGCHLD, SIG_IGN);
		for (;;)
			pause();
	}
	path = mem_printf("/proc/%d/ns/pid", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

void bench_command(Grpc__Process *process, const char *command)
{
	size_t i;

	for (i = 0; i < process->n_args; i++)
		free(process->args[i]);
	free(process->args);
	process->args = mem_alloc(BENCH_ARGS_MAX * sizeof(*process->args));
	process->n_args = 0;
	if (strchr(command, ' ')) {
		process->args[process->n_args++] = mem_strdup("sh");
		process->args[process->n_args++] = mem_strdup("-c");
	}
	process->args[process->n_args++] = mem_strdup(command);
}

Grpc__Process *bench_process(const struct bench *bench)
{
	ProtobufCBinaryData data = message_encode(&bench->spec->process->base);
	ProtobufCMessage *copy = NULL;

	cr_assert_eq(message_decode(&grpc__process__descriptor, data.data, data.len, &copy, NULL),
	             0);
	free(data.data);
	return (Grpc__Process *)copy;
}

void bench_seccomp(struct bench *bench, const char *json)
{
	autofree char *text = mem_printf(
		"{\"ociVersion\":\"1.0.2\",\"root\":{\"path\":\"r\"},\"process\":{\"args\":[\"a\"],"
		"\"cwd\":\"/\",\"user\":{\"uid\":0,\"gid\":0}},\"linux\":{\"seccomp\":%s}}",
		json);
	autodestroy(spec) Grpc__Spec *spec = NULL;

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &bench->err), 0, "%s", bench->err.text);
	bench->spec->linux->seccomp = take_ptr(&spec->linux->seccomp);
}

/* One process on its way. */
struct run {
	struct bench *bench;
	struct launch *launch;
	int console;
	bool done;
};

static void on_run(void *ctx, const struct error *err)
{
	struct run *run = ctx;

	error_copy(&run->bench->err, err);
	run->done = true;
}

static void on_created(void *ctx, int console, const struct error *err)
{
	struct run *run = ctx;

	run->console = console;
	run->bench->created = !err;
	if (err)
		on_run(run, err);
	else if (launch_run(run->launch, on_run, run, &run->bench->err) < 0)
		run->done = true;
}

static int start(struct run *run, const Grpc__Process *process, const struct launch *init,
                 int output)
{
	struct bench *bench = run->bench;
	const struct launch_config config = {
		.id = "bench",
		.spec = bench->spec,
		.process = process,
		.rootfs = bench->rootfs,
		.cgroup_fd = cgroup_fd(bench->cgroup),
		.guest_cgroup_fd = bench->guest_cgroup,
		.pid_namespace = bench->pid_namespace,
		.init = init,
		.stdio = { -1, output, output },
	};

	run->console = -1;
	bench->created = false;
	if (launch_create(bench->loop, &config, on_created, run, &run->launch, &bench->err) < 0)
		return bench->err.code;
	while (!run->done)
		ev_run(bench->loop, EVRUN_ONCE);
	return bench->err.code;
}

static void read_output(struct bench *bench, int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < sizeof(bench->output) - 1) {
		cr_assert_gt(poll(&poll_fd, 1, WAIT_MS), 0, "no output and no end of it");
		n = read(fd, bench->output + len, sizeof(bench->output) - 1 - len);
		len += n > 0 ? n : 0;
	}
	bench->output[len] = '\0';
}

static int run_to_end(struct bench *bench, const Grpc__Process *process, const struct launch *init)
{
	struct run run = { .bench = bench };
	int output[2];
	int r;

	cr_assert_eq(pipe2(output, O_CLOEXEC), 0);
	r = start(&run, process, init, output[1]);
	close(output[1]);
	if (r == 0)
		read_output(bench, run.console >= 0 ? run.console : output[0]);
	if (run.launch)
		waitpid(launch_pid(run.launch), &bench->status, 0);
	launch_destroy(run.launch);
	close(output[0]);
	if (run.console >= 0)
		close(run.console);
	return r;
}

int bench_run(struct bench *bench)
{
	return run_to_end(bench, bench->spec->process, NULL);
}

void bench_runs(struct bench *bench, const char *command)
{
	bench_command(bench->spec->process, command);
	cr_assert_eq(bench_run(bench), 0, "%s", bench->err.text);
}

void bench_refuses(struct bench *bench, const char *command, enum error_code code, const char *text)
{
	bench_command(bench->spec->process, command);
	cr_expect_eq(bench_run(bench), (int)code);
	cr_expect_str_eq(bench->err.text, text);
}

int bench_start(struct bench *bench)
{
	struct run run = { .bench = bench };
	int r = start(&run, bench->spec->process, NULL, -1);

	bench->init = run.launch;
	return r;
}

int bench_exec(struct bench *bench, const Grpc__Process *process)
{
	return run_to_end(bench, process, bench->init);
}

void bench_has(const struct bench *bench, const char *text)
{
	cr_expect_not_null(strstr(bench->output, text), "no '%s' in:\n%s", text, bench->output);
}

void bench_has_not(const struct bench *bench, const char *text)
{
	cr_expect_null(strstr(bench->output, text), "'%s' in:\n%s", text, bench->output);
}

void bench_has_lines(const struct bench *bench, const char *lines)
{
	autofree char *output = mem_printf("\n%s", bench->output);
	autofree char *wanted = mem_printf("\n%s\n", lines);

	cr_expect_not_null(strstr(output, wanted), "no line '%s' in:\n%s", lines, bench->output);
}
