#include "shim/spec/spec_table.h"

#include <string.h>

#include "common/error.h"
#include "common/json.h"
#include "common/mem.h"
#include "proto/oci.pb-c.h"

#define EMPTY         ((char *)protobuf_c_empty_string) /* never freed, as in the messages' INIT */
#define UMASK         022                               /* what a container gets, as under runc */
#define ERRNO_DEFAULT 1 /* EPERM: what seccomp answers, as in runc */
#define DEVICE_MODE   0666
#define ANY           (-1)

/* NOLINTBEGIN(bugprone-macro-parentheses): an initialiser, no expression */
#define TABLE(type, init, rows)                                                                    \
	{                                                                                          \
		.size = sizeof(type), .initial = &(const type)init, .fields = (rows)               \
	}
/* NOLINTEND(bugprone-macro-parentheses) */

/* A newer minor version only adds fields (config.md, "Specification version"). */
static int read_version(const json_t *value, const struct json_path *at, void *target,
                        struct error *err)
{
	Grpc__Spec *spec = target;
	const char *text = json_string_value(value);

	if (!text)
		return json_fail(at, err, "expected string, found %s", json_type_name(value));
	if (!*text) {
		json_fail(at, err, "empty: a sandbox of containerd's Sandbox API: not supported");
		if (err)
			err->code = ERROR_UNIMPLEMENTED;
		return error_code_errno(ERROR_UNIMPLEMENTED);
	}
	if (strncmp(text, "1.", 2) != 0)
		return json_fail(at, err, "version \"%s\": not supported; supported are 1.0 to 1.2",
		                 text);
	spec->version = mem_strdup(text);
	return 0;
}

static int read_umask(const json_t *value, const struct json_path *at, void *target,
                      struct error *err)
{
	if (!json_is_integer(value))
		return json_fail(at, err, "expected integer, found %s", json_type_name(value));
	return json_integer_value(value) == UMASK ? 0 : json_refuse(at, err);
}

static int read_personality(const json_t *value, const struct json_path *at, void *target,
                            struct error *err)
{
	const char *domain = json_string_value(json_object_get(value, "domain"));
	bool none = domain && !strcmp(domain, "LINUX") &&
	            json_array_size(json_object_get(value, "flags")) == 0;

	return none || (json_is_object(value) && json_object_size(value) == 0)
	               ? 0
	               : json_refuse(at, err);
}

static int read_default_errno(const json_t *value, const struct json_path *at, void *target,
                              struct error *err)
{
	if (!json_is_integer(value))
		return json_fail(at, err, "expected integer, found %s", json_type_name(value));
	return json_integer_value(value) == ERRNO_DEFAULT ? 0 : json_refuse(at, err);
}

static int read_syscall_errno(const json_t *value, const struct json_path *at, void *target,
                              struct error *err)
{
	Grpc__LinuxSyscall *syscall = target;
	json_int_t number = json_integer_value(value);

	if (!json_is_integer(value))
		return json_fail(at, err, "expected integer, found %s", json_type_name(value));
	if (number < 0 || number > UINT16_MAX) /* seccomp(2): the low 16 bits of the action */
		return json_fail(at, err, "expected integer from 0 to %d, found %lld", UINT16_MAX,
		                 (long long)number);
	syscall->errnoret = (uint32_t)number;
	return 0;
}

/* clang-format off: one row a line */
static const struct json_field box_rows[] = {
	{ JSON_UINT32(Grpc__Box, "height", height) },
	{ JSON_UINT32(Grpc__Box, "width", width) },
	{ 0 },
};
static const struct json_table box_table = TABLE(Grpc__Box, GRPC__BOX__INIT, box_rows);

static const struct json_field user_rows[] = {
	{ JSON_UINT32(Grpc__User, "uid", uid) },
	{ JSON_UINT32(Grpc__User, "gid", gid) },
	{ JSON_CUSTOM("umask", read_umask) },
	{ JSON_UINT32S(Grpc__User, "additionalGids", additionalgids) },
	{ JSON_STRING(Grpc__User, "username", username) },
	{ 0 },
};
static const struct json_table user_table = TABLE(Grpc__User, GRPC__USER__INIT, user_rows);

static const struct json_field capabilities_rows[] = {
	{ JSON_STRINGS(Grpc__LinuxCapabilities, "bounding", bounding) },
	{ JSON_STRINGS(Grpc__LinuxCapabilities, "effective", effective) },
	{ JSON_STRINGS(Grpc__LinuxCapabilities, "inheritable", inheritable) },
	{ JSON_STRINGS(Grpc__LinuxCapabilities, "permitted", permitted) },
	{ JSON_STRINGS(Grpc__LinuxCapabilities, "ambient", ambient) },
	{ 0 },
};
static const struct json_table capabilities_table =
	TABLE(Grpc__LinuxCapabilities, GRPC__LINUX_CAPABILITIES__INIT, capabilities_rows);

static const struct json_field rlimit_rows[] = {
	{ JSON_STRING(Grpc__POSIXRlimit, "type", type), .required = true },
	{ JSON_UINT64(Grpc__POSIXRlimit, "hard", hard), .required = true },
	{ JSON_UINT64(Grpc__POSIXRlimit, "soft", soft), .required = true },
	{ 0 },
};
static const struct json_table rlimit_table =
	TABLE(Grpc__POSIXRlimit, GRPC__POSIXRLIMIT__INIT, rlimit_rows);

static const struct json_field process_rows[] = {
	{ JSON_BOOL(Grpc__Process, "terminal", terminal) },
	{ JSON_OBJECT(Grpc__Process, "consoleSize", consolesize, &box_table) },
	{ JSON_OBJECT(Grpc__Process, "user", user, &user_table) },
	{ JSON_STRINGS(Grpc__Process, "args", args), .required = true },
	{ JSON_STRINGS(Grpc__Process, "env", env) },
	{ JSON_STRING(Grpc__Process, "cwd", cwd), .required = true },
	{ JSON_OBJECT(Grpc__Process, "capabilities", capabilities, &capabilities_table) },
	{ JSON_OBJECTS(Grpc__Process, "rlimits", rlimits, &rlimit_table) },
	{ JSON_BOOL(Grpc__Process, "noNewPrivileges", nonewprivileges) },
	{ JSON_STRING(Grpc__Process, "apparmorProfile", apparmorprofile) },
	{ JSON_INT64(Grpc__Process, "oomScoreAdj", oomscoreadj) },
	{ JSON_STRING(Grpc__Process, "selinuxLabel", selinuxlabel) },
	{ JSON_REFUSED("scheduler") },
	{ JSON_REFUSED("ioPriority") },
	{ JSON_REFUSED("execCPUAffinity") },
	{ 0 },
};
const struct json_table spec_process_table =
	TABLE(Grpc__Process, GRPC__PROCESS__INIT, process_rows);

static const struct json_field root_rows[] = {
	{ JSON_STRING(Grpc__Root, "path", path), .required = true },
	{ JSON_BOOL(Grpc__Root, "readonly", readonly) },
	{ 0 },
};
static const struct json_table root_table = TABLE(Grpc__Root, GRPC__ROOT__INIT, root_rows);

static const struct json_field mount_rows[] = {
	{ JSON_STRING(Grpc__Mount, "destination", destination), .required = true },
	{ JSON_STRING(Grpc__Mount, "source", source) },
	{ JSON_STRING(Grpc__Mount, "type", type) },
	{ JSON_STRINGS(Grpc__Mount, "options", options) },
	{ JSON_REFUSED("uidMappings") },
	{ JSON_REFUSED("gidMappings") },
	{ 0 },
};
static const struct json_table mount_table = TABLE(Grpc__Mount, GRPC__MOUNT__INIT, mount_rows);

static const struct json_field hook_rows[] = {
	{ JSON_STRING(Grpc__Hook, "path", path), .required = true },
	{ JSON_STRINGS(Grpc__Hook, "args", args) },
	{ JSON_STRINGS(Grpc__Hook, "env", env) },
	{ JSON_INT64(Grpc__Hook, "timeout", timeout) },
	{ 0 },
};
static const struct json_table hook_table = TABLE(Grpc__Hook, GRPC__HOOK__INIT, hook_rows);

static const struct json_field hooks_rows[] = {
	{ JSON_OBJECTS(Grpc__Hooks, "prestart", prestart, &hook_table) },
	{ JSON_OBJECTS(Grpc__Hooks, "createRuntime", createruntime, &hook_table) },
	{ JSON_OBJECTS(Grpc__Hooks, "createContainer", createcontainer, &hook_table) },
	{ JSON_OBJECTS(Grpc__Hooks, "startContainer", startcontainer, &hook_table) },
	{ JSON_OBJECTS(Grpc__Hooks, "poststart", poststart, &hook_table) },
	{ JSON_OBJECTS(Grpc__Hooks, "poststop", poststop, &hook_table) },
	{ 0 },
};
static const struct json_table hooks_table = TABLE(Grpc__Hooks, GRPC__HOOKS__INIT, hooks_rows);

static const struct json_field id_mapping_rows[] = {
	{ JSON_UINT32(Grpc__LinuxIDMapping, "hostID", hostid), .required = true },
	{ JSON_UINT32(Grpc__LinuxIDMapping, "containerID", containerid), .required = true },
	{ JSON_UINT32(Grpc__LinuxIDMapping, "size", size), .required = true },
	{ 0 },
};
static const struct json_table id_mapping_table =
	TABLE(Grpc__LinuxIDMapping, GRPC__LINUX_IDMAPPING__INIT, id_mapping_rows);

static const struct json_field namespace_rows[] = {
	{ JSON_STRING(Grpc__LinuxNamespace, "type", type), .required = true },
	{ JSON_STRING(Grpc__LinuxNamespace, "path", path) },
	{ 0 },
};
static const struct json_table namespace_table =
	TABLE(Grpc__LinuxNamespace, GRPC__LINUX_NAMESPACE__INIT, namespace_rows);

static const struct json_field device_rows[] = {
	{ JSON_STRING(Grpc__LinuxDevice, "path", path), .required = true },
	{ JSON_STRING(Grpc__LinuxDevice, "type", type), .required = true },
	{ JSON_INT64(Grpc__LinuxDevice, "major", major) },
	{ JSON_INT64(Grpc__LinuxDevice, "minor", minor) },
	{ JSON_UINT32(Grpc__LinuxDevice, "fileMode", filemode) },
	{ JSON_UINT32(Grpc__LinuxDevice, "uid", uid) },
	{ JSON_UINT32(Grpc__LinuxDevice, "gid", gid) },
	{ 0 },
};
static const Grpc__LinuxDevice device_initial = {
	.base = PROTOBUF_C_MESSAGE_INIT(&grpc__linux_device__descriptor),
	.path = EMPTY,
	.type = EMPTY,
	.filemode = DEVICE_MODE,
};
static const struct json_table device_table = {
	.size = sizeof(device_initial),
	.initial = &device_initial,
	.fields = device_rows,
};

static const struct json_field device_rule_rows[] = {
	{ JSON_BOOL(Grpc__LinuxDeviceCgroup, "allow", allow), .required = true },
	{ JSON_STRING(Grpc__LinuxDeviceCgroup, "type", type) },
	{ JSON_INT64(Grpc__LinuxDeviceCgroup, "major", major) },
	{ JSON_INT64(Grpc__LinuxDeviceCgroup, "minor", minor) },
	{ JSON_STRING(Grpc__LinuxDeviceCgroup, "access", access) },
	{ 0 },
};
static const Grpc__LinuxDeviceCgroup device_rule_initial = {
	/* an absent number is any */
	.base = PROTOBUF_C_MESSAGE_INIT(&grpc__linux_device_cgroup__descriptor),
	.type = EMPTY,
	.access = EMPTY,
	.major = ANY,
	.minor = ANY,
};
static const struct json_table device_rule_table = {
	.size = sizeof(device_rule_initial),
	.initial = &device_rule_initial,
	.fields = device_rule_rows,
};

static const struct json_field memory_rows[] = {
	/* useHierarchy: v2 has nothing else */
	{ JSON_INT64(Grpc__LinuxMemory, "limit", limit) },
	{ JSON_INT64(Grpc__LinuxMemory, "reservation", reservation) },
	{ JSON_INT64(Grpc__LinuxMemory, "swap", swap) },
	{ JSON_INT64(Grpc__LinuxMemory, "kernel", kernel) },
	{ JSON_INT64(Grpc__LinuxMemory, "kernelTCP", kerneltcp) },
	{ JSON_UINT64(Grpc__LinuxMemory, "swappiness", swappiness) },
	{ JSON_BOOL(Grpc__LinuxMemory, "disableOOMKiller", disableoomkiller) },
	{ JSON_REFUSED("checkBeforeUpdate") },
	{ 0 },
};
static const struct json_table memory_table =
	TABLE(Grpc__LinuxMemory, GRPC__LINUX_MEMORY__INIT, memory_rows);

static const struct json_field cpu_rows[] = {
	{ JSON_UINT64(Grpc__LinuxCPU, "shares", shares) },
	{ JSON_INT64(Grpc__LinuxCPU, "quota", quota) },
	{ JSON_REFUSED("burst") },
	{ JSON_UINT64(Grpc__LinuxCPU, "period", period) },
	{ JSON_INT64(Grpc__LinuxCPU, "realtimeRuntime", realtimeruntime) },
	{ JSON_UINT64(Grpc__LinuxCPU, "realtimePeriod", realtimeperiod) },
	{ JSON_STRING(Grpc__LinuxCPU, "cpus", cpus) },
	{ JSON_STRING(Grpc__LinuxCPU, "mems", mems) },
	{ JSON_REFUSED("idle") },
	{ 0 },
};
static const struct json_table cpu_table = TABLE(Grpc__LinuxCPU, GRPC__LINUX_CPU__INIT, cpu_rows);

static const struct json_field pids_rows[] = {
	{ JSON_INT64(Grpc__LinuxPids, "limit", limit) },
	{ 0 },
};
static const struct json_table pids_table =
	TABLE(Grpc__LinuxPids, GRPC__LINUX_PIDS__INIT, pids_rows);

static const struct json_field weight_device_rows[] = {
	{ JSON_INT64(Grpc__LinuxWeightDevice, "major", major), .required = true },
	{ JSON_INT64(Grpc__LinuxWeightDevice, "minor", minor), .required = true },
	{ JSON_UINT32(Grpc__LinuxWeightDevice, "weight", weight) },
	{ JSON_UINT32(Grpc__LinuxWeightDevice, "leafWeight", leafweight) },
	{ 0 },
};
static const struct json_table weight_device_table =
	TABLE(Grpc__LinuxWeightDevice, GRPC__LINUX_WEIGHT_DEVICE__INIT, weight_device_rows);

static const struct json_field throttle_device_rows[] = {
	{ JSON_INT64(Grpc__LinuxThrottleDevice, "major", major), .required = true },
	{ JSON_INT64(Grpc__LinuxThrottleDevice, "minor", minor), .required = true },
	{ JSON_UINT64(Grpc__LinuxThrottleDevice, "rate", rate) },
	{ 0 },
};
static const struct json_table throttle_device_table =
	TABLE(Grpc__LinuxThrottleDevice, GRPC__LINUX_THROTTLE_DEVICE__INIT, throttle_device_rows);

#define THROTTLE(key, member) JSON_OBJECTS(Grpc__LinuxBlockIO, key, member, &throttle_device_table)
static const struct json_field block_io_rows[] = {
	{ JSON_UINT32(Grpc__LinuxBlockIO, "weight", weight) },
	{ JSON_UINT32(Grpc__LinuxBlockIO, "leafWeight", leafweight) },
	{ JSON_OBJECTS(Grpc__LinuxBlockIO, "weightDevice", weightdevice, &weight_device_table) },
	{ THROTTLE("throttleReadBpsDevice", throttlereadbpsdevice) },
	{ THROTTLE("throttleWriteBpsDevice", throttlewritebpsdevice) },
	{ THROTTLE("throttleReadIOPSDevice", throttlereadiopsdevice) },
	{ THROTTLE("throttleWriteIOPSDevice", throttlewriteiopsdevice) },
	{ 0 },
};
static const struct json_table block_io_table =
	TABLE(Grpc__LinuxBlockIO, GRPC__LINUX_BLOCK_IO__INIT, block_io_rows);

static const struct json_field hugepage_limit_rows[] = {
	{ JSON_STRING(Grpc__LinuxHugepageLimit, "pageSize", pagesize), .required = true },
	{ JSON_UINT64(Grpc__LinuxHugepageLimit, "limit", limit), .required = true },
	{ 0 },
};
static const struct json_table hugepage_limit_table =
	TABLE(Grpc__LinuxHugepageLimit, GRPC__LINUX_HUGEPAGE_LIMIT__INIT, hugepage_limit_rows);

static const struct json_field interface_priority_rows[] = {
	{ JSON_STRING(Grpc__LinuxInterfacePriority, "name", name), .required = true },
	{ JSON_UINT32(Grpc__LinuxInterfacePriority, "priority", priority), .required = true },
	{ 0 },
};
static const struct json_table interface_priority_table =
	TABLE(Grpc__LinuxInterfacePriority, GRPC__LINUX_INTERFACE_PRIORITY__INIT,
              interface_priority_rows);

static const struct json_field network_rows[] = {
	{ JSON_UINT32(Grpc__LinuxNetwork, "classID", classid) },
	{ JSON_OBJECTS(Grpc__LinuxNetwork, "priorities", priorities, &interface_priority_table) },
	{ 0 },
};
static const struct json_table network_table =
	TABLE(Grpc__LinuxNetwork, GRPC__LINUX_NETWORK__INIT, network_rows);

static const struct json_field resources_rows[] = {
	{ JSON_OBJECTS(Grpc__LinuxResources, "devices", devices, &device_rule_table) },
	{ JSON_OBJECT(Grpc__LinuxResources, "memory", memory, &memory_table) },
	{ JSON_OBJECT(Grpc__LinuxResources, "cpu", cpu, &cpu_table) },
	{ JSON_OBJECT(Grpc__LinuxResources, "pids", pids, &pids_table) },
	{ JSON_OBJECT(Grpc__LinuxResources, "blockIO", blockio, &block_io_table) },
	{ JSON_OBJECTS(Grpc__LinuxResources, "hugepageLimits", hugepagelimits,
	               &hugepage_limit_table) },
	{ JSON_OBJECT(Grpc__LinuxResources, "network", network, &network_table) },
	{ JSON_REFUSED("rdma") },
	{ JSON_REFUSED("unified") },
	{ 0 },
};
const struct json_table spec_resources_table =
	TABLE(Grpc__LinuxResources, GRPC__LINUX_RESOURCES__INIT, resources_rows);

static const struct json_field seccomp_arg_rows[] = {
	{ JSON_UINT64(Grpc__LinuxSeccompArg, "index", index), .required = true },
	{ JSON_UINT64(Grpc__LinuxSeccompArg, "value", value), .required = true },
	{ JSON_UINT64(Grpc__LinuxSeccompArg, "valueTwo", valuetwo) },
	{ JSON_STRING(Grpc__LinuxSeccompArg, "op", op), .required = true },
	{ 0 },
};
static const struct json_table seccomp_arg_table =
	TABLE(Grpc__LinuxSeccompArg, GRPC__LINUX_SECCOMP_ARG__INIT, seccomp_arg_rows);

static const struct json_field syscall_rows[] = {
	{ JSON_STRINGS(Grpc__LinuxSyscall, "names", names), .required = true },
	{ JSON_STRING(Grpc__LinuxSyscall, "action", action), .required = true },
	{ JSON_CUSTOM("errnoRet", read_syscall_errno) },
	{ JSON_OBJECTS(Grpc__LinuxSyscall, "args", args, &seccomp_arg_table) },
	{ 0 },
};
static const Grpc__LinuxSyscall syscall_initial = {
	/* an agent reads an absent errno as 0: success */
	.base = PROTOBUF_C_MESSAGE_INIT(&grpc__linux_syscall__descriptor),
	.action = EMPTY,
	.errno_ret_case = GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET,
	.errnoret = ERRNO_DEFAULT,
};
static const struct json_table syscall_table = {
	.size = sizeof(syscall_initial),
	.initial = &syscall_initial,
	.fields = syscall_rows,
};

static const struct json_field seccomp_rows[] = {
	{ JSON_STRING(Grpc__LinuxSeccomp, "defaultAction", defaultaction), .required = true },
	{ JSON_CUSTOM("defaultErrnoRet", read_default_errno) },
	{ JSON_STRINGS(Grpc__LinuxSeccomp, "architectures", architectures) },
	{ JSON_STRINGS(Grpc__LinuxSeccomp, "flags", flags) },
	{ JSON_REFUSED("listenerPath") },
	{ JSON_REFUSED("listenerMetadata") },
	{ JSON_OBJECTS(Grpc__LinuxSeccomp, "syscalls", syscalls, &syscall_table) },
	{ 0 },
};
static const struct json_table seccomp_table =
	TABLE(Grpc__LinuxSeccomp, GRPC__LINUX_SECCOMP__INIT, seccomp_rows);

static const struct json_field intel_rdt_rows[] = {
	{ JSON_REFUSED("closID") },
	{ JSON_REFUSED("schemata") },
	{ JSON_STRING(Grpc__LinuxIntelRdt, "l3CacheSchema", l3cacheschema) },
	{ JSON_REFUSED("memBwSchema") },
	{ JSON_REFUSED("enableCMT") },
	{ JSON_REFUSED("enableMBM") },
	{ JSON_REFUSED("enableMonitoring") },
	{ 0 },
};
static const struct json_table intel_rdt_table =
	TABLE(Grpc__LinuxIntelRdt, GRPC__LINUX_INTEL_RDT__INIT, intel_rdt_rows);

static const struct json_field sysctl_rows[] = {
	{ JSON_STRING(Grpc__Linux__SysctlEntry, "", key) },
	{ JSON_STRING(Grpc__Linux__SysctlEntry, "", value) },
	{ 0 },
};
static const struct json_table sysctl_table =
	TABLE(Grpc__Linux__SysctlEntry, GRPC__LINUX__SYSCTL_ENTRY__INIT, sysctl_rows);

static const struct json_field linux_rows[] = {
	{ JSON_OBJECTS(Grpc__Linux, "uidMappings", uidmappings, &id_mapping_table) },
	{ JSON_OBJECTS(Grpc__Linux, "gidMappings", gidmappings, &id_mapping_table) },
	{ JSON_MAP(Grpc__Linux, "sysctl", sysctl, &sysctl_table) },
	{ JSON_OBJECT(Grpc__Linux, "resources", resources, &spec_resources_table) },
	{ JSON_STRING(Grpc__Linux, "cgroupsPath", cgroupspath) },
	{ JSON_OBJECTS(Grpc__Linux, "namespaces", namespaces, &namespace_table) },
	{ JSON_OBJECTS(Grpc__Linux, "devices", devices, &device_table) },
	{ JSON_REFUSED("netDevices") },
	{ JSON_OBJECT(Grpc__Linux, "seccomp", seccomp, &seccomp_table) },
	{ JSON_STRING(Grpc__Linux, "rootfsPropagation", rootfspropagation) },
	{ JSON_STRINGS(Grpc__Linux, "maskedPaths", maskedpaths) },
	{ JSON_STRINGS(Grpc__Linux, "readonlyPaths", readonlypaths) },
	{ JSON_STRING(Grpc__Linux, "mountLabel", mountlabel) },
	{ JSON_OBJECT(Grpc__Linux, "intelRdt", intelrdt, &intel_rdt_table) },
	{ JSON_REFUSED("memoryPolicy") },
	{ JSON_CUSTOM("personality", read_personality) },
	{ JSON_REFUSED("timeOffsets") },
	{ 0 },
};
static const struct json_table linux_table = TABLE(Grpc__Linux, GRPC__LINUX__INIT, linux_rows);

static const struct json_field annotation_rows[] = {
	{ JSON_STRING(Grpc__Spec__AnnotationsEntry, "", key) },
	{ JSON_STRING(Grpc__Spec__AnnotationsEntry, "", value) },
	{ 0 },
};
static const struct json_table annotation_table =
	TABLE(Grpc__Spec__AnnotationsEntry, GRPC__SPEC__ANNOTATIONS_ENTRY__INIT, annotation_rows);

static const struct json_field spec_rows[] = {
	{ JSON_CUSTOM("ociVersion", read_version), .required = true },
	{ JSON_OBJECT(Grpc__Spec, "process", process, &spec_process_table), .required = true },
	{ JSON_OBJECT(Grpc__Spec, "root", root, &root_table), .required = true },
	{ JSON_STRING(Grpc__Spec, "hostname", hostname) },
	{ JSON_REFUSED("domainname") },
	{ JSON_OBJECTS(Grpc__Spec, "mounts", mounts, &mount_table) },
	{ JSON_OBJECT(Grpc__Spec, "hooks", hooks, &hooks_table) },
	{ JSON_MAP(Grpc__Spec, "annotations", annotations, &annotation_table) },
	{ JSON_OBJECT(Grpc__Spec, "linux", linux, &linux_table) },
	{ JSON_REFUSED("vm") },
	{ 0 },
};
const struct json_table spec_table = TABLE(Grpc__Spec, GRPC__SPEC__INIT, spec_rows);
