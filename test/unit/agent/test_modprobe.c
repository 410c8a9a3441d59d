#include "agent/guest/modprobe.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define TABLE                                                                                      \
	"char-major-10-200 tun.ko\n"                                                               \
	"devname:net/tun tun.ko\n"                                                                 \
	"no-file\n"                                                                                \
	"fs-x* crc.ko x.ko\n"

static void assert_finds(const char *alias, const char *files)
{
	char *found = modprobe_find(TABLE, alias);

	if (files)
		cr_assert_str_eq(found, files, "%s", alias);
	else
		cr_assert_null(found, "%s", alias);
	free(found);
}

Test(modprobe, finds_files_by_the_alias_in_the_order_to_load_them)
{
	assert_finds("char-major-10-200", "tun.ko");
	assert_finds("fs-xfs", "crc.ko x.ko");
	assert_finds("char-major-10-20", NULL);
	assert_finds("no-file", NULL);
	assert_finds("", NULL);
}

Test(modprobe, is_what_the_kernel_runs_and_nothing_else)
{
	char *kernels[] = { "/init", "-q", "--", "char-major-10-200", NULL };
	char *agents[] = { "/init", NULL };

	cr_assert(modprobe_is_asked_for(4, kernels));
	cr_assert_not(modprobe_is_asked_for(3, kernels));
	cr_assert_not(modprobe_is_asked_for(1, agents));
}
