/*
 * What virtiofsd is to serve, and how.
 */
#ifndef HYPERVISOR_VIRTIOFSD_CONFIG_H
#define HYPERVISOR_VIRTIOFSD_CONFIG_H

#include "hypervisor/vm_config.h"

struct virtiofsd_config {
	const char *path;      /* the executable */
	const char *share_dir; /* what the guest sees */
	const char *run_dir;   /* where a socket is for a moment */
	enum vm_cache cache;
	const int *oom_score_adj; /* proc(5); NULL: as this process's */
};

#endif
