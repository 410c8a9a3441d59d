#include "shim/spec/spec.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "test/unit/shim/example.h"

#define MINIMUM                                                                                    \
	"\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],\"cwd\":\"/\"},"                  \
	"\"root\":{\"path\":\"rootfs\"}"

static Grpc__Spec *parse(const char *text)
{
	Grpc__Spec *spec = NULL;
	struct error err = { 0 };

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	return spec;
}

static void expect_failure(const char *text, int r, const char *expected)
{
	autodestroy(spec) Grpc__Spec *spec = NULL;
	struct error err = { 0 };

	cr_expect_eq(spec_parse(text, strlen(text), &spec, &err), r, "%s", text);
	cr_expect_str_eq(err.text, expected);
	cr_expect_null(spec);
}

/* A spec with @members of linux. */
static void expect_linux_failure(const char *members, int r, const char *expected)
{
	autofree char *text = mem_printf("{" MINIMUM ",\"linux\":{%s}}", members);

	expect_failure(text, r, expected);
}

Test(spec, takes_the_least)
{
	autodestroy(spec) Grpc__Spec *spec = parse("{" MINIMUM "}");

	cr_expect_str_eq(spec->version, "1.0.2");
	cr_expect_str_eq(spec->process->args[0], "sh");
	cr_assert_not_null(spec->process->user);
	cr_expect_eq(spec->process->user->uid, 0);
	cr_expect_null(spec->linux);
}

Test(spec, reads_what_ctr_makes)
{
	autofree char *text = example_read("ctr-1.6.json");
	autodestroy(spec) Grpc__Spec *spec = parse(text);

	cr_expect_eq(spec->process->capabilities->n_bounding, 14);
	cr_expect_eq(spec->process->nonewprivileges, 1);
	cr_expect_eq(spec->process->rlimits[0]->hard, 1024);
	cr_expect_eq(spec->n_mounts, 7);
	cr_expect_eq(spec->mounts[2]->n_options, 6);
	cr_expect_eq(spec->linux->resources->n_devices, 1);
	cr_expect_eq(spec->linux->resources->devices[0]->allow, 0);
	cr_expect_eq(spec->linux->resources->devices[0]->major, -1);
	cr_expect_eq(spec->linux->resources->devices[0]->minor, -1);
	cr_expect_str_eq(spec->linux->resources->devices[0]->access, "rwm");
	cr_expect_eq(spec->linux->n_namespaces, 5);
	cr_expect_eq(spec->linux->n_maskedpaths, 10);
	cr_expect_eq(spec->linux->n_readonlypaths, 5);
}

Test(spec, carries_everything_the_messages_can)
{
	autofree char *text = example_read("full.json");
	autodestroy(spec) Grpc__Spec *spec = parse(text);
	const Grpc__Process *process = spec->process;
	const Grpc__Linux *linux = spec->linux;
	const Grpc__LinuxResources *resources = linux->resources;

	cr_expect_str_eq(spec->hostname, "slartibartfast");
	cr_expect_eq(process->terminal, 1);
	cr_expect_eq(process->consolesize->height, 25);
	cr_expect_eq(process->consolesize->width, 80);
	cr_expect_eq(process->user->uid, 1);
	cr_expect_eq(process->user->gid, 2);
	cr_expect_eq(process->user->n_additionalgids, 2);
	cr_expect_eq(process->user->additionalgids[1], 6);
	cr_expect_str_eq(process->env[1], "TERM=xterm");
	cr_expect_str_eq(process->cwd, "/tmp");
	cr_expect_str_eq(process->capabilities->ambient[0], "CAP_NET_BIND_SERVICE");
	cr_expect_eq(process->rlimits[0]->hard, UINT64_MAX);
	cr_expect_eq(process->rlimits[0]->soft, 512);
	cr_expect_str_eq(process->apparmorprofile, "acme_secure_profile");
	cr_expect_eq(process->oomscoreadj, -100);
	cr_expect_str_eq(process->selinuxlabel, "system_u:system_r:svirt_lxc_net_t:s0:c124,c675");
	cr_expect_eq(spec->root->readonly, 1);
	cr_expect_eq(spec->hooks->n_prestart, 2);
	cr_expect_str_eq(spec->hooks->prestart[0]->args[1], "arg1");
	cr_expect_str_eq(spec->hooks->prestart[0]->env[0], "key1=value1");
	cr_expect_eq(spec->hooks->poststart[0]->timeout, 5);
	cr_expect_str_eq(spec->hooks->createruntime[0]->path, "/usr/bin/create-runtime");
	cr_expect_str_eq(spec->hooks->createcontainer[0]->path, "/usr/bin/create-container");
	cr_expect_str_eq(spec->hooks->startcontainer[0]->path, "/usr/bin/start-container");
	cr_expect_str_eq(spec->hooks->poststop[0]->path, "/usr/sbin/cleanup.sh");
	cr_expect_str_eq(spec_annotation(spec, "com.example.key2"), "value2");
	cr_expect_null(spec_annotation(spec, "com.example.key3"));

	cr_expect_eq(linux->uidmappings[0]->hostid, 1000);
	cr_expect_eq(linux->uidmappings[0]->size, 32000);
	cr_expect_eq(linux->n_gidmappings, 1);
	cr_expect_eq(linux->n_sysctl, 2);
	cr_expect_str_eq(linux->sysctl[0]->key, "net.ipv4.ip_forward");
	cr_expect_str_eq(linux->sysctl[0]->value, "1");
	cr_expect_str_eq(linux->cgroupspath, "/myRuntime/myContainer");
	cr_expect_str_eq(linux->namespaces[1]->path, "/proc/1234/ns/net");
	cr_expect_str_eq(linux->rootfspropagation, "slave");
	cr_expect_str_eq(linux->mountlabel, "system_u:object_r:svirt_sandbox_file_t:s0:c715,c811");
	cr_expect_str_eq(linux->intelrdt->l3cacheschema, "L3:0=ffff0;1=3ff");
	cr_expect_str_eq(linux->devices[0]->path, "/dev/fuse");
	cr_expect_eq(linux->devices[0]->major, 10);
	cr_expect_eq(linux->devices[0]->minor, 229);
	cr_expect_eq(linux->devices[0]->filemode, 0600);
	cr_expect_eq(linux->devices[0]->gid, 3);
	cr_expect_eq(linux->devices[1]->filemode, 0666);

	cr_expect_eq(resources->network->classid, 1048577);
	cr_expect_str_eq(resources->network->priorities[1]->name, "eth1");
	cr_expect_eq(resources->network->priorities[1]->priority, 1000);
	cr_expect_eq(resources->pids->limit, 32771);
	cr_expect_str_eq(resources->hugepagelimits[0]->pagesize, "2MB");
	cr_expect_eq(resources->hugepagelimits[0]->limit, 1ULL << 63);
	cr_expect_eq(resources->memory->limit, 536870912);
	cr_expect_eq(resources->memory->reservation, 268435456);
	cr_expect_eq(resources->memory->swap, -1);
	cr_expect_eq(resources->memory->kernel, -1);
	cr_expect_eq(resources->memory->kerneltcp, -1);
	cr_expect_eq(resources->memory->swappiness, 60);
	cr_expect_eq(resources->memory->disableoomkiller, 1);
	cr_expect_eq(resources->cpu->shares, 1024);
	cr_expect_eq(resources->cpu->quota, 1000000);
	cr_expect_eq(resources->cpu->period, 500000);
	cr_expect_eq(resources->cpu->realtimeruntime, 950000);
	cr_expect_eq(resources->cpu->realtimeperiod, 1000000);
	cr_expect_str_eq(resources->cpu->cpus, "2-3");
	cr_expect_str_eq(resources->cpu->mems, "0-7");
	cr_expect_str_eq(resources->devices[1]->type, "c");
	cr_expect_eq(resources->devices[1]->major, 10);
	cr_expect_eq(resources->devices[1]->minor, 0);
	cr_expect_eq(resources->blockio->weight, 11);
	cr_expect_eq(resources->blockio->leafweight, 12);
	cr_expect_eq(resources->blockio->weightdevice[0]->minor, 16);
	cr_expect_eq(resources->blockio->weightdevice[0]->leafweight, 300);
	cr_expect_eq(resources->blockio->throttlereadbpsdevice[0]->rate, 600);
	cr_expect_eq(resources->blockio->throttlewritebpsdevice[0]->rate, 601);
	cr_expect_eq(resources->blockio->throttlereadiopsdevice[0]->rate, 602);
	cr_expect_eq(resources->blockio->throttlewriteiopsdevice[0]->rate, 603);

	cr_expect_str_eq(linux->seccomp->defaultaction, "SCMP_ACT_ERRNO");
	cr_expect_eq(linux->seccomp->n_architectures, 2);
	cr_expect_str_eq(linux->seccomp->flags[0], "SECCOMP_FILTER_FLAG_LOG");
	cr_expect_eq(linux->seccomp->syscalls[0]->n_names, 2);
	cr_expect_eq(linux->seccomp->syscalls[0]->errno_ret_case,
	             GRPC__LINUX_SYSCALL__ERRNO_RET_ERRNORET);
	cr_expect_eq(linux->seccomp->syscalls[0]->errnoret, 1);
	cr_expect_eq(linux->seccomp->syscalls[1]->errnoret, 38);
	cr_expect_eq(linux->seccomp->syscalls[1]->args[0]->index, 1);
	cr_expect_eq(linux->seccomp->syscalls[1]->args[0]->value, 2080505856);
	cr_expect_eq(linux->seccomp->syscalls[1]->args[0]->valuetwo, UINT64_MAX);
	cr_expect_str_eq(linux->seccomp->syscalls[1]->args[0]->op, "SCMP_CMP_MASKED_EQ");
}

Test(spec, names_what_is_wrong)
{
	expect_failure("{\n\"ociVersion\": \"1.0\",\n}", -EINVAL,
	               "config.json: line 3, column 1: string or '}' expected near '}'");
	expect_failure("{}", -EINVAL, "config.json: ociVersion: missing");
	expect_failure("{\"ociVersion\":\"\"}", -ENOSYS,
	               "config.json: ociVersion: empty: a sandbox of containerd's Sandbox API: "
	               "not supported");
	expect_failure("{\"ociVersion\":\"2.0.0\"}", -EINVAL,
	               "config.json: ociVersion: version \"2.0.0\": not supported; supported are "
	               "1.0 to 1.2");
	expect_failure("{\"ociVersion\":\"1.0.0-rc5\"}", -EINVAL, "config.json: process: missing");
	expect_failure("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"a\",1]}}", -EINVAL,
	               "config.json: process.args[1]: expected string, found integer");
	expect_failure("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[],\"cwd\":\"/\"},"
	               "\"root\":{\"path\":\"r\"}}",
	               -EINVAL, "config.json: process.args: names no command");
	expect_failure("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"a\"],\"cwd\":\"tmp\"},"
	               "\"root\":{\"path\":\"r\"}}",
	               -EINVAL, "config.json: process.cwd: \"tmp\" is not an absolute path");
	expect_failure("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"a\"],\"cwd\":\"/\"},"
	               "\"root\":{\"path\":\"\"}}",
	               -EINVAL, "config.json: root.path: empty");
	expect_linux_failure("\"resources\":{\"cpu\":{\"shares\":-1}}", -EINVAL,
	                     "config.json: linux.resources.cpu.shares: expected integer from 0 to "
	                     "9223372036854775807, found -1");
	expect_linux_failure("\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"syscalls\":["
	                     "{\"names\":[\"a\"],\"action\":\"SCMP_ACT_ERRNO\",\"errnoRet\":-1}]}",
	                     -EINVAL,
	                     "config.json: linux.seccomp.syscalls[0].errnoRet: expected integer "
	                     "from 0 to 65535, found -1");
}

Test(spec, refuses_by_name_what_the_messages_cannot_carry)
{
	static const struct {
		const char *members;
		const char *name;
	} rows[] = {
		{ "\"resources\":{\"unified\":{\"memory.high\":\"1\"}}", "resources.unified" },
		{ "\"resources\":{\"rdma\":{\"mlx5_1\":{\"hcaHandles\":3}}}", "resources.rdma" },
		{ "\"resources\":{\"cpu\":{\"burst\":1}}", "resources.cpu.burst" },
		{ "\"resources\":{\"cpu\":{\"idle\":1}}", "resources.cpu.idle" },
		{ "\"resources\":{\"memory\":{\"checkBeforeUpdate\":true}}",
		  "resources.memory.checkBeforeUpdate" },
		{ "\"personality\":{\"domain\":\"LINUX32\"}", "personality" },
		{ "\"personality\":{\"domain\":\"LINUX\",\"flags\":[\"x\"]}", "personality" },
		{ "\"timeOffsets\":{\"monotonic\":{\"secs\":1}}", "timeOffsets" },
		{ "\"netDevices\":{\"eth0\":{}}", "netDevices" },
		{ "\"memoryPolicy\":{\"mode\":\"MPOL_BIND\"}", "memoryPolicy" },
		{ "\"intelRdt\":{\"closID\":\"x\"}", "intelRdt.closID" },
		{ "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":38}",
		  "seccomp.defaultErrnoRet" },
		{ "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ALLOW\",\"listenerPath\":\"/x\"}",
		  "seccomp.listenerPath" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		autofree char *text =
			mem_printf("config.json: linux.%s: not supported", rows[i].name);

		expect_linux_failure(rows[i].members, -ENOSYS, text);
	}
	expect_failure("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"a\"],\"cwd\":\"/\","
	               "\"user\":{\"umask\":63}}}",
	               -ENOSYS, "config.json: process.user.umask: not supported");
	expect_failure("{\"ociVersion\":\"1.2.0\",\"process\":{\"args\":[\"a\"],\"cwd\":\"/\","
	               "\"ioPriority\":{\"class\":\"IOPRIO_CLASS_RT\",\"priority\":1}}}",
	               -ENOSYS, "config.json: process.ioPriority: not supported");
	expect_failure("{" MINIMUM ",\"mounts\":[{\"destination\":\"/a\",\"uidMappings\":[{}]}]}",
	               -ENOSYS, "config.json: mounts[0].uidMappings: not supported");
	expect_failure("{" MINIMUM ",\"domainname\":\"example.org\"}", -ENOSYS,
	               "config.json: domainname: not supported");
}

Test(spec, takes_what_a_container_gets_anyway)
{
	spec_free(parse("{" MINIMUM ",\"domainname\":\"\",\"windows\":{\"layerFolders\":[\"a\"]},"
	                "\"linux\":{\"personality\":{\"domain\":\"LINUX\"},\"timeOffsets\":{},"
	                "\"seccomp\":{\"defaultAction\":\"SCMP_ACT_ERRNO\",\"defaultErrnoRet\":1},"
	                "\"resources\":{\"unified\":{},\"cpu\":{\"idle\":0,\"burst\":0},"
	                "\"memory\":{\"useHierarchy\":true}}}}"));
	spec_free(parse("{\"ociVersion\":\"1.3.0\",\"root\":{\"path\":\"r\"},\"process\":{"
	                "\"args\":[\"a\"],\"cwd\":\"/\",\"user\":{\"uid\":5,\"umask\":18}}}"));
}

Test(spec, reads_a_process_alone)
{
	static const char good[] = "{\"args\":[\"a\"],\"cwd\":\"/\",\"terminal\":true}";
	static const char bad[] = "{\"args\":[\"a\"],\"cwd\":3}";
	autodestroy(spec_process) Grpc__Process *process = NULL;
	struct error err = { 0 };

	cr_expect_eq(spec_parse_process(bad, strlen(bad), &process, &err), -EINVAL);
	cr_expect_str_eq(err.text, "process spec: cwd: expected string, found integer");
	cr_expect_null(process);
	cr_expect_eq(spec_parse_process(good, strlen(good), &process, &err), 0, "%s", err.text);
	cr_expect_eq(process->terminal, 1);
	cr_expect_not_null(process->user);
}

Test(spec, reads_limits_alone)
{
	static const char good[] = "{\"memory\":{\"limit\":1048576},\"pids\":{\"limit\":-1}}";
	static const char bad[] = "{\"memory\":{\"limit\":\"1G\"}}";
	autodestroy(spec_resources) Grpc__LinuxResources *resources = NULL;
	struct error err = { 0 };

	cr_expect_eq(spec_parse_resources(bad, strlen(bad), &resources, &err), -EINVAL);
	cr_expect_str_eq(err.text, "resources: memory.limit: expected integer, found string");
	cr_expect_eq(spec_parse_resources(good, strlen(good), &resources, &err), 0, "%s", err.text);
	cr_expect_eq(resources->memory->limit, 1048576);
	cr_expect_eq(resources->pids->limit, -1);
}
