/*
 * agent/pod/init.h without containers: plain children of the test, in no namespace and no cgroup of
 * their own. Linked into a test it takes the place of the real one.
 */
#include "agent/pod/init.h"

#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/mem.h"
#include "test/unit/agent/fakes.h"

struct init {
	struct ev_loop *loop;
	pid_t pid;
	int pidfd;
	int go; /* a byte lets the child pass; -1: it has */
	ev_timer later;
	init_created_fn *on_created;
	void *created_ctx;
	done_fn *on_run;
	void *run_ctx;
	bool missing;
};

struct fake_child fake_children[FAKE_CHILDREN_MAX];
size_t fake_nchildren;

static void child(const struct init_config *config, int go)
{
	char *argv[8] = { NULL };
	char byte;

	memcpy(argv, config->process->args, config->process->n_args * sizeof(argv[0]));
	for (int i = 0; i < 3; i++)
		if (config->stdio[i] >= 0)
			dup2(config->stdio[i], i);
	if (read(go, &byte, 1) == 1)
		execvp(argv[0], argv);
	_exit(FAKE_KILLED_EARLY);
}

static void on_later(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct init *init = watcher->data;
	struct error err;

	error_set(&err, ERROR_NOT_FOUND, "exec: \"nosuch\": executable file not found in $PATH");
	if (init->on_run)
		init->on_run(init->run_ctx, NULL);
	else
		init->on_created(init->created_ctx, -1, init->missing ? &err : NULL);
}

int init_create(struct ev_loop *loop, const struct init_config *config, init_created_fn *on_created,
                void *ctx, struct init **out, struct error *err)
{
	struct init *init = mem_new(struct init);
	int go[2];

	if (pipe(go) < 0)
		return error_errno(err, "pipe");
	init->loop = loop;
	init->go = go[1];
	init->on_created = on_created;
	init->created_ctx = ctx;
	init->missing = !strcmp(config->process->args[0], "nosuch");
	init->pid = fork();
	if (init->pid == 0) {
		close(go[1]);
		child(config, go[0]);
	}
	close(go[0]);
	init->pidfd = (int)syscall(SYS_pidfd_open, init->pid, 0);
	fake_children[fake_nchildren++ % FAKE_CHILDREN_MAX] =
		(struct fake_child){ init->pid, config->cgroup_fd };
	ev_timer_init(&init->later, on_later, 0, 0);
	init->later.data = init;
	ev_timer_start(loop, &init->later);
	*out = init;
	return 0;
}

int init_run(struct init *init, done_fn *done, void *ctx, struct error *err)
{
	init->on_run = done;
	init->run_ctx = ctx;
	if (write(init->go, "g", 1) != 1)
		return error_errno(err, "go");
	close(init->go);
	init->go = -1;
	ev_timer_start(init->loop, &init->later);
	return 0;
}

pid_t init_pid(const struct init *init)
{
	return init->pid;
}

int init_pidfd(const struct init *init)
{
	return init->pidfd;
}

void init_destroy(struct init *init)
{
	if (!init)
		return;
	ev_timer_stop(init->loop, &init->later);
	if (init->go >= 0) {
		syscall(SYS_pidfd_send_signal, init->pidfd, SIGKILL, NULL, 0);
		close(init->go);
	}
	close(init->pidfd);
	free(init);
}
