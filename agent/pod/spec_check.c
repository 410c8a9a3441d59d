#include "agent/pod/spec_check.h"

#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/cgroup_limits.h"
#include "agent/cgroup/device_rules.h"
#include "agent/launch/devices.h"
#include "agent/launch/environment.h"
#include "agent/launch/mounts.h"
#include "agent/launch/namespaces.h"
#include "agent/launch/rlimits.h"
#include "agent/launch/rootfs.h"
#include "agent/launch/sysctl.h"
#include "common/error.h"

static int refuse(const char *what, struct error *err)
{
	return error_set(err, ERROR_UNIMPLEMENTED, "%s: not supported", what);
}

static int check_hooks(const Grpc__Spec *spec, struct error *err)
{
	const Grpc__Hooks *hooks = spec->hooks;

	if (!hooks)
		return 0;
	if (hooks->n_prestart || hooks->n_poststart || hooks->n_poststop || hooks->n_createruntime)
		return refuse("hooks of the host", err);
	return 0;
}

static int check_linux(const Grpc__Spec *spec, struct error *err)
{
	const Grpc__Linux *config = spec->linux;

	if (!config)
		return error_set(err, ERROR_INVALID_ARGUMENT, "linux: missing");
	if (config->n_uidmappings || config->n_gidmappings)
		return refuse("linux.uidMappings (a user namespace)", err);
	if (*config->mountlabel)
		return refuse("linux.mountLabel (SELinux)", err);
	if (config->intelrdt && *config->intelrdt->l3cacheschema)
		return refuse("linux.intelRdt", err);
	return 0;
}

/* Without a uts namespace of its own a container has the pod's name, and no other. */
static int check_hostname(const Grpc__Spec *spec, struct error *err)
{
	char pods[HOST_NAME_MAX + 1] = "";

	if (!*spec->hostname || namespaces_has(spec, NAMESPACE_UTS))
		return 0;
	gethostname(pods, sizeof(pods) - 1);
	if (!strcmp(spec->hostname, pods))
		return 0;
	return error_set(
		err, ERROR_INVALID_ARGUMENT,
		"invalid hostname \"%s\": the pod's is \"%s\", and the container has no uts "
		"namespace of its own",
		spec->hostname, pods);
}

static int check_resources(const Grpc__Spec *spec, struct error *err)
{
	int r;

	if (!spec->linux->resources)
		return 0;
	r = cgroup_limits_check(spec->linux->resources, err);
	return r < 0 ? r : device_rules_check(spec->linux->resources, err);
}

int spec_check(const Grpc__Spec *spec, struct error *err)
{
	static int (*const checks[])(const Grpc__Spec *, struct error *) = {
		check_hooks,  check_linux,   namespaces_check, check_hostname,  rootfs_check,
		mounts_check, devices_check, sysctl_check,     check_resources,
	};
	size_t i;
	int r;

	if (spec->solaris || spec->windows)
		return refuse("a spec for another system than Linux", err);
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		r = checks[i](spec, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int spec_check_process(const Grpc__Process *process, struct error *err)
{
	int r;

	if (!process->n_args)
		return error_set(err, ERROR_INVALID_ARGUMENT, "process.args: empty");
	if (process->cwd[0] != '/')
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid process.cwd \"%s\": not an absolute path", process->cwd);
	if (*process->apparmorprofile)
		return refuse("process.apparmorProfile", err);
	if (*process->selinuxlabel)
		return refuse("process.selinuxLabel", err);
	r = environment_check(process->env, process->n_env, err);
	return r < 0 ? r : rlimits_check(process, err);
}
