/*
 * A guest without memory (Documentation/accounting/psi.rst). The kernel kills no process for an
 * allocation that may not enter file systems (GFP_NOFS), as out_of_memory() says: it tries again,
 * for as long as no other process allocates. Each readahead is such an allocation, and a program
 * whose own pages have been reclaimed needs one to go on; so a container that takes all memory can
 * keep the guest busy for minutes without an end. While processes are stalled on memory, the agent
 * allocates some itself, and the kernel kills where it must.
 */
#ifndef AGENT_MEMORY_PRESSURE_H
#define AGENT_MEMORY_PRESSURE_H

struct ev_loop;
struct memory_pressure;

#define MEMORY_PRESSURE_FILE "/proc/pressure/memory"

/* Watches nothing yet. @file is MEMORY_PRESSURE_FILE, and outlives it; NULL: it never watches. */
struct memory_pressure *memory_pressure_create(struct ev_loop *loop, const char *file);
void memory_pressure_destroy(struct memory_pressure *pressure); /* NULL is fine */

/* From now on; once. On a kernel that reports no stalls it logs this, and keeps nothing open. */
void memory_pressure_watch(struct memory_pressure *pressure);

#endif
