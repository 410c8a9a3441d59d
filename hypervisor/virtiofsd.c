#include "hypervisor/virtiofsd.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop/proc.h"
#include "common/mem.h"
#include "common/unix_socket.h"
#include "hypervisor/console.h"
#include "hypervisor/hint.h"
#include "hypervisor/virtiofsd_options.h"

#define TAIL_BYTES 400

struct virtiofsd {
	struct console *console;
	struct proc *proc;
	virtiofsd_lost_fn *on_lost;
	void *ctx;
};

static int spawn(struct virtiofsd *virtiofsd, struct ev_loop *loop,
                 const struct virtiofsd_config *config, enum virtiofsd_kind kind, int fd,
                 int stderr_fd, proc_exit_fn *on_exit, struct error *err)
{
	autofree char **argv = virtiofsd_options(config, kind, fd);
	const struct proc_fd fds[] = {
		{ .fd = fd, .as = -1 },
		{ .fd = stderr_fd, .as = 1 },
		{ .fd = stderr_fd, .as = 2 },
	};
	const struct proc_spec spec = {
		.argv = (const char *const *)argv,
		.fds = fds,
		.nfds = sizeof(fds) / sizeof(fds[0]),
		.oom_score_adj = config->oom_score_adj,
		.no_shared_core = true,
		.no_new_privs = true,
		/* Its sandboxed child would outlive it while stopped; ours has none. */
		.own_pids = kind != VIRTIOFSD_OURS,
	};

	if (!argv)
		return error_set(err, ERROR_INVALID_ARGUMENT, "its paths are too long");
	return hint_add_to_spawn(
		err, HINT_VIRTIOFSD_PROGRAM,
		proc_spawn(loop, &spec, on_exit, virtiofsd, &virtiofsd->proc, err));
}

/*
 * A listening socket and its first client, before anybody listens: a client that is connected
 * before the daemon runs need not wait for it. The name is gone before the daemon could tell it.
 */
static int make_sockets(const char *run_dir, int *listen_fd, int *client_fd, struct error *err)
{
	autofree char *path = mem_printf("%s/virtiofsd.sock", run_dir);
	autoclose int server = -1;
	autoclose int client = -1;

	unlink(path);
	server = unix_socket_listen(path, 1, err);
	if (server < 0)
		return server;
	client = unix_socket_connect(path);
	unlink(path);
	if (client < 0)
		return error_set(err, ERROR_UNKNOWN, "cannot connect \"%s\": %s", path,
		                 strerrordesc_np(-client));
	if (fcntl(client, F_SETFL, 0) < 0) /* the VMM waits for answers on it */
		return error_errno(err, "cannot make a socket blocking");
	*listen_fd = take_fd(&server);
	*client_fd = take_fd(&client);
	return 0;
}

/* Ours need not listen. */
static int make_pair(int *server_fd, int *client_fd, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "cannot make a pair of sockets");
	*server_fd = pair[0];
	*client_fd = pair[1];
	return 0;
}

static void on_exit_of_daemon(void *ctx, int status)
{
	struct virtiofsd *virtiofsd = ctx;
	char how[100];
	char tail[TAIL_BYTES];
	struct error err;

	console_drain(virtiofsd->console);
	console_tail(virtiofsd->console, tail, sizeof(tail));
	proc_describe(status, how, sizeof(how));
	error_set(&err, ERROR_UNAVAILABLE, "virtiofsd %s%s%s", how, *tail ? ": " : "", tail);
	hint_add_to_end(&err, status);
	virtiofsd->on_lost(virtiofsd->ctx, status, &err);
}

int virtiofsd_start(struct ev_loop *loop, const struct virtiofsd_config *config,
                    virtiofsd_lost_fn *on_lost, void *ctx, struct virtiofsd **out, int *vmm_fd,
                    struct error *err)
{
	autodestroy(virtiofsd) struct virtiofsd *virtiofsd = mem_new(struct virtiofsd);
	enum virtiofsd_kind kind = virtiofsd_kind(config->path);
	autoclose int server_fd = -1;
	autoclose int client_fd = -1;
	autoclose int stderr_fd = -1;
	int r;

	virtiofsd->on_lost = on_lost;
	virtiofsd->ctx = ctx;
	if (kind == VIRTIOFSD_OURS)
		r = make_pair(&server_fd, &client_fd, err);
	else
		r = make_sockets(config->run_dir, &server_fd, &client_fd, err);
	if (r == 0)
		r = console_create(loop, "virtiofsd", &virtiofsd->console, &stderr_fd, err);
	if (r == 0)
		r = spawn(virtiofsd, loop, config, kind, server_fd, stderr_fd, on_exit_of_daemon,
		          err);
	if (r < 0)
		return error_wrap(err, "cannot start virtiofsd");
	*vmm_fd = take_fd(&client_fd);
	*out = take_ptr(&virtiofsd);
	return 0;
}

void virtiofsd_kill(struct virtiofsd *virtiofsd)
{
	proc_kill(virtiofsd->proc, SIGKILL);
}

void virtiofsd_destroy(struct virtiofsd *virtiofsd)
{
	if (!virtiofsd)
		return;
	proc_destroy(virtiofsd->proc);
	console_destroy(virtiofsd->console);
	free(virtiofsd);
}
