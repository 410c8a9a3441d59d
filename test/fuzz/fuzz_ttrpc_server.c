/*
 * A ttrpc server and clients that send anything: requests of a sound form with any payload, frames
 * of any kind, bytes. Its handler keeps some calls, to answer them later or when the client has
 * gone.
 */
#include <assert.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/error.h"
#include "proto/agent.pb-c.h"
#include "proto/message.h"
#include "proto/task_v2.pb-c.h"
#include "proto/ttrpc.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "test/fuzz/frames.h"
#include "test/fuzz/fuzz.h"

#define CLIENTS  2
#define KEPT_MAX 8
#define STEPS    128

struct world {
	struct script script;
	struct ttrpc_server *server;
	struct sockaddr_un address;
	socklen_t address_len;
	int clients[CLIENTS]; /* -1: not connected */
	uint32_t stream[CLIENTS];
	struct ttrpc_call *kept[KEPT_MAX];
	size_t n_kept;
};

static void finish(struct ttrpc_call *call, uint8_t how)
{
	const struct error err = { .code = how % 20, .text = "refused \xff\n" };

	ttrpc_call_finish(call, how & 1 ? &err : NULL);
}

/* What a handler does with its request: it reads all of it. */
static void on_call(struct ttrpc_call *call, const ProtobufCMessage *request, void *ctx)
{
	struct world *world = ctx;
	ProtobufCBinaryData bytes = message_encode(request);

	free(bytes.data);
	assert(*ttrpc_call_method(call));
	if (world->n_kept < KEPT_MAX)
		world->kept[world->n_kept++] = call;
	else
		finish(call, 0);
}

static const struct ttrpc_method task_methods[] = {
	{ "Create", &containerd__task__v2__create_task_request__descriptor,
	  &containerd__task__v2__create_task_response__descriptor, on_call },
	{ "Exec", &containerd__task__v2__exec_process_request__descriptor,
	  &google__protobuf__empty__descriptor, on_call },
	{ "Kill", &containerd__task__v2__kill_request__descriptor,
	  &google__protobuf__empty__descriptor, on_call },
	{ 0 },
};

static const struct ttrpc_method agent_methods[] = {
	{ "CreateContainer", &grpc__create_container_request__descriptor,
	  &google__protobuf__empty__descriptor, on_call },
	{ 0 },
};

static const struct ttrpc_service services[] = {
	{ "containerd.task.v2.Task", task_methods },
	{ "grpc.AgentService", agent_methods },
	{ 0 },
};

static const struct {
	const char *service, *method;
} names[] = {
	{ "containerd.task.v2.Task", "Create" }, { "containerd.task.v2.Task", "Exec" },
	{ "containerd.task.v2.Task", "Kill" },   { "grpc.AgentService", "CreateContainer" },
	{ "grpc.AgentService", "NoSuchMethod" }, { "no.such.Service", "Create" },
};

static void send_request(struct world *world, int at)
{
	const uint8_t name = script_byte(&world->script) % (sizeof(names) / sizeof(names[0]));
	const uint8_t flags = script_byte(&world->script);
	Ttrpc__Request request = TTRPC__REQUEST__INIT;

	request.service = (char *)names[name].service;
	request.method = (char *)names[name].method;
	request.timeout_nano = flags & 0x80 ? -1 : flags;
	request.payload.data = (uint8_t *)script_bytes(&world->script, &request.payload.len);
	world->stream[at] += flags & 0x40 ? 0 : 2; /* or one that is used already */
	frames_send(world->clients[at], world->stream[at] + 1, TTRPC_FRAME_REQUEST, flags & 3,
	            &request.base);
}

static void send_any_frame(struct world *world, int at)
{
	frames_send_any(world->clients[at], &world->script);
}

static void send_bytes(struct world *world, int at)
{
	fuzz_send_bytes(world->clients[at], &world->script);
}

static void answer(struct world *world, int at)
{
	uint8_t how = script_byte(&world->script);

	if (world->n_kept > 0)
		finish(world->kept[--world->n_kept], how);
}

static void go_away(struct world *world, int at)
{
	if (world->clients[at] >= 0)
		close(world->clients[at]);
	world->clients[at] = -1;
}

static void come_back(struct world *world, int at)
{
	go_away(world, at);
	world->stream[at] = 0;
	world->clients[at] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (connect(world->clients[at], (struct sockaddr *)&world->address, world->address_len) < 0)
		abort();
}

static void read_answers(struct world *world, int at)
{
	char answers[4096];

	while (fuzz_receive(world->clients[at], answers, sizeof(answers)) > 0)
		;
}

static void take_a_turn(struct world *world, int at)
{
	fuzz_turn();
}

static void (*const steps[])(struct world *world, int at) = {
	send_request, send_any_frame, send_bytes, answer,
	take_a_turn,  go_away,        come_back,  read_answers,
};

/* On a name that the kernel chooses (unix(7), "Autobind feature"). */
static void start_server(struct world *world)
{
	static const struct sockaddr_un any = { .sun_family = AF_UNIX };
	const struct ttrpc_server_config config = { .services = services, .ctx = world };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	world->address_len = sizeof(world->address);
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) < 0 ||
	    listen(fd, CLIENTS * STEPS) < 0 ||
	    getsockname(fd, (struct sockaddr *)&world->address, &world->address_len) < 0 ||
	    ttrpc_server_create(fuzz_loop(), fd, &config, &world->server, NULL) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = { .script = { data, size } };

	start_server(&world);
	for (int i = 0; i < CLIENTS; i++) {
		world.clients[i] = -1;
		come_back(&world, i);
	}
	for (int i = 0; i < STEPS && world.script.left; i++) {
		uint8_t what = script_byte(&world.script);

		steps[what % (sizeof(steps) / sizeof(steps[0]))](&world, what / 128 % CLIENTS);
	}
	fuzz_turn();
	ttrpc_server_destroy(world.server);
	while (world.n_kept > 0) /* their client has gone */
		finish(world.kept[--world.n_kept], 0);
	for (int i = 0; i < CLIENTS; i++)
		go_away(&world, i);
	return 0;
}
