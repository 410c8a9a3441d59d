#include "shim/config/install.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "common/error.h"
#include "common/mem.h"

Test(install, finds_its_parts_beside_the_bin_directory_of_the_executable)
{
	char dir[] = "/tmp/install-XXXXXX";
	autodestroy(install) struct install *install = NULL;
	struct error err = { 0 };

	cr_assert(mkdtemp(dir));
	autofree char *bin = mem_printf("%s/bin", dir);
	autofree char *exe = mem_printf("%s/bin/shim", dir);
	autofree char *link = mem_printf("%s/shim", dir);
	autofree char *vsock = mem_printf("%s/libexec/kata-containers/kata-vsock", dir);
	autofree char *placeholder = mem_printf("%s/libexec/kata-containers/kata-placeholder", dir);
	autofree char *kernel = mem_printf("%s/share/kata-containers/kernel", dir);
	autofree char *initramfs = mem_printf("%s/share/kata-containers/initramfs", dir);

	cr_assert_eq(mkdir(bin, 0700), 0);
	cr_assert_eq(close(open(exe, O_CREAT | O_WRONLY, 0700)), 0);
	cr_assert_eq(symlink("bin/shim", link), 0);
	cr_assert_eq(install_find(link, &install, &err), 0, "%s", err.text);
	cr_assert_str_eq(install->vsock, vsock);
	cr_assert_str_eq(install->placeholder, placeholder);
	cr_assert_str_eq(install->kernel, kernel);
	cr_assert_str_eq(install->initramfs, initramfs);
	cr_assert_eq(unlink(link) | unlink(exe) | rmdir(bin) | rmdir(dir), 0);
}

Test(install, finds_itself)
{
	autodestroy(install) struct install *install = NULL;
	struct error err = { 0 };

	cr_assert_eq(install_find(NULL, &install, &err), 0, "%s", err.text);
	cr_assert_eq(install->vsock[0], '/');
	cr_assert_eq(install->vmm[0], '/');
	cr_assert_eq(install->virtiofsd[0], '/');
}

Test(install, names_an_executable_that_is_not_there)
{
	struct install *install = NULL;
	struct error err = { 0 };

	cr_assert_eq(install_find("/nosuch/bin/shim", &install, &err), -ENOENT);
	cr_assert_str_eq(err.text,
	                 "cannot find executable \"/nosuch/bin/shim\": No such file or directory");
	cr_assert_null(install);
}
