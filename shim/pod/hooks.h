/*
 * The hooks of a container that run on the host (runtime-spec config.md, "POSIX-platform Hooks"), in
 * the host's mount namespace, one after the other. Hooks that run in the container are not here.
 *
 * The annotations of the state that they get are the spec's, and nerdctl/network-namespace: the path
 * of the pod's network namespace, as nerdctl's hook takes it. With a namespace that has no path it is
 * that of the pid; poststop hooks are told none then.
 */
#ifndef SHIM_HOOKS_H
#define SHIM_HOOKS_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "proto/oci.pb-c.h"

struct ev_loop;
struct hooks;

enum hooks_stage {
	HOOKS_CREATE,    /* prestart, then createRuntime: a failure is one of Create */
	HOOKS_POSTSTART, /* a failure is logged, and the next one runs */
	HOOKS_POSTSTOP,  /* the same */
};

/*
 * Takes them out of @spec, together with what they are told: its version, its annotations and the
 * path of its network namespace. *@out is NULL when there are none. ERROR_INVALID_ARGUMENT: a path
 * that is not absolute, a timeout that is negative ("hooks.prestart[0]: ...").
 */
int hooks_take(Grpc__Spec *spec, const char *id, const char *bundle_dir, struct hooks **out,
               struct error *err);
void hooks_destroy(struct hooks *hooks); /* NULL is fine; kills the one that runs, no callback */

/*
 * Runs those of a stage; none of another stage is running. @pid: in whose namespaces the container
 * is on the host. @mounts: the host's mount namespace; NULL: this process is in it. @done comes
 * once, before this returns if there is nothing to run. @hooks NULL: there is nothing.
 */
void hooks_run(struct hooks *hooks, struct ev_loop *loop, enum hooks_stage stage, pid_t pid,
               const int *mounts, done_fn *done, void *ctx);

/*
 * Whether poststop hooks are to run is a file of the bundle, HOOKS_DUE, so that `delete` runs them
 * where the shim has been killed: it is made before the first hook of Create runs, and removed when
 * those of HOOKS_POSTSTOP have run. @hooks NULL is fine.
 */
#define HOOKS_DUE "poststop-hooks-due"
int hooks_make_due(const struct hooks *hooks, struct error *err);
void hooks_make_undue(const struct hooks *hooks);

CLEANUP_DESTROY(hooks)

#endif
