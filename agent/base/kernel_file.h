/*
 * The kernel's one-value files: cgroup files, sysctls, /proc/self/oom_score_adj.
 */
#ifndef AGENT_KERNEL_FILE_H
#define AGENT_KERNEL_FILE_H

#include <stddef.h>

struct error;

/*
 * Writes @value in one write(2), as such files require. The text of a failure names both:
 * "cannot write "max" to "memory.max": Invalid argument". The file is opened below @dirfd without
 * following links or leaving it.
 */
int kernel_file_write(int dirfd, const char *name, const char *value, struct error *err);

/* Reads at most @size - 1 bytes, and a NUL after them. */
int kernel_file_read(int dirfd, const char *name, char *text, size_t size, struct error *err);

#endif
