/*
 * Kernel modules on demand: the kernel runs `/init -q -- ALIAS`, as it runs modprobe(8) elsewhere
 * (kernel/kmod.c), when a process opens a device whose driver is not loaded.
 */
#ifndef AGENT_MODPROBE_H
#define AGENT_MODPROBE_H

#include <stdbool.h>

struct error;

bool modprobe_is_asked_for(int argc, char **argv);

/* Loads the modules of @alias; false: there are none, or one failed, which is logged. Those that are
 * there already are fine. */
bool modprobe_load(const char *alias);

/* The main function of such a process: loads the modules of @alias. Returns the exit code. */
int modprobe_main(const char *alias);

/*
 * The file names, after the alias, of the line of @table (an initramfs' /modules/on-demand) that
 * @alias matches; NULL: there is none. free() it. A line is "<alias> <file>...", the alias a
 * fnmatch(3) pattern, in the order to load them.
 */
char *modprobe_find(const char *table, const char *alias);

/* Makes the kernel ask this executable, if the initramfs has such modules. */
void modprobe_announce(void);

#endif
