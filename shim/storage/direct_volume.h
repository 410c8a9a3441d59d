/*
 * Direct-assigned volumes, as upstream's runtimes have them: a CSI driver leaves a record for the path
 * of a volume (kata-runtime direct-volume add), and does not mount it. Who binds that path gets the
 * file system of the record's device, which the guest mounts.
 */
#ifndef SHIM_DIRECT_VOLUME_H
#define SHIM_DIRECT_VOLUME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct error;

#define DIRECT_VOLUMES_DIR "/run/kata-containers/shared/direct-volumes"

struct direct_volume {
	char *type;
	char *device; /* a block device or a file */
	char *fstype;
	char **options;
	size_t n_options;
	struct direct_volume_group *group; /* NULL: none */
};

struct direct_volume_group {
	char *id; /* who may write: see direct_volume_group_id() */
	char *change_policy;
};

/*
 * Reads the record of @path below @dir; *@out is NULL where there is none. ERROR_INVALID_ARGUMENT: it
 * is not one; ERROR_UNIMPLEMENTED: it is of a kind that is not supported.
 */
int direct_volume_find(const char *dir, const char *path, struct direct_volume **out,
                       struct error *err);
void direct_volume_destroy(struct direct_volume *volume); /* NULL is fine */

/* False: it has none. */
bool direct_volume_group(const struct direct_volume *volume, uint32_t *group,
                         bool *on_root_mismatch);

CLEANUP_DESTROY(direct_volume)

#endif
