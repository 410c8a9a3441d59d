#include "agent/pod/container_list.h"

#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>

#include "agent/cgroup/device_rules.h"
#include "agent/guest/memory_pressure.h"
#include "agent/guest/stale_paths.h"
#include "agent/guest/storage.h"
#include "agent/launch/namespaces.h"
#include "agent/pod/client.h"
#include "agent/pod/container.h"
#include "agent/pod/container_disks.h"
#include "agent/pod/huge_pages.h"
#include "agent/pod/namespaces.h"
#include "common/cleanup.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/loop/seq.h"
#include "common/mem.h"
#include "proto/limits.h"

#define IPTABLES_TIMEOUT_MS   5000
#define HUGE_PAGES_TIMEOUT_MS 30000

struct member {
	LIST_ENTRY(member) link;
	struct container_list *list;
	struct container *container;
	struct storage_set *storages;
	struct container_disks *disks;
	struct pod_namespaces_join join;
	bool may_filter;        /* it may set iptables up */
	struct errand *errand;  /* NULL: none is under way */
	bool shares_pids;       /* the pod's */
	char *pid_namespace_of; /* another container's id; "": none */
	const Grpc__CreateContainerRequest
		*request;     /* for the first step, which the call sees end */
	struct seq *creation; /* NULL: it has been made */
	bool removing;
	done_fn *done; /* of the creation or the removal; NULL: none is under way */
	void *ctx;
};

struct container_list {
	struct container_list_config config;
	bool has_iptables;              /* the kernel */
	struct device_program *devices; /* the last one */
	struct stale_paths *stale;      /* directories of the share whose containers have gone */
	LIST_HEAD(, member) members;
	unsigned int n;
};

struct container_list *container_list_create(const struct container_list_config *config)
{
	struct container_list *list = mem_new(struct container_list);

	list->config = *config;
	list->devices = device_program_create();
	list->stale = stale_paths_create(config->loop, STALE_PATHS_DELAY_S, stale_path_look_up);
	LIST_INIT(&list->members);
	return list;
}

static struct member *find(const struct container_list *list, const char *id)
{
	struct member *member;

	LIST_FOREACH (member, &list->members, link)
		if (!strcmp(container_id(member->container), id))
			break;
	return member;
}

static void member_free(struct member *member)
{
	LIST_REMOVE(member, link);
	member->list->n--;
	seq_destroy(member->creation);
	errand_destroy(member->errand);
	pod_namespaces_leave(&member->join);
	storage_set_destroy(member->storages);
	container_disks_destroy(member->disks);
	container_destroy(member->container);
	free(member->pid_namespace_of);
	free(member);
}

/* What was asked for has ended. @gone: the container is no more. */
static void member_end(struct member *member, bool gone, const struct error *err)
{
	done_fn *done = member->done;
	void *ctx = member->ctx;

	member->done = NULL;
	if (gone)
		member_free(member);
	done(ctx, err);
}

static void claim_storages(struct seq *seq, void *ctx)
{
	struct member *member = ctx;
	const Grpc__CreateContainerRequest *request = take_ptr(&member->request);
	struct error err;

	if (storage_set_claim(member->storages, request->storages, request->n_storages, &err) < 0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}

static void await_disks(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	container_disks_await(member->disks, seq_resume, seq);
}

static void cancel_disks(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	container_disks_cancel(member->disks);
}

static void release_storages(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	storage_set_release(member->storages, seq_resume, seq);
}

static void mount_storages(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	storage_set_mount(member->storages, seq_resume, seq);
}

static void cancel_mounts(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	storage_set_cancel(member->storages);
}

static void on_joined(void *ctx, const struct error *err)
{
	struct member *member = ctx;

	if (!err)
		container_join_pid_namespace(member->container, member->join.pid_namespace);
	seq_resume(member->creation, err);
}

static int join_pod(struct member *member, struct error *err)
{
	member->join.done = on_joined;
	member->join.ctx = member;
	return pod_namespaces_join_pid(member->list->config.namespaces, &member->join, err);
}

static int open_pid_namespace_of(const struct member *of, int *out, struct error *err)
{
	if (!of)
		return error_set(err, ERROR_FAILED_PRECONDITION, "it does not exist");
	return container_open_pid_namespace(of->container, out, err);
}

static int join_container(struct member *member, struct error *err)
{
	const char *id = member->pid_namespace_of;
	int pid_namespace = -1;

	if (open_pid_namespace_of(find(member->list, id), &pid_namespace, err) < 0)
		return error_wrap(err, "cannot join the pid namespace of container \"%s\"", id);
	container_join_pid_namespace(member->container, pid_namespace);
	seq_next(member->creation);
	return 0;
}

static bool needs_pid_namespace(const Grpc__Spec *spec)
{
	return spec->linux && !namespaces_has(spec, NAMESPACE_PID);
}

static void join_namespaces(struct seq *seq, void *ctx)
{
	struct member *member = ctx;
	struct error err;
	int r = 0;

	if (*member->pid_namespace_of)
		r = join_container(member, &err);
	else if (member->shares_pids || needs_pid_namespace(container_spec(member->container)))
		r = join_pod(member, &err);
	else
		seq_next(seq);
	if (r < 0)
		seq_fail(seq, &err);
}

static void cancel_join(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	pod_namespaces_leave(&member->join);
}

static void make_cgroup(struct seq *seq, void *ctx)
{
	struct member *member = ctx;
	struct error err;

	if (container_make_cgroup(member->container, &err) < 0)
		seq_fail(seq, &err);
	else
		seq_next(seq);
}

/* Also of what is in it. */
static void remove_cgroup(struct seq *seq, void *ctx)
{
	struct member *member = ctx;
	struct error err;

	if (container_remove(member->container, seq_resume, seq, &err) < 0)
		seq_fail(seq, &err);
}

/*
 * The kernel asks for modules of netfilter one by one, but not for the first, since iptables asks for
 * that by its own modprobe: where it may, it is there.
 */
static int load_iptables(void *ctx, struct errand_result *result, struct error *err)
{
	const struct container_list *list = ctx;
	bool ipv4 = list->config.load_module("ip_tables");
	bool ipv6 = list->config.load_module("ip6_tables");

	return ipv4 && ipv6 ? 0 : error_set(err, ERROR_NOT_FOUND, "no module for iptables");
}

/* An image may have none, and the container not need any. */
static void on_iptables_loaded(void *ctx, const struct error *err)
{
	struct member *member = ctx;

	member->list->has_iptables |= !err;
	if (err)
		log_debug("%s", err->text);
	errand_destroy(take_ptr(&member->errand));
	seq_next(member->creation);
}

static void prepare_filters(struct seq *seq, void *ctx)
{
	struct member *member = ctx;
	struct container_list *list = member->list;
	struct error err;

	if (!member->may_filter || !list->config.load_module || list->has_iptables)
		seq_next(seq);
	else if (errand_start(list->config.loop, load_iptables, list, IPTABLES_TIMEOUT_MS,
	                      on_iptables_loaded, member, &member->errand, &err) < 0)
		on_iptables_loaded(member, &err);
}

static void cancel_errand(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	errand_destroy(take_ptr(&member->errand));
}

static void on_huge_pages_kept(void *ctx, const struct error *err)
{
	struct member *member = ctx;

	errand_destroy(take_ptr(&member->errand));
	seq_resume(member->creation, err);
}

static const Grpc__LinuxResources *resources_of(const struct member *member)
{
	const Grpc__Spec *spec = container_spec(member->container);

	return spec->linux ? spec->linux->resources : NULL;
}

/* What those that have gone have left is given back when the next one comes that has some. */
static void keep_huge_pages(struct seq *seq, void *ctx)
{
	struct member *member = ctx;
	struct container_list *list = member->list;
	struct huge_pages pages = { .dir = HUGE_PAGES_DIR };
	struct member *other;
	struct error err;

	if (!huge_pages_add(&pages, resources_of(member))) {
		seq_next(seq);
		return;
	}
	LIST_FOREACH (other, &list->members, link)
		if (other != member)
			huge_pages_add(&pages, resources_of(other));
	if (errand_start(list->config.loop, huge_pages_keep, &pages, HUGE_PAGES_TIMEOUT_MS,
	                 on_huge_pages_kept, member, &member->errand, &err) < 0)
		seq_fail(seq, &err);
}

static void launch_init(struct seq *seq, void *ctx)
{
	struct member *member = ctx;
	struct error err;

	if (container_launch(member->container, seq_resume, seq, &err) < 0)
		seq_fail(seq, &err);
}

static void cancel_launch(struct seq *seq, void *ctx)
{
	struct member *member = ctx;

	container_cancel_launch(member->container);
}

/* clang-format off */
static const struct seq_step creation_steps[] = {
	{ "claim storages", claim_storages, release_storages, NULL },
	{ "await the disks", await_disks, NULL, cancel_disks },
	{ "mount storages", mount_storages, NULL, cancel_mounts },
	{ "join the pod's namespaces", join_namespaces, NULL, cancel_join },
	{ "make the cgroup", make_cgroup, remove_cgroup, NULL },
	{ "prepare filters", prepare_filters, NULL, cancel_errand },
	{ "keep huge pages", keep_huge_pages, NULL, cancel_errand },
	{ "launch init", launch_init, NULL, cancel_launch },
	{ 0 },
};
/* clang-format on */

static void on_created(void *ctx, const struct error *err)
{
	struct member *member = ctx;

	seq_destroy(take_ptr(&member->creation));
	memory_pressure_watch(member->list->config.pressure);
	member_end(member, err != NULL, err);
}

static int check_new(const struct container_list *list, const char *id, struct error *err)
{
	int r;

	r = container_check_id(id, err);
	if (r < 0)
		return r;
	if (find(list, id))
		return error_set(err, ERROR_ALREADY_EXISTS, "container \"%s\" already exists", id);
	if (list->n == LIMIT_CONTAINERS)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "the sandbox has %d containers",
		                 LIMIT_CONTAINERS);
	return 0;
}

static bool may_filter(const Grpc__Spec *spec)
{
	const Grpc__LinuxCapabilities *caps =
		spec && spec->process ? spec->process->capabilities : NULL;

	for (size_t i = 0; caps && i < caps->n_bounding; i++)
		if (!strcmp(caps->bounding[i], "CAP_NET_ADMIN"))
			return true;
	return false;
}

/* Takes the spec out of @request. */
static int make_container(const struct container_list *list, Grpc__CreateContainerRequest *request,
                          const struct host_limits *limits, struct container **out,
                          struct error *err)
{
	struct container_config config = {
		.id = request->container_id,
		.cgroup_mount = list->config.cgroup_mount,
		.client = list->config.client,
		.oom = list->config.oom,
		.devices = list->devices,
		.limits = limits,
		.is_alone = list->n == 0,
		.ports = { request->stdin_port, request->stdout_port, request->stderr_port },
	};

	client_complete_namespaces(list->config.client, request);
	config.spec = take_ptr(&request->oci);
	return container_create(list->config.loop, list->config.streams, &config, out, err);
}

int container_list_add(struct container_list *list, Grpc__CreateContainerRequest *request,
                       const struct host_limits *limits, done_fn *done, void *ctx,
                       struct error *err)
{
	autofree char *title = mem_printf("create container=%s", request->container_id);
	autodestroy(container_disks) struct container_disks *disks = NULL;
	struct container *container = NULL;
	bool filters = may_filter(request->oci);
	struct member *member;
	int r;

	r = check_new(list, request->container_id, err);
	if (r == 0)
		r = container_disks_create(&list->config.disks, request, request->oci, &disks, err);
	if (r == 0)
		r = make_container(list, request, limits, &container, err);
	if (r < 0)
		return r;
	member = mem_new(struct member);
	member->list = list;
	member->container = container;
	member->disks = take_ptr(&disks);
	member->storages = storage_set_create(list->config.storages);
	member->request = request;
	member->may_filter = filters;
	member->shares_pids = request->sandbox_pidns;
	member->pid_namespace_of = mem_strdup(request->pid_namespace_of);
	member->creation = seq_create(title, creation_steps, member, on_created);
	seq_set_quiet(member->creation); /* the console takes its bytes one by one, each an exit */
	member->done = done;
	member->ctx = ctx;
	LIST_INSERT_HEAD(&list->members, member, link);
	list->n++;
	seq_start(member->creation);
	return 0;
}

static void on_released(void *ctx, const struct error *err)
{
	struct member *member = ctx;

	if (err)
		log_warn("a storage stays mounted container=%s cause=\"%s\"",
		         container_id(member->container), err->text);
	member_end(member, true, NULL);
}

/* The host removes it now: a container's own directory, in which its root file system is. */
static void add_stale(struct member *member)
{
	const char *rootfs = container_spec(member->container)->root->path;
	const char *slash = strrchr(rootfs, '/');
	autofree char *dir = slash ? mem_printf("%.*s", (int)(slash - rootfs), rootfs) : NULL;

	if (dir && *dir)
		stale_paths_add(member->list->stale, dir);
}

static void on_removed(void *ctx, const struct error *err)
{
	struct member *member = ctx;

	if (!err) {
		add_stale(member);
		storage_set_release(member->storages, on_released, member);
		return;
	}
	member->removing = false;
	member_end(member, false, err);
}

/* NULL with *@r: there is none, or it is still being made. */
static struct member *find_made(const struct container_list *list, const char *id,
                                enum error_code unknown, int *r, struct error *err)
{
	struct member *member = find(list, id);

	if (member && !member->creation)
		return member;
	if (member)
		*r = error_set(err, ERROR_FAILED_PRECONDITION, "container \"%s\" is being created",
		               id);
	else
		*r = error_set(err, unknown, "container \"%s\" does not exist", id);
	return NULL;
}

int container_list_remove(struct container_list *list, const char *id, done_fn *done, void *ctx,
                          struct error *err)
{
	int r = 0;
	struct member *member = find_made(list, id, ERROR_NOT_FOUND, &r, err);

	if (!member)
		return r;
	if (member->removing)
		return error_set(err, ERROR_FAILED_PRECONDITION,
		                 "container \"%s\" is being removed already", id);
	member->removing = true;
	member->done = done;
	member->ctx = ctx;
	r = container_remove(member->container, on_removed, member, err);
	if (r < 0) {
		member->removing = false;
		member->done = NULL;
	}
	return r;
}

int container_list_find(const struct container_list *list, const char *id, enum error_code unknown,
                        struct container **out, struct error *err)
{
	int r = 0;
	struct member *member = find_made(list, id, unknown, &r, err);

	if (member)
		*out = member->container;
	return r;
}

void container_list_kill(struct container_list *list, const struct error *why)
{
	struct member *next;

	for (struct member *member = LIST_FIRST(&list->members); member; member = next) {
		next = LIST_NEXT(member, link);
		if (member->creation)
			seq_cancel(member->creation, why);
		else
			container_kill(member->container, NULL);
	}
}

void container_list_destroy(struct container_list *list, const struct error *why)
{
	struct member *next;

	if (!list)
		return;
	for (struct member *member = LIST_FIRST(&list->members); member; member = next) {
		next = LIST_NEXT(member, link);
		if (member->done)
			member_end(member, true, why);
		else
			member_free(member);
	}
	stale_paths_destroy(list->stale);
	device_program_destroy(list->devices);
	free(list);
}
