/*
 * Paths inside a container's root file system, whose contents are untrusted: no symbolic link in
 * it leads outside (openat2(2), RESOLVE_IN_ROOT). What comes back is a descriptor, which
 * keeps meaning the file that was checked; mount(2) takes it as a path by IN_ROOT_PATH().
 */
#ifndef AGENT_IN_ROOT_H
#define AGENT_IN_ROOT_H

#include <sys/types.h>

struct error;

#define IN_ROOT_PATH_SIZE 32

/* Opens @path below @root with open(2)'s @flags. On failure -errno, with no error text. */
int in_root_open(int root, const char *path, int flags);

/*
 * An O_PATH descriptor of @path below @root. It is made if it is missing, as a directory (@type
 * S_IFDIR) or an empty file (S_IFREG) of mode @mode, after the directories (0755) that lead to it.
 * Where a link leads to what does not exist, that is made.
 */
int in_root_make(int root, const char *path, mode_t type, mode_t mode, struct error *err);

/* The directory of @path, made as above, and in *@name (within @path) its last part. */
int in_root_make_parent(int root, const char *path, const char **name, struct error *err);

/* A path that leads to what @fd is, by this process's own /proc: not for after pivot_root. */
const char *in_root_path(int fd, char path[IN_ROOT_PATH_SIZE]);

#endif
