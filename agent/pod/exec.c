#include "agent/pod/exec.h"

#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/pod/process.h"
#include "common/mem.h"
#include "proto/limits.h"
#include "proto/ttrpc/ttrpc_server.h"

struct exec {
	LIST_ENTRY(exec) link;
	struct exec_list *list;
	char *id;
	struct process *process;
	struct ttrpc_call *starting; /* NULL once it is answered */
	bool waited;                 /* a wait has been, or will be, answered */
};

struct exec_list {
	LIST_HEAD(, exec) all;
	unsigned int n;
};

struct exec_list *exec_list_create(void)
{
	struct exec_list *list = mem_new(struct exec_list);

	LIST_INIT(&list->all);
	return list;
}

static void exec_free(struct exec *exec)
{
	LIST_REMOVE(exec, link);
	exec->list->n--;
	process_destroy(exec->process);
	free(exec->id);
	free(exec);
}

void exec_list_destroy(struct exec_list *list, const struct error *why)
{
	struct exec *next;

	if (!list)
		return;
	for (struct exec *exec = LIST_FIRST(&list->all); exec; exec = next) {
		next = LIST_NEXT(exec, link);
		if (exec->starting)
			ttrpc_call_fail(exec->starting, why);
		exec_free(exec);
	}
	free(list);
}

bool exec_list_ended(const struct exec_list *list)
{
	const struct exec *exec;

	LIST_FOREACH (exec, &list->all, link)
		if (!process_exited(exec->process))
			return false;
	return true;
}

static bool has_ended(const struct exec *exec)
{
	return !exec->starting && exec->waited && process_exited(exec->process);
}

/* The exec is gone when nobody will ask for it any more. */
static void exec_free_if_done(struct exec *exec)
{
	if (has_ended(exec) && process_was_read(exec->process))
		exec_free(exec);
}

/* Those that nobody reads, but for the newest, and the one that had @id. */
static void free_unread(struct exec_list *list, const char *id)
{
	unsigned int unread = 0;
	struct exec *next;

	for (struct exec *exec = LIST_FIRST(&list->all); exec; exec = next) {
		next = LIST_NEXT(exec, link);
		if (has_ended(exec) && (++unread > EXECS_UNREAD_MAX || !strcmp(exec->id, id)))
			exec_free(exec);
	}
}

static void on_exited(void *ctx)
{
	exec_free_if_done(ctx);
}

static void on_started(void *ctx, const struct error *err)
{
	struct exec *exec = ctx;

	ttrpc_call_finish(take_ptr(&exec->starting), err);
	if (err)
		exec_free(exec);
	else
		exec_free_if_done(exec);
}

static void on_created(void *ctx, const struct error *cause)
{
	struct exec *exec = ctx;
	struct error err;

	if (cause)
		on_started(exec, cause);
	else if (process_start(exec->process, on_started, exec, &err) < 0)
		on_started(exec, &err);
}

int exec_start(struct exec_list *list, struct ev_loop *loop, struct streams *streams,
               const char *id, const struct process_config *config, struct ttrpc_call *call,
               struct error *err)
{
	struct process *process;
	struct exec *exec;
	int r;

	free_unread(list, id);
	if (exec_find(list, id))
		return error_set(err, ERROR_ALREADY_EXISTS, "process \"%s\" already exists", id);
	if (list->n == LIMIT_EXECS)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                 "too many execs: the container has %d that were not waited for",
		                 LIMIT_EXECS);
	exec = mem_new(struct exec);
	r = process_create(loop, streams, config, on_created, on_exited, exec, &process, err);
	if (r < 0) {
		free(exec);
		return r;
	}
	*exec = (struct exec){
		.list = list,
		.id = mem_strdup(id),
		.process = process,
		.starting = call,
	};
	LIST_INSERT_HEAD(&list->all, exec, link);
	list->n++;
	return 0;
}

struct exec *exec_find(const struct exec_list *list, const char *id)
{
	struct exec *exec;

	LIST_FOREACH (exec, &list->all, link)
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() moves the head */
		if (!strcmp(exec->id, id))
			break;
	return exec;
}

struct process *exec_process(const struct exec *exec)
{
	return exec->process;
}

void exec_wait(struct exec *exec, struct ttrpc_call *call, bool with_oom)
{
	exec->waited = true;
	process_wait(exec->process, call, with_oom);
	exec_free_if_done(exec);
}

int exec_read(struct exec *exec, int which, uint32_t len, struct ttrpc_call *call,
              struct error *err)
{
	int r = process_read(exec->process, which, len, call, err);

	exec_free_if_done(exec);
	return r;
}
