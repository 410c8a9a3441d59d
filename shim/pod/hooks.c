#include "shim/pod/hooks.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "shim/host/hook.h"
#include "shim/spec/guest_spec.h"

#define MS_PER_S 1000

/* Where a hook of nerdctl's finds the network namespace, which it takes from the pid otherwise. Both
 * of upstream's runtimes set it (create.go, manager.rs). */
#define NETNS_ANNOTATION "nerdctl/network-namespace"

struct list {
	size_t n;
	Grpc__Hook **all;
};

struct hooks {
	char *id;
	char *dir; /* the bundle */
	char *version;
	char *netns; /* that the spec names; NULL: none */
	json_t *annotations;
	struct list lists[4]; /* as in @kinds */
	/* Of the run: */
	struct ev_loop *loop;
	enum hooks_stage stage;
	size_t kind, next;
	pid_t pid;
	const int *mounts;
	struct hook *running; /* NULL: none */
	done_fn *done;
	void *ctx;
};

/* In the order in which they run. */
static const struct {
	const char *name;
	enum hooks_stage stage;
	const char *status; /* that the state tells */
} kinds[] = {
	{ "prestart", HOOKS_CREATE, "creating" },
	{ "createRuntime", HOOKS_CREATE, "creating" },
	{ "poststart", HOOKS_POSTSTART, "running" },
	{ "poststop", HOOKS_POSTSTOP, "stopped" },
};

#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static int check(const struct list *list, const char *name, struct error *err)
{
	for (size_t i = 0; i < list->n; i++) {
		const Grpc__Hook *hook = list->all[i];

		if (hook->path[0] != '/')
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid hooks.%s[%zu].path \"%s\": not absolute", name, i,
			                 hook->path);
		if (hook->timeout < 0 || hook->timeout > INT_MAX / MS_PER_S)
			return error_set(err, ERROR_INVALID_ARGUMENT,
			                 "invalid hooks.%s[%zu].timeout \"%lld\": expected 1 to %d",
			                 name, i, (long long)hook->timeout, INT_MAX / MS_PER_S);
	}
	return 0;
}

static struct list take(size_t *n, Grpc__Hook ***all)
{
	struct list list = { *n, *all };

	*n = 0;
	*all = NULL;
	return list;
}

static json_t *read_annotations(const Grpc__Spec *spec)
{
	json_t *object = json_object();

	for (size_t i = 0; i < spec->n_annotations; i++)
		json_object_set_new(object, spec->annotations[i]->key,
		                    json_string(spec->annotations[i]->value));
	return object;
}

int hooks_take(Grpc__Spec *spec, const char *id, const char *bundle_dir, struct hooks **out,
               struct error *err)
{
	autodestroy(hooks) struct hooks *hooks = NULL;
	Grpc__Hooks *from = spec->hooks;
	size_t n = 0;

	*out = NULL;
	if (!from)
		return 0;
	hooks = mem_new(struct hooks);
	hooks->lists[0] = take(&from->n_prestart, &from->prestart);
	hooks->lists[1] = take(&from->n_createruntime, &from->createruntime);
	hooks->lists[2] = take(&from->n_poststart, &from->poststart);
	hooks->lists[3] = take(&from->n_poststop, &from->poststop);
	hooks->id = mem_strdup(id);
	hooks->dir = mem_strdup(bundle_dir);
	hooks->version = mem_strdup(spec->version);
	hooks->netns = guest_spec_netns(spec) ? mem_strdup(guest_spec_netns(spec)) : NULL;
	hooks->annotations = read_annotations(spec);
	if (check(&(struct list){ from->n_createcontainer, from->createcontainer },
	          "createContainer", err) < 0 ||
	    check(&(struct list){ from->n_startcontainer, from->startcontainer }, "startContainer",
	          err) < 0)
		return error_code_errno(err->code);
	for (size_t i = 0; i < KINDS; i++) {
		int r = check(&hooks->lists[i], kinds[i].name, err);

		if (r < 0)
			return r;
		n += hooks->lists[i].n;
	}
	if (n)
		*out = take_ptr(&hooks);
	return 0;
}

static void free_list(struct list *list)
{
	for (size_t i = 0; i < list->n; i++)
		grpc__hook__free_unpacked(list->all[i], NULL);
	free(list->all);
}

void hooks_destroy(struct hooks *hooks)
{
	if (!hooks)
		return;
	hook_destroy(hooks->running);
	for (size_t i = 0; i < KINDS; i++)
		free_list(&hooks->lists[i]);
	json_decref(hooks->annotations);
	free(hooks->netns);
	free(hooks->version);
	free(hooks->dir);
	free(hooks->id);
	free(hooks);
}

int hooks_make_due(const struct hooks *hooks, struct error *err)
{
	autofree char *path = hooks ? mem_printf("%s/" HOOKS_DUE, hooks->dir) : NULL;

	return path ? file_write(AT_FDCWD, path, 0600, "", 0, err) : 0;
}

void hooks_make_undue(const struct hooks *hooks)
{
	autofree char *path = hooks ? mem_printf("%s/" HOOKS_DUE, hooks->dir) : NULL;

	if (path && unlink(path) < 0 && errno != ENOENT)
		log_warn("cannot remove \"%s\": errno %d", path, errno);
}

/* One that the client has set is not ours. A namespace without a path of its own ends before the
 * poststop hooks. */
static json_t *state_annotations(const struct hooks *hooks)
{
	json_t *object = json_copy(hooks->annotations);

	json_object_del(object, NETNS_ANNOTATION);
	if (hooks->netns)
		json_object_set_new(object, NETNS_ANNOTATION, json_string(hooks->netns));
	else if (hooks->stage != HOOKS_POSTSTOP)
		json_object_set_new(object, NETNS_ANNOTATION,
		                    json_sprintf("/proc/%d/ns/net", (int)hooks->pid));
	return object;
}

/* Of the container (runtime.md, "State"). free() it. */
static char *state_of(const struct hooks *hooks)
{
	json_t *state = json_pack("{s:s, s:s, s:s, s:s, s:o}", "ociVersion", hooks->version, "id",
	                          hooks->id, "status", kinds[hooks->kind].status, "bundle",
	                          hooks->dir, "annotations", state_annotations(hooks));
	char *text;

	if (hooks->stage != HOOKS_POSTSTOP)
		json_object_set_new(state, "pid", json_integer(hooks->pid));
	text = json_dumps(state, JSON_COMPACT);
	json_decref(state);
	return text;
}

static void run_next(struct hooks *hooks);

static void finish(struct hooks *hooks, const struct error *err)
{
	hooks->done(hooks->ctx, err);
}

static void on_ended(void *ctx, const struct error *err)
{
	struct hooks *hooks = ctx;
	struct error named;

	if (err) {
		error_copy(&named, err);
		error_wrap(&named, "hooks.%s[%zu]", kinds[hooks->kind].name, hooks->next - 1);
	}
	hook_destroy(take_ptr(&hooks->running));
	if (!err) {
		run_next(hooks);
	} else if (hooks->stage == HOOKS_CREATE) {
		finish(hooks, &named);
	} else {
		log_warn("container=%s: %s", hooks->id, named.text);
		run_next(hooks);
	}
}

static void start_one(struct hooks *hooks, const Grpc__Hook *hook)
{
	autofree char *state = state_of(hooks);
	const struct hook_config config = {
		.path = hook->path,
		.args = hook->args,
		.n_args = hook->n_args,
		.env = hook->env,
		.n_env = hook->n_env,
		.timeout_ms = (int)hook->timeout * MS_PER_S,
		.dir = hooks->dir,
		.mounts = hooks->mounts,
		.input = state,
	};
	struct error err;

	if (hook_start(hooks->loop, &config, on_ended, hooks, &hooks->running, &err) < 0)
		on_ended(hooks, &err);
}

/* Its last act may be the callback, which may destroy the hooks. */
static void run_next(struct hooks *hooks)
{
	while (hooks->kind < KINDS && (kinds[hooks->kind].stage != hooks->stage ||
	                               hooks->next == hooks->lists[hooks->kind].n)) {
		hooks->kind++;
		hooks->next = 0;
	}
	if (hooks->kind == KINDS)
		finish(hooks, NULL);
	else
		start_one(hooks, hooks->lists[hooks->kind].all[hooks->next++]);
}

void hooks_run(struct hooks *hooks, struct ev_loop *loop, enum hooks_stage stage, pid_t pid,
               const int *mounts, done_fn *done, void *ctx)
{
	if (!hooks) {
		done(ctx, NULL);
		return;
	}
	hooks->loop = loop;
	hooks->stage = stage;
	hooks->kind = hooks->next = 0;
	hooks->pid = pid;
	hooks->mounts = mounts;
	hooks->done = done;
	hooks->ctx = ctx;
	run_next(hooks);
}
