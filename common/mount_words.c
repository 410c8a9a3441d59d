#include "common/mount_words.h"

#include <linux/mount.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

/* An access time mode replaces the one there was. That of a tree is a field and no bits: 0 is
 * relatime (mount_setattr(2)). */
/* clang-format off: one row a line */
const struct mount_word mount_words[] = {
	{ "async", MOUNT_WORD_FLAG, 0, MS_SYNCHRONOUS },
	{ "atime", MOUNT_WORD_FLAG, 0, MS_NOATIME },
	{ "bind", MOUNT_WORD_FLAG, MS_BIND, 0 },
	{ "defaults", MOUNT_WORD_FLAG, 0, 0 },
	{ "dev", MOUNT_WORD_FLAG, 0, MS_NODEV },
	{ "diratime", MOUNT_WORD_FLAG, 0, MS_NODIRATIME },
	{ "dirsync", MOUNT_WORD_FLAG, MS_DIRSYNC, 0 },
	{ "exec", MOUNT_WORD_FLAG, 0, MS_NOEXEC },
	{ "iversion", MOUNT_WORD_FLAG, MS_I_VERSION, 0 },
	{ "lazytime", MOUNT_WORD_FLAG, MS_LAZYTIME, 0 },
	{ "loud", MOUNT_WORD_FLAG, 0, MS_SILENT },
	{ "mand", MOUNT_WORD_FLAG, MS_MANDLOCK, 0 },
	{ "noatime", MOUNT_WORD_FLAG, MS_NOATIME, MS_RELATIME | MS_STRICTATIME },
	{ "nodev", MOUNT_WORD_FLAG, MS_NODEV, 0 },
	{ "nodiratime", MOUNT_WORD_FLAG, MS_NODIRATIME, 0 },
	{ "noexec", MOUNT_WORD_FLAG, MS_NOEXEC, 0 },
	{ "noiversion", MOUNT_WORD_FLAG, 0, MS_I_VERSION },
	{ "nolazytime", MOUNT_WORD_FLAG, 0, MS_LAZYTIME },
	{ "nomand", MOUNT_WORD_FLAG, 0, MS_MANDLOCK },
	{ "norelatime", MOUNT_WORD_FLAG, 0, MS_RELATIME },
	{ "nostrictatime", MOUNT_WORD_FLAG, 0, MS_STRICTATIME },
	{ "nosuid", MOUNT_WORD_FLAG, MS_NOSUID, 0 },
	{ "nosymfollow", MOUNT_WORD_FLAG, MS_NOSYMFOLLOW, 0 },
	{ "private", MOUNT_WORD_PROPAGATION, MS_PRIVATE, 0 },
	{ "ratime", MOUNT_WORD_TREE, 0, MOUNT_ATTR__ATIME },
	{ "rbind", MOUNT_WORD_FLAG, MS_BIND | MS_REC, 0 },
	{ "rdev", MOUNT_WORD_TREE, 0, MOUNT_ATTR_NODEV },
	{ "rdiratime", MOUNT_WORD_TREE, 0, MOUNT_ATTR_NODIRATIME },
	{ "relatime", MOUNT_WORD_FLAG, MS_RELATIME, MS_NOATIME | MS_STRICTATIME },
	{ "remount", MOUNT_WORD_FLAG, MS_REMOUNT, 0 },
	{ "rexec", MOUNT_WORD_TREE, 0, MOUNT_ATTR_NOEXEC },
	{ "rnoatime", MOUNT_WORD_TREE, MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME },
	{ "rnodev", MOUNT_WORD_TREE, MOUNT_ATTR_NODEV, 0 },
	{ "rnodiratime", MOUNT_WORD_TREE, MOUNT_ATTR_NODIRATIME, 0 },
	{ "rnoexec", MOUNT_WORD_TREE, MOUNT_ATTR_NOEXEC, 0 },
	{ "rnorelatime", MOUNT_WORD_TREE, 0, MOUNT_ATTR__ATIME },
	{ "rnostrictatime", MOUNT_WORD_TREE, 0, MOUNT_ATTR__ATIME },
	{ "rnosuid", MOUNT_WORD_TREE, MOUNT_ATTR_NOSUID, 0 },
	{ "rnosymfollow", MOUNT_WORD_TREE, MOUNT_ATTR_NOSYMFOLLOW, 0 },
	{ "ro", MOUNT_WORD_FLAG, MS_RDONLY, 0 },
	{ "rprivate", MOUNT_WORD_PROPAGATION, MS_PRIVATE | MS_REC, 0 },
	{ "rrelatime", MOUNT_WORD_TREE, 0, MOUNT_ATTR__ATIME },
	{ "rro", MOUNT_WORD_TREE, MOUNT_ATTR_RDONLY, 0 },
	{ "rrw", MOUNT_WORD_TREE, 0, MOUNT_ATTR_RDONLY },
	{ "rshared", MOUNT_WORD_PROPAGATION, MS_SHARED | MS_REC, 0 },
	{ "rslave", MOUNT_WORD_PROPAGATION, MS_SLAVE | MS_REC, 0 },
	{ "rstrictatime", MOUNT_WORD_TREE, MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME },
	{ "rsuid", MOUNT_WORD_TREE, 0, MOUNT_ATTR_NOSUID },
	{ "rsymfollow", MOUNT_WORD_TREE, 0, MOUNT_ATTR_NOSYMFOLLOW },
	{ "runbindable", MOUNT_WORD_PROPAGATION, MS_UNBINDABLE | MS_REC, 0 },
	{ "rw", MOUNT_WORD_FLAG, 0, MS_RDONLY },
	{ "shared", MOUNT_WORD_PROPAGATION, MS_SHARED, 0 },
	{ "silent", MOUNT_WORD_FLAG, MS_SILENT, 0 },
	{ "slave", MOUNT_WORD_PROPAGATION, MS_SLAVE, 0 },
	{ "strictatime", MOUNT_WORD_FLAG, MS_STRICTATIME, MS_NOATIME | MS_RELATIME },
	{ "suid", MOUNT_WORD_FLAG, 0, MS_NOSUID },
	{ "symfollow", MOUNT_WORD_FLAG, 0, MS_NOSYMFOLLOW },
	{ "sync", MOUNT_WORD_FLAG, MS_SYNCHRONOUS, 0 },
	{ "unbindable", MOUNT_WORD_PROPAGATION, MS_UNBINDABLE, 0 },
	{ 0 },
};
/* clang-format on */

static int compare_name(const void *name, const void *word)
{
	return strcmp(name, ((const struct mount_word *)word)->name);
}

const struct mount_word *mount_word_find(const char *name)
{
	return bsearch(name, mount_words, sizeof(mount_words) / sizeof(mount_words[0]) - 1,
	               sizeof(mount_words[0]), compare_name);
}
