#include "hypervisor/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/file.h"
#include "hypervisor/hint.h"

#define NAME       "guest-memory"
#define SEALS      (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define POOL       "/sys/kernel/mm/hugepages/hugepages-2048kB/"
#define PAGE_MIB   2
#define NUMBER_MAX 4096 /* bytes, which sysfs says of each of its files */

/* Sealed, since one of those who map it could otherwise end the others by cutting it off. */
static int make(uint64_t mib, unsigned int flags, struct error *err)
{
	autoclose int fd = -1;

	if (mib == 0) {
		error_set(err, ERROR_INVALID_ARGUMENT, "no memory is left for the guest");
		return hint_add(err, HINT_MEMORY);
	}
	fd = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING | flags);
	if (fd < 0 || ftruncate(fd, (off_t)(mib << 20)) < 0 || fcntl(fd, F_ADD_SEALS, SEALS) < 0) {
		error_errno(err, "cannot make %lu MiB of guest memory", mib);
		return hint_add(err, HINT_MEMORY);
	}
	return take_fd(&fd);
}

int memory_file_make(uint64_t mib, struct error *err)
{
	return make(mib, 0, err);
}

static unsigned long read_pages(const char *path)
{
	autofree char *text = NULL;

	return file_read(AT_FDCWD, path, NUMBER_MAX, &text, NULL) < 0 ? 0 : strtoul(text, NULL, 10);
}

/* Those that somebody has mapped and not touched are free, and not to be had. */
static unsigned long free_mib(void)
{
	unsigned long all = read_pages(POOL "free_hugepages");
	unsigned long promised = read_pages(POOL "resv_hugepages");

	return all > promised ? (all - promised) * PAGE_MIB : 0;
}

/* A shared mapping is what the kernel sets pages aside for, until the file goes. */
static int set_aside(int fd, uint64_t mib, struct error *err)
{
	const unsigned long before = free_mib();
	void *all = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (all != MAP_FAILED) {
		munmap(all, mib << 20);
		return 0;
	}
	if (errno != ENOMEM)
		return error_errno(err, "cannot map %lu MiB of huge pages", mib);
	return error_set(err, ERROR_RESOURCE_EXHAUSTED,
	                 "the host has %lu MiB in free huge pages, and the machine needs %lu MiB; "
	                 "look at " POOL "nr_hugepages, or enable_hugepages",
	                 before, mib);
}

int memory_file_make_huge(uint64_t mib, struct error *err)
{
	const uint64_t whole = (mib + PAGE_MIB - 1) / PAGE_MIB * PAGE_MIB;
	autoclose int fd = make(whole, MFD_HUGETLB | MFD_HUGE_2MB, err);
	int r;

	if (fd < 0)
		return fd;
	r = set_aside(fd, whole, err);
	return r < 0 ? r : take_fd(&fd);
}
