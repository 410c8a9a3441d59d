#include "shim/cli/delete_command.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"
#include "proto/message.h"
#include "proto/task_v2.pb-c.h"
#include "shim/cli/command_line.h"
#include "shim/cli/deadlines.h"
#include "shim/cli/standard_output.h"
#include "shim/host/address.h"
#include "shim/host/pid_file.h"
#include "shim/host/pod_dir.h"
#include "shim/host/uid_lease.h"
#include "shim/network/network.h"
#include "shim/pod/hooks.h"
#include "shim/server/sandbox_service.h"
#include "shim/spec/bundle.h"
#include "shim/spec/guest_spec.h"

#define ADDRESS_FILE_MAX 1024
#define NETNS_PATH_MAX   4096
#define LOOK_MS          10
#define SERVED_MS        2000 /* the end of a killed shim's socket */
#define SWEEP_MS         500  /* the end of a killed VMM's taps */
#define EXIT_KILLED      (128 + SIGKILL)

/* What `start` wrote into the bundle: the address of the pod that the container belongs to. What it
 * would be for a container of its own, when there is nothing to be read. */
static int find_address(const struct command_line *line, struct address *out, struct error *err)
{
	autofree char *bundle = command_line_bundle(line, NULL);
	autofree char *path = mem_printf("%s/address", bundle ? bundle : "");
	autofree char *text = NULL;

	if (bundle && file_read(AT_FDCWD, path, ADDRESS_FILE_MAX, &text, NULL) >= 0 &&
	    address_parse(text, out, NULL) == 0)
		return 0;
	return address_of(ADDRESS_DIR, line->address, line->namespace, line->id, out, err);
}

/* 0: unknown. */
static pid_t read_pid(const struct command_line *line)
{
	autofree char *bundle = command_line_bundle(line, NULL);

	return bundle ? pid_file_read(bundle) : 0;
}

static void on_hooks_ended(void *ctx, const struct error *err)
{
	ev_break(ctx, EVBREAK_ALL);
}

/* Of a container whose shim was killed before it ran them. */
static void run_poststop_hooks(const struct command_line *line)
{
	autofree char *dir = command_line_bundle(line, NULL);
	autofree char *due = mem_printf("%s/" HOOKS_DUE, dir ? dir : "");
	autodestroy(bundle) struct bundle *bundle = NULL;
	autodestroy(hooks) struct hooks *hooks = NULL;
	struct ev_loop *loop;
	struct error err;

	if (!dir || access(due, F_OK) < 0)
		return;
	if (bundle_load(dir, &bundle, &err) < 0 ||
	    hooks_take(bundle_spec(bundle), line->id, bundle_dir(bundle), &hooks, &err) < 0) {
		fprintf(stderr, "poststop hooks do not run: %s\n", err.text);
		return;
	}
	loop = ev_loop_new(EVFLAG_AUTO);
	hooks_make_undue(hooks);
	hooks_run(hooks, loop, HOOKS_POSTSTOP, 0, NULL, on_hooks_ended, loop);
	ev_run(loop, 0);
	ev_loop_destroy(loop);
}

/* *@removed: no shim had it. */
static int remove_pod(const struct address *address, bool *removed, struct error *err)
{
	autoclose int lock = pod_dir_lock(POD_DIR_ROOT, err);
	int r;

	if (lock < 0)
		return lock;
	if (address_is_served(address) || pod_dir_is_held(POD_DIR_ROOT, address->pod)) {
		fprintf(stderr, "nothing is removed: a shim has the pod \"%s\"\n", address->pod);
		return 0;
	}
	*removed = true;
	r = pod_dir_remove(POD_DIR_ROOT, address->pod, err);
	if (unlink(address->path) < 0 && errno != ENOENT && r == 0)
		r = error_errno(err, "cannot remove socket \"%s\"", address->path);
	uid_lease_sweep(UID_LEASE_DIR);
	return r;
}

static int answer(pid_t pid, struct error *err)
{
	Containerd__Task__V2__DeleteResponse response = CONTAINERD__TASK__V2__DELETE_RESPONSE__INIT;
	Google__Protobuf__Timestamp now = GOOGLE__PROTOBUF__TIMESTAMP__INIT;
	ProtobufCBinaryData bytes;
	struct timespec time;
	int r;

	clock_gettime(CLOCK_REALTIME, &time);
	now.seconds = time.tv_sec;
	now.nanos = (int32_t)time.tv_nsec;
	response.pid = pid;
	response.exit_status = EXIT_KILLED;
	response.exited_at = &now;
	bytes = message_encode(&response.base);
	r = standard_output_write(bytes.data, bytes.len, err);
	free(bytes.data);
	return r;
}

static void look_later(void)
{
	const struct timespec look = { .tv_nsec = LOOK_MS * 1000000L };

	nanosleep(&look, NULL);
}

/* A pod that ends by itself has no socket any more, and one that has does not end: it is not waited
 * for. But a shim that was killed has its socket for some milliseconds yet. */
static void await_end(const struct address *address)
{
	for (int waited = 0; address_is_served(address); waited += LOOK_MS) {
		if (waited >= SERVED_MS || !address_is_ending(address))
			return;
		look_later();
	}
	pod_dir_wait(POD_DIR_ROOT, address->pod, deadlines_get().delete_ending_ms);
}

/* To be freed; NULL: the pod had one of its own, or nothing says so. */
static char *netns_path(const char *dir)
{
	autofree char *file = mem_printf("%s/" SANDBOX_NETNS_FILE, dir);
	autodestroy(bundle) struct bundle *bundle = NULL;
	const char *path;
	char *text = NULL;

	if (bundle_is_bare(dir))
		return file_read(AT_FDCWD, file, NETNS_PATH_MAX, &text, NULL) < 0 ? NULL : text;
	if (bundle_load(dir, &bundle, NULL) < 0)
		return NULL;
	path = guest_spec_netns(bundle_spec(bundle));
	return path ? mem_strdup(path) : NULL;
}

/* The links of a network namespace that outlives the pod are no more redirected to it. That the
 * bundle or the namespace is gone is no failure. */
static void sweep_network(const struct command_line *line, const char *pod)
{
	autofree char *dir = command_line_bundle(line, NULL);
	autofree char *netns = dir ? netns_path(dir) : NULL;

	for (int waited = 0; netns && waited < SWEEP_MS && network_sweep(netns, pod, NULL) > 0;
	     waited += LOOK_MS)
		look_later();
}

int delete_command(const struct command_line *line, char **argv, struct error *err)
{
	struct address address;
	bool removed = false;
	pid_t pid;
	int r;

	r = find_address(line, &address, err);
	if (r < 0)
		return r;
	pid = read_pid(line);
	await_end(&address);
	r = remove_pod(&address, &removed, err);
	if (removed) {
		sweep_network(line, address.pod);
		run_poststop_hooks(line);
	}
	return r < 0 ? r : answer(pid, err);
}
