/*
 * agent/cgroup/cgroup.h without cgroups: killing one kills the children that fake_launch.c made in it. What
 * is asked of it is written down in fake_cgroup.
 */
#include "agent/cgroup/cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "agent/cgroup/cgroup_limits.h"
#include "common/error.h"
#include "common/mem.h"
#include "test/unit/agent/fakes.h"

struct cgroup {
	char *path;
	int id; /* its descriptor; a negative one is good for nothing */
};

struct fake_cgroup fake_cgroup;

int cgroup_create(const char *mount, const char *path, struct cgroup **out, struct error *err)
{
	*out = mem_new(struct cgroup);
	(*out)->path = mem_strdup(path);
	(*out)->id = -2 - fake_cgroup.made++;
	if (fake_cgroup.directory)
		(*out)->id = open(fake_cgroup.directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fake_cgroup.alive++;
	return 0;
}

int cgroup_fd(const struct cgroup *cgroup)
{
	return cgroup->id;
}

int cgroup_open_of(const struct cgroup *cgroup, pid_t pid, int *out, struct error *err)
{
	return error_set(err, ERROR_NOT_FOUND, "no process is anywhere");
}

int cgroup_limit(struct cgroup *cgroup, const Grpc__LinuxResources *resources, struct error *err)
{
	if (fake_cgroup.refuse_limits)
		return error_set(err, ERROR_FAILED_PRECONDITION, "no such controller");
	return cgroup->id >= 0 && resources ? cgroup_limits_write(cgroup->id, resources, err) : 0;
}

int cgroup_restrict_devices(struct cgroup *cgroup, const Grpc__LinuxResources *resources,
                            struct device_program *last, struct error *err)
{
	return 0;
}

int cgroup_freeze(struct cgroup *cgroup, bool frozen, struct error *err)
{
	fake_cgroup.frozen = frozen;
	return 0;
}

int cgroup_frozen(const struct cgroup *cgroup, bool *out, struct error *err)
{
	if (fake_cgroup.blind)
		return error_set(err, ERROR_UNKNOWN,
		                 "cannot read \"cgroup.events\": No such device");
	if (fake_cgroup.looks_to_freeze > 0)
		fake_cgroup.looks_to_freeze--;
	*out = fake_cgroup.frozen && !fake_cgroup.looks_to_freeze;
	return 0;
}

int cgroup_kill(struct cgroup *cgroup, struct error *err)
{
	if (fake_cgroup.refuse_kill)
		return error_set(err, ERROR_UNKNOWN, "cannot write \"1\" to \"cgroup.kill\"");
	fake_cgroup.kills++;
	for (size_t i = 0; i < fake_nchildren && i < FAKE_CHILDREN_MAX; i++)
		if (fake_children[i].cgroup_fd == cgroup->id)
			kill(fake_children[i].pid, SIGKILL);
	return 0;
}

int cgroup_signal(struct cgroup *cgroup, int sig, struct error *err)
{
	for (size_t i = 0; i < fake_nchildren && i < FAKE_CHILDREN_MAX; i++)
		if (fake_children[i].cgroup_fd == cgroup->id)
			kill(fake_children[i].pid, sig);
	return 0;
}

int cgroup_remove(struct cgroup *cgroup, struct error *err)
{
	if (fake_cgroup.busy > 0) {
		fake_cgroup.busy--;
		errno = EBUSY;
		return error_errno(err, "cannot remove cgroup \"%s\"", cgroup->path);
	}
	fake_cgroup.alive--;
	return 0;
}

void cgroup_destroy(struct cgroup *cgroup)
{
	if (!cgroup)
		return;
	if (cgroup->id >= 0)
		close(cgroup->id);
	free(cgroup->path);
	free(cgroup);
}
