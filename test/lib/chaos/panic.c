/*
 * panic [MILLISECONDS]: makes the guest's kernel panic after that time; without it, when a line or
 * the end of its input comes. It outlives its container: it leaves the container's cgroup for the
 * guest's root, and the container has the pod's pid namespace. So it needs CAP_SYS_ADMIN and a
 * writable /proc/sysrq-trigger.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void must(int ok, const char *what)
{
	if (ok)
		return;
	perror(what);
	exit(1);
}

static void write_to(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	must(fd >= 0 && dprintf(fd, "%s", text) > 0, path);
	close(fd);
}

static void leave_cgroup(void)
{
	int ns = open("/proc/1/ns/cgroup", O_RDONLY);

	must(ns >= 0 && setns(ns, CLONE_NEWCGROUP) == 0, "join the cgroup namespace of PID 1");
	must(unshare(CLONE_NEWNS) == 0, "unshare");
	must(mount("cgroup2", "/tmp", "cgroup2", 0, NULL) == 0, "mount cgroup2");
	write_to("/tmp/cgroup.procs", "0");
	must(umount2("/tmp", MNT_DETACH) == 0, "umount");
}

int main(int argc, char **argv)
{
	char line[2];

	if (argc > 1) {
		usleep(1000 * atoi(argv[1]));
	} else {
		for (int number = 1; number < NSIG; number++)
			signal(number, SIG_IGN);
		leave_cgroup();
		puts("armed");
		fflush(stdout);
		(void)!read(STDIN_FILENO, line, sizeof(line));
	}
	write_to("/proc/sysrq-trigger", "c");
}
