/*
 * The features of the OCI runtime specification that this runtime supports, as a features document
 * (runtime-spec features.md and features-linux.md, 1.2): clients offer what they find in it.
 * Settings that are recognised but refused are not in it.
 */
#ifndef SHIM_FEATURES_H
#define SHIM_FEATURES_H

/* What containerd takes the document by, as the type of an Any. */
#define FEATURES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

/* JSON, to be freed. */
char *features_json(void);

#endif
