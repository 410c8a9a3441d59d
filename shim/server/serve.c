#include "shim/server/serve.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/mem.h"
#include "shim/config/config.h"
#include "shim/config/install.h"
#include "shim/host/bundle_watch.h"
#include "shim/host/deny_list.h"
#include "shim/host/pod_dir.h"
#include "shim/host/title.h"
#include "shim/host/uid_lease.h"
#include "shim/network/loopback.h"
#include "shim/pod/events.h"
#include "shim/server/service.h"
#include "shim/spec/guest_paths.h"
#include "shim/storage/bind_mount.h"
#include "shim/storage/volume_copies.h"

#define VIEW_FLAGS     (MS_RDONLY | SERVED_MOUNT_FLAGS)
#define OOM_SCORE_FILE "/proc/self/oom_score_adj"
#define OOM_SCORE_MAX  1000
#define SCORE_TEXT_MAX 20

struct server {
	const struct serve_config *config;
	struct ev_loop *loop;
	char *share;
	char *copies;
	char *view;
	struct install *install;
	struct config *settings;
	struct events *events;
	struct service *service;
	struct loopback *loopback; /* until the service has it; NULL: there is none */
	int hold;                  /* of the pod's directory */
	int host_mounts;           /* the mount namespace that it came from */
	struct bundle_watch *bundle_watch;
	char *watched; /* the bundle that it watches */
	ev_signal on_term;
	ev_signal on_int;
};

/* Whoever reads the output of `start` waits for its end: nothing of it stays open. */
static int close_descriptors(struct server *server, struct error *err)
{
	int a = server->config->listen_fd, b = server->config->ready_fd;
	int low = a < b ? a : b, high = a < b ? b : a;
	autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int fd = 0; fd < 3; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return error_errno(err, "cannot open \"/dev/null\"");
	close(take_fd(&null));
	if (low > 3)
		close_range(3, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0U, 0);
	return 0;
}

static int serve_address(struct server *server, struct error *err)
{
	return address_serve(server->config->listen_fd, err);
}

static int hold_pod_dir(struct server *server, struct error *err)
{
	server->hold = pod_dir_hold(server->config->pod_dir, err);
	return server->hold < 0 ? server->hold : 0;
}

/* As a FIFO that is also open for reading, the log never fails for want of a reader, and a
 * containerd that comes back finds the last lines in it. */
static int open_log(struct server *server, struct error *err)
{
	autofree char *path = mem_printf("%s/log", server->config->bundle);

	log_open(open(path, O_RDWR | O_APPEND | O_NONBLOCK | O_CLOEXEC));
	if (server->config->debug)
		log_set_level(LOG_LEVEL_DEBUG);
	return 0;
}

static int leave_session(struct server *server, struct error *err)
{
	const struct serve_config *config = server->config;

	if (setsid() < 0 || chdir("/") < 0)
		return error_errno(err, "cannot start a session");
	umask(022);
	signal(SIGPIPE, SIG_IGN);
	title_set(config->argv, "%s -namespace %s -id %s -address %s", config->argv[0], config->ns,
	          config->id, config->containerd);
	return 0;
}

static int read_configuration(struct server *server, struct error *err)
{
	int r = install_find(NULL, &server->install, err);

	if (r == 0)
		r = config_load(&server->config->source, server->install, &server->settings, err);
	if (r < 0)
		return r;
	config_log(server->settings);
	return 0;
}

/* What is mounted in the share appears in the view. Of its own the guest can write nothing there:
 * no file that fills /run, no link in the way of the next mount. */
static int make_view(struct server *server, struct error *err)
{
	server->view = mem_printf("%s/view", server->config->pod_dir);
	if (mkdir(server->view, 0755) < 0)
		return error_errno(err, "cannot make directory \"%s\"", server->view);
	if (mount(server->share, server->view, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, server->view, NULL, VIEW_FLAGS | MS_BIND | MS_REMOUNT, NULL) < 0)
		return error_errno(err, "cannot bind \"%s\" to \"%s\"", server->share,
		                   server->view);
	return 0;
}

/* Of what shall be on no disk: Secrets are among it. */
static int make_copies_dir(struct server *server, struct error *err)
{
	server->copies = mem_printf("%s/" VOLUME_COPIES_DIR, server->config->pod_dir);
	if (mkdir(server->copies, 0700) < 0)
		return error_errno(err, "cannot make directory \"%s\"", server->copies);
	if (mount("tmpfs", server->copies, "tmpfs", SERVED_MOUNT_FLAGS, "mode=0700") < 0)
		return error_errno(err, "cannot mount a tmpfs at \"%s\"", server->copies);
	return 0;
}

/*
 * Mounts that are made below the share from now on end with this process. The share is a mount of
 * its own and shared, so that virtiofsd, which unshares again, sees them; what the host mounts
 * (snapshots) keeps coming in.
 */
static int make_mount_namespace(struct server *server, struct error *err)
{
	server->share = mem_printf("%s/share", server->config->pod_dir);
	if (mkdir(server->share, 0755) < 0)
		return error_errno(err, "cannot make directory \"%s\"", server->share);
	server->host_mounts = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (server->host_mounts < 0 || unshare(CLONE_NEWNS) < 0)
		return error_errno(err, "cannot make a mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0)
		return error_errno(err, "cannot make \"/\" a slave");
	if (mount(server->share, server->share, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, server->share, NULL, MS_SHARED, NULL) < 0)
		return error_errno(err, "cannot bind \"%s\" on itself", server->share);
	if (make_copies_dir(server, err) < 0)
		return error_code_errno(err->code);
	return make_view(server, err);
}

/*
 * What the guest's kernel loads on demand lies beside it: "modules/<release>". It is an image's
 * affair whether it has any.
 */
static int share_modules(struct server *server, struct error *err)
{
	const struct bind_mount_options options = { .read_only = true };
	const char *kernel = server->settings->kernel;
	const char *end = strrchr(kernel, '/');
	autofree char *modules =
		mem_printf("%.*smodules", end ? (int)(end + 1 - kernel) : 0, kernel);
	autoclose int share = open(server->share, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autoclose int mount = -1;

	if (access(modules, F_OK) < 0)
		return 0;
	if (share < 0)
		return error_errno(err, "cannot open \"%s\"", server->share);
	mount = bind_mount_open(modules, &options, err);
	return mount < 0 ? mount : bind_mount_attach(mount, share, MODULES_DIR, err);
}

/* The kernel's OOM killer is to take a shim before it takes containerd, whose score we have. */
static int adjust_oom_score(struct server *server, struct error *err)
{
	autoclose int fd = open(OOM_SCORE_FILE, O_RDWR | O_CLOEXEC);
	char text[SCORE_TEXT_MAX] = "";
	int score;

	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0)
		return error_errno(err, "cannot read \"%s\"", OOM_SCORE_FILE);
	score = (int)strtol(text, NULL, 10);
	if (score < OOM_SCORE_MAX && dprintf(fd, "%d", score + 1) < 0)
		return error_errno(err, "cannot write \"%s\"", OOM_SCORE_FILE);
	return 0;
}

/* Where containerd asks for it, no other pod shares a core with this one (core-scheduling.rst). */
static int reserve_cores(struct server *server, struct error *err)
{
	const char *wanted = getenv("SCHED_CORE");

	if (wanted && *wanted &&
	    prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, 0, PR_SCHED_CORE_SCOPE_THREAD_GROUP, 0) < 0)
		return error_errno(err,
		                   "cannot create a core scheduling group (SCHED_CORE is set)");
	return 0;
}

/* Everything but forwarded ports works without it. */
static int load_loopback(struct server *server, struct error *err)
{
	struct error cause;

	if (loopback_create(&server->loopback, &cause) < 0)
		log_warn("ports are not forwarded: %s", cause.text);
	return 0;
}

static int apply_deny_list(struct server *server, struct error *err)
{
	return deny_list_apply(err);
}

static void on_drained(void *ctx)
{
	struct server *server = ctx;

	ev_break(server->loop, EVBREAK_ALL);
}

/* @path: NULL when it was not made. */
static void unmount(const char *path)
{
	if (path && umount2(path, MNT_DETACH) < 0 && errno != EINVAL && errno != ENOENT)
		log_warn("cannot unmount \"%s\": errno %d", path, errno);
}

/* A `start` for the same id finds nobody from here on, and waits for the hold to go. */
static void remove_socket(void *ctx)
{
	const struct server *server = ctx;
	const char *path = server->config->address.path;

	if (unlink(path) < 0 && errno != ENOENT)
		log_error("cannot remove \"%s\": errno %d", path, errno);
}

/* Once the hold has gone, the names are those of another pod. */
static void remove_pod(struct server *server)
{
	struct error err;

	if (server->hold < 0)
		return;
	unmount(server->view);
	unmount(server->share);
	unmount(server->copies);
	remove_socket(server);
	if (pod_dir_remove(POD_DIR_ROOT, server->config->address.pod, &err) < 0)
		log_error("%s", err.text);
	close(take_fd(&server->hold));
	uid_lease_sweep(UID_LEASE_DIR);
}

static void on_service_end(void *ctx)
{
	struct server *server = ctx;

	ev_signal_stop(server->loop, &server->on_term); /* once more ends this process at once */
	ev_signal_stop(server->loop, &server->on_int);
	bundle_watch_destroy(take_ptr(&server->bundle_watch));
	remove_pod(server);
	events_drain(server->events, server->settings->events_drain_timeout_ms, on_drained, server);
}

static void on_signal(struct ev_loop *loop, ev_signal *watcher, int revents)
{
	struct server *server = watcher->data;

	log_info("asked to end by signal %d", watcher->signum);
	service_stop(server->service);
}

static void watch_bundle(struct server *server, const char *dir);

static void on_bundle_gone(void *ctx)
{
	struct server *server = ctx;
	autofree char *gone = take_ptr(&server->watched);
	const char *next = service_next_bundle(server->service, gone);

	if (next) {
		watch_bundle(server, next);
		return;
	}
	log_warn("the bundle \"%s\" is gone: the pod ends", gone);
	service_stop(server->service);
}

static void watch_bundle(struct server *server, const char *dir)
{
	bundle_watch_destroy(server->bundle_watch);
	server->watched = mem_strdup(dir);
	server->bundle_watch =
		bundle_watch_create(server->loop, server->watched, server->config->bundle_look_ms,
	                            on_bundle_gone, server);
}

static int make_loop(struct server *server, struct error *err)
{
	server->loop = ev_loop_new(EVFLAG_AUTO); /* the default loop would reap our children */
	if (!server->loop)
		return error_set(err, ERROR_UNKNOWN, "libev finds no way to wait for events");
	ev_signal_init(&server->on_term, on_signal, SIGTERM);
	ev_signal_init(&server->on_int, on_signal, SIGINT);
	server->on_term.data = server->on_int.data = server;
	return 0;
}

static int start_service(struct server *server, struct error *err)
{
	const struct serve_config *config = server->config;
	struct service_config service = {
		.ns = config->ns,
		.id = config->id,
		.bundle = config->bundle,
		.pod_dir = config->pod_dir,
		.share_dir = server->share,
		.view_dir = server->view,
		.host_mounts = server->host_mounts,
		.listen_fd = config->listen_fd,
		.on_ending = remove_socket,
	};
	int r;

	server->events = events_create(server->loop, config->ttrpc_address, config->ns,
	                               server->settings->event_timeout_ms);
	service.install = server->install;
	service.config = server->settings;
	service.events = server->events;
	service.loopback = take_ptr(&server->loopback);
	r = service_start(server->loop, &service, on_service_end, server, &server->service, err);
	if (r < 0)
		return r;
	ev_signal_start(server->loop, &server->on_term);
	ev_signal_start(server->loop, &server->on_int);
	watch_bundle(server, config->bundle);
	return 0;
}

static const struct serve_step {
	const char *name;
	int (*run)(struct server *server, struct error *err);
} serve_steps[] = {
	{ "close descriptors", close_descriptors },
	{ "take the socket over", serve_address },
	{ "hold the pod's directory", hold_pod_dir },
	{ "open the log", open_log },
	{ "leave the session", leave_session },
	{ "adjust the OOM score", adjust_oom_score },
	{ "reserve cores for the pod", reserve_cores },
	{ "read the configuration", read_configuration },
	{ "make a mount namespace", make_mount_namespace },
	{ "load the loopback's program", load_loopback },
	{ "share the guest's modules", share_modules },
	{ "apply the deny-list", apply_deny_list },
	{ "make the event loop", make_loop },
	{ "start the service", start_service },
};

static int server_start(struct server *server, struct error *err)
{
	for (size_t i = 0; i < sizeof(serve_steps) / sizeof(serve_steps[0]); i++)
		if (serve_steps[i].run(server, err) < 0)
			return error_wrap(err, "%s", serve_steps[i].name);
	*err = (struct error){ 0 };
	return 0;
}

/* Tells `start` how it went; false when nobody is there to hear it. */
static bool report(int fd, const struct error *err)
{
	bool heard = write(fd, err, sizeof(*err)) == sizeof(*err);

	close(fd);
	return heard;
}

static void server_fini(struct server *server)
{
	bundle_watch_destroy(server->bundle_watch);
	free(server->watched);
	service_destroy(server->service);
	events_destroy(server->events);
	loopback_destroy(server->loopback);
	config_destroy(server->settings);
	install_destroy(server->install);
	free(server->share);
	free(server->copies);
	free(server->view);
	if (server->loop)
		ev_loop_destroy(server->loop);
	cleanup_close(&server->hold);
	cleanup_close(&server->host_mounts);
	log_open(-1);
}

int serve(const struct serve_config *config)
{
	struct server server = { .config = config, .hold = -1, .host_mounts = -1 };
	struct error err;
	int status = EXIT_FAILURE;

	if (server_start(&server, &err) < 0) {
		log_error("%s", err.text);
		if (!report(config->ready_fd, &err)) /* nobody else undoes it */
			remove_pod(&server);
	} else if (report(config->ready_fd, &err)) {
		log_info("serving namespace=%s id=%s pod=%s", config->ns, config->id,
		         config->address.pod);
		ev_run(server.loop, 0);
		status = EXIT_SUCCESS;
	} else {
		log_error("`start` was killed: this pod does not begin");
		service_destroy(take_ptr(&server.service));
		remove_pod(&server);
	}
	server_fini(&server);
	return status;
}
