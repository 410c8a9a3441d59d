#include "agent/pod/huge_pages.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/error.h"
#include "common/file.h"
#include "common/mem.h"

#define MIB (1ULL << 20)

static Grpc__LinuxHugepageLimit limits[] = {
	{ .pagesize = "2MB", .limit = 7 * MIB },
	{ .pagesize = "1GB", .limit = 0 },
	{ .pagesize = "64KB", .limit = 1ULL << 62 }, /* no limit */
};
static Grpc__LinuxHugepageLimit *pointers[] = { &limits[0], &limits[1], &limits[2] };
static Grpc__LinuxResources resources = { .n_hugepagelimits = 3, .hugepagelimits = pointers };

Test(huge_pages, of_several_containers_add_up_by_their_size)
{
	struct huge_pages pages = { 0 };

	cr_expect_not(huge_pages_add(&pages, NULL));
	cr_expect(huge_pages_add(&pages, &resources));
	cr_expect(huge_pages_add(&pages, &resources));
	cr_assert_eq(pages.n, 1);
	cr_expect_eq(pages.sizes[0].size, 2 * MIB);
	cr_expect_eq(pages.sizes[0].count, 6);
	pointers[0] = &limits[1];
	cr_expect_not(huge_pages_add(&pages, &resources));
}

Test(huge_pages, are_written_to_the_kernels_file_of_their_size)
{
	char dir[] = "/tmp/test-huge-pages-XXXXXX";
	struct huge_pages pages = { .dir = mkdtemp(dir) };
	autofree char *below = mem_printf("%s/hugepages-2048kB", dir);
	autofree char *file = mem_printf("%s/nr_hugepages", below), *text = NULL;
	struct error err = { 0 };

	huge_pages_add(&pages, &resources);
	cr_expect_lt(huge_pages_keep(&pages, NULL, &err), 0);
	cr_expect_neq(err.code, ERROR_NONE, "a guest without pages of that size");
	cr_assert_eq(mkdir(below, 0700), 0);
	cr_assert_eq(file_write(AT_FDCWD, file, 0600, "0\n", 2, NULL), 0);
	cr_expect_eq(huge_pages_keep(&pages, NULL, &err), 0, "%s", err.text);
	cr_assert_geq(file_read(AT_FDCWD, file, 64, &text, NULL), 0);
	cr_expect_eq(atoi(text), 3);
	unlink(file);
	rmdir(below);
	rmdir(dir);
}
