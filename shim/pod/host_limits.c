#include "shim/pod/host_limits.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/rlimit_name.h"

#define COUNT(a)   (sizeof(a) / sizeof((a)[0]))
#define NUMBER_MAX 64 /* bytes of a setting's file */

/* One number each, of which more is better for whoever runs; docs/limitations.md names them. */
static const struct {
	const char *name;
	const char *path;
} settings[] = {
	{ "fs.aio-max-nr", "/proc/sys/fs/aio-max-nr" },
	{ "fs.file-max", "/proc/sys/fs/file-max" },
	{ "fs.inotify.max_queued_events", "/proc/sys/fs/inotify/max_queued_events" },
	{ "fs.inotify.max_user_instances", "/proc/sys/fs/inotify/max_user_instances" },
	{ "fs.inotify.max_user_watches", "/proc/sys/fs/inotify/max_user_watches" },
	{ "fs.nr_open", "/proc/sys/fs/nr_open" },
	{ "fs.pipe-max-size", "/proc/sys/fs/pipe-max-size" },
	{ "kernel.keys.maxbytes", "/proc/sys/kernel/keys/maxbytes" },
	{ "kernel.keys.maxkeys", "/proc/sys/kernel/keys/maxkeys" },
	{ "kernel.pid_max", "/proc/sys/kernel/pid_max" },
	{ "kernel.threads-max", "/proc/sys/kernel/threads-max" },
	{ "net.core.rmem_max", "/proc/sys/net/core/rmem_max" },
	{ "net.core.somaxconn", "/proc/sys/net/core/somaxconn" },
	{ "net.core.wmem_max", "/proc/sys/net/core/wmem_max" },
	{ "vm.max_map_count", "/proc/sys/vm/max_map_count" },
};

struct host_limits {
	Grpc__POSIXRlimit rlimits[RLIM_NLIMITS];
	Grpc__POSIXRlimit *rlimit_list[RLIM_NLIMITS];
	size_t n_rlimits;
	Grpc__CreateSandboxRequest__HostSysctlsEntry sysctls[COUNT(settings)];
	Grpc__CreateSandboxRequest__HostSysctlsEntry *sysctl_list[COUNT(settings)];
	size_t n_sysctls;
};

static void read_rlimits(struct host_limits *limits)
{
	for (size_t i = 0; i < RLIM_NLIMITS; i++) {
		Grpc__POSIXRlimit *row = &limits->rlimits[limits->n_rlimits];
		struct rlimit limit;

		if (getrlimit(rlimit_names[i].resource, &limit) < 0)
			continue;
		grpc__posixrlimit__init(row);
		row->type = (char *)rlimit_names[i].name;
		row->soft = limit.rlim_cur;
		row->hard = limit.rlim_max;
		limits->rlimit_list[limits->n_rlimits++] = row;
	}
}

static void read_settings(struct host_limits *limits)
{
	for (size_t i = 0; i < COUNT(settings); i++) {
		Grpc__CreateSandboxRequest__HostSysctlsEntry *row =
			&limits->sysctls[limits->n_sysctls];
		char *text = NULL;

		if (file_read(AT_FDCWD, settings[i].path, NUMBER_MAX, &text, NULL) < 0)
			continue;
		text[strcspn(text, "\n")] = '\0';
		grpc__create_sandbox_request__host_sysctls_entry__init(row);
		row->key = (char *)settings[i].name;
		row->value = text;
		limits->sysctl_list[limits->n_sysctls++] = row;
	}
}

struct host_limits *host_limits_read(void)
{
	struct host_limits *limits = mem_new(struct host_limits);

	read_rlimits(limits);
	read_settings(limits);
	return limits;
}

void host_limits_put(const struct host_limits *limits, Grpc__CreateSandboxRequest *request)
{
	request->host_rlimits = (Grpc__POSIXRlimit **)limits->rlimit_list;
	request->n_host_rlimits = limits->n_rlimits;
	request->host_sysctls =
		(Grpc__CreateSandboxRequest__HostSysctlsEntry **)limits->sysctl_list;
	request->n_host_sysctls = limits->n_sysctls;
}

void host_limits_destroy(struct host_limits *limits)
{
	for (size_t i = 0; limits && i < limits->n_sysctls; i++)
		free(limits->sysctls[i].value);
	free(limits);
}
