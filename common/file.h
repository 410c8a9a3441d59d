/*
 * Small work on files, relative to a directory's descriptor (AT_FDCWD: the working directory).
 */
#ifndef COMMON_FILE_H
#define COMMON_FILE_H

#include <stddef.h>
#include <sys/types.h>

struct error;

/*
 * The whole of a regular file of at most @max bytes: returns its length; *out is followed by a NUL
 * and free()d by the caller. ERROR_NOT_FOUND when there is none; ERROR_INVALID_ARGUMENT when it is
 * too long or no file. Never waits for the writer of a FIFO.
 */
ssize_t file_read(int dirfd, const char *name, size_t max, char **out, struct error *err);

int file_set_nonblocking(int fd); /* 0, or -1 and errno */

/* Writes all of @data, waiting where it has to: 0 or a negative errno, which errno is, too. */
int file_write_all(int fd, const void *data, size_t len);

/* Replaces the file by a rename, so that a reader sees the old bytes or the new ones. */
int file_write(int dirfd, const char *name, mode_t mode, const void *data, size_t len,
               struct error *err);

/* The directory that the last name of @path is in (O_PATH, the caller's), and that name; -1 with
 * errno. */
int file_open_parent(int dirfd, const char *path, const char **name);

/* Makes the directory @path and its parents where missing; one that is there keeps its mode. */
int file_make_dirs(const char *path, mode_t mode, struct error *err);

/*
 * Removes the directory @path with all below it; nothing there is fine. Symbolic links are removed,
 * not followed. A mount is not entered: what is mounted stays as it is, and removing its mount
 * point fails. Of any depth and made by whomever.
 */
int file_remove_tree(int dirfd, const char *path, struct error *err);

#endif
