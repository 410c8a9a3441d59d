/*
 * The start of a pod: its policy, its network namespace and the boot of its machine, by the bundle
 * of the container that it begins with.
 */
#ifndef SHIM_POD_START_H
#define SHIM_POD_START_H

#include "common/error.h"

struct bundle;
struct pod;

/* @pod has no sandbox yet; @on_gone as in sandbox.h. On failure there is none, and pod_fini() frees
 * the rest. */
int pod_start(struct pod *pod, struct bundle *bundle, done_fn *on_gone, void *ctx,
              struct error *err);

#endif
