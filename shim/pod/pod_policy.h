/*
 * The kinds of pods: that of a single container, and that of a CRI implementation, which begins
 * with a pause container and takes the containers that name its sandbox while that runs.
 */
#ifndef SHIM_POD_POLICY_H
#define SHIM_POD_POLICY_H

struct bundle;
struct error;
struct pod_policy;

/* The kind of pod that begins with this bundle. ERROR_UNIMPLEMENTED: it asks for what no pod of
 * ours can have. ERROR_INVALID_ARGUMENT: no pod begins with it. */
int pod_policy_for(struct bundle *bundle, const struct pod_policy **out, struct error *err);

#endif
