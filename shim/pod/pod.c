#include "shim/pod/pod.h"

#include <stdlib.h>

#include "shim/host/host_cgroup.h"
#include "shim/network/loopback.h"
#include "shim/network/netns.h"
#include "shim/pod/pod_files.h"
#include "shim/storage/volume_copies.h"
#include "shim/storage/volume_table.h"

bool pod_is_empty(const struct pod *pod)
{
	return LIST_EMPTY(&pod->containers);
}

void pod_fini(struct pod *pod)
{
	loopback_destroy(pod->loopback);
	netns_destroy(pod->netns);
	host_cgroup_destroy(pod->cgroup);
	shared_paths_fini(&pod->shared);
	pod_files_destroy(pod->files);
	volume_copies_destroy(pod->volume_copies);
	volume_table_destroy(pod->volumes);
	free(pod->id);
	free(pod->ns);
	free(pod->dir);
	free(pod->share_dir);
	free(pod->view_dir);
	free(pod->empty_dir);
}
