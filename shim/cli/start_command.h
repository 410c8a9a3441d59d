/*
 * `start`: leaves a process behind that serves the pod (serve.h), or finds the one that does, and
 * prints its address. Nothing is left behind by a failure.
 */
#ifndef SHIM_BOOTSTRAP_H
#define SHIM_BOOTSTRAP_H

struct error;
struct options;

/* In the forked child this exits when the pod has ended. */
int bootstrap(const struct options *options, char **argv, struct error *err);

#endif
