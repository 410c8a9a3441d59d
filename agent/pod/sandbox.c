#include "agent/pod/sandbox.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/oom.h"
#include "agent/guest/memory_pressure.h"
#include "agent/guest/metrics.h"
#include "agent/guest/pci_path.h"
#include "agent/guest/resolv_conf.h"
#include "agent/guest/storage.h"
#include "agent/launch/sysctl.h"
#include "agent/pod/container_list.h"
#include "agent/pod/host_limits.h"
#include "agent/pod/namespaces.h"
#include "common/log.h"
#include "common/loop/errand.h"
#include "common/loop/seq.h"
#include "common/mem.h"

struct sandbox {
	struct ev_loop *loop;
	const char *root;
	uint64_t scrapes; /* of its metrics */
	char *sysctl_dir;
	struct network *network;
	const struct client *client;
	struct oom *oom;
	struct memory_pressure *pressure;
	struct storage_list *storages;
	struct storage_set *own; /* that CreateSandbox asked for */
	struct pod_namespaces *namespaces;
	struct host_limits *limits; /* NULL: none came */
	struct container_list *containers;
	bool set_up;
	const Grpc__CreateSandboxRequest *request; /* until the setup first waits */
	struct seq *setup;                         /* NULL: not under way */
	done_fn *on_set_up;
	void *setup_ctx;
	bool torn_down; /* or on its way */
	struct disk_wait_config disks;
	struct errand *teardown; /* NULL: not under way */
	done_fn *on_torn_down;
	void *teardown_ctx;
};

struct sandbox *sandbox_create(const struct sandbox_config *config)
{
	struct sandbox *sandbox = mem_new(struct sandbox);
	struct container_list_config containers;

	sandbox->loop = config->loop;
	sandbox->root = config->root;
	sandbox->sysctl_dir = mem_printf("%s/proc/sys", config->root);
	sandbox->network = config->network;
	sandbox->client = config->client;
	sandbox->oom = oom_create(config->loop);
	sandbox->pressure = memory_pressure_create(config->loop, config->pressure_file);
	sandbox->storages = storage_list_create(config->loop, config->storage_drivers);
	sandbox->own = storage_set_create(sandbox->storages);
	sandbox->namespaces = pod_namespaces_create(config->loop);
	sandbox->disks = (struct disk_wait_config){
		.loop = config->loop,
		.uevents = config->uevents,
		.root = PCI_PATH_SYSFS,
		.timeout_ms = DISK_WAIT_TIMEOUT_MS,
	};
	containers = (struct container_list_config){
		.loop = config->loop,
		.streams = config->streams,
		.client = config->client,
		.cgroup_mount = config->cgroup_mount,
		.oom = sandbox->oom,
		.pressure = sandbox->pressure,
		.storages = sandbox->storages,
		.namespaces = sandbox->namespaces,
		.disks = sandbox->disks,
		.load_module = config->load_module,
	};
	sandbox->containers = container_list_create(&containers);
	return sandbox;
}

static int refuse_unsupported(const Grpc__CreateSandboxRequest *request, struct error *err)
{
	const char *field = NULL;

	if (*request->guest_hook_path)
		field = "guest_hook_path";
	else if (request->n_kernel_modules)
		field = "kernel_modules";
	if (field)
		return error_set(err, ERROR_UNIMPLEMENTED, "%s: not supported", field);
	return 0;
}

static int check(const Grpc__CreateSandboxRequest *request, struct error *err)
{
	int r = refuse_unsupported(request, err);

	for (size_t i = 0; r == 0 && i < request->n_sysctls; i++)
		r = sysctl_check_pod(request->sysctls[i]->key, err);
	if (r == 0)
		r = resolv_conf_check(request->dns, request->n_dns, err);
	return r;
}

static void set_host_name(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	const char *name = sandbox->request->hostname;
	struct error err;

	if (*name && sethostname(name, strlen(name)) < 0) {
		error_errno(&err, "cannot set the hostname \"%s\"", name);
		err.code = ERROR_INVALID_ARGUMENT;
		seq_fail(seq, &err);
		return;
	}
	seq_next(seq);
}

static void take_limits(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	const Grpc__CreateSandboxRequest *request = sandbox->request;
	struct error err;
	int r = 0;

	if (request->n_host_rlimits || request->n_host_sysctls)
		r = host_limits_create(request, sandbox->sysctl_dir, &sandbox->limits, &err);
	seq_resume(seq, r < 0 ? &err : NULL);
}

static void drop_limits(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	host_limits_destroy(take_ptr(&sandbox->limits));
	seq_next(seq);
}

/* What the kernel does not have or take is not the guest's failure. */
static int write_setting(const char *dir, const char *key, const char *value, struct error *err)
{
	int r = sysctl_write(dir, key, value, err);

	if (r < 0) {
		error_wrap(err, "invalid sysctls \"%s\"", key);
		err->code = ERROR_INVALID_ARGUMENT;
	}
	return r;
}

static void write_settings(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	const Grpc__CreateSandboxRequest *request = sandbox->request;
	struct error err;
	int r = 0;

	for (size_t i = 0; r == 0 && i < request->n_sysctls; i++)
		r = write_setting(sandbox->sysctl_dir, request->sysctls[i]->key,
		                  request->sysctls[i]->value, &err);
	seq_resume(seq, r < 0 ? &err : NULL);
}

static void write_resolv_conf(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	const Grpc__CreateSandboxRequest *request = sandbox->request;
	struct error err;
	int r = 0;

	if (request->n_dns)
		r = resolv_conf_write(sandbox->root, request->dns, request->n_dns, &err);
	seq_resume(seq, r < 0 ? &err : NULL);
}

/* It goes on while the rest is done: who joins waits for it. */
static void begin_namespaces(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	if (sandbox->request->sandbox_pidns)
		pod_namespaces_prepare(sandbox->namespaces);
	seq_next(seq);
}

static void claim_storages(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;
	const Grpc__CreateSandboxRequest *request = take_ptr(&sandbox->request);
	struct error err;
	int r;

	r = storage_set_claim(sandbox->own, request->storages, request->n_storages, &err);
	seq_resume(seq, r < 0 ? &err : NULL);
}

static void release_storages(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	storage_set_release(sandbox->own, seq_resume, seq);
}

static void mount_storages(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	storage_set_mount(sandbox->own, seq_resume, seq);
}

static void cancel_mounts(struct seq *seq, void *ctx)
{
	struct sandbox *sandbox = ctx;

	storage_set_cancel(sandbox->own);
}

/* clang-format off */
static const struct seq_step setup_steps[] = {
	{ "set the host name", set_host_name, NULL, NULL },
	{ "take the host's limits", take_limits, drop_limits, NULL },
	{ "write kernel settings", write_settings, NULL, NULL },
	{ "write resolv.conf", write_resolv_conf, NULL, NULL },
	{ "begin the namespaces", begin_namespaces, NULL, NULL },
	{ "claim storages", claim_storages, release_storages, NULL },
	{ "mount storages", mount_storages, NULL, cancel_mounts },
	{ 0 },
};
/* clang-format on */

static void on_set_up(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	seq_destroy(take_ptr(&sandbox->setup));
	sandbox->set_up = !err;
	sandbox->on_set_up(sandbox->setup_ctx, err);
}

static int refuse_destroyed(struct error *err)
{
	return error_set(err, ERROR_FAILED_PRECONDITION, "the sandbox is being destroyed");
}

int sandbox_setup(struct sandbox *sandbox, const Grpc__CreateSandboxRequest *request, done_fn *done,
                  void *ctx, struct error *err)
{
	int r;

	if (sandbox->torn_down)
		return refuse_destroyed(err);
	if (sandbox->set_up || sandbox->setup)
		return error_set(err, ERROR_ALREADY_EXISTS, "the sandbox already exists");
	r = check(request, err);
	if (r < 0)
		return error_wrap(err, "CreateSandbox");
	sandbox->request = request;
	sandbox->on_set_up = done;
	sandbox->setup_ctx = ctx;
	sandbox->setup = seq_create("create sandbox", setup_steps, sandbox, on_set_up);
	seq_start(sandbox->setup);
	return 0;
}

/* In a child process: both may wait for the host. */
static int write_back_and_unmount(void *ctx, struct errand_result *result, struct error *err)
{
	const struct sandbox *sandbox = ctx;

	sync();
	return storage_list_unmount(sandbox->storages, err);
}

static void on_torn_down(void *ctx, const struct error *err)
{
	struct sandbox *sandbox = ctx;

	if (err)
		log_warn("a storage stays mounted cause=\"%s\"", err->text);
	errand_destroy(take_ptr(&sandbox->teardown));
	sandbox->on_torn_down(sandbox->teardown_ctx, NULL);
}

int sandbox_teardown(struct sandbox *sandbox, done_fn *done, void *ctx, struct error *err)
{
	struct error why;
	int r;

	if (sandbox->torn_down)
		return refuse_destroyed(err);
	refuse_destroyed(&why);
	if (sandbox->setup)
		seq_cancel(sandbox->setup, &why);
	container_list_kill(sandbox->containers, &why);
	sandbox->on_torn_down = done;
	sandbox->teardown_ctx = ctx;
	r = errand_start(sandbox->loop, write_back_and_unmount, sandbox,
	                 SANDBOX_TEARDOWN_TIMEOUT_MS, on_torn_down, sandbox, &sandbox->teardown,
	                 err);
	sandbox->torn_down = r == 0;
	return r;
}

int sandbox_add(struct sandbox *sandbox, Grpc__CreateContainerRequest *request, done_fn *done,
                void *ctx, struct error *err)
{
	if (sandbox->torn_down)
		return refuse_destroyed(err);
	return container_list_add(sandbox->containers, request,
	                          sandbox->set_up ? sandbox->limits : NULL, done, ctx, err);
}

int sandbox_remove(struct sandbox *sandbox, const char *id, done_fn *done, void *ctx,
                   struct error *err)
{
	return container_list_remove(sandbox->containers, id, done, ctx, err);
}

int sandbox_find(const struct sandbox *sandbox, const char *id, enum error_code unknown,
                 struct container **out, struct error *err)
{
	return container_list_find(sandbox->containers, id, unknown, out, err);
}

char *sandbox_metrics(struct sandbox *sandbox)
{
	return metrics_read(sandbox->root, ++sandbox->scrapes);
}

const struct disk_wait_config *sandbox_disks(const struct sandbox *sandbox)
{
	return &sandbox->disks;
}

struct ev_loop *sandbox_loop(const struct sandbox *sandbox)
{
	return sandbox->loop;
}

const struct client *sandbox_client(const struct sandbox *sandbox)
{
	return sandbox->client;
}

struct network *sandbox_network(const struct sandbox *sandbox)
{
	return sandbox->network;
}

struct oom *sandbox_oom(const struct sandbox *sandbox)
{
	return sandbox->oom;
}

/* All that is under way is answered. */
static void fail_calls(struct sandbox *sandbox, const struct error *why)
{
	if (sandbox->setup) {
		seq_destroy(take_ptr(&sandbox->setup));
		sandbox->on_set_up(sandbox->setup_ctx, why);
	}
	if (sandbox->teardown) {
		errand_destroy(take_ptr(&sandbox->teardown));
		sandbox->on_torn_down(sandbox->teardown_ctx, why);
	}
}

void sandbox_destroy(struct sandbox *sandbox)
{
	struct error why;

	if (!sandbox)
		return;
	error_set(&why, ERROR_ABORTED, "the sandbox was destroyed");
	fail_calls(sandbox, &why);
	container_list_destroy(sandbox->containers, &why);
	storage_set_destroy(sandbox->own);
	storage_list_destroy(sandbox->storages);
	pod_namespaces_destroy(sandbox->namespaces);
	memory_pressure_destroy(sandbox->pressure);
	oom_destroy(sandbox->oom);
	host_limits_destroy(sandbox->limits);
	free(sandbox->sysctl_dir);
	free(sandbox);
}
