/*
 * Containerd's calls to a shim in any order, while the guest below it answers, refuses, waits,
 * loses processes or dies, and time passes. Each call is answered once at most, and nothing is
 * left.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/google.pb-c.h"
#include "proto/task_v2.pb-c.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/requests.h"
#include "test/lib/pod_bench.h"
#include "test/unit/shim/fake_guest.h"

#define COUNT(a)    (sizeof(a) / sizeof((a)[0]))
#define STEPS       64
#define DEADLINE_MS 10000

struct world {
	struct script script;
	bool ended;
	struct requests requests;
};

static struct pod_bench bench;

static void come(struct world *world)
{
	int fd = pod_bench_connect(SOCK_NONBLOCK);

	assert(fd >= 0 || world->ended); /* after the end nobody listens any more */
	requests_fini(&world->requests);
	requests_init(&world->requests, fd);
	fuzz_turn(); /* accepted */
}

#define REQUEST(name) &containerd__task__v2__##name##_request__descriptor

static const struct request_kind methods[] = {
	{ "Create", REQUEST(create_task) },
	{ "Start", REQUEST(start) },
	{ "Exec", REQUEST(exec_process) },
	{ "Kill", REQUEST(kill) },
	{ "Wait", REQUEST(wait) },
	{ "Delete", REQUEST(delete) },
	{ "State", REQUEST(state) },
	{ "Pids", REQUEST(pids) },
	{ "Pause", REQUEST(pause) },
	{ "Resume", REQUEST(resume) },
	{ "ResizePty", REQUEST(resize_pty) },
	{ "CloseIO", &containerd__task__v2__close_iorequest__descriptor },
	{ "Update", REQUEST(update_task) },
	{ "Stats", REQUEST(stats) },
	{ "Connect", REQUEST(connect) },
	{ "Shutdown", REQUEST(shutdown) },
};

static const char *text_for(struct script *script, const char *field)
{
	static const char *const ids[] = { "c", "c", "c", "d" };
	static const char *const execs[] = { "", "", "e", "f" };
	static const char *const streams[] = { "", "fifo", "no/fifo", "npipe://x" };
	uint8_t which = script_byte(script) % 4;

	if (!strcmp(field, "id"))
		return ids[which];
	if (!strcmp(field, "exec_id"))
		return execs[which];
	if (!strcmp(field, "bundle"))
		return ".";
	if (!strncmp(field, "std", 3))
		return streams[which];
	return "";
}

static ProtobufCMessage *any_for(struct script *script, const char *field)
{
	static const char *const texts[] = {
		"{\"args\":[\"true\"],\"cwd\":\"/\"}",
		"{\"memory\":{\"limit\":1048576},\"cpu\":{\"quota\":-1}}",
		"{\"args\":[]}",
		"",
	};
	Google__Protobuf__Any *any;

	if (strcmp(field, "spec") != 0 && strcmp(field, "resources") != 0)
		return NULL;
	any = mem_new(Google__Protobuf__Any);
	google__protobuf__any__init(any);
	any->value.data = (uint8_t *)mem_strdup(texts[script_byte(script) % COUNT(texts)]);
	any->value.len = strlen((char *)any->value.data);
	return &any->base;
}

static const struct request_filler filler = { .text = text_for, .message = any_for };

static void call(struct world *world)
{
	unsigned int which = script_byte(&world->script) % COUNT(methods);

	if (world->requests.sent == REQUESTS_MAX)
		come(world);
	requests_send(&world->requests, &world->script, "containerd.task.v2.Task", &methods[which],
	              &filler);
}

static void turn(struct world *world)
{
	fuzz_turn();
	requests_receive(&world->requests);
}

static void guest_refuses(struct world *world)
{
	static const char *const calls[] = {
		NULL,
		"CreateSandbox",
		"CreateContainer",
		"StartContainer",
		"ExecProcess",
		"SignalProcess",
		"RemoveContainer",
		"PauseContainer",
		"DestroySandbox",
	};
	static const enum error_code codes[] = { ERROR_INTERNAL, ERROR_NOT_FOUND };

	fake.fails = calls[script_byte(&world->script) % COUNT(calls)];
	error_set(&fake.refusal, codes[script_byte(&world->script) % COUNT(codes)], "refused");
}

static void guest_waits(struct world *world)
{
	static const char *const calls[] = {
		NULL,          "CreateSandbox",   "CreateContainer", "StartContainer",
		"ExecProcess", "RemoveContainer", "PauseContainer",  "DestroySandbox",
	};

	fake.holds = calls[script_byte(&world->script) % COUNT(calls)];
	if (!fake.holds)
		fake_release();
}

static void process_ends(struct world *world)
{
	fake_exit_any(script_byte(&world->script));
}

static void memory_ends(struct world *world)
{
	fake_oom("c");
}

static void vm_ends(struct world *world)
{
	fake_kill_vm("fuzzed");
}

static void stream_ends(struct world *world)
{
	fake_stream_done(script_byte(&world->script) % FAKE_STREAMS_MAX);
}

static void time_passes(struct world *world)
{
	static const uint32_t ms[] = { 1, 20, 100, 1000, 2500, 6000, 30000, 120000 };

	fuzz_pass(ms[script_byte(&world->script) % COUNT(ms)]);
	turn(world);
}

static void stop(struct world *world)
{
	service_stop(bench.service);
}

/* A call comes often, the end of all things seldom. */
static void (*const steps[])(struct world *world) = {
	call,          call,         call,        call,        turn,
	turn,          turn,         guest_waits, guest_waits, guest_waits,
	process_ends,  process_ends, stream_ends, time_passes, time_passes,
	guest_refuses, memory_ends,  vm_ends,     stop,        come,
};

static void on_end(void *ctx)
{
	struct world *world = ctx;

	assert(!world->ended);
	world->ended = true;
}

static void start(struct world *world)
{
	if (!bench.install)
		pod_bench_init(&bench);
	if (chdir(fake.dir) < 0 || mkfifo("fifo", 0600) < 0)
		abort();
	pod_bench_write_config(NULL);
	if (pod_bench_serve(&bench, fuzz_loop(), NULL, on_end, world, NULL) < 0)
		abort();
}

/* Whatever the guest does, the pod ends when it is asked to, and every call has been answered. */
static void end(struct world *world)
{
	uint32_t calls = world->ended ? 0 : world->requests.sent;

	service_stop(bench.service);
	for (int i = 0; i < STEPS && !world->ended; i++) {
		fuzz_pass(DEADLINE_MS);
		turn(world);
	}
	assert(world->ended);
	turn(world);
	for (uint32_t i = 0; i < calls; i++)
		assert(world->requests.answered[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world world = { .script = { data, size }, .requests.client = -1 };

	fake_init(fuzz_loop());
	start(&world);
	come(&world);
	for (int i = 0; i < STEPS && world.script.left; i++)
		steps[script_byte(&world.script) % COUNT(steps)](&world);
	turn(&world);
	end(&world);
	service_destroy(take_ptr(&bench.service));
	assert(fake.vms == 0);
	requests_fini(&world.requests);
	fake_fini();
	return 0;
}
