#include "agent/launch/sysctl.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>

#include "agent/base/kernel_file.h"
#include "agent/launch/namespaces.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

/* What each namespace has of its own, below /proc/sys; a row that ends in a slash is a prefix. */
static const struct {
	const char *path;
	enum namespace_kind owner;
} rows[] = {
	{ "fs/mqueue/", NAMESPACE_IPC },
	{ "kernel/domainname", NAMESPACE_UTS },
	{ "kernel/msgmax", NAMESPACE_IPC },
	{ "kernel/msgmnb", NAMESPACE_IPC },
	{ "kernel/msgmni", NAMESPACE_IPC },
	{ "kernel/sem", NAMESPACE_IPC },
	{ "kernel/shm_rmid_forced", NAMESPACE_IPC },
	{ "kernel/shmall", NAMESPACE_IPC },
	{ "kernel/shmmax", NAMESPACE_IPC },
	{ "kernel/shmmni", NAMESPACE_IPC },
	{ "net/", NAMESPACE_NETWORK },
};

static bool matches(const char *row, const char *path)
{
	size_t len = strlen(row);

	return row[len - 1] == '/' ? !strncmp(row, path, len) : !strcmp(row, path);
}

/* A path that says where it leads: no part of it is empty, "." or "..". */
static bool is_plain(const char *path)
{
	const char *part = path;
	size_t len;

	for (;; part += len + 1) {
		len = strcspn(part, "/");
		if (!len || !strncmp(part, ".", len) || !strncmp(part, "..", len))
			return false;
		if (!part[len])
			return true;
	}
}

/* "net.ipv4.conf.eth0/1.forwarding" is "net/ipv4/conf/eth0.1/forwarding": sysctl(8). */
char *sysctl_path(const char *key)
{
	autofree char *path = mem_strdup(key);
	char *p;

	if (key[strcspn(key, "./")] == '.')
		for (p = path; *p; p++)
			*p = *p == '/' ? '.' : *p == '.' ? '/' : *p;
	return is_plain(path) ? take_ptr(&path) : NULL;
}

/* The kind of namespace that has @path of its own; NAMESPACE_COUNT: none. */
static enum namespace_kind owner_of(const char *path)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (matches(rows[i].path, path))
			return rows[i].owner;
	return NAMESPACE_COUNT;
}

static int refuse_name(const char *what, const char *key, struct error *err)
{
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "invalid %s \"%s\": not the name of a kernel setting", what, key);
}

static int check_one(const Grpc__Spec *spec, const char *key, struct error *err)
{
	autofree char *path = sysctl_path(key);
	enum namespace_kind owner;

	if (!path)
		return refuse_name("linux.sysctl", key, err);
	owner = owner_of(path);
	if (owner == NAMESPACE_NETWORK || (owner != NAMESPACE_COUNT && namespaces_has(spec, owner)))
		return 0;
	return error_set(err, ERROR_INVALID_ARGUMENT,
	                 "invalid linux.sysctl \"%s\": not in a namespace of the container", key);
}

int sysctl_check_pod(const char *key, struct error *err)
{
	autofree char *path = sysctl_path(key);

	if (!path)
		return refuse_name("sysctls", key, err);
	if (owner_of(path) == NAMESPACE_COUNT)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "invalid sysctls \"%s\": not in a namespace of the pod", key);
	return 0;
}

int sysctl_write(const char *dir, const char *key, const char *value, struct error *err)
{
	autoclose int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	autofree char *path = sysctl_path(key);

	if (!path)
		return refuse_name("sysctls", key, err);
	if (fd < 0)
		return error_errno(err, "cannot open \"%s\"", dir);
	return kernel_file_write(fd, path, value, err);
}

int sysctl_check(const Grpc__Spec *spec, struct error *err)
{
	size_t i;
	int r;

	for (i = 0; spec->linux && i < spec->linux->n_sysctl; i++) {
		r = check_one(spec, spec->linux->sysctl[i]->key, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int sysctl_apply(const Grpc__Spec *spec, struct error *err)
{
	autoclose int dir = -1;
	size_t i;

	if (!spec->linux || !spec->linux->n_sysctl)
		return 0;
	dir = open("/proc/sys", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_errno(err, "cannot open \"/proc/sys\"");
	for (i = 0; i < spec->linux->n_sysctl; i++) {
		const Grpc__Linux__SysctlEntry *entry = spec->linux->sysctl[i];
		autofree char *path = sysctl_path(entry->key);
		int r = path ? kernel_file_write(dir, path, entry->value, err)
		             : check_one(spec, entry->key, err);

		if (r < 0)
			return r;
	}
	return 0;
}
