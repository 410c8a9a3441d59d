/*
 * Kernel modules on demand: the kernel runs `/init -q -- ALIAS`, as it runs modprobe(8) elsewhere
 * (kernel/kmod.c), when a process needs a driver, a protocol, a file system or the like that is not
 * loaded. Any process of a container can make it ask for some names, so what may be loaded is a
 * list, made with the image (guest-image/on-demand); no other name is.
 *
 * A list is the file "on-demand" of a directory with the modules: the initramfs' /modules, and that
 * of the kernel's release in <MODPROBE_SHARED>, which the host shares and may lack. A line is
 * "<alias> <file>...", the alias a fnmatch(3) pattern, the files in the order to load them. In an
 * alias - and _ are the same, as in names of modules.
 */
#ifndef AGENT_MODPROBE_H
#define AGENT_MODPROBE_H

#include <stdbool.h>

#define MODPROBE_SHARED  "/run/kata-containers/shared/containers/.modules"
#define MODPROBE_DIR_MAX 2 /* places with a list */

bool modprobe_is_asked_for(int argc, char **argv);

/* Loads the modules of @alias; false: there are none, or one failed, which is logged. Those that are
 * there already are fine. Where several have the alias (a cipher's), one that loads is enough. */
bool modprobe_load(const char *alias);

/* What is loaded for @alias: for /dev/kvm, the module of the processor's maker (which elsewhere udev(7)
 * loads when it sees the processor), and what that depends on. */
const char *modprobe_name(const char *alias);

/* The main function of such a process: loads the modules of @alias, in MODPROBE_TIMEOUT_S or not at
 * all. Returns the exit code. */
#define MODPROBE_TIMEOUT_S 20
int modprobe_main(const char *alias);

/* What modprobe_load() does with the lists of @dirs and what loads a file of one. */
typedef bool modprobe_load_fn(int dir, const char *file);
bool modprobe_load_from(const char *const dirs[MODPROBE_DIR_MAX], const char *alias,
                        modprobe_load_fn *load);

/* Makes the kernel ask this executable. */
void modprobe_announce(void);

#endif
