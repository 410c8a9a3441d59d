#include "hypervisor/vhost/guest_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include "common/error.h"

static int region_check(const struct guest_region *region, int fd, struct error *err)
{
	uint64_t end;
	struct stat st;

	if (!region->size || __builtin_add_overflow(region->guest, region->size, &end) ||
	    __builtin_add_overflow(region->vmm, region->size, &end) ||
	    __builtin_add_overflow(region->offset, region->size, &end))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "a memory region's addresses pass the end of the address space");
	if (fstat(fd, &st) < 0)
		return error_errno(err, "cannot stat a memory region");
	if (st.st_size < 0 || end > (uint64_t)st.st_size)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "a memory region ends at byte %llu of a file of %lld bytes",
		                 (unsigned long long)end, (long long)st.st_size);
	return 0;
}

int guest_memory_add(struct guest_memory *memory, const struct guest_region *region, int fd,
                     struct error *err)
{
	char *map;
	int r;

	if (memory->count == GUEST_MEMORY_REGIONS_MAX)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "more than %d memory regions",
		                 GUEST_MEMORY_REGIONS_MAX);
	r = region_check(region, fd, err);
	if (r < 0)
		return r;
	/* From the file's first byte: a huge page file takes no other small offset. */
	map = mmap(NULL, region->offset + region->size, PROT_READ | PROT_WRITE,
	           MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (map == MAP_FAILED)
		return error_errno(err, "cannot map a memory region");
	memory->regions[memory->count] = *region;
	memory->regions[memory->count].data = map + region->offset;
	memory->count++;
	return 0;
}

void guest_memory_fini(struct guest_memory *memory)
{
	for (unsigned int i = 0; i < memory->count; i++) {
		struct guest_region *region = &memory->regions[i];

		munmap(region->data - region->offset, region->offset + region->size);
	}
	memory->count = 0;
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t addr, size_t *len)
{
	for (unsigned int i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t at = addr - region->guest;

		if (addr < region->guest || at >= region->size)
			continue;
		if (*len > region->size - at)
			*len = region->size - at;
		return region->data + at;
	}
	return NULL;
}

void *guest_memory_at_vmm(const struct guest_memory *memory, uint64_t addr, size_t len)
{
	for (unsigned int i = 0; i < memory->count; i++) {
		const struct guest_region *region = &memory->regions[i];
		uint64_t at = addr - region->vmm;

		if (addr >= region->vmm && at < region->size && len <= region->size - at)
			return region->data + at;
	}
	return NULL;
}
