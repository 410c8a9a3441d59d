/*
 * Steps of a container's init alone: its host name, kernel settings, root file system and hooks.
 */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/launch/container_hooks.h"
#include "agent/launch/devices.h"
#include "agent/launch/in_root.h"
#include "agent/launch/launch_step.h"
#include "agent/launch/launch_wire.h"
#include "agent/launch/masked_paths.h"
#include "agent/launch/mounts.h"
#include "agent/launch/namespaces.h"
#include "agent/launch/rootfs.h"
#include "agent/launch/sysctl.h"
#include "common/error.h"

int step_set_hostname(struct child *child, struct error *err)
{
	const char *name = child->spec->hostname;

	if (!namespaces_has(child->spec, NAMESPACE_UTS))
		return 0; /* the pod's, of the same name */
	if (*name && sethostname(name, strlen(name)) < 0)
		return error_errno(err, "cannot set the hostname \"%s\"", name);
	return 0;
}

int step_write_sysctls(struct child *child, struct error *err)
{
	return sysctl_apply(child->spec, err);
}

int step_open_rootfs(struct child *child, struct error *err)
{
	child->root = rootfs_open(child->request->rootfs, err);
	return child->root < 0 ? child->root : 0;
}

int step_make_mounts(struct child *child, struct error *err)
{
	const struct mounts_place place = {
		.root = child->root,
		.pid_namespace = child->request->joins_pid_namespace ? LAUNCH_FD_PID_NAMESPACE : -1,
	};

	return mounts_make(&place, child->spec, err);
}

int step_make_devices(struct child *child, struct error *err)
{
	return mounts_bind_dev(child->spec) ? 0 : devices_make(child->root, child->spec, err);
}

int step_make_console(struct child *child, struct error *err)
{
	int r;

	if (!child->process->terminal)
		return 0;
	r = console_open(child->root, child->process->consolesize, &child->console, err);
	return r < 0 ? r : console_mount(child->root, &child->console, err);
}

int step_make_cwd(struct child *child, struct error *err)
{
	int fd = in_root_make(child->root, child->process->cwd, S_IFDIR, 0755, err);

	if (fd < 0)
		return fd;
	close(fd);
	return 0;
}

int step_finish_mounts(struct child *child, struct error *err)
{
	return mounts_finish(child->root, child->spec, err);
}

int step_protect_paths(struct child *child, struct error *err)
{
	const Grpc__Linux *config = child->spec->linux;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < config->n_readonlypaths; i++)
		r = masked_paths_protect(child->root, config->readonlypaths[i], err);
	return r;
}

int step_mask_paths(struct child *child, struct error *err)
{
	const Grpc__Linux *config = child->spec->linux;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < config->n_maskedpaths; i++)
		r = masked_paths_hide(child->root, config->maskedpaths[i], err);
	return r;
}

static struct container_hooks hooks_of(const struct child *child, bool start)
{
	const Grpc__Hooks *hooks = child->spec->hooks;
	struct container_hooks out = {
		.name = start ? "startContainer" : "createContainer",
		.status = start ? "created" : "creating",
		.container_id = child->request->id,
		.version = child->spec->version,
		.filter = child->filter_first ? NULL : child->seccomp,
	};

	if (hooks) {
		out.all = start ? hooks->startcontainer : hooks->createcontainer;
		out.n = start ? hooks->n_startcontainer : hooks->n_createcontainer;
	}
	return out;
}

/* Those of the start are looked for now: what the container does not have is the creator's affair. */
int step_run_create_hooks(struct child *child, struct error *err)
{
	const struct container_hooks create = hooks_of(child, false), start = hooks_of(child, true);
	int r = container_hooks_check(&create, err);

	if (r == 0)
		r = container_hooks_check(&start, err);
	return r < 0 ? r : container_hooks_run(&create, err);
}

int step_run_start_hooks(struct child *child, struct error *err)
{
	const struct container_hooks start = hooks_of(child, true);

	return container_hooks_run(&start, err);
}

int step_change_root(struct child *child, struct error *err)
{
	const Grpc__Root *root = child->spec->root;
	int r = rootfs_enter(child->root, err);

	close(child->root);
	if (r == 0)
		r = rootfs_propagate(child->spec, err);
	if (r == 0 && root && root->readonly)
		r = rootfs_protect(err);
	return r;
}
