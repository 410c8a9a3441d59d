#include "shim/pod/pod_settings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/mem.h"
#include "shim/pod/shared_paths.h"
#include "shim/spec/guest_paths.h"

#define SIZE_OPTION_MAX 32

typedef Grpc__CreateSandboxRequest__SysctlsEntry SysctlsEntry;

struct pod_settings {
	Grpc__Storage share;
	Grpc__Storage shm;
	Grpc__Storage *storages[2];
	size_t n_storages;
	char shm_size[SIZE_OPTION_MAX];
	char *shm_options[5];
	SysctlsEntry **sysctls;
	size_t n_sysctls;
};

static void set_storages(struct pod_settings *settings, const struct shared_paths *paths)
{
	grpc__storage__init(&settings->share);
	settings->share.driver = "virtio-fs";
	settings->share.source = "kataShared";
	settings->share.fstype = "virtiofs";
	settings->share.mount_point = GUEST_SHARE;
	snprintf(settings->shm_size, sizeof(settings->shm_size), "size=%" PRIu64, paths->shm_bytes);
	settings->shm_options[0] = "noexec";
	settings->shm_options[1] = "nosuid";
	settings->shm_options[2] = "nodev";
	settings->shm_options[3] = "mode=1777";
	settings->shm_options[4] = settings->shm_size;
	grpc__storage__init(&settings->shm);
	settings->shm.driver = "ephemeral";
	settings->shm.source = "shm";
	settings->shm.fstype = "tmpfs";
	settings->shm.mount_point = GUEST_SHM;
	settings->shm.options = settings->shm_options;
	settings->shm.n_options = paths->shm_bytes ? 5 : 4; /* half of the guest's memory */
	settings->storages[0] = &settings->share;
	settings->storages[1] = &settings->shm;
	settings->n_storages = paths->shm ? 2 : 1;
}

static void copy_sysctls(struct pod_settings *settings, const Grpc__Linux *linux)
{
	settings->sysctls = mem_alloc((linux->n_sysctl + 1) * sizeof(void *));
	for (size_t i = 0; i < linux->n_sysctl; i++) {
		SysctlsEntry *entry = mem_new(SysctlsEntry);

		grpc__create_sandbox_request__sysctls_entry__init(entry);
		entry->key = mem_strdup(linux->sysctl[i]->key);
		entry->value = mem_strdup(linux->sysctl[i]->value);
		settings->sysctls[settings->n_sysctls++] = entry;
	}
}

struct pod_settings *pod_settings_create(const struct shared_paths *paths,
                                         const Grpc__Spec *sandbox)
{
	struct pod_settings *settings = mem_new(struct pod_settings);

	set_storages(settings, paths);
	if (sandbox && sandbox->linux)
		copy_sysctls(settings, sandbox->linux);
	return settings;
}

void pod_settings_destroy(struct pod_settings *settings)
{
	if (!settings)
		return;
	for (size_t i = 0; i < settings->n_sysctls; i++)
		protobuf_c_message_free_unpacked(&settings->sysctls[i]->base, NULL);
	free(settings->sysctls);
	free(settings);
}

void pod_settings_put(struct pod_settings *settings, Grpc__CreateSandboxRequest *request)
{
	request->storages = settings->storages;
	request->n_storages = settings->n_storages;
	request->sysctls = settings->sysctls;
	request->n_sysctls = settings->n_sysctls;
}
