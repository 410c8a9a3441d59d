/*
 * From the initramfs to a system that containers can be made in: what PID 1 does before anything
 * else, once, blocking. Nothing about the pod's identity is decided here (name, address, time,
 * entropy): a guest may be saved after its boot and cloned.
 */
#ifndef AGENT_BOOT_H
#define AGENT_BOOT_H

struct error;

/* Root and pseudo file systems, modules, lo. A module that does not load is logged, not fatal. */
int boot_system(struct error *err);

#endif
