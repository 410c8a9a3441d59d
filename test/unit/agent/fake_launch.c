/*
 * agent/pod/launch.h without containers: plain children of the test, in no namespace and no cgroup of
 * their own. Linked into a test it takes the place of the real one.
 */
#include "agent/pod/launch.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"
#include "test/unit/agent/fakes.h"

struct launch {
	struct ev_loop *loop;
	pid_t pid;
	int pidfd;
	int go; /* a byte lets the child pass; -1: it has */
	ev_timer later;
	launch_created_fn *on_created;
	void *created_ctx;
	done_fn *on_run;
	void *run_ctx;
	bool missing;
	int console; /* the terminal's master, until it is handed over; -1: none */
};

struct fake_child fake_children[FAKE_CHILDREN_MAX];
size_t fake_nchildren;

/* Of a master, in the child. */
static void take_terminal(int console)
{
	int slave;

	setsid();
	slave = open(ptsname(console), O_RDWR);
	for (int i = 0; i < 3; i++)
		dup2(slave, i);
}

static void child(const struct launch_config *config, int console, int go)
{
	char *argv[8] = { NULL };
	char byte;

	memcpy(argv, config->process->args, config->process->n_args * sizeof(argv[0]));
	if (console >= 0)
		take_terminal(console);
	for (int i = 0; i < 3; i++)
		if (config->stdio[i] >= 0)
			dup2(config->stdio[i], i);
	if (read(go, &byte, 1) == 1)
		execvp(argv[0], argv);
	_exit(FAKE_KILLED_EARLY);
}

static void on_later(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct launch *launch = watcher->data;
	struct error err;

	error_set(&err, ERROR_NOT_FOUND, "exec: \"nosuch\": executable file not found in $PATH");
	if (launch->on_run)
		launch->on_run(launch->run_ctx, NULL);
	else
		launch->on_created(launch->created_ctx, take_fd(&launch->console),
		                   launch->missing ? &err : NULL);
}

int launch_create(struct ev_loop *loop, const struct launch_config *config,
                  launch_created_fn *on_created, void *ctx, struct launch **out, struct error *err)
{
	struct launch *launch = mem_new(struct launch);
	int go[2];

	if (pipe(go) < 0)
		return error_errno(err, "pipe");
	launch->loop = loop;
	launch->go = go[1];
	launch->on_created = on_created;
	launch->created_ctx = ctx;
	launch->console = config->process->terminal ? posix_openpt(O_RDWR | O_CLOEXEC) : -1;
	if (launch->console >= 0)
		unlockpt(launch->console);
	launch->missing = !strcmp(config->process->args[0], "nosuch");
	launch->pid = fork();
	if (launch->pid == 0) {
		close(go[1]);
		child(config, launch->console, go[0]);
	}
	close(go[0]);
	launch->pidfd = (int)syscall(SYS_pidfd_open, launch->pid, 0);
	fake_children[fake_nchildren++ % FAKE_CHILDREN_MAX] =
		(struct fake_child){ launch->pid, config->cgroup_fd,
		                     !config->init && config->pid_namespace >= 0 };
	ev_timer_init(&launch->later, on_later, 0, 0);
	launch->later.data = launch;
	ev_timer_start(loop, &launch->later);
	*out = launch;
	return 0;
}

int launch_run(struct launch *launch, done_fn *done, void *ctx, struct error *err)
{
	launch->on_run = done;
	launch->run_ctx = ctx;
	if (write(launch->go, "g", 1) != 1)
		return error_errno(err, "go");
	close(launch->go);
	launch->go = -1;
	ev_timer_start(launch->loop, &launch->later);
	return 0;
}

pid_t launch_pid(const struct launch *launch)
{
	return launch->pid;
}

int launch_pidfd(const struct launch *launch)
{
	return launch->pidfd;
}

void launch_destroy(struct launch *launch)
{
	if (!launch)
		return;
	ev_timer_stop(launch->loop, &launch->later);
	if (launch->go >= 0) {
		syscall(SYS_pidfd_send_signal, launch->pidfd, SIGKILL, NULL, 0);
		close(launch->go);
	}
	close(launch->pidfd);
	cleanup_close(&launch->console);
	free(launch);
}
