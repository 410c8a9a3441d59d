#include "shim/cli/features.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/mount_words.h"

#define VERSION_ANNOTATION "io.katacontainers.runtime-c.version"

/* Words that a mount of config.json is refused for (docs/limitations.md, "Mounts"). */
static const char *const refused_options[] = { "rshared", "shared", NULL };

static const char *const namespaces[] = { "cgroup", "ipc", "mount", "network", "pid", "uts", NULL };

static const char *const capabilities[] = {
	"CAP_AUDIT_CONTROL",   "CAP_AUDIT_READ",   "CAP_AUDIT_WRITE",
	"CAP_BLOCK_SUSPEND",   "CAP_BPF",          "CAP_CHECKPOINT_RESTORE",
	"CAP_CHOWN",           "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH",
	"CAP_FOWNER",          "CAP_FSETID",       "CAP_IPC_LOCK",
	"CAP_IPC_OWNER",       "CAP_KILL",         "CAP_LEASE",
	"CAP_LINUX_IMMUTABLE", "CAP_MAC_ADMIN",    "CAP_MAC_OVERRIDE",
	"CAP_MKNOD",           "CAP_NET_ADMIN",    "CAP_NET_BIND_SERVICE",
	"CAP_NET_BROADCAST",   "CAP_NET_RAW",      "CAP_PERFMON",
	"CAP_SETFCAP",         "CAP_SETGID",       "CAP_SETPCAP",
	"CAP_SETUID",          "CAP_SYSLOG",       "CAP_SYS_ADMIN",
	"CAP_SYS_BOOT",        "CAP_SYS_CHROOT",   "CAP_SYS_MODULE",
	"CAP_SYS_NICE",        "CAP_SYS_PACCT",    "CAP_SYS_PTRACE",
	"CAP_SYS_RAWIO",       "CAP_SYS_RESOURCE", "CAP_SYS_TIME",
	"CAP_SYS_TTY_CONFIG",  "CAP_WAKE_ALARM",   NULL,
};

static const char *const seccomp_actions[] = {
	"SCMP_ACT_ALLOW",        "SCMP_ACT_ERRNO",       "SCMP_ACT_KILL",
	"SCMP_ACT_KILL_PROCESS", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_LOG",
	"SCMP_ACT_TRACE",        "SCMP_ACT_TRAP",        NULL,
};

static const char *const seccomp_operators[] = {
	"SCMP_CMP_EQ", "SCMP_CMP_GE",        "SCMP_CMP_GT", "SCMP_CMP_LE",
	"SCMP_CMP_LT", "SCMP_CMP_MASKED_EQ", "SCMP_CMP_NE", NULL,
};

static const char *const seccomp_architectures[] = {
	"SCMP_ARCH_X32",
	"SCMP_ARCH_X86",
	"SCMP_ARCH_X86_64",
	NULL,
};

static const char *const seccomp_flags[] = {
	"SECCOMP_FILTER_FLAG_LOG",
	"SECCOMP_FILTER_FLAG_SPEC_ALLOW",
	"SECCOMP_FILTER_FLAG_TSYNC",
	NULL,
};

static json_t *strings(const char *const *list)
{
	json_t *array = json_array();

	for (; *list; list++)
		json_array_append_new(array, json_string(*list));
	return array;
}

static bool is_refused(const char *option)
{
	for (size_t i = 0; refused_options[i]; i++)
		if (!strcmp(option, refused_options[i]))
			return true;
	return false;
}

static json_t *mount_options(void)
{
	json_t *array = json_array();

	for (const struct mount_word *word = mount_words; word->name; word++)
		if (!is_refused(word->name))
			json_array_append_new(array, json_string(word->name));
	return array;
}

static json_t *seccomp(void)
{
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "enabled", true, "actions",
	                 strings(seccomp_actions), "operators", strings(seccomp_operators), "archs",
	                 strings(seccomp_architectures), "knownFlags", strings(seccomp_flags),
	                 "supportedFlags", strings(seccomp_flags));
}

/* The guest's own: a system manager of the host has nothing to do with it. */
static json_t *cgroup(void)
{
	return json_pack("{s:b, s:b, s:b, s:b, s:b}", "v1", false, "v2", true, "systemd", false,
	                 "systemdUser", false, "rdma", false);
}

static json_t *disabled(void)
{
	return json_pack("{s:b}", "enabled", false);
}

static json_t *linux_features(void)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o}}", "namespaces",
	                 strings(namespaces), "capabilities", strings(capabilities), "cgroup",
	                 cgroup(), "seccomp", seccomp(), "apparmor", disabled(), "selinux",
	                 disabled(), "intelRdt", disabled(), "mountExtensions", "idmap",
	                 disabled());
}

char *features_json(void)
{
	json_t *features =
		json_pack("{s:s, s:s, s:[], s:o, s:o, s:{s:s}, s:[]}", "ociVersionMin", "1.0.0",
	                  "ociVersionMax", "1.2.0", "hooks", "mountOptions", mount_options(),
	                  "linux", linux_features(), "annotations", VERSION_ANNOTATION,
	                  KATA_VERSION, "potentiallyUnsafeConfigAnnotations");
	char *text = json_dumps(features, JSON_COMPACT);

	json_decref(features);
	if (!text)
		abort();
	return text;
}
