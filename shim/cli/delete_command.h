/*
 * `delete`: what containerd runs when it has lost a shim, and after each shim that has ended. Works
 * from the bundle and /run/kata alone, whatever has happened before, any number of times.
 */
#ifndef SHIM_CLEANUP_H
#define SHIM_CLEANUP_H

struct error;
struct options;

/*
 * Removes what the pod has left on the host and prints a DeleteResponse with status 137. A pod that
 * is served is not touched: it may be another container that has gone; one that is just ending is
 * waited for.
 */
int cleanup(const struct options *options, char **argv, struct error *err);

#endif
