#include "hypervisor/vm_config.h"

#include <stdlib.h>

#include "common/mem.h"

void vm_config_copy(struct vm_config *to, const struct vm_config *from)
{
	*to = *from;
	to->devices = NULL;
	to->ndevices = 0;
	to->vmm_path = mem_strdup(from->vmm_path);
	to->kernel = mem_strdup(from->kernel);
	to->initramfs = mem_strdup(from->initramfs);
	to->kernel_params = mem_strdup(from->kernel_params);
	to->vsock_path = mem_strdup(from->vsock_path);
	to->virtiofsd_path = mem_strdup(from->virtiofsd_path);
	to->share_dir = mem_strdup(from->share_dir);
	to->run_dir = mem_strdup(from->run_dir);
	if (from->oom_score_adj)
		to->oom_score_adj = mem_dup(from->oom_score_adj, sizeof(*from->oom_score_adj));
}

void vm_config_fini(struct vm_config *config)
{
	free((char *)config->vmm_path);
	free((char *)config->kernel);
	free((char *)config->initramfs);
	free((char *)config->kernel_params);
	free((char *)config->vsock_path);
	free((char *)config->virtiofsd_path);
	free((char *)config->share_dir);
	free((char *)config->run_dir);
	free((int *)config->oom_score_adj);
}
