#include "test/unit/agent/host.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/guest/network.h"
#include "agent/guest/storage_driver.h"
#include "agent/guest/uevent.h"
#include "agent/pod/sandbox.h"
#include "agent/pod/service.h"
#include "agent/pod/streams.h"
#include "common/buf.h"
#include "common/mem.h"
#include "proto/ttrpc/ttrpc_client.h"
#include "proto/ttrpc/ttrpc_server.h"

#define WAIT_S 60.0

/* An abstract name: "<pid>.<what>.<port>". */
static struct sockaddr_un name_of(const char *what, uint32_t port, socklen_t *len)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	*len = offsetof(struct sockaddr_un, sun_path) + 1 +
	       snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "%d.%s.%u", (int)getpid(),
	                what, port);
	return name;
}

static int new_listener(const char *what)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	struct sockaddr_un name = name_of(what, 0, &len);

	cr_assert_eq(bind(fd, (struct sockaddr *)&name, len), 0);
	cr_assert_eq(listen(fd, 1024), 0);
	return fd;
}

static int connect_to(const char *what, uint32_t from)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	struct sockaddr_un name = name_of("peer", from, &len);

	if (from)
		cr_assert_eq(bind(fd, (struct sockaddr *)&name, len), 0);
	name = name_of(what, 0, &len);
	cr_assert_eq(connect(fd, (struct sockaddr *)&name, len), 0);
	return fd;
}

static int peer_port(int fd, uint32_t *port, struct error *err)
{
	struct sockaddr_un name = { 0 };
	socklen_t len = sizeof(name);

	getpeername(fd, (struct sockaddr *)&name, &len);
	cr_assert_eq(sscanf(name.sun_path + 1, "%*d.peer.%u", port), 1);
	return 0;
}

static void init(struct host *host, const struct storage_driver *drivers, const char *pressure_file,
                 const char *root)
{
	struct ttrpc_server_config config = { .services = service_table() };

	signal(SIGPIPE, SIG_IGN);
	host->loop = ev_default_loop(0);
	host->streams = streams_create(host->loop, new_listener("streams"), peer_port);
	host->uevents = uevents_create(host->loop);
	host->network = network_create(host->loop, host->uevents, HOST_CARD_TIMEOUT_MS);
	host->caller.is_shim = true;
	host->sandbox = sandbox_create(&(struct sandbox_config){
		.loop = host->loop,
		.streams = host->streams,
		.client = &host->caller,
		.network = host->network,
		.uevents = host->uevents,
		.cgroup_mount = "/nowhere",
		.storage_drivers = drivers,
		.root = root,
		.pressure_file = pressure_file,
	});
	host->ndone = 0;
	config.ctx = host->sandbox;
	cr_assert_eq(ttrpc_server_create(host->loop, new_listener("agent"), &config, &host->server,
	                                 NULL),
	             0);
	host->client = ttrpc_client_create(host->loop, connect_to("agent", 0), NULL, NULL);
}

void host_init(struct host *host)
{
	init(host, storage_drivers(), NULL, "/nowhere");
}

void host_init_storage(struct host *host, const struct storage_driver *drivers)
{
	init(host, drivers, NULL, "/nowhere");
}

void host_init_root(struct host *host, const char *root)
{
	init(host, storage_drivers(), NULL, root);
}

void host_init_pressure(struct host *host, const char *pressure_file)
{
	init(host, storage_drivers(), pressure_file, "/nowhere");
}

void host_reconnect(struct host *host)
{
	ttrpc_client_destroy(host->client);
	host->client = ttrpc_client_create(host->loop, connect_to("agent", 0), NULL, NULL);
}

void host_fini(struct host *host)
{
	ttrpc_client_destroy(host->client);
	sandbox_destroy(host->sandbox);
	network_destroy(host->network);
	uevents_destroy(host->uevents);
	streams_destroy(host->streams);
	ttrpc_server_destroy(host->server);
	ev_loop_destroy(host->loop);
}

static void take_exit(struct host_call *call, const Grpc__WaitProcessResponse *response)
{
	call->status = response->status;
	call->oom = response->oom;
	call->stdout_bytes = response->written_out ? (int64_t)response->written_out->bytes : -1;
}

static void take_data(struct host_call *call, const void *data, size_t len)
{
	call->data = mem_alloc(len + 1);
	if (len)
		memcpy(call->data, data, len);
	call->len = len;
}

static void take_response(struct host_call *call, const ProtobufCMessage *response)
{
	const void *message = response;

	if (response->descriptor == &grpc__wait_process_response__descriptor)
		take_exit(call, message);
	if (response->descriptor == &grpc__oomevent__descriptor)
		snprintf(call->container_id, sizeof(call->container_id), "%s",
		         ((const Grpc__OOMEvent *)message)->container_id);
	if (response->descriptor == &grpc__read_stream_response__descriptor) {
		const Grpc__ReadStreamResponse *read = message;

		take_data(call, read->data.data, read->data.len);
	}
	if (response->descriptor == &grpc__metrics__descriptor) {
		const char *text = ((const Grpc__Metrics *)message)->metrics;

		take_data(call, text, strlen(text));
	}
	if (response->descriptor == &grpc__volume_stats_response__descriptor)
		call->len = ((const Grpc__VolumeStatsResponse *)message)->n_usage;
	if (response->descriptor == &grpc__write_stream_response__descriptor)
		call->len = ((const Grpc__WriteStreamResponse *)message)->len;
}

static void on_answer(void *ctx, const ProtobufCMessage *response, const struct error *err)
{
	struct host_call *call = ctx;

	call->done = true;
	call->order = ++call->host->ndone;
	error_copy(&call->err, err);
	if (response)
		take_response(call, response);
}

static const ProtobufCMessageDescriptor *response_of(const char *method)
{
	static const struct {
		const char *method;
		const ProtobufCMessageDescriptor *response;
	} rows[] = {
		{ "WaitProcess", &grpc__wait_process_response__descriptor },
		{ "GetOOMEvent", &grpc__oomevent__descriptor },
		{ "ReadStdout", &grpc__read_stream_response__descriptor },
		{ "ReadStderr", &grpc__read_stream_response__descriptor },
		{ "WriteStdin", &grpc__write_stream_response__descriptor },
		{ "GetMetrics", &grpc__metrics__descriptor },
		{ "GetVolumeStats", &grpc__volume_stats_response__descriptor },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!strcmp(method, rows[i].method))
			return rows[i].response;
	return &google__protobuf__empty__descriptor;
}

void host_begin(struct host *host, const char *method, const ProtobufCMessage *request,
                struct host_call *call)
{
	struct error err;

	*call = (struct host_call){ .host = host };
	cr_assert_eq(ttrpc_client_call(host->client, "grpc.AgentService", method, request,
	                               response_of(method), 0, on_answer, call, NULL, &err),
	             0);
}

void host_turn(struct host *host)
{
	ev_run(host->loop, EVRUN_ONCE);
}

static void on_alarm(struct ev_loop *loop, ev_timer *watcher, int events)
{
	cr_assert_fail("no answer in %.0f s", WAIT_S);
}

void host_finish(struct host *host, struct host_call *call)
{
	ev_timer alarm;

	ev_timer_init(&alarm, on_alarm, WAIT_S, 0);
	ev_timer_start(host->loop, &alarm);
	while (!call->done)
		ev_run(host->loop, EVRUN_ONCE);
	ev_timer_stop(host->loop, &alarm);
}

enum error_code host_call(struct host *host, const char *method, const ProtobufCMessage *request,
                          struct host_call *call)
{
	struct host_call own;

	if (!call)
		call = &own;
	host_begin(host, method, request, call);
	host_finish(host, call);
	return call->err.code;
}

int host_stream(const struct host *host, uint32_t port)
{
	return connect_to("streams", port);
}

struct shell {
	char *args[4];
	Grpc__Process process;
};

static Grpc__Process *shell_process(struct shell *shell, const char *script)
{
	shell->process = (Grpc__Process)GRPC__PROCESS__INIT;
	shell->args[0] = strcmp(script, "nosuch") != 0 ? "/bin/sh" : "nosuch";
	shell->args[1] = "-c";
	shell->args[2] = (char *)script;
	shell->process.args = shell->args;
	shell->process.n_args = 3;
	return &shell->process;
}

static enum error_code create(struct host *host, const char *id, const char *script, uint32_t port,
                              bool terminal, const char *bound)
{
	Grpc__CreateContainerRequest request = GRPC__CREATE_CONTAINER_REQUEST__INIT;
	Grpc__Spec spec = GRPC__SPEC__INIT;
	Grpc__Root root = GRPC__ROOT__INIT;
	Grpc__Mount mount = GRPC__MOUNT__INIT, *mounts[] = { &mount };
	struct shell shell;

	mount.type = "bind";
	mount.source = (char *)bound;
	mount.destination = "/bound";
	spec.mounts = mounts;
	spec.n_mounts = bound ? 1 : 0;
	spec.process = shell_process(&shell, script);
	spec.process->terminal = terminal;
	spec.root = &root;
	request.container_id = (char *)id;
	request.oci = &spec;
	request.stdout_port = port;
	return host_call(host, "CreateContainer", &request.base, NULL);
}

enum error_code host_create(struct host *host, const char *id, const char *script, uint32_t port)
{
	return create(host, id, script, port, false, NULL);
}

enum error_code host_create_with_file(struct host *host, const char *id, const char *script,
                                      const char *bound)
{
	return create(host, id, script, 0, false, bound);
}

enum error_code host_create_terminal(struct host *host, const char *id, const char *script)
{
	return create(host, id, script, 0, true, NULL);
}

enum error_code host_start(struct host *host, const char *id)
{
	Grpc__StartContainerRequest request = GRPC__START_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return host_call(host, "StartContainer", &request.base, NULL);
}

enum error_code host_signal(struct host *host, const char *id, const char *exec_id, uint32_t sig)
{
	Grpc__SignalProcessRequest request = GRPC__SIGNAL_PROCESS_REQUEST__INIT;

	request.container_id = (char *)id;
	request.exec_id = (char *)exec_id;
	request.signal = sig;
	return host_call(host, "SignalProcess", &request.base, NULL);
}

enum error_code host_remove(struct host *host, const char *id)
{
	Grpc__RemoveContainerRequest request = GRPC__REMOVE_CONTAINER_REQUEST__INIT;

	request.container_id = (char *)id;
	return host_call(host, "RemoveContainer", &request.base, NULL);
}

enum error_code host_exec(struct host *host, const char *id, const char *exec_id,
                          const char *script, const uint32_t ports[3])
{
	Grpc__ExecProcessRequest request = GRPC__EXEC_PROCESS_REQUEST__INIT;
	struct shell shell;

	request.container_id = (char *)id;
	request.exec_id = (char *)exec_id;
	request.process = shell_process(&shell, script);
	request.stdin_port = ports[0];
	request.stdout_port = ports[1];
	request.stderr_port = ports[2];
	return host_call(host, "ExecProcess", &request.base, NULL);
}

void host_begin_wait(struct host *host, const char *id, const char *exec_id, struct host_call *call)
{
	Grpc__WaitProcessRequest request = GRPC__WAIT_PROCESS_REQUEST__INIT;

	request.container_id = (char *)id;
	request.exec_id = (char *)exec_id;
	host_begin(host, "WaitProcess", &request.base, call);
}

int host_wait(struct host *host, const char *id, const char *exec_id)
{
	struct host_call call;

	host_begin_wait(host, id, exec_id, &call);
	host_finish(host, &call);
	return call.err.code ? -(int)call.err.code : call.status;
}

char *host_read_all(struct host *host, int fd)
{
	struct buf text = BUF_INIT(64 << 20);
	char part[4096];
	ssize_t n;

	do {
		ev_run(host->loop, EVRUN_NOWAIT);
		n = recv(fd, part, sizeof(part), MSG_DONTWAIT);
		if (n > 0)
			buf_append(&text, part, n);
	} while (n > 0 || (n < 0 && errno == EAGAIN));
	buf_append(&text, "", 1);
	close(fd);
	return text.data;
}
