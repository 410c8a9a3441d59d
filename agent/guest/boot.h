/*
 * Turns the initramfs into a system that can run containers: PID 1 does it first, once, and blocks
 * meanwhile. It sets nothing of the pod's identity (name, address, time, entropy): a guest may be
 * saved after its boot and cloned.
 */
#ifndef AGENT_BOOT_H
#define AGENT_BOOT_H

struct error;

/* Root and pseudo file systems, modules, lo. A module that does not load is logged, not fatal. */
int boot_system(struct error *err);

#endif
