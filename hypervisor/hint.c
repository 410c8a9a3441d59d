#include "hypervisor/hint.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>

#include "common/error.h"

#define DEBUG                                                                                      \
	"with hypervisor.qemu.enable_debug = true in configuration.toml all that the guest "       \
	"prints is in containerd's log"

static const char *const hints[] = {
	[HINT_QEMU_PROGRAM] = "QEMU is in the package qemu-system-x86; hypervisor.qemu.path in "
			      "configuration.toml names another place, open to all users",
	[HINT_VIRTIOFSD_PROGRAM] =
		"virtiofsd is in the package virtiofsd, up to Debian 12 in qemu-system-common; "
		"hypervisor.qemu.virtio_fs_daemon in configuration.toml names another place",
	[HINT_VSOCK_PROGRAM] = "it is installed with the shim (cmake --install), below the same "
			       "prefix: libexec/kata-containers/kata-vsock",
	[HINT_GUEST_IMAGE] =
		"the installation's are in share/kata-containers below the shim's prefix; "
		"hypervisor.qemu.kernel and hypervisor.qemu.initrd in configuration.toml name "
		"others",
	[HINT_KVM] = "with hypervisor.qemu.accel = \"auto\" in configuration.toml guests run "
		     "without KVM where it cannot be used, slower",
	[HINT_MEMORY] = "hypervisor.qemu.default_memory and hypervisor.qemu.default_maxmemory in "
			"configuration.toml say how much, in MiB and steps of 128",
	[HINT_QEMU_REFUSED] =
		"what QEMU gets is set by the table hypervisor.qemu of configuration.toml: look "
		"at kernel, initrd, kernel_params and default_memory",
	[HINT_GUEST_ENDED] = DEBUG,
	[HINT_GUEST_SILENT] = "a slow host needs more time (agent.kata.dial_timeout and the table "
			      "timeouts of configuration.toml); " DEBUG,
	[HINT_KILLED] = "`dmesg` on the host says if it was short of memory",
	[HINT_CRASHED] = "a crash is a defect: `dmesg` or `coredumpctl` on the host says where",
};

int hint_add(struct error *err, enum hint hint)
{
	return error_hint(err, hints[hint]);
}

int hint_add_to_spawn(struct error *err, enum hint hint, int r)
{
	if (r == -ENOENT || r == -EACCES || r == -ENOEXEC || r == -ENOTDIR)
		hint_add(err, hint);
	return r;
}

void hint_add_to_end(struct error *err, int status)
{
	if (WIFSIGNALED(status))
		hint_add(err, WTERMSIG(status) == SIGKILL ? HINT_KILLED : HINT_CRASHED);
}
