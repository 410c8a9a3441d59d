#include "agent/guest/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/guest/guest.h"
#include "agent/guest/modprobe.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/log.h"

#define CMDLINE_MAX      8192
#define MODULES          "/modules"
#define OPEN_FILES_MAX   1048576 /* the kernel's fs.nr_open; systemd gives containerd as many */
#define MODULE_NAMES_MAX 8192    /* bytes of /modules/order */

struct mount_row {
	const char *type;
	const char *target;
	unsigned long flags;
	const char *options;
};

#define SAFE (MS_NOSUID | MS_NOEXEC | MS_NODEV)

static const struct mount_row mounts[] = {
	{ "proc", "/proc", SAFE, NULL },
	{ "sysfs", "/sys", SAFE, NULL },
	{ "devtmpfs", "/dev", MS_NOSUID, "mode=755" },
	{ "devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=620,gid=5,ptmxmode=666" },
	{ "tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=755" },
	/* As systemd mounts it. nsdelegate: a container does not lift the limits of its cgroup. */
	{ "cgroup2", "/sys/fs/cgroup", SAFE, "nsdelegate,memory_recursiveprot" },
};

/*
 * pivot_root(2) refuses when the root is the initramfs, which has no parent mount. A bind mount of
 * it, moved over it, has one.
 */
static int leave_rootfs(struct error *err)
{
	mkdir("/mnt", 0755);
	if (mount("/", "/mnt", NULL, MS_BIND | MS_REC, NULL) < 0 || chdir("/mnt") < 0 ||
	    mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		return error_errno(err, "cannot make a root that containers can leave");
	return 0;
}

static int mount_all(struct error *err)
{
	for (size_t i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++) {
		const struct mount_row *row = &mounts[i];

		mkdir(row->target, 0755); /* it exists, or mount(2) says what is wrong */
		if (mount(row->type, row->target, row->type, row->flags, row->options) < 0)
			return error_errno(err, "cannot mount %s on \"%s\"", row->type,
			                   row->target);
	}
	return 0;
}

static void load_module(int dir, const char *name)
{
	autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != EEXIST))
		log_error("no module name=%s cause=\"%s\"", name, strerror(errno));
	unlinkat(dir, name, 0); /* its copy in the initramfs is memory */
}

/* An initramfs without modules has a kernel that needs none. */
static void load_modules(void)
{
	autoclose int dir = open(MODULES, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	autoclose int order = dir < 0 ? -1 : openat(dir, "order", O_RDONLY | O_CLOEXEC);
	char names[MODULE_NAMES_MAX];
	char *rest = names;
	char *name;
	ssize_t n;

	n = order < 0 ? -1 : read(order, names, sizeof(names) - 1);
	if (n < 0)
		return;
	names[n] = '\0';
	while ((name = strsep(&rest, "\n")))
		if (*name)
			load_module(dir, name);
}

/* The kernel gives lo its addresses when it comes up. */
static int raise_loopback(struct error *err)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &lo) < 0)
		return error_errno(err, "cannot bring up lo");
	return 0;
}

/* Upstream's kernel parameter; one that is a part of another word is none. */
static void read_log_level(void)
{
	autofree char *line = NULL;
	char *rest;
	char *word;

	if (file_read(AT_FDCWD, "/proc/cmdline", CMDLINE_MAX, &line, NULL) < 0)
		return;
	rest = line;
	while ((word = strsep(&rest, " \n")))
		if (!strcmp(word, "agent.log=debug"))
			log_set_level(LOG_LEVEL_DEBUG);
}

/* The kernel starts init with 1024. Containers inherit this, as those under runc inherit what
 * containerd is given; their spec may say less. */
static void raise_limits(void)
{
	struct rlimit files = { .rlim_cur = OPEN_FILES_MAX, .rlim_max = OPEN_FILES_MAX };

	setrlimit(RLIMIT_NOFILE, &files);
}

int boot_system(struct error *err)
{
	int r;

	umask(0);
	r = leave_rootfs(err);
	if (r == 0)
		r = mount_all(err);
	read_log_level();
	if (r == 0)
		r = raise_loopback(err);
	if (r == 0)
		load_modules();
	modprobe_announce();
	guest_take_memory_at_once();
	raise_limits();
	umask(022);
	return r;
}
