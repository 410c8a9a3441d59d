#include "agent/pod/huge_pages.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "agent/base/kernel_file.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"

#define KIB         1024
#define NUMBER_SIZE 24

/* "2MB", which spec_check() has seen; 0: it is more than there can be. */
static uint64_t size_of(const char *text)
{
	static const char units[] = "KMG";
	char *unit;
	uint64_t size = strtoull(text, &unit, 10);

	for (const char *at = units; *at; at++) {
		if (__builtin_mul_overflow(size, KIB, &size))
			return 0;
		if (*at == *unit)
			return size;
	}
	return 0;
}

static uint64_t memory(void)
{
	struct sysinfo info = { 0 };

	sysinfo(&info); /* fails only for a bad address */
	return (uint64_t)info.totalram * info.mem_unit;
}

static void add(struct huge_pages *pages, uint64_t size, uint64_t count)
{
	size_t i = 0;

	while (i < pages->n && pages->sizes[i].size != size)
		i++;
	if (i == HUGE_PAGE_SIZES_MAX)
		return; /* no processor has as many */
	if (i == pages->n) {
		pages->sizes[i].size = size;
		pages->sizes[i].count = 0;
		pages->n++;
	}
	pages->sizes[i].count += count;
}

bool huge_pages_add(struct huge_pages *pages, const Grpc__LinuxResources *resources)
{
	bool found = false;

	for (size_t i = 0; resources && i < resources->n_hugepagelimits; i++) {
		const Grpc__LinuxHugepageLimit *limit = resources->hugepagelimits[i];
		uint64_t size = size_of(limit->pagesize);

		if (!size || limit->limit < size || limit->limit > memory())
			continue;
		add(pages, size, limit->limit / size);
		found = true;
	}
	return found;
}

static int keep(int dir, uint64_t size, uint64_t count, struct error *err)
{
	autofree char *name = mem_printf("hugepages-%" PRIu64 "kB/nr_hugepages", size / KIB);
	autofree char *wanted = mem_printf("%" PRIu64, count);
	char text[NUMBER_SIZE], before[NUMBER_SIZE];
	uint64_t kept;

	if (kernel_file_read(dir, name, before, sizeof(before), err) < 0 ||
	    kernel_file_write(dir, name, wanted, err) < 0 ||
	    kernel_file_read(dir, name, text, sizeof(text), err) < 0)
		return error_code_errno(err->code);
	kept = strtoull(text, NULL, 10);
	if (kept >= count)
		return 0;
	before[strcspn(before, "\n")] = '\0';
	kernel_file_write(dir, name, before, NULL); /* as it was, so that nothing has changed */
	return error_set(err, ERROR_RESOURCE_EXHAUSTED,
	                 "the guest has memory for %" PRIu64 " huge pages of %" PRIu64
	                 " KiB, and its containers' limits are %" PRIu64,
	                 kept, size / KIB, count);
}

int huge_pages_keep(void *ctx, struct errand_result *result, struct error *err)
{
	const struct huge_pages *pages = ctx;
	autoclose int dir = open(pages->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return error_errno(err, "cannot open \"%s\"", pages->dir);
	for (size_t i = 0; i < pages->n; i++)
		if (keep(dir, pages->sizes[i].size, pages->sizes[i].count, err) < 0)
			return error_code_errno(err->code);
	return 0;
}
