/*
 * Which CPUs of the host the threads of a QEMU's vCPUs run on.
 */
#ifndef HYPERVISOR_QEMU_PINNING_H
#define HYPERVISOR_QEMU_PINNING_H

#include <sched.h>
#include <sys/types.h>

struct pinning;
struct qmp;

struct pinning *pinning_create(void);
void pinning_destroy(struct pinning *pinning); /* NULL is fine */
/* NULL: QEMU has gone. */
void pinning_connect(struct pinning *pinning, struct qmp *qmp, pid_t pid);

/*
 * Binds each vCPU to one of @cpus, in their order, if there are as many as vCPUs; else all of them may
 * run wherever this process may. To be repeated when vCPUs have come or gone. A failure is logged.
 */
void pinning_set(struct pinning *pinning, const cpu_set_t *cpus);

#endif
