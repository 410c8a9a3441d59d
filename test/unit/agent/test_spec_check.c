#include "agent/pod/spec_check.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>

#include "common/error.h"
#include "common/processor.h"

/* A spec that is fine, all of it in here, to be spoilt. */
struct draft {
	Grpc__Spec spec;
	Grpc__Linux config;
	Grpc__Process process;
	Grpc__LinuxNamespace namespaces[2];
	Grpc__LinuxNamespace *pointers[3];
	char *args[1];
};

static void draft_init(struct draft *draft)
{
	memset(draft, 0, sizeof(*draft));
	grpc__spec__init(&draft->spec);
	grpc__linux__init(&draft->config);
	grpc__process__init(&draft->process);
	grpc__linux_namespace__init(&draft->namespaces[0]);
	grpc__linux_namespace__init(&draft->namespaces[1]);
	draft->namespaces[0].type = "mount";
	draft->namespaces[1].type = "pid";
	draft->pointers[0] = &draft->namespaces[0];
	draft->pointers[1] = &draft->namespaces[1];
	draft->config.namespaces = draft->pointers;
	draft->config.n_namespaces = 2;
	draft->spec.linux = &draft->config;
	draft->spec.process = &draft->process;
	draft->args[0] = "true";
	draft->process.args = draft->args;
	draft->process.n_args = 1;
	draft->process.cwd = "/";
}

static void expect_refusal(const struct draft *draft, enum error_code code, const char *text)
{
	struct error err = { 0 };

	cr_expect_lt(spec_check(&draft->spec, &err), 0);
	cr_expect_eq(err.code, code, "%s", err.text);
	cr_expect_str_eq(err.text, text);
}

static void expect_process_refusal(const struct draft *draft, enum error_code code,
                                   const char *text)
{
	struct error err = { 0 };

	cr_expect_lt(spec_check_process(&draft->process, &err), 0);
	cr_expect_eq(err.code, code, "%s", err.text);
	cr_expect_str_eq(err.text, text);
}

Test(spec_check, plain_spec_is_fine)
{
	struct error err = { 0 };
	struct draft draft;

	draft_init(&draft);
	cr_expect_eq(spec_check(&draft.spec, &err), 0, "%s", err.text);
	cr_expect_eq(spec_check_process(&draft.process, &err), 0, "%s", err.text);
}

Test(spec_check, hooks_are_refused)
{
	Grpc__Hooks hooks = GRPC__HOOKS__INIT;
	Grpc__Hook hook = GRPC__HOOK__INIT;
	Grpc__Hook *pointer = &hook;
	struct draft draft;

	draft_init(&draft);
	draft.spec.hooks = &hooks;
	cr_expect_eq(spec_check(&draft.spec, NULL), 0);
	hooks.poststop = &pointer;
	hooks.n_poststop = 1;
	expect_refusal(&draft, ERROR_UNIMPLEMENTED, "hooks of the host: not supported");
}

Test(spec_check, kvm_is_refused_where_the_processor_has_it_not_unless_all_devices_are_given)
{
	const bool has = processor_virtualization() != PROCESSOR_NEITHER;
	Grpc__LinuxDevice kvm = { .path = "/dev/kvm", .type = "c", .major = 10, .minor = 232 };
	Grpc__LinuxDeviceCgroup rule = { .allow = true, .type = "a", .major = -1, .minor = -1 };
	Grpc__LinuxResources resources = GRPC__LINUX_RESOURCES__INIT;
	Grpc__LinuxDevice *device = &kvm;
	Grpc__LinuxDeviceCgroup *rules = &rule;
	struct draft draft;

	draft_init(&draft);
	draft.config.devices = &device;
	draft.config.n_devices = 1;
	if (!has)
		expect_refusal(&draft, ERROR_UNIMPLEMENTED,
		               "linux.devices[0] \"/dev/kvm\": KVM: not supported; the virtual "
		               "machine's CPU has neither vmx nor svm");
	rule.access = "rwm";
	resources.devices = &rules;
	resources.n_devices = 1;
	draft.config.resources = &resources;
	cr_expect_eq(spec_check(&draft.spec, NULL), 0);
}

Test(spec_check, user_namespaces_are_refused)
{
	Grpc__LinuxIDMapping mapping = GRPC__LINUX_IDMAPPING__INIT;
	Grpc__LinuxIDMapping *pointer = &mapping;
	struct draft draft;

	draft_init(&draft);
	draft.namespaces[1].type = "user";
	expect_refusal(&draft, ERROR_UNIMPLEMENTED,
	               "linux.namespaces: a user namespace: not supported");
	draft_init(&draft);
	draft.config.gidmappings = &pointer;
	draft.config.n_gidmappings = 1;
	expect_refusal(&draft, ERROR_UNIMPLEMENTED,
	               "linux.uidMappings (a user namespace): not supported");
}

Test(spec_check, container_needs_a_mount_namespace_of_its_own)
{
	struct draft draft;

	draft_init(&draft);
	draft.namespaces[0].type = "ipc";
	expect_refusal(&draft, ERROR_UNIMPLEMENTED,
	               "linux.namespaces: a container without a mount namespace: not supported");
	draft.namespaces[0].type = "mount";
	draft.namespaces[0].path = "/proc/1/ns/mnt";
	expect_refusal(&draft, ERROR_UNIMPLEMENTED,
	               "linux.namespaces: joining the mount namespace \"/proc/1/ns/mnt\": not "
	               "supported");
	draft_init(&draft);
	draft.namespaces[1].type = "mount";
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.namespaces type \"mount\": duplicate");
	draft.namespaces[1].type = "mnt"; /* as upstream's runtime-rs says it */
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.namespaces type \"mnt\": duplicate");
	draft.namespaces[1].type = "moon";
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.namespaces type \"moon\": unknown");
}

Test(spec_check, another_hostname_than_the_pod_s_needs_a_namespace)
{
	struct draft draft;

	draft_init(&draft);
	cr_assert_eq(unshare(CLONE_NEWUTS), 0);
	cr_assert_eq(sethostname("pod", 3), 0);
	draft.spec.hostname = "x";
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid hostname \"x\": the pod's is \"pod\", and the container has no uts "
	               "namespace of its own");
	draft.spec.hostname = "pod";
	cr_expect_eq(spec_check(&draft.spec, NULL), 0);
	draft.spec.hostname = "x";
	draft.namespaces[1].type = "uts";
	cr_expect_eq(spec_check(&draft.spec, NULL), 0);
}

Test(spec_check, labels_are_refused)
{
	struct draft draft;

	draft_init(&draft);
	draft.config.mountlabel = "l";
	expect_refusal(&draft, ERROR_UNIMPLEMENTED, "linux.mountLabel (SELinux): not supported");
	draft.process.selinuxlabel = "l";
	expect_process_refusal(&draft, ERROR_UNIMPLEMENTED, "process.selinuxLabel: not supported");
	draft.process.apparmorprofile = "p";
	expect_process_refusal(&draft, ERROR_UNIMPLEMENTED,
	                       "process.apparmorProfile: not supported");
}

Test(spec_check, unknown_propagation_is_refused)
{
	struct draft draft;

	draft_init(&draft);
	draft.config.rootfspropagation = "far";
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.rootfsPropagation \"far\": unknown");
}

static void expect_sysctl(const char *key, bool allowed)
{
	Grpc__Linux__SysctlEntry entry = GRPC__LINUX__SYSCTL_ENTRY__INIT;
	Grpc__Linux__SysctlEntry *pointer = &entry;
	struct draft draft;

	draft_init(&draft);
	draft.namespaces[1].type = "ipc";
	entry.key = (char *)key;
	draft.config.sysctl = &pointer;
	draft.config.n_sysctl = 1;
	cr_expect_eq(spec_check(&draft.spec, NULL) == 0, allowed, "%s", key);
}

Test(spec_check, settings_of_other_namespaces_are_refused)
{
	expect_sysctl("kernel.shmmax", true);
	expect_sysctl("kernel/shmmax", true);
	expect_sysctl("fs.mqueue.msg_max", true);
	expect_sysctl("net.ipv4.ip_forward", true);
	expect_sysctl("kernel.domainname", false); /* no uts namespace */
	expect_sysctl("kernel.panic", false);
	expect_sysctl("kernel.core_pattern", false);
	expect_sysctl("fs.mqueue", false);
	expect_sysctl("vm.swappiness", false);
}

Test(spec_check, names_of_settings_lead_nowhere_else)
{
	expect_sysctl("net.//.kernel.core_pattern", false);
	expect_sysctl("net/../kernel/core_pattern", false);
	expect_sysctl("fs.mqueue.//.//.kernel.core_pattern", false);
	expect_sysctl("fs/mqueue/../../kernel/core_pattern", false);
	expect_sysctl("net/./core/somaxconn", false);
	expect_sysctl("net..core.somaxconn", false);
	expect_sysctl("/net/core/somaxconn", false);
	expect_sysctl("net.", false);
	expect_sysctl("net.ipv4.conf.eth0/1.forwarding", true);
	expect_sysctl("net/ipv4/conf/eth0.1/forwarding", true);
}

Test(spec_check, device_types_are_known)
{
	Grpc__LinuxDevice device = GRPC__LINUX_DEVICE__INIT;
	Grpc__LinuxDevice *pointer = &device;
	struct draft draft;

	draft_init(&draft);
	draft.config.devices = &pointer;
	draft.config.n_devices = 1;
	device.path = "/dev/x";
	device.type = "z";
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.devices[0].type \"z\": expected b, c, p or u");
	device.type = "c";
	device.major = -1;
	expect_refusal(&draft, ERROR_INVALID_ARGUMENT,
	               "invalid linux.devices[0] \"/dev/x\": device number out of range");
}

Test(spec_check, process_must_make_sense)
{
	Grpc__POSIXRlimit limits[2] = { GRPC__POSIXRLIMIT__INIT, GRPC__POSIXRLIMIT__INIT };
	Grpc__POSIXRlimit *pointers[2] = { &limits[0], &limits[1] };
	struct draft draft;

	draft_init(&draft);
	limits[0].type = "RLIMIT_NOFILE";
	limits[1].type = "RLIMIT_NOFILE";
	draft.process.rlimits = pointers;
	draft.process.n_rlimits = 2;
	expect_process_refusal(&draft, ERROR_INVALID_ARGUMENT,
	                       "invalid process.rlimits[1].type \"RLIMIT_NOFILE\": duplicate");
	limits[1].type = "RLIMIT_LUCK";
	expect_process_refusal(&draft, ERROR_INVALID_ARGUMENT,
	                       "invalid process.rlimits[1].type \"RLIMIT_LUCK\": unknown");
	draft.process.cwd = "tmp";
	expect_process_refusal(&draft, ERROR_INVALID_ARGUMENT,
	                       "invalid process.cwd \"tmp\": not an absolute path");
	draft.process.n_args = 0;
	expect_process_refusal(&draft, ERROR_INVALID_ARGUMENT, "process.args: empty");
}
