#include "fake_guest.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"
#include "common/mem.h"
#include "hypervisor/vm.h"
#include "hypervisor/vsock.h"
#include "proto/agent.pb-c.h"
#include "proto/events.pb-c.h"
#include "proto/google.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "proto/vsock_ports.h"
#include "shim/host/placeholder.h"
#include "shim/host/uid_lease.h"
#include "shim/pod/events.h"
#include "shim/storage/rootfs.h"
#include "shim/storage/volumes.h"

struct fake_guest fake;

static void must(bool good)
{
	if (!good)
		abort();
}

/* Callbacks come from the loop. */
struct later {
	ev_timer timer;
	LIST_ENTRY(later) link;
	void (*fn)(void *arg);
	void *arg;
};
static LIST_HEAD(, later) laters;

static void on_later(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct later *later = timer->data;
	void (*fn)(void *) = later->fn;
	void *arg = later->arg;

	LIST_REMOVE(later, link);
	free(later);
	fn(arg);
}

static void do_later(void (*fn)(void *arg), void *arg)
{
	struct later *later = mem_new(struct later);

	later->fn = fn;
	later->arg = arg;
	ev_timer_init(&later->timer, on_later, 0, 0);
	later->timer.data = later;
	ev_timer_start(fake.loop, &later->timer);
	LIST_INSERT_HEAD(&laters, later, link);
}

static void forget_later(const void *arg)
{
	struct later *later = LIST_FIRST(&laters), *next;

	for (; later; later = next) {
		next = LIST_NEXT(later, link);
		if (arg && later->arg != arg)
			continue;
		LIST_REMOVE(later, link);
		ev_timer_stop(fake.loop, &later->timer);
		free(later);
	}
}

static void note(const char *what, const char *of)
{
	size_t len = strlen(fake.log);

	snprintf(fake.log + len, sizeof(fake.log) - len, "%s%s%s\n", what, *of ? " " : "", of);
}

bool fake_logged(const char *line)
{
	autofree char *whole = mem_printf("\n%s\n", line);
	autofree char *log = mem_printf("\n%s", fake.log);

	return strstr(log, whole) != NULL;
}

bool fake_order(const char *first, const char *second)
{
	const char *a = strstr(fake.log, first);

	return a && strstr(a, second);
}

/* The agent. */

struct waiting {
	LIST_ENTRY(waiting) link;
	char *exec_id;
	struct ttrpc_call *call;
};
static LIST_HEAD(, waiting) waiting;
static struct ttrpc_server *agent;
static struct liar *liar;
static struct ttrpc_call *held;
static struct ttrpc_call *oom;

static void answer_wait(struct ttrpc_call *call, int status)
{
	Grpc__WaitProcessResponse response = GRPC__WAIT_PROCESS_RESPONSE__INIT;
	Grpc__Written written = { PROTOBUF_C_MESSAGE_INIT(&grpc__written__descriptor),
		                  fake.written };

	response.status = status;
	response.oom = fake.oom_at_exit;
	if (fake.tells_written)
		response.written_out = &written;
	ttrpc_call_reply(call, &response.base);
}

static struct waiting *find_waiting(const char *exec_id)
{
	struct waiting *one;

	LIST_FOREACH (one, &waiting, link)
		if (strcmp(one->exec_id, exec_id) == 0)
			return one;
	return NULL;
}

static void end_process(struct waiting *one, int status)
{
	LIST_REMOVE(one, link);
	answer_wait(one->call, status);
	free(one->exec_id);
	free(one);
}

void fake_exit(const char *exec_id, int status)
{
	struct waiting *one = find_waiting(exec_id);

	must(one);
	end_process(one, status);
}

bool fake_exit_any(int status)
{
	struct waiting *one = LIST_FIRST(&waiting);

	if (one)
		end_process(one, status);
	return one;
}

void fake_release(void)
{
	fake.holds = NULL;
	fake.holding = false;
	if (held)
		ttrpc_call_finish(take_ptr(&held), NULL);
}

static bool hold(struct ttrpc_call *call)
{
	bool wanted = !held && fake.holds && strcmp(fake.holds, ttrpc_call_method(call)) == 0;

	if (wanted) {
		held = call;
		fake.holding = true;
	}
	return wanted;
}

static void on_call(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	const char *method = ttrpc_call_method(call);
	/* Nearly all requests begin with the container's id. */
	bool named = request->descriptor->n_fields && strcmp(method, "CreateSandbox") != 0;

	note(method, named ? *(char *const *)(request + 1) : "");
	if (fake.fails && strcmp(fake.fails, method) == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!hold(call))
		ttrpc_call_finish(call, NULL);
}

static void on_create_sandbox(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__CreateSandboxRequest *request = (const void *)message;

	fake.n_host_rlimits = request->n_host_rlimits;
	fake.n_host_sysctls = request->n_host_sysctls;
	if (request->n_sysctls)
		snprintf(fake.pod_sysctl, sizeof(fake.pod_sysctl), "%s=%s",
		         request->sysctls[0]->key, request->sysctls[0]->value);
	for (size_t i = 0; i < request->n_storages; i++)
		if (strcmp(request->storages[i]->driver, "ephemeral") == 0)
			snprintf(
				fake.shm_storage, sizeof(fake.shm_storage), "%s %s",
				request->storages[i]->mount_point,
				request->storages[i]->options[request->storages[i]->n_options - 1]);
	on_call(call, message, ctx);
}

/* "UpdateInterface eth0 02/00", and the like. */
static void on_interface(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Types__Interface *interface =
		((const Grpc__UpdateInterfaceRequest *)message)->interface;
	autofree char *text = mem_printf("%s %s", interface->name, interface->devicepath);

	note("UpdateInterface", text);
	if (fake.fails && strcmp(fake.fails, "UpdateInterface") == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!hold(call))
		ttrpc_call_reply(call, &interface->base);
}

static void on_routes(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__Routes *routes = ((const Grpc__UpdateRoutesRequest *)message)->routes;
	autofree char *text = mem_printf("%zu", routes->n_routes);

	note("UpdateRoutes", text);
	if (fake.fails && strcmp(fake.fails, "UpdateRoutes") == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else
		ttrpc_call_reply(call, &routes->base);
}

static void on_neighbours(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__ARPNeighbors *all = ((const Grpc__AddARPNeighborsRequest *)message)->neighbors;
	autofree char *text = mem_printf("%zu", all->n_arpneighbors);

	note("AddARPNeighbors", text);
	ttrpc_call_finish(call, NULL);
}

static void note_spec(const Grpc__Spec *spec)
{
	size_t len = 0;

	fake.namespaces[0] = fake.shm_source[0] = '\0';
	for (size_t i = 0; i < spec->linux->n_namespaces && len < sizeof(fake.namespaces); i++) {
		const Grpc__LinuxNamespace *row = spec->linux->namespaces[i];

		len += (size_t)snprintf(fake.namespaces + len, sizeof(fake.namespaces) - len,
		                        "%s%s%s%s", i ? " " : "", row->type, *row->path ? "=" : "",
		                        row->path);
	}
	for (size_t i = 0; i < spec->n_mounts; i++)
		if (strcmp(spec->mounts[i]->destination, "/dev/shm") == 0)
			snprintf(fake.shm_source, sizeof(fake.shm_source), "%s",
			         spec->mounts[i]->source);
}

/* What still lives of the container is killed. */
static void on_remove(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__RemoveContainerRequest *request = (const void *)message;
	struct waiting *init = find_waiting(request->container_id);

	if (init)
		end_process(init, 137);
	on_call(call, message, ctx);
}

static void on_create(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__CreateContainerRequest *request = (const void *)message;

	note_spec(request->oci);
	snprintf(fake.pid_of, sizeof(fake.pid_of), "%s", request->pid_namespace_of);
	fake.ports[0] = request->stdin_port;
	fake.ports[1] = request->stdout_port;
	fake.ports[2] = request->stderr_port;
	on_call(call, message, ctx);
}

static void on_exec(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__ExecProcessRequest *request = (const void *)message;

	fake.ports[0] = request->stdin_port;
	fake.ports[1] = request->stdout_port;
	fake.ports[2] = request->stderr_port;
	if (request->process->consolesize) {
		fake.size[0] = request->process->consolesize->height;
		fake.size[1] = request->process->consolesize->width;
	}
	if (request->process->capabilities && request->process->capabilities->n_effective)
		snprintf(fake.capability, sizeof(fake.capability), "%s",
		         request->process->capabilities->effective[0]);
	on_call(call, message, ctx);
}

static void on_update(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__UpdateContainerRequest *request = (const void *)message;

	if (request->resources->memory)
		fake.memory_limit = request->resources->memory->limit;
	on_call(call, message, ctx);
}

/* "OnlineCPUMem 1 and memory" */
static void on_online(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__OnlineCPUMemRequest *request = (const void *)message;
	autofree char *text =
		mem_printf("%u%s", request->nb_cpus, request->cpu_only ? "" : " and memory");

	note("OnlineCPUMem", text);
	if (fake.fails && strcmp(fake.fails, "OnlineCPUMem") == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!hold(call))
		ttrpc_call_finish(call, NULL);
}

static void on_stats(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	Grpc__StatsContainerResponse response = GRPC__STATS_CONTAINER_RESPONSE__INIT;
	Grpc__CgroupStats cgroup = GRPC__CGROUP_STATS__INIT;
	Grpc__PidsStats pids = GRPC__PIDS_STATS__INIT;

	pids.current = 5;
	cgroup.pids_stats = &pids;
	response.cgroup_stats = &cgroup;
	ttrpc_call_reply(call, &response.base);
}

static void on_next_oom(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	oom = call;
}

void fake_oom(const char *id)
{
	Grpc__OOMEvent event = GRPC__OOMEVENT__INIT;

	event.container_id = (char *)id;
	if (oom)
		ttrpc_call_reply(take_ptr(&oom), &event.base);
}

bool fake_oom_is_asked_for(void)
{
	return oom;
}

/* A killed container's processes end. */
static void on_signal(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__SignalProcessRequest *request = (const void *)message;
	autofree char *of = mem_printf("%s %u%s", request->exec_id, request->signal,
	                               request->all ? " all" : "");
	struct waiting *init = find_waiting(request->container_id);
	bool of_init = strcmp(request->exec_id, request->container_id) == 0;

	note("SignalProcess", of);
	if (hold(call))
		return;
	if (request->signal == 9 && (!*request->exec_id || of_init) && init && !fake.survives)
		end_process(init, 137);
	ttrpc_call_finish(call, NULL);
}

static void on_wait(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__WaitProcessRequest *request = (const void *)message;
	autofree char *killed = mem_printf("SignalProcess %s 9", request->exec_id);
	struct waiting *one = mem_new(struct waiting);

	/* Nobody reads the end of an exec that has failed and was killed. */
	must(request->with_oom == !fake.upstream || fake_logged(killed));
	must(ttrpc_call_park(call, NULL, NULL, NULL) == 0);
	one->exec_id = mem_strdup(request->exec_id);
	one->call = call;
	LIST_INSERT_HEAD(&waiting, one, link);
}

static int64_t host_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void on_details(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	Grpc__GuestDetailsResponse response = GRPC__GUEST_DETAILS_RESPONSE__INIT;

	must(!fake.upstream);
	response.clock_case = GRPC__GUEST_DETAILS_RESPONSE__CLOCK_CLOCK_NS;
	response.clock_ns = host_time() + fake.clock_ahead_ns;
	if (fake.fails && strcmp(fake.fails, ttrpc_call_method(call)) == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!hold(call))
		ttrpc_call_reply(call, &response.base);
}

static void on_set_time(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__SetGuestDateTimeRequest *request = (const void *)message;

	note(ttrpc_call_method(call), "");
	if (request->shift_case == GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_STEP_NS)
		fake.clock_ahead_ns += request->step_ns;
	else if (request->shift_case == GRPC__SET_GUEST_DATE_TIME_REQUEST__SHIFT_SLEW_NS)
		fake.clock_slew_ns = request->slew_ns;
	else
		fake.clock_ahead_ns =
			request->sec * 1000000000LL + request->usec * 1000LL - host_time();
	ttrpc_call_finish(call, NULL);
}

#define EMPTY &google__protobuf__empty__descriptor

static const struct ttrpc_method methods[] = {
	{ "CreateSandbox", &grpc__create_sandbox_request__descriptor, EMPTY, on_create_sandbox },
	{ "UpdateInterface", &grpc__update_interface_request__descriptor,
	  &types__interface__descriptor, on_interface },
	{ "UpdateRoutes", &grpc__update_routes_request__descriptor, &grpc__routes__descriptor,
	  on_routes },
	{ "AddARPNeighbors", &grpc__add_arpneighbors_request__descriptor, EMPTY, on_neighbours },
	{ "DestroySandbox", &grpc__destroy_sandbox_request__descriptor, EMPTY, on_call },
	{ "CreateContainer", &grpc__create_container_request__descriptor, EMPTY, on_create },
	{ "StartContainer", &grpc__start_container_request__descriptor, EMPTY, on_call },
	{ "RemoveContainer", &grpc__remove_container_request__descriptor, EMPTY, on_remove },
	{ "PauseContainer", &grpc__pause_container_request__descriptor, EMPTY, on_call },
	{ "ResumeContainer", &grpc__resume_container_request__descriptor, EMPTY, on_call },
	{ "UpdateContainer", &grpc__update_container_request__descriptor, EMPTY, on_update },
	{ "OnlineCPUMem", &grpc__online_cpumem_request__descriptor, EMPTY, on_online },
	{ "StatsContainer", &grpc__stats_container_request__descriptor,
	  &grpc__stats_container_response__descriptor, on_stats },
	{ "GetOOMEvent", &grpc__get_oomevent_request__descriptor, &grpc__oomevent__descriptor,
	  on_next_oom },
	{ "ExecProcess", &grpc__exec_process_request__descriptor, EMPTY, on_exec },
	{ "SignalProcess", &grpc__signal_process_request__descriptor, EMPTY, on_signal },
	{ "TtyWinResize", &grpc__tty_win_resize_request__descriptor, EMPTY, on_call },
	{ "GetGuestDetails", &grpc__guest_details_request__descriptor,
	  &grpc__guest_details_response__descriptor, on_details },
	{ "SetGuestDateTime", &grpc__set_guest_date_time_request__descriptor, EMPTY, on_set_time },
	{ "WaitProcess", &grpc__wait_process_request__descriptor,
	  &grpc__wait_process_response__descriptor, on_wait },
	{ 0 },
};
static const struct ttrpc_service services[] = { { "grpc.AgentService", methods }, { 0 } };

static struct sockaddr_un agent_address(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent", fake.dir);
	return address;
}

static void agent_start(void)
{
	static const struct ttrpc_server_config config = { .services = services };
	const struct sockaddr_un address = agent_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(fd, 8) == 0);
	must(ttrpc_server_create(fake.loop, fd, &config, &agent, NULL) == 0);
}

/* Calls that were not answered are lost with it. */
static void agent_stop(void)
{
	struct waiting *one;

	ttrpc_server_destroy(take_ptr(&agent));
	liar_destroy(take_ptr(&liar));
	while ((one = LIST_FIRST(&waiting))) {
		LIST_REMOVE(one, link);
		ttrpc_call_finish(one->call, NULL);
		free(one->exec_id);
		free(one);
	}
	if (held)
		ttrpc_call_finish(take_ptr(&held), NULL);
	if (oom)
		ttrpc_call_finish(take_ptr(&oom), NULL);
}

/* The vsock. */

struct vsock_stream {
	size_t i; /* in fake.streams */
	vsock_opened_fn *on_open;
	done_fn *on_done;
	void *ctx;
	vsock_moved_fn *on_moved;
	void *moved_ctx;
};

static struct {
	vsock_connected_fn *done;
	void *ctx;
} connecting;

static vsock_accepted_fn *on_accept;
static void *accept_ctx;
static struct vsock_stream *streams[FAKE_STREAMS_MAX];

static int lie_between(int agent_fd)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	liar = liar_create(fake.loop, ends[1], agent_fd, fake.lies_at, fake.lie);
	return ends[0];
}

static void connect_now(void *arg)
{
	const struct sockaddr_un address = agent_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct error err;

	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
		connecting.done(connecting.ctx, fake.lies_at ? lie_between(fd) : fd, NULL);
		return;
	}
	close(fd);
	error_set(&err, ERROR_UNAVAILABLE, "no agent");
	connecting.done(connecting.ctx, -1, &err);
}

int vsock_connect(struct vsock *vsock, uint32_t guest_port, int timeout_ms,
                  vsock_connected_fn *done, void *ctx, struct error *err)
{
	must(guest_port == VSOCK_PORT_AGENT);
	connecting.done = done;
	connecting.ctx = ctx;
	do_later(connect_now, vsock);
	return 0;
}

int vsock_listen(struct vsock *vsock, uint32_t host_port, vsock_accepted_fn *accept_fn, void *ctx,
                 struct error *err)
{
	must(host_port == VSOCK_PORT_HELLO + 3);
	on_accept = accept_fn;
	accept_ctx = ctx;
	return 0;
}

void vsock_unlisten(struct vsock *vsock, uint32_t host_port)
{
	must(host_port == VSOCK_PORT_HELLO + 3);
	on_accept = NULL;
}

static void stream_opened(void *arg)
{
	struct vsock_stream *stream = arg;

	fake.streams[stream->i].open = true;
	stream->on_open(stream->ctx, fake.streams[stream->i].port, NULL);
}

static void stream_refused(void *arg)
{
	struct vsock_stream *stream = arg;
	struct error err;

	error_set(&err, ERROR_UNAVAILABLE, "no such port");
	stream->on_open(stream->ctx, 0, &err);
}

static int open_stream(int fd, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                       struct vsock_stream **out, struct error *err)
{
	struct vsock_stream *stream;

	if (fake.n_streams == FAKE_STREAMS_MAX) {
		cleanup_close(&fd);
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no more streams");
	}
	stream = mem_new(struct vsock_stream);
	*stream = (struct vsock_stream){ fake.n_streams, on_open, on_done, ctx, NULL, NULL };
	fake.streams[fake.n_streams].fd = fd;
	fake.streams[fake.n_streams].port = 5000 + (uint32_t)fake.n_streams;
	streams[fake.n_streams++] = stream;
	do_later(fake.streams_refuse ? stream_refused : stream_opened, stream);
	*out = stream;
	return 0;
}

int vsock_stream_open(struct vsock *vsock, uint32_t guest_port, enum vsock_direction direction,
                      int fd, int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                      struct vsock_stream **out, struct error *err)
{
	must(guest_port == VSOCK_PORT_STREAMS);
	return open_stream(fd, on_open, on_done, ctx, out, err);
}

int vsock_stream_open_duplex(struct vsock *vsock, uint32_t guest_port, const char *greeting, int fd,
                             int timeout_ms, vsock_opened_fn *on_open, done_fn *on_done, void *ctx,
                             struct vsock_stream **out, struct error *err)
{
	must(guest_port == VSOCK_PORT_RELAY);
	if (fake.n_streams < FAKE_STREAMS_MAX)
		snprintf(fake.streams[fake.n_streams].greeting, sizeof(fake.streams[0].greeting),
		         "%s", greeting);
	return open_stream(fd, on_open, on_done, ctx, out, err);
}

int vsock_stream_attach(struct vsock_stream *stream, int fd, struct error *err)
{
	must(fake.streams[stream->i].fd == -1);
	fake.streams[stream->i].fd = fd;
	return 0;
}

static void stream_moved(void *arg)
{
	struct vsock_stream *stream = arg;

	stream->on_moved(stream->moved_ctx, NULL);
}

int vsock_stream_moved(struct vsock_stream *stream, vsock_moved_fn *fn, void *ctx,
                       struct error *err)
{
	stream->on_moved = fn;
	stream->moved_ctx = ctx;
	do_later(stream_moved, stream);
	return 0;
}

const struct vsock_progress *vsock_stream_progress(const struct vsock_stream *stream)
{
	return &fake.streams[stream->i].progress;
}

void vsock_stream_destroy(struct vsock_stream *stream)
{
	if (!stream)
		return;
	forget_later(stream);
	cleanup_close(&fake.streams[stream->i].fd);
	fake.streams[stream->i].fd = -1;
	streams[stream->i] = NULL;
	free(stream);
}

void fake_stream_done(size_t i)
{
	if (!streams[i] || !fake.streams[i].open)
		return;
	cleanup_close(&fake.streams[i].fd);
	fake.streams[i].fd = -1;
	fake.streams[i].done = true;
	streams[i]->on_done(streams[i]->ctx, NULL);
}

/* The VM. */

struct vm {
	const struct vm_events *events;
	void *ctx;
	char cause[100]; /* empty: asked to end */
	bool ended;
};

static struct vm *vm;

static void vm_ends(void *arg)
{
	struct error err;

	if (vm->ended)
		return;
	vm->ended = true;
	agent_stop();
	error_set(&err, ERROR_UNKNOWN, "%s", vm->cause);
	vm->events->on_gone(vm->ctx, *vm->cause ? &err : NULL);
}

static void say_hello(void *arg)
{
	int ends[2];

	const char *hello = fake.upstream
	                            ? "hello 1\n"
	                            : "hello 1 clock host-limits signal-all exit-details "
	                              "network-details pid-namespace-of sandbox-sysctls relay "
	                              "link-settings\n";

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	must(write(ends[1], hello, strlen(hello)) == (ssize_t)strlen(hello));
	close(ends[1]);
	if (on_accept)
		on_accept(accept_ctx, ends[0]);
	else
		close(ends[0]);
}

int vm_start(struct ev_loop *loop, const struct vm_config *config, const struct vm_events *events,
             void *ctx, struct vm **out, struct error *err)
{
	if (fake.vm_refuses)
		return error_set(err, ERROR_NOT_FOUND, "%s", fake.vm_refuses);
	vm = *out = mem_new(struct vm);
	vm->events = events;
	vm->ctx = ctx;
	fake.n_devices = config->ndevices;
	fake.vcpus = config->vcpus;
	fake.vcpus_max = config->vcpus_max;
	fake.vcpus_stay = config->vcpus_stay;
	fake.memory_mib = config->memory_mib;
	fake.memory_max_mib = config->memory_max_mib;
	fake.vms++;
	agent_start();
	if (fake.boot_dies)
		fake_kill_vm(fake.boot_dies);
	else if (!fake.no_hello)
		do_later(say_hello, vm);
	return 0;
}

void fake_kill_vm(const char *cause)
{
	if (!fake.vms)
		return;
	snprintf(vm->cause, sizeof(vm->cause), "%s", cause);
	do_later(vm_ends, vm);
}

void fake_lose_agent(void)
{
	agent_stop();
}

void vm_stop(struct vm *one)
{
	note("vm_stop", "");
	*one->cause = '\0';
	do_later(vm_ends, one);
}

void vm_destroy(struct vm *one)
{
	if (!one)
		return;
	forget_later(one);
	agent_stop();
	fake.vms--;
	free(one);
}

unsigned int vm_vcpus_max(const struct vm *one)
{
	return fake.vcpus_max;
}

uint64_t vm_memory_max_mib(const struct vm *one)
{
	return fake.memory_max_mib;
}

/* The machine becomes bigger a moment later. */
static struct {
	unsigned int vcpus;
	uint64_t memory_mib;
	done_fn *done;
	void *ctx;
} resize;

static void resized(void *arg)
{
	struct error err;

	error_set(&err, ERROR_ABORTED, "the machine stays small");
	if (!fake.resize_fails) {
		fake.vcpus = resize.vcpus;
		fake.memory_mib = resize.memory_mib;
	}
	resize.done(resize.ctx, fake.resize_fails ? &err : NULL);
}

int vm_resize(struct vm *one, unsigned int vcpus, uint64_t memory_mib, int timeout_ms,
              done_fn *done, void *ctx, struct error *err)
{
	autofree char *text = mem_printf("%u %lu", vcpus, memory_mib);

	note("resize", text);
	resize.vcpus = vcpus;
	resize.memory_mib = memory_mib;
	resize.done = done;
	resize.ctx = ctx;
	do_later(resized, vm);
	return 0;
}

/* A card that comes or goes: the machine says so a moment later. */
static struct {
	done_fn *done;
	void *ctx;
} card;

static void card_moved(void *arg)
{
	struct error err;

	error_set(&err, ERROR_ABORTED, "the machine refuses");
	card.done(card.ctx, fake.cards_refused ? &err : NULL);
}

static int move_card(const char *verb, const char *id, done_fn *done, void *ctx)
{
	note(verb, id);
	card.done = done;
	card.ctx = ctx;
	do_later(card_moved, vm);
	return 0;
}

int vm_plug(struct vm *one, const struct vm_device *device, int timeout_ms, done_fn *done,
            void *ctx, struct error *err)
{
	return move_card("plug", device->id, done, ctx);
}

int vm_unplug(struct vm *one, const char *id, int timeout_ms, done_fn *done, void *ctx,
              struct error *err)
{
	return move_card("unplug", id, done, ctx);
}

int vm_device_path(const struct vm *one, const char *id, char path[VM_DEVICE_PATH_MAX],
                   struct error *err)
{
	snprintf(path, VM_DEVICE_PATH_MAX, "at-%.10s", id);
	return 0;
}

struct vsock *vm_vsock(struct vm *one)
{
	return (struct vsock *)one;
}

uint32_t vm_guest_cid(const struct vm *one)
{
	return 3;
}

void vm_console_tail(const struct vm *one, char *text, size_t size)
{
	snprintf(text, size, "last | words");
}

/* Placeholders. */

struct placeholder {
	LIST_ENTRY(placeholder) link;
	pid_t pid;
	bool started;
	bool ending;
	bool gone;
	done_fn *on_started;
	void *started_ctx;
	placeholder_ended_fn *on_ended;
	void *ended_ctx;
	placeholder_lost_fn *on_lost;
	void *ctx;
};
static LIST_HEAD(, placeholder) placeholders;

static void placeholder_goes(struct placeholder *one)
{
	if (!one->gone)
		fake.placeholders--;
	one->gone = true;
	forget_later(one);
}

static void placeholder_tell(struct placeholder *one)
{
	done_fn *done = take_ptr(&one->on_started);
	struct error err;

	error_set(&err, ERROR_UNAVAILABLE, "%s",
	          fake.placeholder_fails ? fake.placeholder_fails : "the placeholder was killed");
	if (done)
		done(one->started_ctx, one->gone ? &err : NULL);
}

static void placeholder_starts(void *arg)
{
	struct placeholder *one = arg;

	one->started = true;
	if (fake.placeholder_fails)
		placeholder_goes(one);
	placeholder_tell(one);
}

int placeholder_start(struct ev_loop *loop, const struct placeholder_config *config,
                      placeholder_lost_fn *on_lost, void *ctx, struct placeholder **out,
                      struct error *err)
{
	static pid_t next = FAKE_PID;
	struct placeholder *one = mem_new(struct placeholder);

	must(config->uid);
	note("placeholder", config->title);
	snprintf(fake.placeholder_root, sizeof(fake.placeholder_root), "%s", config->root);
	one->pid = next++;
	one->on_lost = on_lost;
	one->ctx = ctx;
	LIST_INSERT_HEAD(&placeholders, one, link);
	fake.placeholders++;
	do_later(placeholder_starts, one);
	*out = one;
	return 0;
}

pid_t placeholder_pid(const struct placeholder *one)
{
	return one->pid;
}

bool placeholder_is_gone(const struct placeholder *one)
{
	return one->gone;
}

void placeholder_await(struct placeholder *one, done_fn *done, void *ctx)
{
	one->on_started = done;
	one->started_ctx = ctx;
	if (one->started || one->gone)
		placeholder_tell(one);
}

static void placeholder_ends(void *arg)
{
	struct placeholder *one = arg;
	placeholder_ended_fn *ended = take_ptr(&one->on_ended);
	void *ctx = one->ended_ctx;

	placeholder_goes(one);
	note("placeholder ended", "");
	placeholder_tell(one);
	if (ended)
		ended(ctx);
}

void placeholder_end(struct placeholder *one, placeholder_ended_fn *done, void *ctx)
{
	one->on_ended = done;
	one->ended_ctx = ctx;
	if (!one->ending && !one->gone && !fake.placeholders_linger)
		do_later(placeholder_ends, one);
	one->ending = true;
	if (one->gone && done)
		done(ctx);
}

void placeholder_destroy(struct placeholder *one)
{
	if (!one)
		return;
	placeholder_goes(one);
	LIST_REMOVE(one, link);
	free(one);
}

void fake_kill_placeholder(uint32_t pid)
{
	struct placeholder *one;

	LIST_FOREACH (one, &placeholders, link)
		if (one->pid == (pid_t)pid)
			break;
	if (!one || one->gone || one->ending)
		return;
	placeholder_goes(one);
	if (one->on_started)
		placeholder_tell(one);
	else
		one->on_lost(one->ctx, 9);
}

void fake_reap(void)
{
	struct placeholder *one;

	fake.placeholders_linger = false;
	LIST_FOREACH (one, &placeholders, link)
		if (one->ending && !one->gone)
			do_later(placeholder_ends, one);
}

/* Root file systems, ids and events. */

struct rootfs {
	done_fn *done;
	void *ctx;
};

static void rootfs_done(void *arg)
{
	struct rootfs *rootfs = arg;

	rootfs->done(rootfs->ctx, NULL);
}

int rootfs_mount(struct ev_loop *loop, const struct rootfs_config *config, done_fn *done, void *ctx,
                 struct rootfs **out, struct error *err)
{
	note("mount", "");
	volumes_destroy(config->volumes); /* which it takes over */
	fake.mounts++;
	*out = mem_new(struct rootfs);
	**out = (struct rootfs){ done, ctx };
	do_later(rootfs_done, *out);
	return 0;
}

struct volumes *rootfs_volumes(const struct rootfs *rootfs)
{
	return NULL;
}

int rootfs_unmount(struct rootfs *rootfs, int timeout_ms, done_fn *done, void *ctx,
                   struct error *err)
{
	note("unmount", "");
	fake.mounts--;
	if (fake.unmount_fails)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no descriptors");
	*rootfs = (struct rootfs){ done, ctx };
	do_later(rootfs_done, rootfs);
	return 0;
}

void rootfs_destroy(struct rootfs *rootfs)
{
	if (rootfs)
		forget_later(rootfs);
	free(rootfs);
}

int uid_lease_take(const char *dir, uid_t first, unsigned int count, struct uid_lease **out,
                   struct error *err)
{
	*out = (struct uid_lease *)&fake;
	return 0;
}

uid_t uid_lease_uid(const struct uid_lease *lease)
{
	return UID_LEASE_FIRST;
}

void uid_lease_destroy(struct uid_lease *lease)
{
}

void events_publish(struct events *events, const char *topic, const ProtobufCMessage *event)
{
	const Containerd__Events__TaskExit *exit_ = (const void *)event;

	if (event->descriptor == &containerd__events__task_exit__descriptor) {
		note(topic, exit_->id);
		fake.exit_status = exit_->exit_status;
	} else {
		note(topic, "");
	}
}

void events_publish_once(struct events *events, const char *topic, const ProtobufCMessage *event)
{
	events_publish(events, topic, event);
}

void fake_init(struct ev_loop *loop)
{
	fake = (struct fake_guest){ .loop = loop, .dir = "/tmp/kata-fake-XXXXXX" };
	must(mkdtemp(fake.dir));
}

void fake_fini(void)
{
	forget_later(NULL);
	must(file_remove_tree(AT_FDCWD, fake.dir, NULL) == 0);
}
