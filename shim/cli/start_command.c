#include "shim/cli/start_command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/loop/proc.h"
#include "common/mem.h"
#include "shim/cli/command_line.h"
#include "shim/cli/deadlines.h"
#include "shim/cli/handshake.h"
#include "shim/cli/standard_output.h"
#include "shim/host/address.h"
#include "shim/host/pod_dir.h"
#include "shim/pod/pod_policy.h"
#include "shim/server/serve.h"
#include "shim/spec/bundle.h"

#define PID_TEXT_MAX 20

/* What a failed start undoes: each field is set once the thing is there. */
struct pod_start {
	const struct command_line *line;
	struct deadlines deadlines;
	struct handshake *handshake;
	char *bundle;
	struct address address;
	char *pod_dir;
	int listen_fd;
	pid_t server;
	bool joins; /* a container of a pod that is there already */
	bool published;
};

/* The bundle is read to say early and clearly what is wrong with it, and because it says whose pod
 * the container is in. *@id: that pod's. */
static int read_bundle(struct pod_start *start, char **id, struct error *err)
{
	autodestroy(bundle) struct bundle *bundle = NULL;
	const struct pod_policy *policy;
	int r;

	*id = mem_strdup(start->line->id);
	start->bundle = command_line_bundle(start->line, err);
	if (!start->bundle)
		return error_code_errno(err->code);
	if (start->handshake->form != HANDSHAKE_ADDRESS && bundle_is_bare(start->bundle))
		return 0; /* a sandbox, which containerd before 1.7 has not */
	r = bundle_load(start->bundle, &bundle, err);
	if (r < 0)
		return r;
	start->joins = bundle_type(bundle) == BUNDLE_CONTAINER;
	if (!start->joins)
		return pod_policy_for(bundle, &policy, err);
	free(*id);
	*id = mem_strdup(bundle_sandbox_id(bundle));
	return 0;
}

static int find_pod(struct pod_start *start, struct error *err)
{
	const struct command_line *line = start->line;
	autofree char *id = NULL;
	const char *dir;
	int r = read_bundle(start, &id, err);

	if (r < 0)
		return r;
	dir = start->handshake->socket_dir ? start->handshake->socket_dir : ADDRESS_DIR;
	if (*dir != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid socket directory \"%s\": not an absolute path", dir);
	r = address_of(dir, line->address, line->namespace, id, &start->address, err);
	if (r == 0 && start->joins && !address_is_served(&start->address))
		return error_set(
			err, ERROR_NOT_FOUND,
			"cannot find sandbox \"%s\" of container \"%s\": no shim serves it", id,
			line->id);
	return r;
}

static int make_pod(struct pod_start *start, struct error *err)
{
	const struct command_line *line = start->line;
	int r;

	start->listen_fd = address_listen(&start->address, err);
	if (start->listen_fd < 0)
		return start->listen_fd;
	r = pod_dir_make(POD_DIR_ROOT, start->address.pod, line->namespace, line->id,
	                 &start->pod_dir, err);
	if (r < 0) {
		unlink(start->address.path);
		close(take_fd(&start->listen_fd));
	}
	return r;
}

/* -EAGAIN: the shim of a pod that is ending still has them. */
static int try_claim(struct pod_start *start, struct error *err)
{
	autoclose int lock = pod_dir_lock(POD_DIR_ROOT, err);

	if (lock < 0)
		return lock;
	if (address_is_served(&start->address))
		return 0;
	if (pod_dir_is_held(POD_DIR_ROOT, start->address.pod)) {
		error_set(err, ERROR_UNAVAILABLE,
		          "the last pod of this name has not ended after %d ms",
		          start->deadlines.start_ending_ms);
		return -EAGAIN;
	}
	return make_pod(start, err);
}

/* Takes the pod's socket and directory, or finds that a shim serves it: then there is no listen_fd.
 */
static int claim_pod(struct pod_start *start, struct error *err)
{
	int r = start->joins ? 0 : try_claim(start, err);

	while (r == -EAGAIN &&
	       pod_dir_wait(POD_DIR_ROOT, start->address.pod, start->deadlines.start_ending_ms))
		r = try_claim(start, err);
	return r;
}

/* The child. Its strings are copies: the options lie in argv, which becomes the process title. */
static void run_server(const struct pod_start *start, char **argv, int ready_fd)
{
	const struct command_line *line = start->line;
	autofree char *ns = mem_strdup(line->namespace);
	autofree char *id = mem_strdup(line->id);
	autofree char *containerd = mem_strdup(line->address);
	const struct runtime_options *runtime_options = &start->handshake->runtime_options;
	const struct config_source source = {
		.path = runtime_options->config_path,
		.body = runtime_options->config_body,
		.body_len = runtime_options->config_body ? strlen(runtime_options->config_body) : 0,
	};
	struct serve_config config = {
		.ns = ns,
		.id = id,
		.bundle = start->bundle,
		.containerd = containerd,
		.ttrpc_address = start->handshake->ttrpc_address,
		.pod_dir = start->pod_dir,
		.address = start->address,
		.argv = argv,
		.debug = start->handshake->debug,
		.source = source,
		.bundle_look_ms = start->deadlines.bundle_look_ms,
		.listen_fd = start->listen_fd,
		.ready_fd = ready_fd,
	};

	exit(serve(&config));
}

/* Reads what the server reports, or finds out how it died. */
static int wait_ready(struct pod_start *start, int fd, struct error *err)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	struct error report;
	char death[100];
	int status, n;

	do
		n = poll(&poll_fd, 1, start->deadlines.server_ready_ms);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return error_set(err, ERROR_DEADLINE_EXCEEDED, "the shim is not ready after %d ms",
		                 start->deadlines.server_ready_ms);
	if (read(fd, &report, sizeof(report)) == sizeof(report)) {
		error_copy(err, &report);
		return error_code_errno(report.code);
	}
	if (waitpid(start->server, &status, 0) != start->server)
		return error_errno(err, "cannot wait for the shim");
	start->server = 0;
	proc_describe(status, death, sizeof(death));
	return error_set(err, ERROR_UNKNOWN, "the shim %s before it was ready", death);
}

/* Not by proc_spawn(), which watches a child of its parent's loop: here is none, and the server
 * outlives its parent. */
static int start_server(struct pod_start *start, char **argv, struct error *err)
{
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return error_errno(err, "cannot make a pipe");
	start->server = fork();
	if (start->server == 0)
		run_server(start, argv, fds[1]);
	close(fds[1]);
	r = start->server < 0 ? error_errno(err, "cannot fork") : wait_ready(start, fds[0], err);
	close(fds[0]);
	return r;
}

static int write_bundle_file(struct pod_start *start, const char *name, const char *text,
                             struct error *err)
{
	autofree char *path = mem_printf("%s/%s", start->bundle, name);

	return file_write(AT_FDCWD, path, 0644, text, strlen(text), err);
}

/* In the bundle, for a containerd that is started again, and on standard output. */
static int publish(struct pod_start *start, struct error *err)
{
	autofree char *uri = mem_printf(ADDRESS_URI "%s", start->address.path);
	ProtobufCBinaryData answer = handshake_answer(start->handshake->form, uri);
	char pid[PID_TEXT_MAX];
	int r = 0;

	start->published = true;
	if (start->server) {
		snprintf(pid, sizeof(pid), "%d", (int)start->server);
		r = write_bundle_file(start, "shim.pid", pid, err);
	}
	if (r == 0)
		r = write_bundle_file(start, "address", uri, err);
	if (r == 0)
		r = standard_output_write(answer.data, answer.len, err);
	free(answer.data);
	return r;
}

static void release_pod(struct pod_start *start)
{
	int lock = pod_dir_lock(POD_DIR_ROOT, NULL);

	unlink(start->address.path);
	pod_dir_remove(POD_DIR_ROOT, start->address.pod, NULL);
	if (lock >= 0)
		close(lock);
}

static void undo(struct pod_start *start)
{
	if (start->listen_fd < 0) /* nothing is ours */
		return;
	if (start->server > 0) {
		kill(start->server, SIGKILL);
		waitpid(start->server, NULL, 0);
	}
	release_pod(start);
	if (start->published) {
		autofree char *address = mem_printf("%s/address", start->bundle);
		autofree char *pid = mem_printf("%s/shim.pid", start->bundle);

		unlink(address);
		unlink(pid);
	}
}

static void start_fini(struct pod_start *start)
{
	handshake_destroy(start->handshake);
	free(start->bundle);
	free(start->pod_dir);
	if (start->listen_fd >= 0)
		close(start->listen_fd);
}

int start_command(const struct command_line *line, char **argv, struct error *err)
{
	struct pod_start start = {
		.line = line,
		.deadlines = deadlines_get(),
		.listen_fd = -1,
	};
	int r;

	r = handshake_read(line, STDIN_FILENO, &start.handshake, err);
	if (r == 0)
		r = find_pod(&start, err);
	if (r == 0)
		r = claim_pod(&start, err);
	if (r == 0 && start.listen_fd >= 0)
		r = start_server(&start, argv, err);
	if (r == 0)
		r = publish(&start, err);
	if (r < 0)
		undo(&start);
	start_fini(&start);
	return r;
}
