/*
 * What this runtime does of the OCI runtime specification, as a features document (runtime-spec
 * features.md and features-linux.md, 1.2): clients offer what they find in it. It names what works,
 * not what is recognised and refused.
 */
#ifndef SHIM_FEATURES_H
#define SHIM_FEATURES_H

/* What containerd takes the document by, as the type of an Any. */
#define FEATURES_TYPE "types.containerd.io/opencontainers/runtime-spec/1/features/Features"

/* JSON, to be freed. */
char *features_json(void);

#endif
