/*
 * A file of the host that the guest swaps to, once the machine has run for a while: most containers do
 * not live as long. The file has no name, so nothing of it is left, whatever becomes of the shim.
 */
#ifndef SHIM_GUEST_SWAP_H
#define SHIM_GUEST_SWAP_H

#include <stdint.h>

struct agent;
struct disks;
struct ev_loop;
struct guest_swap;

/* All outlives the swap; @disks may end before it. */
struct guest_swap_config {
	struct ev_loop *loop;
	struct agent *agent;
	struct disks *disks;
	const char *dir; /* the file's */
	uint64_t mib;    /* its size; it takes no more of the disk than is swapped out */
	double delay_s;
	int timeout_ms; /* to make the file */
};

/* What fails is a warning in the log: the guest goes on without. */
struct guest_swap *guest_swap_create(const struct guest_swap_config *config);
void guest_swap_destroy(struct guest_swap *swap); /* NULL is fine */

#endif
