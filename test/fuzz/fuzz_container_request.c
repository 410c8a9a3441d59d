/*
 * A launch.Request: what the agent checks of a container's spec before it makes anything,
 * and what it reads of it afterwards.
 */
#include <assert.h>
#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/mount_options.h"
#include "agent/cgroup/cgroup_limits.h"
#include "agent/cgroup/device_rules.h"
#include "agent/launch/caps.h"
#include "agent/launch/devices.h"
#include "agent/launch/environment.h"
#include "agent/launch/mounts.h"
#include "agent/launch/namespaces.h"
#include "agent/launch/rootfs.h"
#include "agent/launch/sysctl.h"
#include "agent/launch/user.h"
#include "agent/pod/spec_check.h"
#include "common/bpf.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/launch.pb-c.h"
#include "proto/message.h"
#include "test/fuzz/fuzz.h"

static void read_mount(const Grpc__Mount *mount)
{
	struct mount_options options;
	struct error err = { 0 };

	if (mount_options_parse(mount->options, mount->n_options, &options, &err) < 0) {
		assert(err.code != ERROR_NONE && *err.text);
		return;
	}
	assert(strlen(options.data) <= MOUNT_DATA_MAX);
	assert(!(options.attr_set & options.attr_clear & ~(uint64_t)MOUNT_ATTR__ATIME));
	mount_options_fini(&options);
}

/* HOME is made where the process has none, and is never freed: it is the one of @made alone. */
static void free_environment(char **made, char *const *entries, size_t count)
{
	for (char **entry = made; *entry; entry++) {
		size_t i = 0;

		while (i < count && entries[i] != *entry)
			i++;
		if (i == count)
			free(*entry);
	}
	free(made);
}

static void read_process(const Grpc__Process *process)
{
	autofree char *home = user_home_of(process->cwd, process->user ? process->user->uid : 0);
	struct caps caps = caps_read(process->capabilities);
	char **environment;

	assert(process->capabilities || !caps.permitted);
	if (spec_check_process(process, NULL) < 0)
		return;
	environment = environment_make(process->env, process->n_env, home);
	assert(environment_get(environment, "HOME"));
	free_environment(environment, process->env, process->n_env);
}

/* All of them, since spec_check() ends at the first that refuses. */
static void check_parts(const Grpc__Spec *spec)
{
	static int (*const checks[])(const Grpc__Spec *, struct error *) = {
		namespaces_check, rootfs_check, mounts_check, devices_check, sysctl_check,
	};
	struct error err;

	for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		err = (struct error){ 0 };
		assert(checks[i](spec, &err) == 0 || (err.code != ERROR_NONE && *err.text));
	}
	if (spec->linux->resources)
		cgroup_limits_check(spec->linux->resources, NULL);
}

/* Below /proc/sys, in the directories whose settings belong to namespaces. */
static void use_sysctls(const Grpc__Linux *config)
{
	for (size_t i = 0; i < config->n_sysctl; i++) {
		autofree char *path = sysctl_path(config->sysctl[i]->key);
		autofree char *parts = mem_printf("/%s/", path ? path : "/");

		assert(!strstr(parts, "//") && !strstr(parts, "/./") && !strstr(parts, "/../"));
		assert(!strncmp(path, "net/", 4) || !strncmp(path, "fs/mqueue/", 10) ||
		       (!strncmp(path, "kernel/", 7) && !strchr(path + 7, '/')));
	}
}

/* What is taken of it once it is checked. */
static void use(const Grpc__Spec *spec)
{
	struct bpf_program *program;

	assert(spec->linux);
	use_sysctls(spec->linux);
	namespaces_clone_flags(spec);
	namespaces_pid_path(spec);
	mounts_bind_dev(spec);
	if (device_rules_compile(spec->linux->resources, &program, NULL) < 0)
		abort();
	bpf_program_destroy(program);
}

static void read_spec(const Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_mounts; i++)
		read_mount(spec->mounts[i]);
	if (spec->linux)
		check_parts(spec);
	if (spec_check(spec, NULL) == 0)
		use(spec);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	ProtobufCMessage *message = NULL;
	const Launch__Request *request;

	if (message_decode(&launch__request__descriptor, data, size, &message, NULL) < 0)
		return 0;
	request = (const Launch__Request *)message;
	if (request->spec)
		read_spec(request->spec);
	if (request->spec && request->spec->process)
		read_process(request->spec->process);
	if (request->process)
		read_process(request->process);
	message_free(message);
	return 0;
}
