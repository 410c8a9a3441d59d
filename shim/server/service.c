#include "shim/server/service.h"

#include <assert.h>
#include <ev.h>
#include <stdbool.h>
#include <string.h>

#include "common/log.h"
#include "common/mem.h"
#include "proto/events.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "shim/config/config.h"
#include "shim/config/config_load.h"
#include "shim/config/runtime_options.h"
#include "shim/host/cgroup_oom.h"
#include "shim/host/pod_dir.h"
#include "shim/pod/agent_client.h"
#include "shim/pod/container.h"
#include "shim/pod/events.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_start.h"
#include "shim/pod/process.h"
#include "shim/pod/sandbox.h"
#include "shim/server/sandbox_service.h"
#include "shim/spec/bundle.h"
#include "shim/storage/volume_copies.h"
#include "shim/storage/volume_table.h"
#include "shim/task/task.h"

/*
 * The end of a pod: its last container is deleted (or Create failed, or none came) -> the sandbox
 * is stopped -> containerd's Shutdown is answered, or was waited for in vain -> on_end. A pod whose
 * VM has died, or whose pause container was killed, lives on until its containers are deleted; one of
 * the Sandbox API until its ShutdownSandbox.
 */

/* Between an event of the guest and the next that it is asked for. What a guest tells goes on to
 * containerd, which serves others too. */
#define OOM_PAUSE_S 0.1

#define ANSWERS_FLUSH_MS 1000 /* for the last answers */
#define LINGER_S         1    /* for clients to close their connections */

struct service {
	struct ev_loop *loop;
	struct pod pod;
	struct ttrpc_server *server; /* NULL once all has ended */
	struct sandbox_waiter ready;
	bool ending;                 /* no container will come any more */
	struct ttrpc_call *shutdown; /* answered when all has ended */
	bool nobody_asks;            /* Shutdown is not waited for */
	ev_timer create_deadline;
	ev_timer shutdown_wait;
	ev_timer oom_pause;
	ev_timer finish; /* on_end comes from the loop, never from within a call */
	ev_timer linger;
	struct config *own_config; /* NULL: the server's counts */
	bool lingers;
	void (*on_ending)(void *ctx);
	service_end_fn *on_end;
	void *ctx;
};

/* All has ended, or is waited for: the last acts follow from the loop. */
static void finish_if_done(struct service *service)
{
	struct sandbox *sandbox = service->pod.sandbox;

	if (service->ending && service->server &&
	    (!sandbox || sandbox_state(sandbox) == SANDBOX_GONE) &&
	    (service->shutdown || service->nobody_asks))
		ev_timer_start(service->loop, &service->finish);
}

static void begin_shutdown(struct service *service)
{
	if (service->ending)
		return;
	service->ending = true;
	ev_timer_stop(service->loop, &service->create_deadline);
	ev_timer_start(service->loop, &service->shutdown_wait);
	if (service->on_ending)
		service->on_ending(service->ctx);
	if (service->pod.sandbox)
		sandbox_stop(service->pod.sandbox);
	finish_if_done(service);
}

/* A Create may still be at its first steps, which need no virtual machine. */
static void destroy_pod(struct service *service)
{
	struct container *container;
	struct error why;

	ev_timer_stop(service->loop, &service->oom_pause);
	if (!service->pod.sandbox)
		return; /* and no containers */
	sandbox_refuse(service->pod.sandbox, &why);
	while ((container = LIST_FIRST(&service->pod.containers)))
		container_destroy(container, &why);
	sandbox_destroy(take_ptr(&service->pod.sandbox));
}

/* Who calls from now on finds nobody. Its last act is the callback, which may free the service. */
static void leave(struct service *service)
{
	ttrpc_server_destroy(take_ptr(&service->server));
	ev_timer_stop(service->loop, &service->finish); /* a Shutdown may have started it anew */
	ev_timer_stop(service->loop, &service->linger);
	service->on_end(service->ctx);
}

static void on_lingered(struct ev_loop *loop, ev_timer *timer, int events)
{
	leave(timer->data);
}

static void on_idle(void *ctx)
{
	const struct pod *pod = ctx;
	struct service *service = pod->ctx;

	if (service->lingers)
		leave(service);
}

/* A client of ttrpc in Go may lose an answer after which its connection ends at once. containerd
 * knows that of Shutdown, but takes it for a failure of ShutdownSandbox. */
static void on_finish(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct service *service = timer->data;

	destroy_pod(service);
	if (service->pod.is_sandbox && service->shutdown) {
		service->lingers = true;
		ev_timer_start(loop, &service->linger);
	}
	if (service->shutdown)
		ttrpc_call_finish(take_ptr(&service->shutdown), NULL);
	ttrpc_server_flush(service->server, ANSWERS_FLUSH_MS);
	if (!service->lingers)
		leave(service);
}

static void publish_oom(struct service *service, const char *id)
{
	Containerd__Events__TaskOOM event = CONTAINERD__EVENTS__TASK_OOM__INIT;

	event.container_id = (char *)id;
	events_publish_once(service->pod.events, "/tasks/oom", &event.base);
}

/* The host's kernel has taken the machine from all that ran in it. */
static void publish_oom_of_machine(struct service *service)
{
	const struct container *container;
	struct error ignored;

	if (!cgroup_oom_explain(service->pod.cgroup, &ignored))
		return;
	LIST_FOREACH (container, &service->pod.containers, link)
		if (container->created && container->init->state != PROCESS_STOPPED)
			publish_oom(service, container->id);
}

static void on_sandbox_gone(void *ctx, const struct error *err)
{
	struct service *service = ctx;
	struct container *container, *next;

	if (err) {
		log_error("%s", err->text);
		publish_oom_of_machine(service);
	}
	for (container = LIST_FIRST(&service->pod.containers); container; container = next) {
		next = LIST_NEXT(container, link);
		container_killed(container);
	}
	finish_if_done(service);
}

static void await_oom(struct service *service);

static void on_oom(void *ctx, const char *id, const struct error *err)
{
	struct service *service = ctx;

	if (err) {
		if (err->code != ERROR_UNAVAILABLE && err->code != ERROR_UNIMPLEMENTED)
			log_warn("out of memory is not reported any more: %s", err->text);
		return;
	}
	if (container_lookup(&service->pod, id))
		publish_oom(service, id);
	ev_now_update(service->loop);
	ev_timer_set(&service->oom_pause, OOM_PAUSE_S, 0);
	ev_timer_start(service->loop, &service->oom_pause);
}

static void await_oom(struct service *service)
{
	struct error err;

	if (agent_next_oom(sandbox_agent(service->pod.sandbox), on_oom, service, &err) < 0)
		on_oom(service, NULL, &err);
}

static void on_oom_pause(struct ev_loop *loop, ev_timer *timer, int events)
{
	await_oom(timer->data);
}

static void on_ready(void *ctx, const struct error *err)
{
	if (!err)
		await_oom(ctx);
}

/* Options that name a configuration replace the one that there is. */
static int take_options(struct service *service, const Google__Protobuf__Any *any,
                        struct error *err)
{
	struct runtime_options options;
	struct config_source source;
	int r = runtime_options_read(any, &options, err);

	source = (struct config_source){
		.path = options.config_path,
		.body = options.config_body,
		.body_len = options.config_body ? strlen(options.config_body) : 0,
	};
	if (r == 0 && (source.path || source.body)) {
		r = config_load(&source, service->pod.install, &service->own_config, err);
		if (r == 0) {
			service->pod.config = service->own_config;
			config_log(service->own_config);
		}
	}
	runtime_options_fini(&options);
	return r;
}

static int on_begin(void *ctx, struct bundle *bundle, const Google__Protobuf__Any *options,
                    struct error *err)
{
	struct service *service = ctx;
	int r;

	if (service->ending)
		return error_set(err, ERROR_UNAVAILABLE, "the pod is ending");
	r = take_options(service, options, err);
	if (r < 0)
		return r;
	r = pod_start(&service->pod, bundle, on_sandbox_gone, service, err);
	if (r < 0)
		return r;
	sandbox_when_ready(service->pod.sandbox, &service->ready, on_ready, service);
	return 0;
}

static void on_change(void *ctx)
{
	struct service *service = ctx;

	if (pod_is_empty(&service->pod))
		begin_shutdown(service);
}

static bool has_containers(const struct service *service)
{
	const struct container *container;

	LIST_FOREACH (container, &service->pod.containers, link)
		if (container->created)
			return true;
	return false;
}

static void on_end_asked(void *ctx, struct ttrpc_call *call)
{
	struct service *service = ctx;

	if (service->shutdown) {
		ttrpc_call_finish(call, NULL);
		return;
	}
	service->shutdown = call;
	begin_shutdown(service);
	finish_if_done(service);
}

/* A container that is still being made does not hold it up: who asks has given up on it. */
static void on_shutdown(void *ctx, struct ttrpc_call *call)
{
	if (has_containers(ctx))
		ttrpc_call_finish(call, NULL);
	else
		on_end_asked(ctx, call);
}

/* Nobody has asked for what the pod is to be. */
static bool is_unused(const struct service *service)
{
	const struct container *pause = container_pause(&service->pod);

	if (service->pod.is_sandbox)
		return !pause || pause->init->state == PROCESS_CREATED;
	return pod_is_empty(&service->pod);
}

static void on_no_create(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct service *service = timer->data;

	if (!is_unused(service))
		return;
	log_warn("no %s has come: the pod ends",
	         service->pod.is_sandbox ? "StartSandbox" : "Create");
	service->nobody_asks = true;
	begin_shutdown(service);
}

static void on_no_shutdown(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct service *service = timer->data;

	service->nobody_asks = true;
	finish_if_done(service);
}

static void on_connection_error(void *ctx, const struct error *err)
{
	log_warn("a connection was closed: %s", err->text);
}

static void init_timer(struct service *service, ev_timer *timer,
                       void (*fn)(struct ev_loop *, ev_timer *, int), double seconds)
{
	ev_timer_init(timer, fn, seconds, 0);
	timer->data = service;
}

static struct volume_copies *make_copies(struct ev_loop *loop, const char *pod_dir)
{
	autofree char *dir = mem_printf("%s/" VOLUME_COPIES_DIR, pod_dir);

	return volume_copies_create(loop, dir);
}

static struct service *service_new(struct ev_loop *loop, const struct service_config *config,
                                   service_end_fn *on_end, void *ctx)
{
	struct service *service = mem_new(struct service);

	service->loop = loop;
	service->on_ending = config->on_ending;
	service->on_end = on_end;
	service->ctx = ctx;
	service->pod.loop = loop;
	service->pod.config = config->config;
	service->pod.events = config->events;
	service->pod.id = mem_strdup(config->id);
	service->pod.ns = mem_strdup(config->ns);
	service->pod.share_dir = mem_strdup(config->share_dir);
	service->pod.view_dir = mem_strdup(config->view_dir);
	service->pod.dir = mem_strdup(config->pod_dir);
	service->pod.empty_dir = mem_printf("%s/" POD_DIR_EMPTY, config->pod_dir);
	service->pod.install = config->install;
	service->pod.host_mounts = config->host_mounts;
	service->pod.loopback = config->loopback;
	service->pod.on_change = on_change;
	service->pod.on_shutdown = on_shutdown;
	service->pod.on_end = on_end_asked;
	service->pod.on_begin = on_begin;
	service->pod.ctx = service;
	service->pod.volumes = volume_table_create();
	service->pod.volume_copies = make_copies(loop, config->pod_dir);
	LIST_INIT(&service->pod.containers);
	init_timer(service, &service->create_deadline, on_no_create,
	           config->config->idle_timeout_ms / 1e3);
	init_timer(service, &service->shutdown_wait, on_no_shutdown,
	           config->config->shutdown_timeout_ms / 1e3);
	init_timer(service, &service->oom_pause, on_oom_pause, OOM_PAUSE_S);
	init_timer(service, &service->finish, on_finish, 0);
	init_timer(service, &service->linger, on_lingered, LINGER_S);
	return service;
}

/* clang-format off */
static const struct ttrpc_service services[] = {
	{ "containerd.task.v2.Task", task_methods },
	{ "containerd.task.v3.Task", task_methods },
	{ "containerd.runtime.sandbox.v1.Sandbox", sandbox_methods },
	{ 0 },
};
/* clang-format on */

/* What a bundle without config.json is to be, CreateSandbox will say; how a pod of CRI-O's is
 * configured, Create. */
static int begin(struct service *service, const char *dir, struct error *err)
{
	autodestroy(bundle) struct bundle *bundle = NULL;
	int r;

	service->pod.is_sandbox = bundle_is_bare(dir);
	if (service->pod.is_sandbox)
		return 0;
	r = bundle_load(dir, &bundle, err);
	if (r < 0 || bundle_options_come_late(bundle))
		return r;
	return on_begin(service, bundle, NULL, err);
}

int service_start(struct ev_loop *loop, const struct service_config *config, service_end_fn *on_end,
                  void *ctx, struct service **out, struct error *err)
{
	autodestroy(service) struct service *service = service_new(loop, config, on_end, ctx);
	const struct ttrpc_server_config server = {
		.services = services,
		.ctx = &service->pod,
		.on_idle = on_idle,
		.on_fault = on_connection_error,
	};
	autoclose int listen_fd = config->listen_fd;

	if (ttrpc_server_create(loop, take_fd(&listen_fd), &server, &service->server, err) < 0 ||
	    begin(service, config->bundle, err) < 0)
		return error_code_errno(err->code);
	ev_timer_start(loop, &service->create_deadline);
	*out = take_ptr(&service);
	return 0;
}

const char *service_next_bundle(const struct service *service, const char *gone)
{
	const struct container *container;

	LIST_FOREACH (container, &service->pod.containers, link)
		if (strcmp(container->bundle_dir, gone) == 0)
			return NULL;
	container = LIST_FIRST(&service->pod.containers);
	return container ? container->bundle_dir : NULL;
}

void service_stop(struct service *service)
{
	service->nobody_asks = true;
	begin_shutdown(service);
	finish_if_done(service);
}

void service_destroy(struct service *service)
{
	if (!service)
		return;
	destroy_pod(service);
	ttrpc_server_destroy(service->server);
	if (service->shutdown)
		ttrpc_call_finish(service->shutdown, NULL);
	ev_timer_stop(service->loop, &service->create_deadline);
	ev_timer_stop(service->loop, &service->shutdown_wait);
	ev_timer_stop(service->loop, &service->finish);
	ev_timer_stop(service->loop, &service->linger);
	pod_fini(&service->pod);
	config_destroy(service->own_config);
	free(service);
}
