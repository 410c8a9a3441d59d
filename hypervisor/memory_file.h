/*
 * The memory of a guest: a file without a name, which those who serve the guest map, too.
 */
#ifndef HYPERVISOR_MEMORY_FILE_H
#define HYPERVISOR_MEMORY_FILE_H

#include <stdint.h>

struct error;

/* A memfd: what is touched of it is taken from the host, no more. The caller's; -errno. */
int memory_file_make(uint64_t mib, struct error *err);

/* One of the host's huge pages, of 2 MiB each, all of which are the guest's from now on.
 * ERROR_RESOURCE_EXHAUSTED, with both numbers: the host has fewer that are free. */
int memory_file_make_huge(uint64_t mib, struct error *err);

#endif
