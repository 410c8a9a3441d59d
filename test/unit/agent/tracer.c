/*
 * An attacker with CAP_SYS_PTRACE, PID 1 of a container: it seizes each process of its pid namespace
 * as soon as that is there, stops it, writes what it has got, a line each, and lets it go:
 *
 *	<pid> root=own|empty|other mount=own|other caps=<effective> nonewprivs=<n> seccomp=<n> fds=<n>
 *	<command>, on the same line
 *
 * It looks at the pids that come next and, now and then, at all of /proc. A marker file ends it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define REPORT "/report"
#define END    "/end"
#define AHEAD  6   /* pids that may come next */
#define LOOPS  500 /* between looks at /proc and for the end */

static const char *compare(pid_t pid, const char *name)
{
	char path[64];
	struct stat ours;
	struct stat theirs;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	if (stat(path, &ours) < 0)
		return "unknown";
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	if (stat(path, &theirs) < 0)
		return "unknown";
	return ours.st_dev == theirs.st_dev && ours.st_ino == theirs.st_ino ? "own" : "other";
}

static int count_entries(pid_t pid, const char *name)
{
	char path[64];
	DIR *dir;
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	dir = opendir(path);
	if (!dir)
		return -1;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 2;
}

static const char *describe_root(pid_t pid)
{
	return count_entries(pid, "root/") == 0 ? "empty" : compare(pid, "root/.");
}

static size_t read_proc(pid_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? 0 : read(fd, text, size - 1);
	n = n < 0 ? 0 : n;
	text[n] = '\0';
	close(fd);
	return n;
}

static const char *field(const char *status, const char *name, char out[32])
{
	const char *found = strstr(status, name);

	if (!found || sscanf(found + strlen(name), "%31s", out) != 1)
		snprintf(out, 32, "none");
	return out;
}

static void report(pid_t pid, int to)
{
	char status[4096];
	char command[256];
	char words[3][32];
	size_t len = read_proc(pid, "cmdline", command, sizeof(command));

	read_proc(pid, "status", status, sizeof(status));
	for (size_t i = 0; i + 1 < len; i++)
		if (!command[i])
			command[i] = ' ';
	dprintf(to, "%d root=%s mount=%s caps=%s nonewprivs=%s seccomp=%s fds=%d %s\n", pid,
	        describe_root(pid), compare(pid, "ns/mnt"), field(status, "CapEff:", words[0]),
	        field(status, "NoNewPrivs:", words[1]), field(status, "Seccomp:", words[2]),
	        count_entries(pid, "fd"), command);
}

/* Whether there was such a process. */
static int seize(pid_t pid, int to)
{
	int status;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return errno != ESRCH;
	if (ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 &&
	    waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status))
		report(pid, to);
	ptrace(PTRACE_DETACH, pid, NULL, NULL);
	return 1;
}

static pid_t newest(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	pid_t last = 1;

	if (!proc)
		return last;
	while ((entry = readdir(proc)))
		if (atoi(entry->d_name) > last)
			last = atoi(entry->d_name);
	closedir(proc);
	return last;
}

int main(void)
{
	int to = open(REPORT, O_WRONLY | O_CREAT | O_APPEND, 0600);
	pid_t last = 1;

	for (unsigned int i = 0; i % LOOPS || access(END, F_OK) < 0; i++) {
		pid_t seen = i % LOOPS ? last : newest();

		for (pid_t pid = last + 1; pid <= (seen > last ? seen : last + AHEAD); pid++)
			if (seize(pid, to))
				last = pid;
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	return 0;
}
