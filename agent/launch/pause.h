/*
 * `/init pause`: PID 1 of the pod's pid namespace (agent/pod/namespaces.h). It has an empty root
 * directory in a mount namespace of its own, no capabilities and no descriptors; the kernel reaps
 * for it what is left to it, and does not let it be killed from inside. It ends with who made it.
 */
#ifndef AGENT_PAUSE_H
#define AGENT_PAUSE_H

#define PAUSE_ARGUMENT "pause" /* argv[1] */
#define PAUSE_READY_FD 0 /* where it writes a struct error: ERROR_NONE when it has all of this */

/* main() of it, in a pid and a mount namespace that were made for it. Returns on failure only. */
int pause_main(void);

#endif
