#include "shim/spec/guest_spec.h"

#include <stdlib.h>
#include <string.h>

#include "common/cpu_list.h"
#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/guest_devices.h"
#include "shim/spec/guest_paths.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Replaces a string of a message, whose first value is the static empty one. */
static void set_text(char **text, char *value)
{
	if (*text != protobuf_c_empty_string)
		free(*text);
	*text = value;
}

/* File systems that a kernel makes by itself: the guest's is as good as the host's. */
static const char *const guest_file_systems[] = {
	"bpf",    "cgroup", "cgroup2", "configfs",   "debugfs", "devpts", "hugetlbfs",
	"mqueue", "proc",   "ramfs",   "securityfs", "sysfs",   "tmpfs",  "tracefs",
};

static bool is_guest_file_system(const char *type)
{
	for (size_t i = 0; i < COUNT(guest_file_systems); i++)
		if (!strcmp(type, guest_file_systems[i]))
			return true;
	return false;
}

bool guest_spec_is_bind(const Grpc__Mount *mount)
{
	for (size_t i = 0; i < mount->n_options; i++)
		if (!strcmp(mount->options[i], "bind") || !strcmp(mount->options[i], "rbind"))
			return true;
	return !strcmp(mount->type, "bind");
}

static int check_mounts(const Grpc__Spec *spec, struct error *err)
{
	const char volumes[] = GUEST_VOLUMES "/";
	const char disks[] = GUEST_DISKS "/";

	for (size_t i = 0; i < spec->n_mounts; i++) {
		const Grpc__Mount *mount = spec->mounts[i];

		if (guest_spec_is_bind(mount)) {
			if (!strncmp(mount->source, volumes, strlen(volumes)) ||
			    !strncmp(mount->source, disks, strlen(disks)) ||
			    !strcmp(mount->source, GUEST_SHM))
				continue;
			return error_set(
				err, ERROR_UNIMPLEMENTED,
				"mounts[%zu] \"%s\": bind mounts of the host: not supported", i,
				mount->destination);
		}
		if (!is_guest_file_system(mount->type))
			return error_set(
				err, ERROR_UNIMPLEMENTED,
				"mounts[%zu] \"%s\": file system type \"%s\": not supported", i,
				mount->destination, mount->type);
	}
	return 0;
}

static int check_namespace(const Grpc__LinuxNamespace *ns, size_t i, struct error *err)
{
	if (*ns->path)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "linux.namespaces[%zu] %s: joining \"%s\": not supported", i,
		                 ns->type, ns->path);
	return 0;
}

const char *guest_spec_netns(const Grpc__Spec *spec)
{
	for (size_t i = 0; spec->linux && i < spec->linux->n_namespaces; i++) {
		const Grpc__LinuxNamespace *ns = spec->linux->namespaces[i];

		if (!strcmp(ns->type, "network"))
			return *ns->path ? ns->path : NULL;
	}
	return NULL;
}

/* All others are left, in their order. */
static int take_network_namespace(Grpc__Linux *linux, char **netns, struct error *err)
{
	bool found = false;
	size_t kept = 0;
	int r = 0;

	for (size_t i = 0; i < linux->n_namespaces; i++) {
		Grpc__LinuxNamespace *ns = linux->namespaces[i];

		if (strcmp(ns->type, "network") != 0) {
			linux->namespaces[kept++] = ns;
			if (r == 0)
				r = check_namespace(ns, i, err);
			continue;
		}
		if (!found && *ns->path)
			*netns = mem_strdup(ns->path);
		found = true;
		grpc__linux_namespace__free_unpacked(ns, NULL);
	}
	linux->n_namespaces = kept;
	if (r == 0 && !found)
		r = error_set(err, ERROR_UNIMPLEMENTED,
		              "linux.namespaces: the host's network (no network namespace): not "
		              "supported");
	return r;
}

static bool has_namespace(const Grpc__Linux *linux, const char *type)
{
	for (size_t i = 0; i < linux->n_namespaces; i++)
		if (!strcmp(linux->namespaces[i]->type, type))
			return true;
	return false;
}

static void add_namespace(Grpc__Linux *linux, const char *type)
{
	Grpc__LinuxNamespace *ns;

	if (has_namespace(linux, type))
		return;
	ns = mem_new(Grpc__LinuxNamespace);
	grpc__linux_namespace__init(ns);
	ns->type = mem_strdup(type);
	linux->namespaces =
		mem_realloc(linux->namespaces, (linux->n_namespaces + 1) * sizeof(void *));
	linux->namespaces[linux->n_namespaces++] = ns;
}

static void remove_namespace(Grpc__Linux *linux, const char *type)
{
	size_t kept = 0;

	for (size_t i = 0; i < linux->n_namespaces; i++)
		if (strcmp(linux->namespaces[i]->type, type) != 0)
			linux->namespaces[kept++] = linux->namespaces[i];
		else
			grpc__linux_namespace__free_unpacked(linux->namespaces[i], NULL);
	linux->n_namespaces = kept;
}

void guest_spec_drop_cpuset(Grpc__LinuxResources *resources)
{
	if (!resources || !resources->cpu)
		return;
	set_text(&resources->cpu->cpus, mem_strdup(""));
	set_text(&resources->cpu->mems, mem_strdup(""));
}

int guest_spec_check_cpuset(const Grpc__LinuxResources *resources, struct error *err)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	if (!resources || !resources->cpu)
		return 0;
	if (cpu_list_parse(resources->cpu->cpus, &set, err) < 0)
		return error_wrap(err, "linux.resources.cpu.cpus");
	if (cpu_list_parse(resources->cpu->mems, &set, err) < 0)
		return error_wrap(err, "linux.resources.cpu.mems");
	return 0;
}

cpu_set_t guest_spec_cpuset(const Grpc__LinuxResources *resources)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	if (resources && resources->cpu)
		cpu_list_parse(resources->cpu->cpus, &cpus, NULL);
	return cpus;
}

static int apply_linux(Grpc__Linux *linux, const char *id, char **netns, struct error *err)
{
	int r = take_network_namespace(linux, netns, err);

	if (r == 0)
		r = guest_spec_check_cpuset(linux->resources, err);

	if (r == 0)
		r = guest_devices_apply(linux, err);
	/* What the guest has above the container's cgroup is the VM's: whoever mounts cgroups sees
	 * its own. */
	add_namespace(linux, "cgroup");
	set_text(&linux->cgroupspath, mem_printf("/%s", id));
	if (linux->intelrdt && !*linux->intelrdt->l3cacheschema) {
		grpc__linux_intel_rdt__free_unpacked(linux->intelrdt, NULL);
		linux->intelrdt = NULL;
	}
	return r;
}

/* They are for those on the host who read config.json, and can be longer than a call to the agent. */
static void drop_annotations(Grpc__Spec *spec)
{
	for (size_t i = 0; i < spec->n_annotations; i++)
		protobuf_c_message_free_unpacked(&spec->annotations[i]->base, NULL);
	free(spec->annotations);
	spec->annotations = NULL;
	spec->n_annotations = 0;
}

int guest_spec_apply(Grpc__Spec *spec, const char *id, char **netns, struct error *err)
{
	autofree char *path = NULL;
	int r;

	if (!spec->linux) {
		spec->linux = mem_new(Grpc__Linux);
		grpc__linux__init(spec->linux);
	}
	drop_annotations(spec);
	set_text(&spec->root->path, mem_printf(GUEST_SHARE "/%s/rootfs", id));
	r = apply_linux(spec->linux, id, &path, err);
	if (r == 0)
		r = check_mounts(spec, err);
	if (r == 0 && netns)
		*netns = take_ptr(&path);
	return r;
}

bool guest_spec_for_upstream(Grpc__Spec *spec)
{
	bool shares_pid = !has_namespace(spec->linux, "pid");

	remove_namespace(spec->linux, "pid");
	add_namespace(spec->linux, "ipc");
	add_namespace(spec->linux, "uts");
	return shares_pid;
}
