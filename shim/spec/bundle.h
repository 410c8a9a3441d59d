/*
 * An OCI bundle (runtime-spec bundle.md): a directory with config.json, and what its annotations
 * say about the pod that the container belongs to.
 */
#ifndef SHIM_BUNDLE_H
#define SHIM_BUNDLE_H

#include <stdbool.h>

#include "common/cleanup.h"
#include "proto/oci.pb-c.h"

struct bundle;
struct error;

enum bundle_type {
	BUNDLE_SINGLE,    /* a container that is its own pod */
	BUNDLE_SANDBOX,   /* a pod's sandbox container ("pause") */
	BUNDLE_CONTAINER, /* a container of a pod that is there already */
};

/* Whether @dir is a directory without config.json: containerd makes such a bundle for a sandbox of
 * its Sandbox API, and for nothing else. */
bool bundle_is_bare(const char *dir);

/* "bundle "/x": config.json: …" on failure. A container of a pod whose annotations do not name the
 * pod's sandbox is a failure. */
int bundle_load(const char *dir, struct bundle **out, struct error *err);
/* The bundle @dir as if @spec, which is taken over, were in its config.json: @origin is where it is
 * from instead, for the texts of errors. */
int bundle_make(const char *dir, Grpc__Spec *spec, const char *origin, struct bundle **out,
                struct error *err);
void bundle_destroy(struct bundle *bundle); /* NULL is fine */

/* All of these are owned by the bundle and live as long. */
const char *bundle_dir(const struct bundle *bundle); /* absolute */
/* Puts before the text of an error where the spec at fault is from; returns as error_wrap() does. */
int bundle_wrap_error(const struct bundle *bundle, struct error *err);
/* The caller may change it (guest_spec_apply()), keeping it such that spec_free() can free it. */
Grpc__Spec *bundle_spec(struct bundle *bundle);
enum bundle_type bundle_type(const struct bundle *bundle);
/* The runtime's options come to Create of the sandbox alone, as CRI-O has it. */
bool bundle_options_come_late(const struct bundle *bundle);
/* The id of the pod's sandbox container; NULL for BUNDLE_SINGLE: it is the container's own id. */
const char *bundle_sandbox_id(const struct bundle *bundle);
/* The host path of root.path: what is the root file system when Create brings no mounts. */
const char *bundle_rootfs(const struct bundle *bundle);

CLEANUP_DESTROY(bundle)

#endif
