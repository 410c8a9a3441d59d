#include "agent/guest/modprobe.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/mem.h"
#include "common/processor.h"

#define INITRAMFS                                                                                  \
	"char-major-10-200 tun.ko\n"                                                               \
	"devname:net/tun tun.ko\n"                                                                 \
	"no-file\n"                                                                                \
	"fs-x* crc.ko x.ko\n"
#define SHARED                                                                                     \
	"ip_tables x_tables.ko ip_tables.ko\n"                                                     \
	"nft_expr_counter nft_counter.ko\n"                                                        \
	"crypto_sha256 sha256-ni.ko\n"                                                             \
	"crypto_sha256 sha256-generic.ko\n"                                                        \
	"fs_bad ../../x.ko\n"                                                                      \
	"fs_broken broken.ko after.ko\n"

static char dir[] = "/tmp/test-modprobe-XXXXXX";
static char *dirs[MODPROBE_DIR_MAX];
static char loaded[200];

static void write_list(size_t i, const char *name, const char *text)
{
	autofree char *path = NULL;

	dirs[i] = mem_printf("%s/%s", dir, name);
	path = mem_printf("%s/on-demand", dirs[i]);
	cr_assert_eq(mkdir(dirs[i], 0700), 0);
	cr_assert_eq(file_write(AT_FDCWD, path, 0600, text, strlen(text), NULL), 0);
}

static void setup(void)
{
	cr_assert(mkdtemp(dir));
	write_list(0, "initramfs", INITRAMFS);
	write_list(1, "shared", SHARED);
}

static void teardown(void)
{
	autofree char *command = mem_printf("rm -r %s", dir);

	cr_expect_eq(system(command), 0);
	free(dirs[0]);
	free(dirs[1]);
}

TestSuite(modprobe, .init = setup, .fini = teardown);

static bool load(int unused, const char *file)
{
	size_t len = strlen(loaded);

	snprintf(loaded + len, sizeof(loaded) - len, "%s ", file);
	return strcmp(file, "broken.ko") != 0 && strcmp(file, "sha256-ni.ko") != 0;
}

/* @files: those that are tried, in order. */
static void expect(bool found, const char *alias, const char *files)
{
	loaded[0] = '\0';
	cr_expect_eq(modprobe_load_from((const char *const *)dirs, alias, load), found, "%s",
	             alias);
	cr_expect_str_eq(loaded, files, "%s", alias);
}

Test(modprobe, loads_files_by_the_alias_in_their_order)
{
	expect(true, "char-major-10-200", "tun.ko ");
	expect(true, "fs-xfs", "crc.ko x.ko ");
	expect(true, "ip_tables", "x_tables.ko ip_tables.ko ");
	expect(true, "ip-tables", "x_tables.ko ip_tables.ko ");
	expect(true, "nft-expr-counter", "nft_counter.ko ");
}

Test(modprobe, loads_nothing_that_is_not_listed)
{
	autofree char *longest = mem_printf("fs-x%0300d", 0);

	expect(false, "char-major-10-20", "");
	expect(false, "no-file", "");
	expect(false, "", "");
	expect(false, "*", "");
	expect(false, "ip_tables.ko", "");
	expect(false, "fs-bad", "");
	expect(false, longest, "");
}

Test(modprobe, of_several_one_that_loads_is_enough)
{
	expect(true, "crypto-sha256", "sha256-ni.ko sha256-generic.ko ");
	expect(false, "fs-broken", "broken.ko ");
}

Test(modprobe, without_the_shared_directory_has_those_of_the_initramfs)
{
	autofree char *command = mem_printf("rm -r %s", dirs[1]);

	cr_assert_eq(system(command), 0);
	expect(true, "char-major-10-200", "tun.ko ");
	expect(false, "ip_tables", "");
	cr_assert_eq(mkdir(dirs[1], 0700), 0);
}

Test(modprobe, of_kvm_loads_the_module_of_the_processor)
{
	cr_expect_str_eq(modprobe_name("char-major-10-232"),
	                 processor_virtualization() == PROCESSOR_SVM ? "kvm_amd" : "kvm_intel");
	cr_expect_str_eq(modprobe_name("char-major-10-229"), "char-major-10-229");
}

Test(modprobe, is_what_the_kernel_runs_and_nothing_else)
{
	char *kernels[] = { "/init", "-q", "--", "char-major-10-200", NULL };
	char *agents[] = { "/init", NULL };

	cr_assert(modprobe_is_asked_for(4, kernels));
	cr_assert_not(modprobe_is_asked_for(3, kernels));
	cr_assert_not(modprobe_is_asked_for(1, agents));
}
