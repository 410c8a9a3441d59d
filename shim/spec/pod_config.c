#include "shim/spec/pod_config.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/cri_v1.pb-c.h"
#include "proto/message.h"

#define OOM_SCORE_ADJ (-998) /* as containerd has it for a pause container */

#define SLICE            ".slice"
#define ANNOTATION(name) "io.kubernetes.cri." name

typedef Runtime__V1__PodSandboxConfig PodSandboxConfig;
typedef Grpc__Spec__AnnotationsEntry Annotation;
typedef Grpc__Linux__SysctlEntry Sysctl;

struct pod_config {
	PodSandboxConfig *message;
};

/* The type's name is what follows the last slash (google/protobuf/any.proto). */
static bool is_type(const char *url, const char *type)
{
	const char *slash = strrchr(url, '/');

	return strcmp(slash ? slash + 1 : url, type) == 0;
}

static const Runtime__V1__NamespaceOption *namespaces_of(const PodSandboxConfig *message)
{
	static const Runtime__V1__NamespaceOption none = RUNTIME__V1__NAMESPACE_OPTION__INIT;
	const Runtime__V1__LinuxPodSandboxConfig *linux = message->linux;

	if (!linux || !linux->security_context || !linux->security_context->namespace_options)
		return &none;
	return linux->security_context->namespace_options;
}

static int check(const PodSandboxConfig *message, struct error *err)
{
	const Runtime__V1__UserNamespace *user = namespaces_of(message)->userns_options;

	if (user && user->mode != RUNTIME__V1__NAMESPACE_MODE__NODE)
		return error_set(err, ERROR_UNIMPLEMENTED,
		                 "linux.security_context.namespace_options.userns_options: not "
		                 "supported");
	return 0;
}

int pod_config_read(const Google__Protobuf__Any *any, struct pod_config **out, struct error *err)
{
	autodestroy(pod_config) struct pod_config *config = mem_new(struct pod_config);
	bool empty = !any || (!*any->type_url && !any->value.len);
	int r;

	if (!empty && !is_type(any->type_url, POD_CONFIG_TYPE))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "options of type \"%s\": expected " POD_CONFIG_TYPE,
		                 any->type_url);
	r = message_decode(&runtime__v1__pod_sandbox_config__descriptor,
	                   empty ? NULL : any->value.data, empty ? 0 : any->value.len,
	                   (ProtobufCMessage **)&config->message, err);
	if (r == 0)
		r = check(config->message, err);
	if (r < 0)
		return error_wrap(err, POD_CONFIG_TYPE);
	*out = take_ptr(&config);
	return 0;
}

void pod_config_destroy(struct pod_config *config)
{
	if (!config)
		return;
	if (config->message)
		message_free(&config->message->base);
	free(config);
}

static void add_namespace(Grpc__Linux *linux, const char *type, const char *path)
{
	Grpc__LinuxNamespace *row = mem_new(Grpc__LinuxNamespace);

	grpc__linux_namespace__init(row);
	row->type = mem_strdup(type);
	row->path = mem_strdup(path);
	linux->namespaces =
		mem_realloc(linux->namespaces, (linux->n_namespaces + 1) * sizeof(void *));
	linux->namespaces[linux->n_namespaces++] = row;
}

/* A namespace of the host is one that is not named. */
static void add_namespaces(Grpc__Linux *linux, const PodSandboxConfig *message, const char *netns)
{
	const Runtime__V1__NamespaceOption *options = namespaces_of(message);

	add_namespace(linux, "mount", "");
	if (*netns && options->network != RUNTIME__V1__NAMESPACE_MODE__NODE) {
		add_namespace(linux, "network", netns);
		add_namespace(linux, "uts", "");
	}
	if (options->pid != RUNTIME__V1__NAMESPACE_MODE__NODE)
		add_namespace(linux, "pid", "");
	if (options->ipc != RUNTIME__V1__NAMESPACE_MODE__NODE)
		add_namespace(linux, "ipc", "");
}

static void add_sysctls(Grpc__Linux *linux, const Runtime__V1__LinuxPodSandboxConfig *from)
{
	linux->sysctl = mem_alloc((from->n_sysctls + 1) * sizeof(void *));
	for (size_t i = 0; i < from->n_sysctls; i++) {
		Sysctl *entry = mem_new(Sysctl);

		grpc__linux__sysctl_entry__init(entry);
		entry->key = mem_strdup(from->sysctls[i]->key);
		entry->value = mem_strdup(from->sysctls[i]->value);
		linux->sysctl[linux->n_sysctl++] = entry;
	}
}

/* Takes over @value. */
static void add_annotation(Grpc__Spec *spec, const char *key, char *value)
{
	Annotation *entry = mem_new(Annotation);

	grpc__spec__annotations_entry__init(entry);
	entry->key = mem_strdup(key);
	entry->value = value;
	spec->annotations =
		mem_realloc(spec->annotations, (spec->n_annotations + 1) * sizeof(void *));
	spec->annotations[spec->n_annotations++] = entry;
}

static void add_number(Grpc__Spec *spec, const char *key, int64_t value)
{
	add_annotation(spec, key, mem_printf("%" PRId64, value));
}

/* The names are those of containerd's own annotations, of which the first counts. */
static void add_annotations(Grpc__Spec *spec, const PodSandboxConfig *message, const char *id)
{
	const Runtime__V1__LinuxContainerResources *limits =
		message->linux ? message->linux->resources : NULL;

	add_annotation(spec, ANNOTATION("container-type"), mem_strdup("sandbox"));
	add_annotation(spec, ANNOTATION("sandbox-id"), mem_strdup(id));
	if (limits) {
		add_number(spec, ANNOTATION("sandbox-cpu-period"), limits->cpu_period);
		add_number(spec, ANNOTATION("sandbox-cpu-quota"), limits->cpu_quota);
		add_number(spec, ANNOTATION("sandbox-cpu-shares"), limits->cpu_shares);
		add_number(spec, ANNOTATION("sandbox-memory"), limits->memory_limit_in_bytes);
	}
	for (size_t i = 0; i < message->n_annotations; i++)
		add_annotation(spec, message->annotations[i]->key,
		               mem_strdup(message->annotations[i]->value));
}

/* As containerd makes it of the pod's: for cgroupfs, and for systemd. */
static char *cgroup_of(const char *parent, const char *id)
{
	const char *slash = strrchr(parent, '/');
	const char *name = slash ? slash + 1 : parent;
	size_t len = strlen(name), suffix = strlen(SLICE);

	if (len >= suffix && strcmp(name + len - suffix, SLICE) == 0)
		return mem_printf("%s:cri-containerd:%s", name, id);
	return mem_printf("%s/%s", parent, id);
}

static void add_linux(Grpc__Spec *spec, const PodSandboxConfig *message, const char *id,
                      const char *netns)
{
	const Runtime__V1__LinuxPodSandboxConfig *from = message->linux;

	spec->linux = mem_new(Grpc__Linux);
	grpc__linux__init(spec->linux);
	add_namespaces(spec->linux, message, netns);
	if (!from)
		return;
	add_sysctls(spec->linux, from);
	if (*from->cgroup_parent)
		spec->linux->cgroupspath = cgroup_of(from->cgroup_parent, id);
}

Grpc__Spec *pod_config_spec(const struct pod_config *config, const char *id, const char *netns)
{
	const PodSandboxConfig *message = config->message;
	Grpc__Spec *spec = mem_new(Grpc__Spec);

	grpc__spec__init(spec);
	spec->hostname = mem_strdup(message->hostname);
	spec->root = mem_new(Grpc__Root);
	grpc__root__init(spec->root);
	spec->root->path = mem_strdup("rootfs");
	spec->process = mem_new(Grpc__Process);
	grpc__process__init(spec->process);
	spec->process->oomscoreadj = OOM_SCORE_ADJ;
	add_linux(spec, message, id, netns);
	add_annotations(spec, message, id);
	return spec;
}

static char *join(char *text, const char *before, char *const *words, size_t n, const char *between)
{
	for (size_t i = 0; i < n; i++) {
		char *more = mem_printf("%s%s%s%s", text, i ? between : before, words[i],
		                        i + 1 == n ? "\n" : "");

		free(text);
		text = more;
	}
	return text;
}

/* In the form and order that containerd writes them in. */
char *pod_config_resolv_conf(const struct pod_config *config)
{
	const Runtime__V1__DNSConfig *dns = config->message->dns_config;
	char *text;

	if (!dns)
		return NULL;
	text = join(mem_strdup(""), "search ", dns->searches, dns->n_searches, " ");
	text = join(text, "nameserver ", dns->servers, dns->n_servers, "\nnameserver ");
	return join(text, "options ", dns->options, dns->n_options, " ");
}
