/*
 * A disk of the guest that its kernel swaps to.
 */
#ifndef AGENT_SWAP_H
#define AGENT_SWAP_H

#include <stdint.h>

struct error;

#define SWAP_PAGE      4096
#define SWAP_PAGES_MIN 10 /* the kernel's, and those that are worth it */

/* Writes what makes @bytes of the file @fd room for pages: linux/swap.h, union swap_header. */
int swap_write_header(int fd, uint64_t bytes, struct error *err);

/* Makes room for pages of the whole disk @node, and has the kernel use it. For a child process: it
 * waits for the disk. */
int swap_begin(const char *node, struct error *err);

#endif
