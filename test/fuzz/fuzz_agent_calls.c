/*
 * A shim's calls to the agent in any order, while processes come up, fail, write and end, and mounts
 * are made or fail, and links come and go. There are no processes, mounts, cgroups and networks: the
 * agent's init, libev's child watchers, mounts and cgroups, netlink and the uevents are stood in for,
 * and so are the child processes of errands. Each call is answered once, and no cgroup is left.
 */
#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/guest/network.h"
#include "agent/guest/storage_driver.h"
#include "agent/guest/uevent.h"
#include "agent/pod/client.h"
#include "agent/pod/launch.h"
#include "agent/pod/sandbox.h"
#include "agent/pod/service.h"
#include "agent/pod/streams.h"
#include "common/error.h"
#include "common/loop/errand.h"
#include "common/mem.h"
#include "common/netlink/net_address.h"
#include "common/netlink/net_link.h"
#include "common/netlink/net_socket.h"
#include "proto/agent.pb-c.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "test/fuzz/fuzz.h"
#include "test/fuzz/requests.h"
#include "test/unit/agent/fakes.h"

#define COUNT(a)      (sizeof(a) / sizeof((a)[0]))
#define STEPS         64
#define PID_FIRST     100000 /* nobody's */
#define STREAMS       4
#define PIPE_BYTES    4096 /* of a stdin: a write may wait */
#define STORAGES_MAX  3    /* of a request: less */
#define MOUNT_FDS     2    /* that an errand hands back, if it is to mount */
#define LINKS         4
#define NET_ITEMS_MAX 4 /* of a message about the network: less */
#define END_TURNS     64
#define END_TURN_MS   1000
#define SERVICE       "grpc.AgentService"
#define REQUEST(name) &grpc__##name##_request__descriptor

/* A process, from the agent's call to its end. */
struct launch {
	LIST_ENTRY(launch) link;
	pid_t pid;
	int stdio[3];
	launch_created_fn *on_created; /* NULL: it has been called */
	void *created_ctx;
	done_fn *on_run;
	void *run_ctx;
};

/* Its work, which would be a child's, is never done. */
struct errand {
	LIST_ENTRY(errand) link;
	ev_timer end;
	enum error_code ends_with;
	struct errand_result result;
	done_fn *done;
	void *ctx;
};

static struct world {
	struct script script;
	struct streams *streams;
	struct client client;
	struct sandbox *sandbox;
	struct ttrpc_server *server;
	struct requests requests;
	bool waits[REQUESTS_MAX]; /* calls that may never be answered */
	struct sockaddr_un streams_address;
	socklen_t streams_address_len;
	int stream[STREAMS];
	uint32_t port;     /* of the newest stream */
	uint32_t storages; /* of the request that is being made */
	int teardowns;     /* under way, or ended */
	int torn_down;
	pid_t pids;
	int kills;     /* of cgroups that processes have died of */
	bool resisted; /* a cgroup that nothing has lived in may have, too, which no real one does
	                */
	LIST_HEAD(, launch) launches;
	LIST_HEAD(, errand) errands;
	bool refuse_errands;
	struct network *network;
	LIST_HEAD(, uevent_subscriber) subscribers;
	struct net_link links[LINKS]; /* of the index 0: there is none */
	int netlink_errno;            /* of each request; 0: none */
} world;

/* libev's, which would wait for real children. */
static ev_child *children[2 * STEPS];

void ev_child_start(struct ev_loop *loop, ev_child *child)
{
	child->active = 1;
	children[child->pid - PID_FIRST] = child;
}

void ev_child_stop(struct ev_loop *loop, ev_child *child)
{
	ev_clear_pending(loop, child);
	child->active = 0;
	if (child->pid >= PID_FIRST)
		children[child->pid - PID_FIRST] = NULL;
}

struct fake_child fake_children[FAKE_CHILDREN_MAX];
size_t fake_nchildren;

int launch_create(struct ev_loop *loop, const struct launch_config *config,
                  launch_created_fn *on_created, void *ctx, struct launch **out, struct error *err)
{
	struct launch *launch;

	if (config->process->n_args && !strcmp(config->process->args[0], "nofork"))
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no process");
	launch = mem_new(struct launch);
	launch->pid = PID_FIRST + world.pids++;
	launch->on_created = on_created;
	launch->created_ctx = ctx;
	for (int i = 0; i < 3; i++)
		launch->stdio[i] = config->stdio[i] < 0 ? -1 : dup(config->stdio[i]);
	if (launch->stdio[0] >= 0)
		fcntl(launch->stdio[0], F_SETPIPE_SZ, PIPE_BYTES);
	LIST_INSERT_HEAD(&world.launches, launch, link);
	*out = launch;
	return 0;
}

int launch_run(struct launch *launch, done_fn *done, void *ctx, struct error *err)
{
	launch->on_run = done;
	launch->run_ctx = ctx;
	return 0;
}

pid_t launch_pid(const struct launch *launch)
{
	return launch->pid;
}

int launch_pidfd(const struct launch *launch)
{
	return -1;
}

static void close_stdio(struct launch *launch)
{
	for (int i = 0; i < 3; i++)
		cleanup_close(&launch->stdio[i]);
	memset(launch->stdio, -1, sizeof(launch->stdio));
}

void launch_destroy(struct launch *launch)
{
	if (!launch)
		return;
	LIST_REMOVE(launch, link);
	close_stdio(launch);
	free(launch);
}

static void on_errand_end(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct errand *errand = timer->data;
	struct error err;

	error_set(&err, errand->ends_with, "an errand's end");
	errand->done(errand->ctx, errand->ends_with ? &err : NULL);
}

int errand_start_with(struct ev_loop *loop, const struct errand_spec *spec, done_fn *done,
                      void *ctx, struct errand **out, struct error *err)
{
	struct errand *errand;

	if (world.refuse_errands)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "no process");
	errand = mem_new(struct errand);
	errand->ends_with = ERROR_DEADLINE_EXCEEDED;
	errand->result.nfds = MOUNT_FDS;
	errand->done = done;
	errand->ctx = ctx;
	ev_timer_init(&errand->end, on_errand_end, spec->timeout_ms / 1e3, 0);
	errand->end.data = errand;
	ev_timer_start(loop, &errand->end);
	LIST_INSERT_HEAD(&world.errands, errand, link);
	*out = errand;
	return 0;
}

int errand_start(struct ev_loop *loop, errand_fn *work, void *work_ctx, int timeout_ms,
                 done_fn *done, void *ctx, struct errand **out, struct error *err)
{
	const struct errand_spec spec = { .timeout_ms = timeout_ms };

	return errand_start_with(loop, &spec, done, ctx, out, err);
}

/* As soon as the loop turns, also while time stands still. */
static void errand_end(struct errand *errand, enum error_code with)
{
	errand->ends_with = with;
	ev_timer_stop(fuzz_loop(), &errand->end);
	ev_feed_event(fuzz_loop(), &errand->end, EV_TIMER);
}

void errand_cancel(struct errand *errand)
{
	errand_end(errand, ERROR_CANCELED);
}

struct errand_result *errand_result(struct errand *errand)
{
	return &errand->result;
}

void errand_destroy(struct errand *errand)
{
	if (!errand)
		return;
	ev_timer_stop(fuzz_loop(), &errand->end);
	LIST_REMOVE(errand, link);
	free(errand);
}

/* The kernel's links, and nothing else of its network. */

struct uevents *uevents_create(struct ev_loop *loop)
{
	return NULL;
}

void uevents_destroy(struct uevents *uevents)
{
}

void uevents_subscribe(struct uevents *uevents, struct uevent_subscriber *subscriber)
{
	LIST_INSERT_HEAD(&world.subscribers, subscriber, link);
}

void uevents_leave(struct uevent_subscriber *subscriber)
{
	LIST_REMOVE(subscriber, link);
}

int net_socket_open(int netns_fd, struct net_socket **out, struct error *err)
{
	return 0;
}

void net_socket_destroy(struct net_socket *socket)
{
}

int net_socket_request(struct net_socket *socket, struct nl_msg *message, struct error *err)
{
	nlmsg_free(message);
	if (world.netlink_errno)
		error_set(err, ERROR_UNKNOWN, "the kernel's words");
	return -world.netlink_errno;
}

static size_t fake_links(struct net_link *out)
{
	size_t n = 0;

	for (size_t i = 0; i < LINKS; i++)
		if (world.links[i].index)
			out[n++] = world.links[i];
	return n;
}

/* An address on each of them. */
static size_t fake_addresses(struct net_address *out)
{
	struct net_link links[LINKS];
	size_t n = fake_links(links);

	for (size_t i = 0; i < n; i++)
		out[i] = (struct net_address){
			.link = links[i].index,
			.own = { .ip = { .family = AF_INET, .bytes = { 10 } }, .len = 8 },
		};
	return n;
}

int net_socket_dump(struct net_socket *socket, const struct net_dump *dump, void **items, size_t *n,
                    struct error *err)
{
	if (world.netlink_errno == ENOBUFS)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %zu %s", dump->max,
		                 dump->what);
	*items = mem_alloc(LINKS * dump->item_size);
	*n = 0;
	if (dump->type == RTM_GETLINK)
		*n = fake_links(*items);
	if (dump->type == RTM_GETADDR)
		*n = fake_addresses(*items);
	return 0;
}

static void link_changes(void)
{
	uint8_t byte = script_byte(&world.script);
	struct net_link *link = &world.links[byte % LINKS];
	struct uevent_subscriber *one;
	struct uevent_subscriber *next;

	*link = (struct net_link){ .index = byte / LINKS % 4 ? byte % LINKS + 1 : 0 };
	snprintf(link->name, sizeof(link->name), "eth%u", byte / 16 % 2);
	link->mac = (struct net_mac){ .bytes = { 2, 0, 0, 0, 0, byte / 32 % 2 }, .len = 6 };
	link->flags = byte / 64 % 2 ? IFF_UP : 0;
	for (one = LIST_FIRST(&world.subscribers); one; one = next) {
		next = LIST_NEXT(one, link);
		one->on_change(one->ctx);
	}
}

static void kernel_refuses(void)
{
	static const int errors[] = { 0, 0, EEXIST, EACCES, EPERM, ENOBUFS, ENOENT, EBUSY };

	world.netlink_errno = errors[script_byte(&world.script) % COUNT(errors)];
}

static const struct request_kind methods[] = {
	{ "CreateContainer", REQUEST(create_container) },
	{ "StartContainer", REQUEST(start_container) },
	{ "ExecProcess", REQUEST(exec_process) },
	{ "WaitProcess", REQUEST(wait_process) },
	{ "SignalProcess", REQUEST(signal_process) },
	{ "RemoveContainer", REQUEST(remove_container) },
	{ "PauseContainer", REQUEST(pause_container) },
	{ "ResumeContainer", REQUEST(resume_container) },
	{ "UpdateContainer", REQUEST(update_container) },
	{ "StatsContainer", REQUEST(stats_container) },
	{ "TtyWinResize", REQUEST(tty_win_resize) },
	{ "CloseStdin", REQUEST(close_stdin) },
	{ "GetOOMEvent", &grpc__get_oomevent_request__descriptor },
	{ "CreateSandbox", REQUEST(create_sandbox) },
	{ "UpdateInterface", REQUEST(update_interface) },
	{ "ListInterfaces", REQUEST(list_interfaces) },
	{ "UpdateRoutes", REQUEST(update_routes) },
	{ "ListRoutes", REQUEST(list_routes) },
	{ "AddARPNeighbors", REQUEST(add_arpneighbors) },
	{ "WriteStdin", REQUEST(write_stream) },
	{ "ReadStdout", REQUEST(read_stream) },
	{ "ReadStderr", REQUEST(read_stream) },
	{ "GetMetrics", REQUEST(get_metrics) },
	{ "GetVolumeStats", REQUEST(volume_stats) },
};

static const char *text_for(struct script *script, const char *field)
{
	static const char *const ids[] = { "c", "c", "c", "d" };
	static const char *const execs[] = { "", "c", "e", "f" };

	if (!strcmp(field, "container_id")) {
		uint8_t byte = script_byte(script);

		world.storages = byte / COUNT(ids) % STORAGES_MAX;
		return ids[byte % COUNT(ids)];
	}
	if (!strcmp(field, "hostname"))
		world.storages = script_byte(script) % STORAGES_MAX;
	if (!strcmp(field, "pid_namespace_of"))
		return script_byte(script) % 8 ? "" : "d";
	if (!strcmp(field, "exec_id"))
		return execs[script_byte(script) % COUNT(execs)];
	return "";
}

static Grpc__Process *new_process(struct script *script)
{
	Grpc__Process *process = mem_new(Grpc__Process);

	grpc__process__init(process);
	process->args = mem_new(char *);
	process->args[0] = mem_strdup(script_byte(script) % 16 ? "run" : "nofork");
	process->n_args = 1;
	return process;
}

static Grpc__Storage *new_storage(struct script *script)
{
	static const char *const places[] = { "/a", "/b", "/a/c", "nowhere" };
	Grpc__Storage *storage = mem_new(Grpc__Storage);
	uint8_t byte = script_byte(script);

	grpc__storage__init(storage);
	storage->driver = mem_strdup("virtio-fs");
	storage->fstype = mem_strdup("virtiofs");
	storage->mount_point = mem_strdup(places[byte % COUNT(places)]);
	storage->source = mem_strdup(byte / COUNT(places) % 8 ? "share" : "other");
	return storage;
}

/* Of any message about the network, field by field. */
static const char *network_text(struct script *script)
{
	static const char *const texts[] = {
		"",
		"eth0",
		"eth1",
		"02:00:00:00:00:00",
		"02:00:00:00:00:01",
		"10.0.0.1",
		"10.0.0.0/8",
		"fe80::1",
		"2001:db8::/32",
		"24",
		"64",
		"255",
		"reno",
		"a/b",
		"1e/1f",
		"a name that is far longer than any that the kernel has",
	};

	return texts[script_byte(script) % COUNT(texts)];
}

static size_t network_count(struct script *script)
{
	return script_byte(script) % NET_ITEMS_MAX;
}

static void fill_message(struct script *script, ProtobufCMessage *message);

static ProtobufCMessage *new_message(struct script *script, const ProtobufCMessageDescriptor *type)
{
	ProtobufCMessage *message = mem_alloc(type->sizeof_message);

	type->message_init(message);
	fill_message(script, message);
	return message;
}

static void fill_list(struct script *script, ProtobufCMessage *message,
                      const ProtobufCFieldDescriptor *field)
{
	char *base = (char *)message;
	size_t n = network_count(script);

	if (field->type == PROTOBUF_C_TYPE_UINT32) {
		uint32_t *numbers = mem_alloc(8 * (n + 1) * sizeof(*numbers));

		for (size_t i = 0; i < 8 * n; i++)
			numbers[i] = script_byte(script);
		*(uint32_t **)(base + field->offset) = numbers;
		*(size_t *)(base + field->quantifier_offset) = 8 * n;
		return;
	}
	*(ProtobufCMessage ***)(base + field->offset) =
		mem_alloc((n + 1) * sizeof(ProtobufCMessage *));
	for (size_t i = 0; i < n; i++)
		(*(ProtobufCMessage ***)(base + field->offset))[i] =
			new_message(script, field->descriptor);
	*(size_t *)(base + field->quantifier_offset) = n;
}

static void fill_field(struct script *script, ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field)
{
	char *at = (char *)message + field->offset;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		fill_list(script, message, field);
	else if (field->type == PROTOBUF_C_TYPE_STRING)
		*(char **)at = mem_strdup(network_text(script));
	else if (field->type == PROTOBUF_C_TYPE_MESSAGE && script_byte(script) % 2)
		*(ProtobufCMessage **)at = new_message(script, field->descriptor);
	else if (field->type == PROTOBUF_C_TYPE_UINT64)
		*(uint64_t *)at = script_byte(script);
	else if (field->type == PROTOBUF_C_TYPE_BOOL)
		*(protobuf_c_boolean *)at = script_byte(script) % 2;
	else if (field->type == PROTOBUF_C_TYPE_ENUM)
		*(uint32_t *)at = script_byte(script) % 3;
	else if (field->type != PROTOBUF_C_TYPE_MESSAGE)
		*(uint32_t *)at = script_byte(script) * 3U; /* beyond a byte, too */
}

static void fill_message(struct script *script, ProtobufCMessage *message)
{
	for (unsigned int i = 0; i < message->descriptor->n_fields && script->left; i++)
		fill_field(script, message, &message->descriptor->fields[i]);
}

/* NULL: not one of the network's. */
static ProtobufCMessage *network_message_for(struct script *script, const char *field)
{
	static const struct {
		const char *field;
		const ProtobufCMessageDescriptor *type;
	} rows[] = {
		{ "interface", &types__interface__descriptor },
		{ "routes", &grpc__routes__descriptor },
		{ "rules", &types__rule__descriptor },
		{ "neighbors", &grpc__arpneighbors__descriptor },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (!strcmp(field, rows[i].field))
			return new_message(script, rows[i].type);
	return NULL;
}

static size_t count_of(struct script *script, const char *field)
{
	if (!strcmp(field, "rules"))
		return network_count(script);
	return strcmp(field, "storages") ? 0 : world.storages;
}

static ProtobufCMessage *message_for(struct script *script, const char *field)
{
	if (!strcmp(field, "storages"))
		return &new_storage(script)->base;
	if (!strcmp(field, "process"))
		return &new_process(script)->base;
	if (!strcmp(field, "resources")) {
		Grpc__LinuxResources *resources = mem_new(Grpc__LinuxResources);

		grpc__linux_resources__init(resources);
		return &resources->base;
	}
	if (!strcmp(field, "OCI")) {
		Grpc__Spec *spec = mem_new(Grpc__Spec);

		grpc__spec__init(spec);
		spec->process = new_process(script);
		spec->root = mem_new(Grpc__Root);
		grpc__root__init(spec->root);
		return &spec->base;
	}
	return network_message_for(script, field);
}

static const struct request_filler filler = { text_for, message_for, count_of };

static void send_call(unsigned int which)
{
	if (world.requests.sent < REQUESTS_MAX)
		world.waits[world.requests.sent] = !strcmp(methods[which].method, "GetOOMEvent");
	requests_send(&world.requests, &world.script, SERVICE, &methods[which], &filler);
}

static void turn(void);

static void call(void)
{
	unsigned int which = script_byte(&world.script) % COUNT(methods);

	send_call(which);
	if (!strcmp(methods[which].method, "WriteStdin"))
		turn(); /* the socket holds only so much */
}

/* Its parent is told. */
static void end_process(ev_child *child, int status)
{
	struct launch *launch;

	if (!child || ev_is_pending(child))
		return;
	LIST_FOREACH (launch, &world.launches, link)
		if (launch->pid == child->pid)
			close_stdio(launch);
	child->rpid = child->pid;
	child->rstatus = status;
	ev_feed_event(fuzz_loop(), child, EV_CHILD);
}

/* It has come to its next stop, or fails. */
static void go_on(struct launch *launch, const struct error *err)
{
	launch_created_fn *on_created = launch->on_created;
	done_fn *on_run = launch->on_run;

	launch->on_created = NULL;
	launch->on_run = NULL;
	if (on_created)
		on_created(launch->created_ctx, -1, err);
	else if (on_run)
		on_run(launch->run_ctx, err);
}

static struct launch *launch_on_its_way(void)
{
	struct launch *launch;

	LIST_FOREACH (launch, &world.launches, link)
		if (launch->on_created)
			break;
	return launch;
}

/* What is in a cgroup dies with it: processes, and those that are still to become one. */
static void kill_all(void)
{
	struct launch *launch;
	struct error err;

	for (size_t i = 0; i < COUNT(children); i++)
		end_process(children[i], SIGKILL);
	error_set(&err, ERROR_ABORTED, "died");
	while ((launch = launch_on_its_way()))
		go_on(launch, &err);
}

static void turn(void)
{
	if (world.kills != fake_cgroup.kills)
		kill_all();
	world.kills = fake_cgroup.kills;
	fuzz_turn();
	requests_receive(&world.requests);
}

static void process_ends(void)
{
	uint8_t which = script_byte(&world.script);

	end_process(children[which % COUNT(children)], script_byte(&world.script) << 8);
}

static struct launch *choose_launch(void)
{
	uint8_t which = script_byte(&world.script) % 4;
	struct launch *launch = LIST_FIRST(&world.launches);

	while (launch && which--)
		launch = LIST_NEXT(launch, link);
	return launch;
}

static void process_goes_on(void)
{
	struct launch *launch = choose_launch();

	if (launch)
		go_on(launch, NULL);
}

static void process_fails(void)
{
	struct launch *launch = choose_launch();
	struct error err;

	error_set(&err, ERROR_NOT_FOUND, "exec: \"nosuch\": executable file not found in $PATH");
	if (launch)
		go_on(launch, &err);
}

static void process_writes(void)
{
	struct launch *launch = choose_launch();
	size_t len;
	const uint8_t *bytes = script_bytes(&world.script, &len);

	if (launch && launch->stdio[1] >= 0)
		(void)!write(launch->stdio[1], bytes, len);
}

static void stream_comes(void)
{
	int *fd = &world.stream[script_byte(&world.script) % STREAMS];

	cleanup_close(fd);
	*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (connect(*fd, (struct sockaddr *)&world.streams_address, world.streams_address_len) < 0)
		abort();
}

static void stream_moves(void)
{
	int fd = world.stream[script_byte(&world.script) % STREAMS];
	char bytes[4096];

	fuzz_send_bytes(fd, &world.script);
	fuzz_receive(fd, bytes, sizeof(bytes));
}

static void cgroup_resists(void)
{
	fake_cgroup.busy = script_byte(&world.script) % 8;
	world.resisted = world.resisted || fake_cgroup.busy;
	fake_cgroup.looks_to_freeze = script_byte(&world.script) % 8;
	fake_cgroup.refuse_limits = script_byte(&world.script) % 8 == 7;
}

static void errand_ends(void)
{
	uint8_t how = script_byte(&world.script);
	struct errand *errand = LIST_FIRST(&world.errands);

	world.refuse_errands = how % 8 == 7;
	for (int i = how / 8 % 4; i && errand && LIST_NEXT(errand, link); i--)
		errand = LIST_NEXT(errand, link);
	if (errand)
		errand_end(errand, how % 2 ? ERROR_NONE : ERROR_FAILED_PRECONDITION);
}

static void on_torn_down(void *ctx, const struct error *err)
{
	world.torn_down++;
}

static void teardown_begins(void)
{
	struct error err;

	if (script_byte(&world.script) % 4 == 0 &&
	    sandbox_teardown(world.sandbox, on_torn_down, NULL, &err) == 0)
		world.teardowns++;
}

static void client_is_another(void)
{
	world.client.is_shim = script_byte(&world.script) % 2;
}

static void time_passes(void)
{
	static const uint32_t ms[] = { 1, 20, 100, 1000, 11000, 31000 };

	fuzz_pass(ms[script_byte(&world.script) % COUNT(ms)]);
	turn();
}

static void (*const steps[])(void) = {
	call,
	call,
	call,
	turn,
	turn,
	process_ends,
	process_goes_on,
	process_goes_on,
	process_fails,
	process_writes,
	stream_comes,
	stream_moves,
	cgroup_resists,
	time_passes,
	errand_ends,
	teardown_begins,
	link_changes,
	kernel_refuses,
	client_is_another,
};

static int peer_port(int fd, uint32_t *port, struct error *err)
{
	*port = ++world.port;
	return 0;
}

/* On a name that the kernel chooses (unix(7), "Autobind feature"). */
static int listen_anywhere(struct sockaddr_un *address, socklen_t *len)
{
	static const struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	*len = sizeof(*address);
	if (bind(fd, (const struct sockaddr *)&any, sizeof(any.sun_family)) < 0 ||
	    listen(fd, STEPS) < 0 || getsockname(fd, (struct sockaddr *)address, len) < 0)
		abort();
	return fd;
}

static void start(void)
{
	struct ttrpc_server_config config = { .services = service_table() };
	struct sockaddr_un address;
	socklen_t len;
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int fd = listen_anywhere(&world.streams_address, &world.streams_address_len);

	world.streams = streams_create(fuzz_loop(), fd, peer_port);
	world.network = network_create(fuzz_loop(), NULL, NETWORK_CARD_TIMEOUT_MS);
	world.sandbox = sandbox_create(&(struct sandbox_config){
		.loop = fuzz_loop(),
		.streams = world.streams,
		.client = &world.client,
		.network = world.network,
		.cgroup_mount = "/nowhere",
		.storage_drivers = storage_drivers(),
		.root = "/dev/null", /* nothing can be below it */
	});
	config.ctx = world.sandbox;
	fd = listen_anywhere(&address, &len);
	if (ttrpc_server_create(fuzz_loop(), fd, &config, &world.server, NULL) < 0 ||
	    connect(client, (struct sockaddr *)&address, len) < 0)
		abort();
	requests_init(&world.requests, client);
	fuzz_turn();
}

/* All containers are removed, by the first ids that a script of zeros chooses and by the others. */
static void remove_all(void)
{
	static const uint8_t removals[] = { 0, 0, 3, 0 }; /* "c" and "d", no timeout */

	world.script = (struct script){ removals, sizeof(removals) };
	send_call(5);
	send_call(5);
}

/* What is under way goes well. */
static void turn_to_the_end(void)
{
	struct errand *errand = LIST_FIRST(&world.errands);
	struct launch *launch;

	/* Each of them may take others with it. */
	LIST_FOREACH (launch, &world.launches, link)
		if (launch->on_created || launch->on_run)
			break;
	if (launch)
		go_on(launch, NULL);
	else if (errand)
		errand_end(errand, ERROR_NONE);
	turn();
}

/* Whatever has happened, every call is answered in the end, and nothing is left. */
static void end(void)
{
	fake_cgroup.busy = 0;
	world.refuse_errands = false;
	for (int i = 0; i < END_TURNS; i++)
		turn_to_the_end();
	remove_all();
	for (int i = 0; i < END_TURNS; i++) {
		fuzz_pass(END_TURN_MS);
		turn_to_the_end();
	}
	for (uint32_t i = 0; i < world.requests.sent; i++)
		assert(world.requests.answered[i] || world.waits[i]);
	assert(fake_cgroup.alive == 0 || world.resisted);
	assert(world.torn_down == world.teardowns);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	world = (struct world){ .script = { data, size }, .client = { .is_shim = true } };
	memset(world.stream, -1, sizeof(world.stream));
	fake_cgroup = (struct fake_cgroup){ 0 };
	start();
	for (int i = 0; i < STEPS && world.script.left; i++)
		steps[script_byte(&world.script) % COUNT(steps)]();
	turn();
	end();
	requests_fini(&world.requests);
	sandbox_destroy(world.sandbox);
	network_destroy(world.network);
	streams_destroy(world.streams);
	ttrpc_server_destroy(world.server);
	assert(LIST_EMPTY(&world.launches) && LIST_EMPTY(&world.errands));
	assert(LIST_EMPTY(&world.subscribers));
	for (int i = 0; i < STREAMS; i++)
		cleanup_close(&world.stream[i]);
	return 0;
}
