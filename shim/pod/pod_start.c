#include "shim/pod/pod_start.h"

#include <stdio.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "common/cleanup.h"
#include "common/log.h"
#include "common/mem.h"
#include "shim/config/config.h"
#include "shim/host/host_cgroup.h"
#include "shim/host/placeholder_path.h"
#include "shim/network/loopback.h"
#include "shim/network/netns.h"
#include "shim/pod/container.h"
#include "shim/pod/pod.h"
#include "shim/pod/pod_policy.h"
#include "shim/pod/pod_settings.h"
#include "shim/pod/sandbox.h"
#include "shim/spec/bundle.h"
#include "shim/spec/guest_spec.h"

/* Without a name of its own a container shows the host's, as with runc. */
static const char *hostname_of(const Grpc__Spec *spec, const struct utsname *host)
{
	return *spec->hostname ? spec->hostname : host->nodename;
}

/* Whether @path is /proc/PID/ns/net of a process in another pid namespace, as a container's are. One
 * in ours may be there to hold a namespace that was made for this pod. */
static bool is_of_container(const char *path)
{
	autofree char *other = NULL;
	struct stat theirs, ours;
	int pid;

	if (sscanf(path, "/proc/%d/ns/", &pid) != 1)
		return false;
	other = mem_printf("/proc/%d/ns/pid", pid);
	return stat(other, &theirs) == 0 && stat("/proc/self/ns/pid", &ours) == 0 &&
	       theirs.st_ino != ours.st_ino;
}

/* What a link of the namespace gets goes to this machine alone, so that another container that is
 * there would lose it. A client of pods has made the namespace of a sandbox for it. */
static int check_shared(const struct bundle *bundle, const char *path, struct error *err)
{
	if (placeholder_is_meant(path))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "\"%s\": the network of another machine: not supported; two "
		                 "machines cannot have one link",
		                 path);
	if (bundle_type(bundle) == BUNDLE_SINGLE && is_of_container(path))
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "\"%s\": the network of another container: not supported; the "
		                 "machine would take its links away from it",
		                 path);
	return 0;
}

/* That of the spec, or one of the pod's own. */
static int open_netns(struct bundle *bundle, struct netns **out, struct error *err)
{
	const char *path = guest_spec_netns(bundle_spec(bundle));
	int r = path ? check_shared(bundle, path, err) : netns_make(out, err);

	if (path && r == 0)
		r = netns_open(path, out, err);
	return r < 0 ? error_wrap(err, "linux.namespaces network") : 0;
}

/* Everything but forwarded ports works without it. */
static struct loopback *take_loopback(struct pod *pod)
{
	autodestroy(loopback) struct loopback *loopback = take_ptr(&pod->loopback);
	struct error err;

	if (loopback && loopback_attach(loopback, pod->netns, &err) < 0) {
		log_warn("ports are not forwarded: %s", err.text);
		return NULL;
	}
	return take_ptr(&loopback);
}

static void start_sandbox(struct pod *pod, struct bundle *bundle, done_fn *on_gone, void *ctx)
{
	const Grpc__Spec *spec = bundle_spec(bundle);
	struct utsname uts = { 0 };
	const struct sandbox_config sandbox = {
		.machine = {
			.id = pod->id,
			.hostname = hostname_of(spec, &uts),
			.pod_dir = pod->dir,
			.share_dir = pod->view_dir,
			.install = pod->install,
			.config = pod->config,
			.size = &pod->size,
			.netns = pod->netns,
			.cgroup = pod->cgroup,
			.wanted_size = container_wanted_size,
			.wanted_ctx = pod,
			.oom_score_adj = spec->process ? (int)spec->process->oomscoreadj : 0,
		},
		.settings = pod_settings_create(
			&pod->shared, bundle_type(bundle) == BUNDLE_SANDBOX ? spec : NULL),
		.loopback = take_loopback(pod),
	};

	uname(&uts);
	pod->sandbox = sandbox_start(pod->loop, &sandbox, on_gone, ctx);
}

int pod_start(struct pod *pod, struct bundle *bundle, done_fn *on_gone, void *ctx,
              struct error *err)
{
	int r = pod_policy_for(bundle, &pod->policy, err);

	if (r == 0)
		r = open_netns(bundle, &pod->netns, err);
	if (r < 0)
		return r;
	if (bundle_type(bundle) == BUNDLE_SANDBOX)
		shared_paths_init(&pod->shared, bundle_spec(bundle));
	pod->cgroup = host_cgroup_create(&(struct host_cgroup_config){
		.path = bundle_spec(bundle)->linux ? bundle_spec(bundle)->linux->cgroupspath : "",
		.pod_dir = pod->dir,
		.id = pod->id,
		.sandbox_only = pod->config->sandbox_cgroup_only,
	});
	pod_size_init(&pod->size, bundle_spec(bundle), pod->config);
	pod->memory_mib = pod->size.start.memory_mib;
	start_sandbox(pod, bundle, on_gone, ctx);
	return 0;
}
