/*
 * The words of a mount's options that are the kernel's and no file system's own: those of mount(8)
 * and of the OCI runtime specification (config.md, "Linux mount options"). Host and guest read them
 * by one table. Of words that contradict each other the later counts.
 */
#ifndef COMMON_MOUNT_WORDS_H
#define COMMON_MOUNT_WORDS_H

#include <stdint.h>

enum mount_word_kind {
	MOUNT_WORD_FLAG,        /* MS_*, for mount(2) */
	MOUNT_WORD_PROPAGATION, /* MS_SHARED and its like: each needs a mount(2) of its own */
	MOUNT_WORD_TREE,        /* MOUNT_ATTR_*, for mount_setattr(2) with AT_RECURSIVE */
};

/* What a word changes: first @clear, then @set. */
struct mount_word {
	const char *name;
	enum mount_word_kind kind;
	uint64_t set;
	uint64_t clear;
};

extern const struct mount_word mount_words[]; /* in the order of the names; NULL ends them */

/* NULL: an option of a file system, or unknown. */
const struct mount_word *mount_word_find(const char *name);

#endif
