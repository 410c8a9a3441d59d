#include "agent/guest/swap.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/error.h"

#define MIB (1 << 20)

/* As mkswap(8) leaves a disk, and the kernel reads it: the version, the last page, the last ten bytes of
 * the first page. */
Test(swap, header_is_what_the_kernel_looks_for)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	struct error err = { 0 };
	uint32_t words[3];
	char page[SWAP_PAGE];

	cr_assert_eq(ftruncate(fd, MIB), 0);
	cr_assert_eq(swap_write_header(fd, MIB, &err), 0, "%s", err.text);
	cr_assert_eq(pread(fd, page, sizeof(page), 0), sizeof(page));
	memcpy(words, page + 1024, sizeof(words));
	cr_expect_eq(words[0], 1);
	cr_expect_eq(words[1], MIB / SWAP_PAGE - 1);
	cr_expect_eq(words[2], 0);
	cr_expect_eq(memcmp(page + SWAP_PAGE - 10, "SWAPSPACE2", 10), 0);
	close(fd);
}

Test(swap, disk_that_is_too_small_is_refused)
{
	struct error err = { 0 };

	cr_expect_lt(swap_write_header(-1, 9UL * SWAP_PAGE, &err), 0);
	cr_expect_str_eq(err.text, "a disk of 36864 bytes is too small to swap to");
}
