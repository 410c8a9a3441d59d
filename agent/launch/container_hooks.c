#include "agent/launch/container_hooks.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/errno_text.h"
#include "agent/launch/seccomp.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define PRINTED_MAX 200 /* of what a hook has printed last, for the error */

int container_hooks_check(const struct container_hooks *hooks, struct error *err)
{
	char why[ERRNO_TEXT_SIZE];

	for (size_t i = 0; i < hooks->n; i++)
		if (access(hooks->all[i]->path, X_OK) < 0)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "hooks.%s[%zu].path \"%s\" in the container: %s",
			                 hooks->name, i, hooks->all[i]->path,
			                 errno_text(errno, why));
	return 0;
}

/* In memory: a hook that reads it late, or never, holds up nobody. */
static int make_state(const struct container_hooks *hooks, struct error *err)
{
	autoclose int fd = memfd_create("state", MFD_CLOEXEC);
	json_t *state = json_pack("{s:s, s:s, s:s, s:i, s:s}", "ociVersion", hooks->version, "id",
	                          hooks->container_id, "status", hooks->status, "pid",
	                          (int)getpid(), "bundle", "/");
	int r = state && fd >= 0 ? json_dumpfd(state, fd, JSON_COMPACT) : -1;

	json_decref(state);
	if (r < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return error_errno(err, "cannot write the state for hooks");
	return take_fd(&fd);
}

static char **list_of(char *const *strings, size_t n, char *otherwise)
{
	char **list = mem_alloc((n + 2) * sizeof(*list));

	for (size_t i = 0; i < n; i++)
		list[i] = strings[i];
	if (n == 0)
		list[0] = otherwise;
	return list;
}

static int filter(const struct seccomp *profile)
{
	struct error err;

	if (!profile || seccomp_install(profile, &err) == 0)
		return 0;
	dprintf(STDERR_FILENO, "%s\n", err.text);
	return -1;
}

/* Never returns. */
static void __attribute__((noreturn))
execute(const struct container_hooks *hooks, size_t i, int state, int output)
{
	const Grpc__Hook *hook = hooks->all[i];
	autofree char **args = list_of(hook->args, hook->n_args, hook->path);
	autofree char **env = list_of(hook->env, hook->n_env, NULL);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (dup2(state, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
	    dup2(output, STDERR_FILENO) >= 0 && filter(hooks->filter) == 0) {
		execve(hook->path, args, env);
		dprintf(STDERR_FILENO, "%m\n");
	}
	_exit(127);
}

/* Its last line. */
static void read_printed(int output, char text[PRINTED_MAX + 1])
{
	off_t size = lseek(output, 0, SEEK_END);
	ssize_t n = pread(output, text, PRINTED_MAX, size > PRINTED_MAX ? size - PRINTED_MAX : 0);
	char *line;

	text[n < 0 ? 0 : n] = '\0';
	while (*text && strchr("\r\n ", text[strlen(text) - 1]))
		text[strlen(text) - 1] = '\0';
	line = strrchr(text, '\n');
	if (line)
		memmove(text, line + 1, strlen(line));
}

static int seconds_left(const struct timespec *deadline)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return deadline->tv_sec > now.tv_sec ? (int)(deadline->tv_sec - now.tv_sec) : 0;
}

/*
 * Its status, or -ETIMEDOUT after it was killed. SIGCHLD is blocked: it wakes the wait, also for
 * others that end in the container, whose first process this may be.
 */
static int wait_for(pid_t pid, int timeout_s, const sigset_t *chld)
{
	struct timespec deadline;
	int status = -ECHILD;

	clock_gettime(CLOCK_MONOTONIC, &deadline);
	deadline.tv_sec += timeout_s + 1;
	while (waitpid(pid, &status, WNOHANG) == 0) {
		struct timespec left = { .tv_sec = seconds_left(&deadline) };

		if (left.tv_sec == 0) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			return -ETIMEDOUT;
		}
		sigtimedwait(chld, NULL, &left);
	}
	return status;
}

static int judge(const struct container_hooks *hooks, size_t i, int status, int output,
                 struct error *err)
{
	const Grpc__Hook *hook = hooks->all[i];
	char printed[PRINTED_MAX + 1];

	if (status == 0)
		return 0;
	read_printed(output, printed);
	if (status == -ETIMEDOUT)
		return error_set(err, ERROR_DEADLINE_EXCEEDED,
		                 "hooks.%s[%zu] \"%s\" was killed: not ended in time", hooks->name,
		                 i, hook->path);
	return error_set(err, ERROR_UNKNOWN, "hooks.%s[%zu] \"%s\" %s %d%s%s", hooks->name, i,
	                 hook->path,
	                 WIFEXITED(status) ? "exited with status" : "was killed by signal",
	                 WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
	                 *printed ? ": " : "", printed);
}

static int run(const struct container_hooks *hooks, size_t i, int state, const sigset_t *chld,
               struct error *err)
{
	const Grpc__Hook *hook = hooks->all[i];
	autoclose int output = memfd_create("output", MFD_CLOEXEC);
	pid_t pid;

	if (output < 0 || lseek(state, 0, SEEK_SET) < 0)
		return error_errno(err, "cannot prepare hooks.%s[%zu]", hooks->name, i);
	pid = fork();
	if (pid < 0)
		return error_errno(err, "cannot make a process for hooks.%s[%zu]", hooks->name, i);
	if (pid == 0)
		execute(hooks, i, state, output);
	return judge(
		hooks, i,
		wait_for(pid, hook->timeout ? (int)hook->timeout : CONTAINER_HOOK_TIMEOUT_S, chld),
		output, err);
}

int container_hooks_run(const struct container_hooks *hooks, struct error *err)
{
	autoclose int state = -1;
	sigset_t chld, before;
	int r = 0;

	if (hooks->n == 0)
		return 0;
	state = make_state(hooks, err);
	if (state < 0)
		return state;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, &before);
	for (size_t i = 0; i < hooks->n && r == 0; i++)
		r = run(hooks, i, state, &chld, err);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return r;
}
