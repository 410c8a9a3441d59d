#include "hypervisor/vsock/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <malloc.h>
#include <seccomp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/vsock/flow.h"

/* A flow has two descriptors at most: its end, and the socket of who asked for it. */
#define FILES_MAX (2 * (FLOWS_HOST_MAX + FLOWS_GREETING_MAX + FLOWS_GUEST_MAX) + 64)

/* An allowed system call; with @check, one argument of it is compared too. */
struct allowed {
	int number;
	bool check;
	struct scmp_arg_cmp argument;
};

/* clang-format off */
static const struct allowed allowed[] = {
	{ .number = SCMP_SYS(epoll_create1) }, /* device.c: once, at its start */
	{ .number = SCMP_SYS(epoll_ctl) },     /* source.c */
	{ .number = SCMP_SYS(epoll_wait) },    /* device.c: the loop */
	{ .number = SCMP_SYS(write) },         /* vhost_user.c: interrupts; messages of say.c */
	{ .number = SCMP_SYS(readv) },         /* endpoint.c: the host's end */
	{ .number = SCMP_SYS(writev) },        /* endpoint.c: the host's end */
	{ .number = SCMP_SYS(accept4) },       /* device.c: a process connects */
	{ .number = SCMP_SYS(recvfrom) },      /* line.c: is there a line? */
	{ .number = SCMP_SYS(recvmsg) },       /* line.c, vhost_user.c: with descriptors */
	{ .number = SCMP_SYS(sendmsg) },       /* line.c */
	{ .number = SCMP_SYS(sendto) },        /* vhost_user.c: answers */
	{ .number = SCMP_SYS(connect) },       /* flow.c: the guest connects to the host; resets */
	{ .number = SCMP_SYS(shutdown) },      /* flow.c: half-closed streams */
	{ .number = SCMP_SYS(close) },         /* what came by a socket */
	{ .number = SCMP_SYS(newfstatat) },    /* guest_memory.c: fstat(), for the file's length */
	{ .number = SCMP_SYS(munmap) },        /* guest_memory.c; free() */
	{ .number = SCMP_SYS(brk) },           /* malloc() */
	{ .number = SCMP_SYS(mremap) },        /* realloc() */
	{ .number = SCMP_SYS(exit_group) },    /* main.c: the end */
	/* guest_memory.c, malloc(): nothing that could be executed */
	{ SCMP_SYS(mmap), true, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
	/* free(), malloc_trim(): memory goes back to the system */
	{ SCMP_SYS(madvise), true, SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED, 0) },
	/* flow.c: the guest connects to the host */
	{ SCMP_SYS(socket), true, SCMP_A0(SCMP_CMP_EQ, AF_UNIX, 0) },
	/* flow.c, vhost_user.c: a descriptor that was handed over must not block */
	{ SCMP_SYS(fcntl), true, SCMP_A1(SCMP_CMP_EQ, F_GETFL, 0) },
	{ SCMP_SYS(fcntl), true, SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0) },
	/* flow.c: a FIFO is made larger */
	{ SCMP_SYS(fcntl), true, SCMP_A1(SCMP_CMP_EQ, F_GETPIPE_SZ, 0) },
	{ SCMP_SYS(fcntl), true, SCMP_A1(SCMP_CMP_EQ, F_SETPIPE_SZ, 0) },
#ifdef __SANITIZE_ADDRESS__ /* the sanitizer's allocator and its report */
	{ .number = SCMP_SYS(read) },
	{ .number = SCMP_SYS(getrandom) },
	{ .number = SCMP_SYS(madvise) },
	{ .number = SCMP_SYS(mprotect) },
	{ .number = SCMP_SYS(sigaltstack) },
	{ .number = SCMP_SYS(getpid) },
	{ .number = SCMP_SYS(gettid) },
	{ .number = SCMP_SYS(futex) },
	{ .number = SCMP_SYS(sched_yield) },
	{ .number = SCMP_SYS(readlink) },
	{ .number = SCMP_SYS(getrlimit) },
	{ .number = SCMP_SYS(prlimit64) },
	{ .number = SCMP_SYS(open) },
	{ .number = SCMP_SYS(openat) },
	{ .number = SCMP_SYS(ioctl) }, /* isatty() */
	{ .number = SCMP_SYS(rt_sigprocmask) },
	{ .number = SCMP_SYS(rt_sigaction) },
#endif
};
/* clang-format on */

static int add_rule(scmp_filter_ctx filter, const struct allowed *row)
{
	return seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, row->number, row->check,
	                              row->check ? &row->argument : NULL);
}

static int restrict_calls(struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < sizeof(allowed) / sizeof(allowed[0]); i++)
		r = add_rule(filter, &allowed[i]);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	malloc_trim(0); /* the filter was the largest thing that this process ever holds */
	if (r < 0)
		return error_set(err, ERROR_UNKNOWN, "cannot load the seccomp filter: error %d",
		                 -r);
	return 0;
}

static int limit(int resource, rlim_t wanted, struct error *err)
{
	const struct rlimit limit = { .rlim_cur = wanted, .rlim_max = wanted };

	if (setrlimit(resource, &limit) < 0)
		return error_errno(err, "cannot limit resource %d to %lu", resource,
		                   (unsigned long)wanted);
	return 0;
}

static int enter_directory(const char *dir, struct error *err)
{
	if (chdir(dir) < 0 || chroot(".") < 0)
		return error_errno(err, "cannot make \"%s\" the root directory", dir);
	return 0;
}

static int drop_credentials(uid_t uid, gid_t gid, struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	if (uid && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	            setresuid(uid, uid, uid) < 0))
		return error_errno(err, "cannot become uid %u", (unsigned int)uid);
	if (syscall(SYS_capset, &header, none) < 0)
		return error_errno(err, "cannot drop the capabilities");
	return 0;
}

/* The kernel forgets the death signal when the uid changes: it is set here, after that, and then
 * the parent may have gone already. */
static int die_with_parent(pid_t parent, struct error *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_errno(err, "cannot set the parent death signal");
	if (getppid() != parent)
		return error_set(err, ERROR_CANCELED, "the parent has gone");
	return 0;
}

int isolate(const struct isolate *isolate, struct error *err)
{
	int r = limit(RLIMIT_CORE, 0, err);

	/* With fewer files than there may be flows accept(2) would fail again and again. */
	if (r == 0)
		r = limit(RLIMIT_NOFILE, FILES_MAX, err);
	if (r == 0)
		r = enter_directory(isolate->dir, err);
	if (r == 0)
		r = drop_credentials(isolate->uid, isolate->gid, err);
	if (r == 0)
		r = die_with_parent(isolate->parent, err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "cannot set the process attributes");
	return restrict_calls(err);
}
