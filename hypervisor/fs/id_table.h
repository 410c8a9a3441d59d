/*
 * Things that the guest names by a number: nodes and handles. A number is given once: that of a
 * thing that has gone finds nothing, whatever has its place now.
 */
#ifndef HYPERVISOR_FS_ID_TABLE_H
#define HYPERVISOR_FS_ID_TABLE_H

#include <stdint.h>

struct id_slot {
	void *thing; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct id_table {
	struct id_slot *slots; /* the first is never used: 0 is no id */
	uint32_t count;
	uint32_t capacity;
	uint32_t free; /* 0: none */
};

void id_table_fini(struct id_table *table); /* the things are the caller's */

uint64_t id_table_add(struct id_table *table, void *thing);     /* the first is 1; 0: full */
void *id_table_find(const struct id_table *table, uint64_t id); /* NULL: there is none */
void id_table_remove(struct id_table *table, uint64_t id);

#endif
