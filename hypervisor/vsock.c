#include "hypervisor/vsock.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop/listener.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "common/unix_socket.h"
#include "hypervisor/hint.h"
#include "hypervisor/vsock/line.h"
#include "hypervisor/vsock_internal.h"

/*
 * The device listens on <dir>/vsock.sock; who listens for the guest's connects does so on
 * <dir>/vsock.sock_<port>, which belongs to the device's uid, since connect(2) needs write access.
 */

#define BACKLOG   128
#define WORDS_MAX (64 << 10) /* of the device's last words: what a pipe holds */
#define LINES_MAX 400        /* of them in the log */
#define CAUSE_MAX 512        /* of the first of them */

_Static_assert(VSOCK_STREAMS_MAX == LINE_STREAMS_MAX, "what the device serves");

/* A port of the host's that the guest may connect to. */
struct port {
	LIST_ENTRY(port) in_list;
	uint32_t number;
	char *path;
	struct listener *listener;
};

/* A vsock_connect() that waits for its answer. */
struct connect {
	LIST_ENTRY(connect) in_list;
	struct vsock *vsock;
	int fd;
	ev_io io;
	ev_timer timer;
	uint32_t port;
	int timeout_ms;
	vsock_connected_fn *done;
	void *ctx;
};

/* A ping, at most one at a time. */
struct ping {
	int fd; /* -1: none */
	ev_io io;
	ev_timer timer;
	int timeout_ms;
};

struct vsock {
	struct ev_loop *loop;
	char *path; /* of the device's socket */
	uid_t uid;
	gid_t gid;
	struct proc *proc;
	int words; /* the read end of the device's stderr */
	vsock_lost_fn *on_lost;
	void *ctx;
	struct ping ping;
	bool silent; /* it was killed because it answered nothing */
	LIST_HEAD(port_list, port) ports;
	LIST_HEAD(connect_list, connect) connects;
};

struct ev_loop *vsock_loop(const struct vsock *vsock)
{
	return vsock->loop;
}

pid_t vsock_pid(const struct vsock *vsock)
{
	return proc_pid(vsock->proc);
}

void vsock_kill(struct vsock *vsock)
{
	proc_kill(vsock->proc, SIGKILL);
}

/* A listening socket that the device may connect to; what is at @path goes. */
static int listen_at(const struct vsock *vsock, const char *path, struct error *err)
{
	autoclose int fd = -1;

	unlink(path);
	fd = unix_socket_listen(path, BACKLOG, err);
	if (fd < 0)
		return fd;
	if (vsock->uid && lchown(path, vsock->uid, vsock->gid) < 0)
		return error_errno(err, "cannot give \"%s\" to its user", path);
	return take_fd(&fd);
}

/*
 * What the device said last: the first line is @cause, what follows goes to the log, as a
 * sanitizer's report of a hundred lines does. Lines of '=' alone, with which that begins, say
 * nothing.
 */
static void last_words(const struct vsock *vsock, char cause[CAUSE_MAX])
{
	autofree char *text = mem_alloc(WORDS_MAX + 1);
	ssize_t n = read(vsock->words, text, WORDS_MAX);
	char *rest = text, *line;
	int lines = 0;

	cause[0] = '\0';
	text[n < 0 ? 0 : n] = '\0';
	while (lines < LINES_MAX && (line = strsep(&rest, "\n"))) {
		if (!line[strspn(line, "=")])
			continue;
		if (lines++ == 0)
			snprintf(cause, CAUSE_MAX, "%s", line);
		else
			log_warn("vsock device: '%s'", line);
	}
}

static void ping_end(struct vsock *vsock)
{
	if (vsock->ping.fd < 0)
		return;
	ev_io_stop(vsock->loop, &vsock->ping.io);
	ev_timer_stop(vsock->loop, &vsock->ping.timer);
	close(vsock->ping.fd);
	vsock->ping.fd = -1;
}

/* Whatever comes, or the end of the socket, is a sign of life. */
static void on_pong(struct ev_loop *loop, ev_io *io, int events)
{
	ping_end(io->data);
}

static void on_ping_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct vsock *vsock = timer->data;

	ping_end(vsock);
	vsock->silent = true;
	vsock_kill(vsock);
}

void vsock_ping(struct vsock *vsock, int timeout_ms)
{
	struct error err;
	int fd;

	if (vsock->ping.fd >= 0 || vsock->silent)
		return;
	fd = vsock_dial(vsock, LINE_PING "\n", -1, &err);
	if (fd < 0) { /* it has ended; or it has not accepted for long, and the next request asks */
		log_warn("%s", err.text);
		return;
	}
	vsock->ping.fd = fd;
	vsock->ping.timeout_ms = timeout_ms;
	ev_io_init(&vsock->ping.io, on_pong, fd, EV_READ);
	ev_set_priority(&vsock->ping.io, EV_MAXPRI);
	ev_timer_init(&vsock->ping.timer, on_ping_timeout, timeout_ms / 1000.0, 0);
	vsock->ping.io.data = vsock->ping.timer.data = vsock;
	ev_io_start(vsock->loop, &vsock->ping.io);
	ev_timer_start(vsock->loop, &vsock->ping.timer);
}

static void on_exit_of_device(void *ctx, int status)
{
	struct vsock *vsock = ctx;
	char how[64], cause[CAUSE_MAX];
	struct error err;

	ping_end(vsock);
	proc_describe(status, how, sizeof(how));
	last_words(vsock, cause);
	if (vsock->silent) {
		error_set(&err, ERROR_UNAVAILABLE, "the vsock device has not answered within %d ms",
		          vsock->ping.timeout_ms);
	} else {
		error_set(&err, ERROR_UNAVAILABLE, "the vsock device %s%s%s", how,
		          *cause ? ": " : "", cause);
		hint_add_to_end(&err, status);
	}
	vsock->on_lost(vsock->ctx, status, &err);
}

static int spawn(struct vsock *vsock, const struct vsock_config *config, int vmm, int listener,
                 int words, struct error *err)
{
	autofree char *cid = mem_printf("%" PRIu32, config->guest_cid);
	autofree char *uid = mem_printf("%u", config->uid);
	autofree char *gid = mem_printf("%u", config->gid);
	autofree char *parent = mem_printf("%d", getpid());
	autofree char *vmm_fd = mem_printf("%d", vmm);
	autofree char *listen_fd = mem_printf("%d", listener);
	const char *const argv[] = {
		config->device_path,
		"--cid",
		cid,
		"--dir",
		config->dir,
		"--uid",
		uid,
		"--gid",
		gid,
		"--parent",
		parent,
		"--vmm",
		vmm_fd,
		"--listen",
		listen_fd,
		NULL,
	};
	const struct proc_fd fds[] = { { vmm, -1 }, { listener, -1 }, { words, STDERR_FILENO } };
	const struct proc_spec spec = {
		.argv = argv,
		.fds = fds,
		.nfds = sizeof(fds) / sizeof(fds[0]),
		.oom_score_adj = config->oom_score_adj,
		.no_network = config->uid != 0,
		.no_shared_core = true,
		.no_new_privs = true,
	};

	return hint_add_to_spawn(
		err, HINT_VSOCK_PROGRAM,
		proc_spawn(vsock->loop, &spec, on_exit_of_device, vsock, &vsock->proc, err));
}

static int start(struct vsock *vsock, const struct vsock_config *config, int *vmm_fd,
                 struct error *err)
{
	autoclose int vmm_end = -1, device_end = -1, listener = -1, words = -1;
	int pair[2], ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "cannot make the vsock device's socket");
	vmm_end = pair[0];
	device_end = pair[1];
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return error_errno(err, "cannot make a pipe");
	vsock->words = ends[0];
	words = ends[1];
	listener = listen_at(vsock, vsock->path, err);
	if (listener < 0)
		return listener;
	r = spawn(vsock, config, device_end, listener, words, err);
	if (r < 0)
		return r;
	*vmm_fd = take_fd(&vmm_end);
	return 0;
}

int vsock_start(struct ev_loop *loop, const struct vsock_config *config, vsock_lost_fn *on_lost,
                void *ctx, struct vsock **out, int *vmm_fd, struct error *err)
{
	struct vsock *vsock = mem_new(struct vsock);
	int r;

	*vsock = (struct vsock){
		.loop = loop,
		.path = mem_printf("%s/%s", config->dir, LINE_SOCKET),
		.uid = config->uid,
		.gid = config->gid,
		.words = -1,
		.ping.fd = -1,
		.on_lost = on_lost,
		.ctx = ctx,
	};
	r = start(vsock, config, vmm_fd, err);
	if (r < 0) {
		vsock_destroy(vsock);
		return error_wrap(err, "cannot start the vsock device");
	}
	*out = vsock;
	return 0;
}

static void port_close(struct port *port)
{
	listener_destroy(port->listener);
	unlink(port->path);
	LIST_REMOVE(port, in_list);
	free(port->path);
	free(port);
}

/* All but the descriptor, which may be the caller's by now. */
static void connect_free(struct connect *connect)
{
	ev_io_stop(connect->vsock->loop, &connect->io);
	ev_timer_stop(connect->vsock->loop, &connect->timer);
	LIST_REMOVE(connect, in_list);
	free(connect);
}

void vsock_destroy(struct vsock *vsock)
{
	if (!vsock)
		return;
	for (struct port *p = LIST_FIRST(&vsock->ports), *next; p; p = next) {
		next = LIST_NEXT(p, in_list);
		port_close(p);
	}
	for (struct connect *c = LIST_FIRST(&vsock->connects), *next; c; c = next) {
		next = LIST_NEXT(c, in_list);
		close(c->fd);
		connect_free(c);
	}
	ping_end(vsock);
	proc_destroy(vsock->proc);
	if (vsock->words >= 0)
		close(vsock->words);
	unlink(vsock->path);
	free(vsock->path);
	free(vsock);
}

int vsock_dial(const struct vsock *vsock, const char *line, int pass, struct error *err)
{
	autoclose int fd = unix_socket_connect(vsock->path);
	int r = fd < 0 ? fd : line_send(fd, line, pass);

	if (r < 0)
		return error_set(err, ERROR_UNAVAILABLE, "cannot connect to the vsock device: %s",
		                 strerrordesc_np(-r));
	return take_fd(&fd);
}

static void connect_end(struct connect *connect, int fd, const struct error *err)
{
	vsock_connected_fn *done = connect->done;
	void *ctx = connect->ctx;

	if (fd < 0)
		close(connect->fd);
	connect_free(connect);
	done(ctx, fd, err);
}

static void on_answer(struct ev_loop *loop, ev_io *io, int events)
{
	struct connect *connect = io->data;
	char line[LINE_MAX_SIZE];
	struct error err;
	int passed = -1;
	int r = line_receive(connect->fd, line, &passed);

	if (r == -EAGAIN)
		return;
	if (passed >= 0)
		close(passed);
	if (r > 0 && !strncmp(line, LINE_OK " ", sizeof(LINE_OK))) {
		connect_end(connect, connect->fd, NULL);
		return;
	}
	error_set(&err, ERROR_UNAVAILABLE,
	          "the guest refused a connection to its vsock port %" PRIu32, connect->port);
	connect_end(connect, -1, &err);
}

static void on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct connect *connect = timer->data;
	struct error err;

	error_set(&err, ERROR_DEADLINE_EXCEEDED,
	          "the guest did not answer on its vsock port %" PRIu32 " within %d ms",
	          connect->port, connect->timeout_ms);
	vsock_ping(connect->vsock, connect->timeout_ms);
	connect_end(connect, -1, &err);
}

int vsock_connect(struct vsock *vsock, uint32_t guest_port, int timeout_ms,
                  vsock_connected_fn *done, void *ctx, struct error *err)
{
	autofree char *line = mem_printf(LINE_CONNECT " %" PRIu32 "\n", guest_port);
	int fd = vsock_dial(vsock, line, -1, err);
	struct connect *connect;

	if (fd < 0)
		return fd;
	connect = mem_new(struct connect);
	*connect = (struct connect){
		.vsock = vsock,
		.fd = fd,
		.port = guest_port,
		.timeout_ms = timeout_ms,
		.done = done,
		.ctx = ctx,
	};
	LIST_INSERT_HEAD(&vsock->connects, connect, in_list);
	ev_io_init(&connect->io, on_answer, fd, EV_READ);
	ev_timer_init(&connect->timer, on_timeout, timeout_ms / 1000.0, 0);
	ev_set_priority(&connect->io, EV_MAXPRI);
	connect->io.data = connect->timer.data = connect;
	ev_io_start(vsock->loop, &connect->io);
	ev_timer_start(vsock->loop, &connect->timer);
	return 0;
}

int vsock_listen(struct vsock *vsock, uint32_t host_port, vsock_accepted_fn *on_accept, void *ctx,
                 struct error *err)
{
	autofree char *path = mem_printf("%s_%" PRIu32, vsock->path, host_port);
	struct port *port;
	int fd = listen_at(vsock, path, err);

	if (fd < 0)
		return fd;
	port = mem_new(struct port);
	*port = (struct port){
		.number = host_port,
		.path = take_ptr(&path),
		.listener = listener_create(vsock->loop, fd, on_accept, ctx),
	};
	LIST_INSERT_HEAD(&vsock->ports, port, in_list);
	return 0;
}

void vsock_unlisten(struct vsock *vsock, uint32_t host_port)
{
	for (struct port *p = LIST_FIRST(&vsock->ports), *next; p; p = next) {
		next = LIST_NEXT(p, in_list);
		if (p->number == host_port)
			port_close(p);
	}
}
