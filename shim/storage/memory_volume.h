/*
 * A pod's volume in memory (an emptyDir with `medium: Memory`, or `HugePages` and its like), as a
 * kubelet has it on the host: a tmpfs, or hugetlbfs, below ".../kubernetes.io~empty-dir/", bound whole, or a directory of it for a subPath. In the
 * guest it is a file system of its kind of the guest's.
 */
#ifndef SHIM_MEMORY_VOLUME_H
#define SHIM_MEMORY_VOLUME_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct error;

#define MEMORY_VOLUME_BELOW_MAX 256

struct memory_volume {
	bool found;
	uint32_t minor;     /* of the file system's device number; its major is 0 */
	uint64_t bytes;     /* its size; 0: it has no limit of its own */
	uint64_t page_size; /* in bytes, of one of huge pages; else 0 */
	mode_t mode;        /* of its top directory; so are the next */
	uid_t uid;
	gid_t gid;
	char below[MEMORY_VOLUME_BELOW_MAX]; /* what is bound: "" all, "/a/b" a directory of it */
};

/* Whether the directory @source, open as @fd, is of such a volume. Asks no file system but a tmpfs. */
int memory_volume_find(const char *source, int fd, struct memory_volume *out, struct error *err);

#endif
