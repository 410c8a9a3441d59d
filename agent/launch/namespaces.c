#include "agent/launch/namespaces.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"

static const struct {
	const char *type;
	uint64_t flag;
} rows[NAMESPACE_COUNT] = {
	[NAMESPACE_PID] = { "pid", CLONE_NEWPID },
	[NAMESPACE_MOUNT] = { "mount", CLONE_NEWNS },
	[NAMESPACE_IPC] = { "ipc", CLONE_NEWIPC },
	[NAMESPACE_UTS] = { "uts", CLONE_NEWUTS },
	[NAMESPACE_CGROUP] = { "cgroup", CLONE_NEWCGROUP },
	[NAMESPACE_NETWORK] = { "network", CLONE_NEWNET },
};

/* NAMESPACE_COUNT when it is none that we make. */
static enum namespace_kind kind_of(const char *type)
{
	unsigned int kind = 0;

	while (kind < NAMESPACE_COUNT && strcmp(rows[kind].type, type) != 0)
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

int namespaces_enter_pid(struct error *err)
{
	long pid = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);

	if (pid > 0)
		_exit(0);
	if (pid == 0)
		return 0;
	/* clone(2): ENOMEM when the namespace's init is gone. */
	return errno == ENOMEM ? refuse_ended(err)
	                       : error_errno(err, "cannot clone into the pid namespace");
}
