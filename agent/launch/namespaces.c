#include "agent/launch/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

static const struct {
	const char *type;
	uint64_t flag;
	const char *alias; /* upstream's runtime-rs says the kernel's names; NULL: the same */
} rows[NAMESPACE_COUNT] = {
	[NAMESPACE_PID] = { "pid", CLONE_NEWPID, NULL },
	[NAMESPACE_MOUNT] = { "mount", CLONE_NEWNS, "mnt" },
	[NAMESPACE_IPC] = { "ipc", CLONE_NEWIPC, NULL },
	[NAMESPACE_UTS] = { "uts", CLONE_NEWUTS, NULL },
	[NAMESPACE_CGROUP] = { "cgroup", CLONE_NEWCGROUP, NULL },
	[NAMESPACE_NETWORK] = { "network", CLONE_NEWNET, "net" },
};

static bool is_named(enum namespace_kind kind, const char *type)
{
	return !strcmp(rows[kind].type, type) ||
	       (rows[kind].alias && !strcmp(rows[kind].alias, type));
}

/* NAMESPACE_COUNT when it is none that we make. */
static enum namespace_kind kind_of(const char *type)
{
	unsigned int kind = 0;

	while (kind < NAMESPACE_COUNT && !is_named(kind, type))
		kind++;
	return kind;
}

static const Grpc__LinuxNamespace *find(const Grpc__Spec *spec, enum namespace_kind kind)
{
	size_t i;

	for (i = 0; spec->linux && i < spec->linux->n_namespaces; i++)
		if (kind_of(spec->linux->namespaces[i]->type) == kind)
			return spec->linux->namespaces[i];
	return NULL;
}

static int check_one(const Grpc__LinuxNamespace *row, bool *seen, struct error *err)
{
	enum namespace_kind kind = kind_of(row->type);

	if (!strcmp(row->type, "user") || !strcmp(row->type, "time"))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "linux.namespaces: a %s namespace: not supported", row->type);
	if (kind == NAMESPACE_COUNT)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid linux.namespaces type \"%s\": unknown", row->type);
	if (seen[kind])
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid linux.namespaces type \"%s\": duplicate", row->type);
	seen[kind] = true;
	if (kind == NAMESPACE_MOUNT && *row->path)
		return error_set(
			err, ERROR_UNIMPLEMENTED,
			"linux.namespaces: joining the mount namespace \"%s\": not supported",
			row->path);
	return 0;
}

int namespaces_check(const Grpc__Spec *spec, struct error *err)
{
	bool seen[NAMESPACE_COUNT] = { false };
	size_t i;
	int r;

	for (i = 0; spec->linux && i < spec->linux->n_namespaces; i++) {
		r = check_one(spec->linux->namespaces[i], seen, err);
		if (r < 0)
			return r;
	}
	if (!seen[NAMESPACE_MOUNT])
		return error_set(
			err, ERROR_UNIMPLEMENTED,
			"linux.namespaces: a container without a mount namespace: not supported");
	return 0;
}

bool namespaces_has(const Grpc__Spec *spec, enum namespace_kind kind)
{
	return find(spec, kind) != NULL;
}

const char *namespaces_pid_path(const Grpc__Spec *spec)
{
	const Grpc__LinuxNamespace *row = find(spec, NAMESPACE_PID);

	return row && *row->path ? row->path : NULL;
}

int namespaces_open_pid(pid_t pid, int pidfd, struct error *err)
{
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	autofree char *path = mem_printf("/proc/%d/ns/pid", pid);
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

	/* Looked at after it: then the pid was nobody else's. */
	if (poll(&end, 1, 0) != 0)
		return error_set(err, ERROR_FAILED_PRECONDITION, "it has ended");
	if (fd < 0)
		return error_errno(err, "cannot open \"%s\"", path);
	return take_fd(&fd);
}

int namespaces_check_pid(int pid_namespace, struct error *err)
{
	struct stat ours, theirs;

	if (stat("/proc/self/ns/pid", &ours) < 0 || fstat(pid_namespace, &theirs) < 0)
		return error_errno(err, "cannot stat a pid namespace");
	if (ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino)
		return error_set(err, ERROR_PERMISSION_DENIED, "the pid namespace is the agent's");
	return 0;
}

uint64_t namespaces_clone_flags(const Grpc__Spec *spec)
{
	uint64_t flags = 0;
	unsigned int kind;

	for (kind = 0; kind < NAMESPACE_COUNT; kind++) {
		const Grpc__LinuxNamespace *row = find(spec, kind);

		if (row && !*row->path && kind != NAMESPACE_CGROUP && kind != NAMESPACE_NETWORK)
			flags |= rows[kind].flag;
	}
	return flags;
}

static int join_path(const Grpc__LinuxNamespace *row, uint64_t flag, struct error *err)
{
	autoclose int fd = open(row->path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, (int)flag) < 0)
		return error_errno(err, "cannot join the %s namespace \"%s\"", row->type,
		                   row->path);
	return 0;
}

int namespaces_enter(const Grpc__Spec *spec, struct error *err)
{
	unsigned int kind;
	int r;

	for (kind = NAMESPACE_MOUNT; kind < NAMESPACE_COUNT; kind++) {
		const Grpc__LinuxNamespace *row = find(spec, kind);

		if (!row || !*row->path)
			continue;
		r = join_path(row, rows[kind].flag, err);
		if (r < 0)
			return r;
	}
	if (namespaces_has(spec, NAMESPACE_CGROUP) && !*find(spec, NAMESPACE_CGROUP)->path &&
	    unshare(CLONE_NEWCGROUP) < 0)
		return error_errno(err, "cannot make a cgroup namespace");
	return 0;
}

static int refuse_ended(struct error *err)
{
	return error_set(err, ERROR_FAILED_PRECONDITION, "the container's process has ended");
}

int namespaces_join(int pidfd, struct error *err)
{
	int flags = CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWNET |
	            CLONE_NEWPID;

	if (setns(pidfd, flags) == 0)
		return 0;
	return errno == ESRCH ? refuse_ended(err)
	                      : error_errno(err, "cannot join the container's namespaces");
}

int namespaces_join_pid(int pid_namespace, struct error *err)
{
	if (setns(pid_namespace, CLONE_NEWPID) < 0)
		return error_errno(err, "cannot join it");
	return 0;
}

int namespaces_enter_pid(const char *what, struct error *err)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid > 0) /* _exit() is more than a system call where sanitizers are */
		syscall(SYS_exit_group, 0);
	if (pid == 0)
		return 0;
	if (errno == ENOMEM) /* clone(2): the namespace's init is gone */
		return error_set(err, ERROR_FAILED_PRECONDITION, "%s has ended", what);
	return error_errno(err, "cannot clone into the pid namespace");
}
