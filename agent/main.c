/*
 * The agent: PID 1 of the guest. `/init launch` is the child that becomes a container's
 * process (agent/pod/launch.h), `/init pause` holds the pod's pid namespace (agent/launch/pause.h),
 * `/init -q -- ALIAS` loads a module (agent/guest/modprobe.h).
 */
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/cgroup.h"
#include "agent/guest/announce.h"
#include "agent/guest/boot.h"
#include "agent/guest/drivers.h"
#include "agent/guest/guest.h"
#include "agent/guest/memory_pressure.h"
#include "agent/guest/modprobe.h"
#include "agent/guest/network.h"
#include "agent/guest/relay.h"
#include "agent/guest/storage_driver.h"
#include "agent/guest/uevent.h"
#include "agent/guest/vsock_socket.h"
#include "agent/launch/launch_child.h"
#include "agent/launch/pause.h"
#include "agent/pod/client.h"
#include "agent/pod/sandbox.h"
#include "agent/pod/service.h"
#include "agent/pod/streams.h"
#include "common/error.h"
#include "common/log.h"
#include "proto/ttrpc/ttrpc_server.h"
#include "proto/vsock_ports.h"

struct agent {
	struct ev_loop *loop;
	struct streams *streams;
	struct client client;
	struct relay *relay;
	struct sandbox *sandbox;
	struct ttrpc_server *server;
	struct uevents *uevents;
	struct network *network;
	struct drivers *drivers;
	struct announce *announce;
};

static int agent_start(struct agent *agent, struct error *err);

int main(int argc, char **argv)
{
	struct agent agent = { 0 };
	struct error err;

	if (argc == 2 && !strcmp(argv[1], "launch"))
		return launch_child_main();
	if (argc == 2 && !strcmp(argv[1], PAUSE_ARGUMENT))
		return pause_main();
	if (modprobe_is_asked_for(argc, argv))
		return modprobe_main(argv[3]);
	if (getpid() != 1) {
		fprintf(stderr, "%s is the guest's PID 1 and cannot run anywhere else\n", argv[0]);
		return 1;
	}
	if (boot_system(&err) < 0 || agent_start(&agent, &err) < 0) {
		log_error("the guest cannot serve cause=\"%s\"", err.text);
		guest_power_off();
	}
	ev_run(agent.loop, 0);
	guest_power_off();
}

static void on_connection_error(void *ctx, const struct error *err)
{
	log_warn("connection ended cause=\"%s\"", err->text);
}

static void ignore_signal(int sig)
{
}

/* A handler and not SIG_IGN, which a container's process would inherit. */
static void ignore_sigpipe(void)
{
	struct sigaction action = { .sa_handler = ignore_signal, .sa_flags = SA_RESTART };

	sigaction(SIGPIPE, &action, NULL);
}

/* Whoever calls the agent is root in the guest. */
static int admit_host(int fd, struct error *err)
{
	uint32_t port;

	return vsock_socket_peer(fd, &port, err);
}

static int agent_serve(struct agent *agent, struct error *err)
{
	struct ttrpc_server_config config = {
		.services = service_table(),
		.ctx = agent->sandbox,
		.admit = admit_host,
		.on_fault = on_connection_error,
	};
	int fd;
	int r;

	r = vsock_socket_listen(VSOCK_PORT_AGENT, &fd, err);
	if (r < 0)
		return r;
	return ttrpc_server_create(agent->loop, fd, &config, &agent->server, err);
}

static void on_hello_taken(void *ctx)
{
	struct agent *agent = ctx;

	agent->client.is_shim = true;
	log_debug("the host is a shim of ours");
}

static int agent_start(struct agent *agent, struct error *err)
{
	int fd;
	int r;

	ignore_sigpipe();
	/* A description of its own, to be non-blocking: a container may stop the terminal. */
	log_open(open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC));
	agent->loop = ev_default_loop(EVFLAG_AUTO); /* its child watchers reap every process */
	r = vsock_socket_listen(VSOCK_PORT_STREAMS, &fd, err);
	if (r < 0)
		return r;
	agent->streams = streams_create(agent->loop, fd, vsock_socket_peer);
	r = vsock_socket_listen(VSOCK_PORT_RELAY, &fd, err);
	if (r < 0)
		return r;
	agent->relay = relay_create(agent->loop, fd, CGROUP_MOUNT, vsock_socket_peer);
	agent->uevents = uevents_create(agent->loop);
	agent->drivers =
		drivers_create(agent->loop, agent->uevents, DRIVERS_DEVICES, modprobe_load);
	agent->network = network_create(agent->loop, agent->uevents, NETWORK_CARD_TIMEOUT_MS);
	agent->sandbox = sandbox_create(&(struct sandbox_config){
		.loop = agent->loop,
		.streams = agent->streams,
		.client = &agent->client,
		.network = agent->network,
		.uevents = agent->uevents,
		.cgroup_mount = CGROUP_MOUNT,
		.storage_drivers = storage_drivers(),
		.root = "",
		.pressure_file = MEMORY_PRESSURE_FILE,
		.load_module = modprobe_load,
	});
	r = agent_serve(agent, err);
	if (r < 0)
		return r;
	agent->announce = announce_create(agent->loop, agent->uevents, on_hello_taken, agent);
	log_info("agent serves version=" KATA_VERSION);
	return 0;
}
