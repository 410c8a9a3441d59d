#include "fake_parts.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/mem.h"
#include "fake_stdio.h"
#include "proto/agent.pb-c.h"
#include "proto/google.pb-c.h"
#include "proto/health.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"

static struct ttrpc_server *agent;
static struct liar *liar;
static struct ttrpc_call *held;
static struct ttrpc_call *oom;

void fake_release(void)
{
	fake.holds = NULL;
	fake.holding = false;
	if (held)
		ttrpc_call_finish(take_ptr(&held), NULL);
}

bool fake_hold(struct ttrpc_call *call)
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

	fake_note(method, named ? *(char *const *)(request + 1) : "");
	if (fake.fails && strcmp(fake.fails, method) == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!fake_hold(call))
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

	fake_note("UpdateInterface", text);
	if (fake.fails && strcmp(fake.fails, "UpdateInterface") == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!fake_hold(call))
		ttrpc_call_reply(call, &interface->base);
}

static void on_routes(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__Routes *routes = ((const Grpc__UpdateRoutesRequest *)message)->routes;
	autofree char *text = mem_printf("%zu", routes->n_routes);

	fake_note("UpdateRoutes", text);
	if (fake.on_routes)
		fake.on_routes();
	if (fake.fails && strcmp(fake.fails, "UpdateRoutes") == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else
		ttrpc_call_reply(call, &routes->base);
}

static void on_neighbours(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__ARPNeighbors *all = ((const Grpc__AddARPNeighborsRequest *)message)->neighbors;
	autofree char *text = mem_printf("%zu", all->n_arpneighbors);

	fake_note("AddARPNeighbors", text);
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

	if (fake_is_awaited(request->container_id))
		fake_exit(request->container_id, 137);
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
	autofree char *text = mem_printf("%s%u%s", request->exact ? "exactly " : "",
	                                 request->nb_cpus, request->cpu_only ? "" : " and memory");

	fake_note("OnlineCPUMem", text);
	if (fake.fails && strcmp(fake.fails, "OnlineCPUMem") == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!fake_hold(call))
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
	bool init = fake_is_awaited(request->container_id);
	bool of_init = strcmp(request->exec_id, request->container_id) == 0;

	fake_note("SignalProcess", of);
	if (fake_hold(call))
		return;
	if (request->signal == 9 && (!*request->exec_id || of_init) && init && !fake.survives)
		fake_exit(request->container_id, 137);
	ttrpc_call_finish(call, NULL);
}

static void on_wait(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__WaitProcessRequest *request = (const void *)message;
	autofree char *killed = mem_printf("SignalProcess %s 9", request->exec_id);

	/* Nobody reads the end of an exec that has failed and was killed. */
	must(request->with_oom == (!fake.upstream || fake.is_ours) || fake_logged(killed));
	fake_await(call, request->exec_id);
}

static int64_t host_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Where there was no hello. */
static void answer_with_words(struct ttrpc_call *call)
{
	char *words[] = { "seccomp", "streams", "exit-details" };
	Grpc__GuestDetailsResponse response = GRPC__GUEST_DETAILS_RESPONSE__INIT;
	Grpc__AgentDetails details = GRPC__AGENT_DETAILS__INIT;

	details.extra_features = words;
	details.n_extra_features = fake.is_ours ? 3 : 1;
	response.agent_details = &details;
	ttrpc_call_reply(call, &response.base);
}

static void on_check(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	Grpc__HealthCheckResponse response = GRPC__HEALTH_CHECK_RESPONSE__INIT;

	if (!fake.serves_after)
		response.status = GRPC__HEALTH_CHECK_RESPONSE__SERVING_STATUS__SERVING;
	else
		fake.serves_after--;
	ttrpc_call_reply(call, &response.base);
}

static void on_details(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	Grpc__GuestDetailsResponse response = GRPC__GUEST_DETAILS_RESPONSE__INIT;

	if (fake.upstream) {
		if (fake.fails && strcmp(fake.fails, ttrpc_call_method(call)) == 0)
			ttrpc_call_fail(call, &fake.refusal);
		else if (!fake_hold(call))
			answer_with_words(call);
		return;
	}
	response.clock_case = GRPC__GUEST_DETAILS_RESPONSE__CLOCK_CLOCK_NS;
	response.clock_ns = host_time() + fake.clock_ahead_ns;
	if (fake.fails && strcmp(fake.fails, ttrpc_call_method(call)) == 0)
		ttrpc_call_fail(call, &fake.refusal);
	else if (!fake_hold(call))
		ttrpc_call_reply(call, &response.base);
}

static void on_set_time(struct ttrpc_call *call, const ProtobufCMessage *message, void *ctx)
{
	const Grpc__SetGuestDateTimeRequest *request = (const void *)message;

	fake_note(ttrpc_call_method(call), "");
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
	{ "ReadStdout", &grpc__read_stream_request__descriptor,
	  &grpc__read_stream_response__descriptor, fake_on_read_stdout },
	{ "ReadStderr", &grpc__read_stream_request__descriptor,
	  &grpc__read_stream_response__descriptor, fake_on_read_stderr },
	{ "WriteStdin", &grpc__write_stream_request__descriptor,
	  &grpc__write_stream_response__descriptor, fake_on_write_stdin },
	{ "CloseStdin", &grpc__close_stdin_request__descriptor, EMPTY, fake_on_close_stdin },
	{ "WaitProcess", &grpc__wait_process_request__descriptor,
	  &grpc__wait_process_response__descriptor, on_wait },
	{ 0 },
};
static const struct ttrpc_method health_methods[] = {
	{ "Check", &grpc__check_request__descriptor, &grpc__health_check_response__descriptor,
	  on_check },
	{ 0 },
};
static const struct ttrpc_service services[] = {
	{ "grpc.AgentService", methods },
	{ "grpc.Health", health_methods },
	{ 0 },
};

static struct sockaddr_un agent_address(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/agent", fake.dir);
	return address;
}

void fake_agent_start(void)
{
	static const struct ttrpc_server_config config = { .services = services };
	const struct sockaddr_un address = agent_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	must(listen(fd, 8) == 0);
	must(ttrpc_server_create(fake.loop, fd, &config, &agent, NULL) == 0);
}

void fake_agent_stop(void)
{
	ttrpc_server_destroy(take_ptr(&agent));
	liar_destroy(take_ptr(&liar));
	fake_forget_awaited();
	fake_stdio_fini();
	if (held)
		ttrpc_call_finish(take_ptr(&held), NULL);
	if (oom)
		ttrpc_call_finish(take_ptr(&oom), NULL);
}

static int lie_between(int agent_fd)
{
	int ends[2];

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	liar = liar_create(fake.loop, ends[1], agent_fd, fake.lies_at, fake.lie);
	return ends[0];
}

int fake_agent_connect(void)
{
	const struct sockaddr_un address = agent_address();
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fake.connects++ < fake.listens_after || fake.no_hello ||
	    connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		close(fd);
		return -1;
	}
	return fake.lies_at ? lie_between(fd) : fd;
}

void fake_lose_agent(void)
{
	fake_agent_stop();
}
