/*
 * Loaded into a shim that runs in valgrind, which does not know pidfd_send_signal(2) (3.27): the
 * same by kill(2), which is as good for children that nobody has waited for.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags);

static int pid_of(int pidfd)
{
	char path[64], line[128];
	int pid = -1;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "Pid: %d", &pid) == 1)
			break;
	if (file)
		fclose(file);
	return pid;
}

int pidfd_send_signal(int pidfd, int sig, siginfo_t *info, unsigned int flags)
{
	int pid = pid_of(pidfd);

	if (pid > 0)
		return kill(pid, sig);
	errno = ESRCH;
	return -1;
}

/* What the shim starts runs without it; valgrind's launcher must hand it on. */
__attribute__((constructor)) static void begin(void)
{
	char exe[4096] = "";

	if (readlink("/proc/self/exe", exe, sizeof(exe) - 1) > 0 &&
	    !strcmp(strrchr(exe, '/'), "/shim"))
		unsetenv("LD_PRELOAD");
}
