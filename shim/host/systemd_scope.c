#include "shim/host/systemd_scope.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/loop/proc.h"
#include "common/mem.h"
#include "shim/host/cgroup_mounts.h"

#define BOOTED       "/run/systemd/system"
#define V1_HIERARCHY "name=systemd"
#define HOW_MAX      100

struct systemd_scope {
	struct ev_loop *loop;
	struct proc *proc;
	char *unit;
	ev_timer deadline;
	done_fn *done;
	void *ctx;
};

bool systemd_runs(void)
{
	return access(BOOTED, F_OK) == 0;
}

/* Its last act is the callback, which may free the scope. */
static void on_exit_status(void *ctx, int status)
{
	struct systemd_scope *scope = ctx;
	char how[HOW_MAX];
	struct error err;

	ev_timer_stop(scope->loop, &scope->deadline);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		scope->done(scope->ctx, NULL);
		return;
	}
	proc_describe(status, how, sizeof(how));
	error_set(&err, ERROR_UNKNOWN, "systemd does not make the scope \"%s\": systemd-run %s",
	          scope->unit, how);
	scope->done(scope->ctx, &err);
}

static void on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct systemd_scope *scope = timer->data;
	struct error err;

	proc_destroy(take_ptr(&scope->proc));
	error_set(&err, ERROR_DEADLINE_EXCEEDED,
	          "systemd has not made the scope \"%s\" after %.0f ms", scope->unit,
	          timer->repeat * 1e3);
	ev_timer_stop(loop, timer);
	scope->done(scope->ctx, &err);
}

/* Its own of v1, else v2; NULL: neither is there. */
static const struct cgroup_mount *find_hierarchy(const struct cgroup_mounts *mounts)
{
	const struct cgroup_mount *v2 = NULL;

	for (size_t i = 0; i < mounts->n; i++) {
		if (strcmp(mounts->list[i].controllers, V1_HIERARCHY) == 0)
			return &mounts->list[i];
		if (mounts->list[i].is_v2)
			v2 = &mounts->list[i];
	}
	return v2;
}

static int spawn(struct systemd_scope *scope, const struct systemd_scope_config *config,
                 const struct cgroup_mount *mount, struct error *err)
{
	autofree char *unit = mem_printf("--unit=%s", config->unit);
	autofree char *slice = mem_printf("--slice=%s", config->slice);
	autofree char *pid = mem_printf("%d", (int)getpid());
	autofree char *procs = mem_printf("%s%s/cgroup.procs", mount->dir, config->dir);
	const char *const argv[] = {
		config->program,
		"--scope",
		"--quiet",
		"--collect",
		"--property=Delegate=yes",
		"--property=DefaultDependencies=no",
		unit,
		slice,
		"--description=virtual machine of a pod",
		"--",
		"/bin/sh",
		"-c",
		"echo \"$0\" >\"$1\"",
		pid,
		procs,
		NULL,
	};
	const struct proc_spec spec = { .argv = argv };

	return proc_spawn(scope->loop, &spec, on_exit_status, scope, &scope->proc, err);
}

int systemd_scope_start(struct ev_loop *loop, const struct systemd_scope_config *config,
                        done_fn *done, void *ctx, struct systemd_scope **out, struct error *err)
{
	const struct cgroup_mount *mount = find_hierarchy(config->mounts);
	autodestroy(systemd_scope) struct systemd_scope *scope = mem_new(struct systemd_scope);
	int r;

	if (!mount)
		return error_set(err, ERROR_NOT_FOUND, "no cgroup hierarchy of systemd is mounted");
	scope->loop = loop;
	scope->unit = mem_strdup(config->unit);
	scope->done = done;
	scope->ctx = ctx;
	ev_timer_init(&scope->deadline, on_deadline, 0, config->timeout_ms / 1e3);
	scope->deadline.data = scope;
	r = spawn(scope, config, mount, err);
	if (r < 0)
		return r;
	ev_timer_again(loop, &scope->deadline);
	*out = take_ptr(&scope);
	return 0;
}

void systemd_scope_destroy(struct systemd_scope *scope)
{
	if (!scope)
		return;
	ev_timer_stop(scope->loop, &scope->deadline);
	proc_destroy(scope->proc);
	free(scope->unit);
	free(scope);
}
