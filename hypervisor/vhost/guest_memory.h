/*
 * The guest's memory as the VMM shares it: regions of files, mapped here. Every address and length
 * comes from outside and is checked against the regions; the bytes behind may change at any moment.
 */
#ifndef HYPERVISOR_VHOST_GUEST_MEMORY_H
#define HYPERVISOR_VHOST_GUEST_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct error;

#define GUEST_MEMORY_REGIONS_MAX 8 /* vhost-user's limit for SET_MEM_TABLE */

struct guest_region {
	uint64_t guest; /* guest physical address of its first byte */
	uint64_t vmm;   /* the same in the VMM's address space: ring addresses are given so */
	uint64_t size;
	uint64_t offset; /* in the file */
	char *data;      /* the first byte, here */
};

struct guest_memory {
	struct guest_region regions[GUEST_MEMORY_REGIONS_MAX];
	unsigned int count;
};

/*
 * Maps @region (all but its data) of the file @fd, which stays the caller's. A file that is shorter
 * than the region is refused: touching what is not there would kill the process.
 */
int guest_memory_add(struct guest_memory *memory, const struct guest_region *region, int fd,
                     struct error *err);
void guest_memory_fini(struct guest_memory *memory); /* unmaps all; empty and usable again */

/* Where the guest's bytes at @addr are; *@len becomes what is there in one piece, *@len at most.
 * NULL: no memory of the guest. */
void *guest_memory_at(const struct guest_memory *memory, uint64_t addr, size_t *len);

/* The same for an address of the VMM; NULL unless all @len bytes are in one region. */
void *guest_memory_at_vmm(const struct guest_memory *memory, uint64_t addr, size_t len);

#endif
