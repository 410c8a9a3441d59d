#include "hypervisor/fs/isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <malloc.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/error.h"
#include "hypervisor/fs/caller.h"

#define FILES_WANTED 1000000 /* each file that the guest knows has a descriptor */

/* An allowed system call; with @check, one argument of it is compared too. */
struct allowed {
	int number;
	bool check;
	struct scmp_arg_cmp argument;
};

/* clang-format off */
static const struct allowed allowed[] = {
	{ .number = SCMP_SYS(dup) },           /* fs.c: the root, again for a guest that starts anew */
	{ .number = SCMP_SYS(epoll_ctl) },     /* source.c */
	{ .number = SCMP_SYS(epoll_wait) },    /* server.c: the loop */
	{ .number = SCMP_SYS(write) },         /* vhost_user.c: interrupts; messages of say.c */
	{ .number = SCMP_SYS(recvmsg) },       /* vhost_user.c: with descriptors */
	{ .number = SCMP_SYS(sendmsg) },       /* vhost_user.c: answers */
	{ .number = SCMP_SYS(sendto) },        /* the same */
	{ .number = SCMP_SYS(close) },         /* inode.c, file.c */
	{ .number = SCMP_SYS(statx) },         /* inode.c */
	{ .number = SCMP_SYS(newfstatat) },    /* guest_memory.c: fstat(), for the file's length */
	{ .number = SCMP_SYS(fstatfs) },       /* node.c */
	{ .number = SCMP_SYS(openat) },        /* node.c, file.c, directory.c, name.c */
	{ .number = SCMP_SYS(readlinkat) },    /* node.c */
	{ .number = SCMP_SYS(mknodat) },       /* name.c */
	{ .number = SCMP_SYS(mkdirat) },       /* name.c */
	{ .number = SCMP_SYS(symlinkat) },     /* name.c */
	{ .number = SCMP_SYS(linkat) },        /* name.c */
	{ .number = SCMP_SYS(unlinkat) },      /* name.c */
	{ .number = SCMP_SYS(renameat) },      /* name.c: renameat2() without flags */
	{ .number = SCMP_SYS(renameat2) },     /* name.c */
	{ .number = SCMP_SYS(fchmodat) },      /* attr.c */
	{ .number = SCMP_SYS(fchownat) },      /* attr.c */
	{ .number = SCMP_SYS(ftruncate) },     /* attr.c */
	{ .number = SCMP_SYS(utimensat) },     /* attr.c */
	{ .number = SCMP_SYS(preadv) },        /* file.c */
	{ .number = SCMP_SYS(pwritev2) },      /* file.c */
	{ .number = SCMP_SYS(fsync) },         /* file.c */
	{ .number = SCMP_SYS(fdatasync) },     /* file.c */
	{ .number = SCMP_SYS(syncfs) },        /* file.c */
	{ .number = SCMP_SYS(lseek) },         /* file.c, directory.c */
	{ .number = SCMP_SYS(fallocate) },     /* file.c */
	{ .number = SCMP_SYS(copy_file_range) }, /* file.c */
	{ .number = SCMP_SYS(getdents64) },    /* directory.c */
	{ .number = SCMP_SYS(getxattr) },      /* xattr.c */
	{ .number = SCMP_SYS(listxattr) },     /* xattr.c */
	{ .number = SCMP_SYS(setxattr) },      /* xattr.c */
	{ .number = SCMP_SYS(removexattr) },   /* xattr.c */
	{ .number = SCMP_SYS(setfsuid) },      /* caller.c */
	{ .number = SCMP_SYS(setfsgid) },      /* caller.c */
	{ .number = SCMP_SYS(capset) },        /* caller.c */
	{ .number = SCMP_SYS(umask) },         /* caller.c */
	{ .number = SCMP_SYS(munmap) },        /* guest_memory.c; free() */
	{ .number = SCMP_SYS(brk) },           /* malloc() */
	{ .number = SCMP_SYS(mremap) },        /* realloc() */
	{ .number = SCMP_SYS(futex) },         /* closer.c */
	{ .number = SCMP_SYS(exit_group) },    /* main.c: the end */
	/* caller.c: cleared by each change of the user */
	{ SCMP_SYS(prctl), true, SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG, 0) },
	/* guest_memory.c, malloc(): nothing that could be executed */
	{ SCMP_SYS(mmap), true, SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0) },
	/* free(): memory goes back to the system */
	{ SCMP_SYS(madvise), true, SCMP_A2(SCMP_CMP_EQ, MADV_DONTNEED, 0) },
	/* vhost_user.c: a descriptor that was handed over must not block */
	{ SCMP_SYS(fcntl), true, SCMP_A1(SCMP_CMP_EQ, F_SETFL, 0) },
#ifdef __SANITIZE_ADDRESS__ /* the sanitizer's allocator and its report */
	{ .number = SCMP_SYS(read) },
	{ .number = SCMP_SYS(getrandom) },
	{ .number = SCMP_SYS(madvise) },
	{ .number = SCMP_SYS(mprotect) },
	{ .number = SCMP_SYS(sigaltstack) },
	{ .number = SCMP_SYS(getpid) },
	{ .number = SCMP_SYS(gettid) },
	{ .number = SCMP_SYS(sched_yield) },
	{ .number = SCMP_SYS(readlink) },
	{ .number = SCMP_SYS(getrlimit) },
	{ .number = SCMP_SYS(prlimit64) },
	{ .number = SCMP_SYS(open) },
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

static int set_limits(struct error *err)
{
	const struct rlimit none = { 0 };
	struct rlimit files = { .rlim_cur = FILES_WANTED, .rlim_max = FILES_WANTED };

	if (setrlimit(RLIMIT_CORE, &none) < 0)
		return error_errno(err, "cannot forbid core dumps");
	if (setrlimit(RLIMIT_NOFILE, &files) == 0)
		return 0;
	/* More than the system allows, or than this process may ask for. */
	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(err, "cannot read the limit of files");
	files.rlim_cur = files.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &files) < 0)
		return error_errno(err, "cannot raise the limit of files");
	return 0;
}

static int leave_namespaces(struct error *err)
{
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC) < 0)
		return error_errno(err, "cannot make namespaces");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_errno(err, "cannot make mounts private");
	return 0;
}

/* As a mount that is nowhere, whose root it is: ".." leads nowhere. */
static int open_descriptors(int *out, struct error *err)
{
	int fd = (int)syscall(SYS_open_tree, AT_FDCWD, "/proc/self/fd",
	                      OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return error_errno(err, "cannot open \"/proc/self/fd\"");
	*out = fd; /* stays open: the mount goes with it */
	return 0;
}

static int enter_directory(const char *dir, int *root, struct error *err)
{
	if (mount(dir, dir, NULL, MS_BIND | MS_REC, NULL) < 0 || chdir(dir) < 0 ||
	    syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
		return error_errno(err, "cannot make \"%s\" the root directory", dir);
	*root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*root < 0)
		return error_errno(err, "cannot open \"%s\"", dir);
	return 0;
}

/* A change of the user for files takes no capability then. */
static int keep_capabilities(struct error *err)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

	for (int i = 0; i <= CAP_LAST_CAP; i++)
		if (!(CALLER_CAPABILITIES >> i & 1) && prctl(PR_CAPBSET_DROP, i) < 0 &&
		    errno != EINVAL)
			return error_errno(err, "cannot drop capability %d", i);
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED) < 0)
		return error_errno(err, "cannot keep capabilities");
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		data[i].effective = (uint32_t)(CALLER_CAPABILITIES >> (32 * i));
		data[i].permitted = data[i].effective;
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		return error_errno(err, "cannot drop the capabilities");
	return 0;
}

/* Set after the changes that clear it, and then the parent may have gone already. */
static int die_with_parent(pid_t parent, struct error *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return error_errno(err, "cannot set the parent death signal");
	if (getppid() != parent)
		return error_set(err, ERROR_CANCELED, "the parent has gone");
	return 0;
}

int isolate(const struct isolate *isolate, int *root, struct error *err)
{
	int descriptors = -1;
	int r = set_limits(err);

	if (r == 0)
		r = leave_namespaces(err);
	if (r == 0)
		r = open_descriptors(&descriptors, err);
	if (r == 0)
		r = enter_directory(isolate->dir, root, err);
	if (r == 0 && fchdir(descriptors) < 0)
		r = error_errno(err, "cannot enter \"/proc/self/fd\"");
	if (r == 0)
		r = keep_capabilities(err);
	if (r < 0)
		return r;
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_errno(err, "cannot set the process attributes");
	return die_with_parent(isolate->parent, err);
}

int isolate_calls(struct error *err)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int r = filter ? 0 : -ENOMEM;

	/* As a tree: each request of the guest is a few calls. */
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (r == 0)
		r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
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
