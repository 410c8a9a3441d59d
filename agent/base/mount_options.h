/*
 * The options of a spec's mount (mount(8) words, runtime-spec config.md "Linux mount options") as
 * mount(2) and mount_setattr(2) want them.
 */
#ifndef AGENT_MOUNT_OPTIONS_H
#define AGENT_MOUNT_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

struct error;

#define MOUNT_PROPAGATION_MAX 4
#define MOUNT_DATA_MAX        4095 /* mount(2): one page */

struct mount_options {
	unsigned long flags;                              /* MS_*, propagation aside */
	unsigned long propagation[MOUNT_PROPAGATION_MAX]; /* each a mount(2) of its own */
	size_t n_propagation;
	uint64_t attr_set; /* MOUNT_ATTR_* for the whole tree: "rro" and its kind */
	uint64_t attr_clear;
	char *data; /* what the file system itself is told; "" when nothing */
};

/* ERROR_UNIMPLEMENTED for tmpcopyup, idmap, ridmap. Free by mount_options_fini(). */
int mount_options_parse(char *const *words, size_t count, struct mount_options *out,
                        struct error *err);
void mount_options_fini(struct mount_options *options);

/*
 * MOUNT_ATTR_* of the flags that are the mount's and not the file system's. Relatime is no bit: the
 * kernel's default.
 */
uint64_t mount_options_attrs(const struct mount_options *options);

/* MS_SHARED, MS_SLAVE | MS_REC, … of "shared", "rslave", …; 0 when @word is none of them. */
unsigned long mount_propagation(const char *word);

#endif
