/*
 * Huge pages that the guest keeps for its containers: as many of each size as their limits
 * (linux.resources.hugepageLimits) add up to. The machine has memory for them.
 */
#ifndef AGENT_HUGE_PAGES_H
#define AGENT_HUGE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/oci.pb-c.h"

struct errand_result;
struct error;

#define HUGE_PAGE_SIZES_MAX 8

struct huge_pages {
	size_t n;
	struct {
		uint64_t size;  /* of a page, in bytes */
		uint64_t count; /* of pages */
	} sizes[HUGE_PAGE_SIZES_MAX];
	const char *dir; /* HUGE_PAGES_DIR, or a test's */
};

#define HUGE_PAGES_DIR "/sys/kernel/mm/hugepages"

/* Adds what @resources (NULL: nothing) are limited to. A limit that is more than the guest's memory is
 * none. Whether there is one. */
bool huge_pages_add(struct huge_pages *pages, const Grpc__LinuxResources *resources);

/*
 * Makes the kernel keep as many; what is more than that it gives back. For a child process
 * (errand_fn, @ctx: a struct huge_pages): the kernel may have to move other pages first.
 * ERROR_RESOURCE_EXHAUSTED, with both numbers: it cannot.
 */
int huge_pages_keep(void *ctx, struct errand_result *result, struct error *err);

#endif
