#include "shim/config/install.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/mem.h"

#define EXE_PATH_MAX 4096 /* the kernel writes a page at most */

static const char *const vmm_places[] = {
	"/usr/bin/qemu-system-x86_64",
	"/usr/local/bin/qemu-system-x86_64",
	"/usr/libexec/qemu-kvm", /* Red Hat's */
	NULL,
};

/* The one in Rust first, where distributions have it: see docs/design.md. At the second place is
 * today a link to it, and up to QEMU 7.2 the one in C. */
static const char *const virtiofsd_places[] = {
	"/usr/libexec/virtiofsd",
	"/usr/lib/qemu/virtiofsd",
	"/usr/lib/virtiofsd",
	NULL,
};

/* The first that is there, or else the first: its name is what the user reads. */
static const char *first_existing(const char *const *places)
{
	for (const char *const *place = places; *place; place++)
		if (access(*place, F_OK) == 0)
			return *place;
	return places[0];
}

/* Not by realpath(3): the file itself may have been replaced by an upgrade since it was started. */
static char *running_executable(struct error *err)
{
	autofree char *path = mem_alloc(EXE_PATH_MAX);
	ssize_t n = readlink("/proc/self/exe", path, EXE_PATH_MAX - 1);

	if (n < 0) {
		error_errno(err, "cannot read link \"/proc/self/exe\"");
		return NULL;
	}
	path[n] = '\0';
	return take_ptr(&path);
}

static char *given_executable(const char *exe, struct error *err)
{
	char *path = realpath(exe, NULL);

	if (!path)
		error_errno(err, "cannot find executable \"%s\"", exe);
	return path;
}

/* "/opt/kata" of "/opt/kata/bin/shim", "" of "/bin/shim". */
static int cut_prefix(char *path, struct error *err)
{
	for (int i = 0; i < 2; i++) {
		char *slash = strrchr(path, '/');

		if (!slash)
			return error_set(err, ERROR_FAILED_PRECONDITION,
			                 "the executable is not in a bin directory");
		*slash = '\0';
	}
	return 0;
}

int install_find(const char *exe, struct install **out, struct error *err)
{
	autofree char *prefix = exe ? given_executable(exe, err) : running_executable(err);
	struct install *install;
	int r;

	if (!prefix)
		return -ENOENT;
	r = cut_prefix(prefix, err);
	if (r < 0)
		return r;
	install = mem_new(struct install);
	install->vsock = mem_printf("%s/libexec/kata-containers/kata-vsock", prefix);
	install->placeholder = mem_printf("%s/libexec/kata-containers/kata-placeholder", prefix);
	install->kernel = mem_printf("%s/share/kata-containers/kernel", prefix);
	install->initramfs = mem_printf("%s/share/kata-containers/initramfs", prefix);
	install->config_file =
		mem_printf("%s/share/defaults/kata-containers/configuration.toml", prefix);
	install->vmm = first_existing(vmm_places);
	install->virtiofsd = first_existing(virtiofsd_places);
	*out = install;
	return 0;
}

void install_destroy(struct install *install)
{
	if (!install)
		return;
	free(install->vsock);
	free(install->placeholder);
	free(install->kernel);
	free(install->initramfs);
	free(install->config_file);
	free(install);
}
