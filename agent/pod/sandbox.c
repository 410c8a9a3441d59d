#include "agent/pod/sandbox.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "agent/cgroup/oom.h"
#include "agent/guest/storage.h"
#include "agent/pod/container.h"
#include "agent/pod/host_limits.h"
#include "agent/pod/namespaces.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/mem.h"

#define SYSCTL_DIR "/proc/sys"

struct member {
	LIST_ENTRY(member) link;
	struct sandbox *sandbox;
	struct container *container;
	done_fn *created;
	void *created_ctx;
	done_fn *removed;
	void *removed_ctx;
	struct error cause; /* of a failed creation, told when nothing of it is left */
};

struct mounted {
	SLIST_ENTRY(mounted) link;
	char *point;
};

struct sandbox {
	struct ev_loop *loop;
	struct streams *streams;
	const char *cgroup_mount;
	struct oom *oom;
	struct pod_namespaces *namespaces;
	struct host_limits *limits; /* NULL: none came */
	bool set_up;
	SLIST_HEAD(, mounted) mounted; /* newest first */
	LIST_HEAD(, member) members;
	unsigned int nmembers;
	bool torn_down;          /* or on its way */
	struct errand *teardown; /* NULL: not under way */
	done_fn *on_torn_down;
	void *teardown_ctx;
};

struct sandbox *sandbox_create(struct ev_loop *loop, struct streams *streams,
                               const char *cgroup_mount)
{
	struct sandbox *sandbox = mem_new(struct sandbox);

	sandbox->loop = loop;
	sandbox->streams = streams;
	sandbox->cgroup_mount = cgroup_mount;
	sandbox->oom = oom_create(loop);
	sandbox->namespaces = pod_namespaces_create(loop);
	SLIST_INIT(&sandbox->mounted);
	LIST_INIT(&sandbox->members);
	return sandbox;
}

/* The last failure is told. */
static int unmount_each(const struct sandbox *sandbox, struct error *err)
{
	struct mounted *mounted;
	int r = 0;

	SLIST_FOREACH (mounted, &sandbox->mounted, link)
		if (storage_unmount(mounted->point, err) < 0)
			r = -1;
	return r;
}

static void forget_mounted(struct sandbox *sandbox)
{
	struct mounted *mounted;

	while ((mounted = SLIST_FIRST(&sandbox->mounted))) {
		SLIST_REMOVE_HEAD(&sandbox->mounted, link);
		free(mounted->point);
		free(mounted);
	}
}

static void unmount_all(struct sandbox *sandbox)
{
	struct error err;

	if (unmount_each(sandbox, &err) < 0)
		log_warn("storage stays mounted cause=\"%s\"", err.text);
	forget_mounted(sandbox);
}

static int mount_all(struct sandbox *sandbox, const Grpc__CreateSandboxRequest *request,
                     struct error *err)
{
	for (size_t i = 0; i < request->n_storages; i++) {
		const Grpc__Storage *storage = request->storages[i];
		struct mounted *mounted;

		if (storage_mount(storage, err) < 0)
			return error_wrap(err, "storages[%zu]", i);
		mounted = mem_new(struct mounted);
		mounted->point = mem_strdup(storage->mount_point);
		SLIST_INSERT_HEAD(&sandbox->mounted, mounted, link);
	}
	return 0;
}

static int refuse_unsupported(const Grpc__CreateSandboxRequest *request, struct error *err)
{
	const char *field = NULL;

	if (request->n_dns)
		field = "dns";
	else if (request->sandbox_pidns)
		field = "sandbox_pidns";
	else if (*request->guest_hook_path)
		field = "guest_hook_path";
	else if (request->n_kernel_modules)
		field = "kernel_modules";
	if (field)
		return error_set(err, ERROR_UNIMPLEMENTED, "CreateSandbox: %s: not supported",
		                 field);
	return 0;
}

static int take_limits(struct sandbox *sandbox, const Grpc__CreateSandboxRequest *request,
                       struct error *err)
{
	if (!request->n_host_rlimits && !request->n_host_sysctls)
		return 0;
	return host_limits_create(request, SYSCTL_DIR, &sandbox->limits, err);
}

int sandbox_setup(struct sandbox *sandbox, const Grpc__CreateSandboxRequest *request,
                  struct error *err)
{
	int r;

	if (sandbox->set_up)
		return error_set(err, ERROR_ALREADY_EXISTS, "the sandbox already exists");
	r = refuse_unsupported(request, err);
	if (r < 0)
		return r;
	if (*request->hostname && sethostname(request->hostname, strlen(request->hostname)) < 0)
		return error_errno(err, "cannot set the hostname \"%s\"", request->hostname);
	r = take_limits(sandbox, request, err);
	if (r == 0)
		r = mount_all(sandbox, request, err);
	if (r < 0) {
		unmount_all(sandbox);
		host_limits_destroy(take_ptr(&sandbox->limits));
		return r;
	}
	sandbox->set_up = true;
	return 0;
}

/* In a child process: both may wait for the host. */
static int write_back_and_unmount(void *ctx, struct errand_result *result, struct error *err)
{
	sync();
	return unmount_each(ctx, err);
}

static void on_torn_down(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (err)
		log_warn("storage stays mounted cause=\"%s\"", err->text);
	errand_destroy(take_ptr(&sandbox->teardown));
	forget_mounted(sandbox);
	sandbox->on_torn_down(sandbox->teardown_ctx, NULL);
}

static int refuse_destroyed(struct error *err)
{
	return error_set(err, ERROR_FAILED_PRECONDITION, "the sandbox is being destroyed");
}

int sandbox_teardown(struct sandbox *sandbox, done_fn *done, void *ctx, struct error *err)
{
	struct member *member;
	int r;

	if (sandbox->torn_down)
		return refuse_destroyed(err);
	LIST_FOREACH (member, &sandbox->members, link)
		container_kill(member->container, NULL);
	sandbox->on_torn_down = done;
	sandbox->teardown_ctx = ctx;
	r = errand_start(sandbox->loop, write_back_and_unmount, sandbox,
	                 SANDBOX_TEARDOWN_TIMEOUT_MS, on_torn_down, sandbox, &sandbox->teardown,
	                 err);
	sandbox->torn_down = r == 0;
	return r;
}

static struct member *find(const struct sandbox *sandbox, const char *id)
{
	struct member *member;

	LIST_FOREACH (member, &sandbox->members, link)
		if (!strcmp(container_id(member->container), id))
			break;
	return member;
}

static void member_free(struct member *member)
{
	LIST_REMOVE(member, link);
	member->sandbox->nmembers--;
	container_destroy(member->container);
	free(member);
}

static void on_undone(void *ctx, const struct error *err)
{
	struct member *member = ctx;

	if (err)
		log_error("what is left of a container that failed stays cause=\"%s\"", err->text);
	member->created(member->created_ctx, &member->cause);
	member_free(member);
}

static void on_created(void *ctx, const struct error *err)
{
	struct member *member = ctx;
	struct error undo; /* the cause is what is told */

	if (!err) {
		member->created(member->created_ctx, NULL);
		return;
	}
	error_copy(&member->cause, err);
	if (container_remove(member->container, on_undone, member, &undo) < 0)
		on_undone(member, &undo);
}

static int check_new(const struct sandbox *sandbox, const char *id, struct error *err)
{
	int r;

	if (sandbox->torn_down)
		return refuse_destroyed(err);
	r = container_check_id(id, err);
	if (r < 0)
		return r;
	if (find(sandbox, id))
		return error_set(err, ERROR_ALREADY_EXISTS, "container \"%s\" already exists", id);
	if (sandbox->nmembers == SANDBOX_CONTAINERS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "the sandbox has %d containers",
		                 SANDBOX_CONTAINERS_MAX);
	return 0;
}

int sandbox_add(struct sandbox *sandbox, const char *id, Grpc__Spec *spec, const uint32_t ports[3],
                done_fn *done, void *ctx, struct error *err)
{
	struct container_config config = {
		.id = id,
		.cgroup_mount = sandbox->cgroup_mount,
		.oom = sandbox->oom,
		.spec = spec,
		.limits = sandbox->limits,
		.ports = { ports[0], ports[1], ports[2] },
	};
	struct member *member;
	int r;

	r = check_new(sandbox, id, err);
	if (r == 0)
		r = pod_namespaces_complete(sandbox->namespaces, spec, err);
	if (r < 0) {
		grpc__spec__free_unpacked(spec, NULL);
		return r;
	}
	member = mem_new(struct member);
	r = container_create(sandbox->loop, sandbox->streams, &config, on_created, member,
	                     &member->container, err);
	if (r < 0) {
		free(member);
		return r;
	}
	member->sandbox = sandbox;
	member->created = done;
	member->created_ctx = ctx;
	LIST_INSERT_HEAD(&sandbox->members, member, link);
	sandbox->nmembers++;
	return 0;
}

static void on_removed(void *ctx, const struct error *err)
{
	struct member *member = ctx;
	done_fn *done = member->removed;
	void *done_ctx = member->removed_ctx;

	member->removed = NULL;
	if (!err)
		member_free(member);
	done(done_ctx, err);
}

int sandbox_remove(struct sandbox *sandbox, const char *id, done_fn *done, void *ctx,
                   struct error *err)
{
	struct member *member = find(sandbox, id);
	int r;

	if (!member)
		return error_set(err, ERROR_NOT_FOUND, "container \"%s\" does not exist", id);
	if (member->removed)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "container \"%s\" is being removed already", id);
	member->removed = done;
	member->removed_ctx = ctx;
	r = container_remove(member->container, on_removed, member, err);
	if (r < 0)
		member->removed = NULL;
	return r;
}

int sandbox_find(const struct sandbox *sandbox, const char *id, enum error_code unknown,
                 struct container **out, struct error *err)
{
	struct member *member = find(sandbox, id);

	if (!member)
		return error_set(err, unknown, "container \"%s\" does not exist", id);
	*out = member->container;
	return 0;
}

struct oom *sandbox_oom(const struct sandbox *sandbox)
{
	return sandbox->oom;
}

void sandbox_destroy(struct sandbox *sandbox)
{
	struct member *next;

	if (!sandbox)
		return;
	errand_destroy(sandbox->teardown);
	for (struct member *member = LIST_FIRST(&sandbox->members); member; member = next) {
		next = LIST_NEXT(member, link);
		member_free(member);
	}
	unmount_all(sandbox);
	pod_namespaces_destroy(sandbox->namespaces);
	oom_destroy(sandbox->oom);
	host_limits_destroy(sandbox->limits);
	free(sandbox);
}
