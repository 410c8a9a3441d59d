#include <criterion/criterion.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/cri_v1.pb-c.h"
#include "proto/message.h"
#include "shim/spec/cri.h"
#include "shim/spec/pod_config.h"
#include "shim/spec/spec.h"

static Runtime__V1__LinuxPodSandboxConfig linux_config;
static Runtime__V1__PodSandboxConfig message;

static void setup(void)
{
	runtime__v1__linux_pod_sandbox_config__init(&linux_config);
	runtime__v1__pod_sandbox_config__init(&message);
	message.linux = &linux_config;
}

TestSuite(pod_config, .init = setup);

static struct pod_config *read_it(void)
{
	ProtobufCBinaryData bytes = message_encode(&message.base);
	Google__Protobuf__Any any = GOOGLE__PROTOBUF__ANY__INIT;
	struct pod_config *config = NULL;
	struct error err = { 0 };

	any.type_url = "types.example/" POD_CONFIG_TYPE;
	any.value = bytes;
	cr_assert_eq(pod_config_read(&any, &config, &err), 0, "%s", err.text);
	free(bytes.data);
	return config;
}

static Grpc__Spec *make_spec(void)
{
	autodestroy(pod_config) struct pod_config *config = read_it();

	return pod_config_spec(config, "p", "/run/netns/a");
}

static const Grpc__LinuxNamespace *find(const Grpc__Spec *spec, const char *type)
{
	for (size_t i = 0; i < spec->linux->n_namespaces; i++)
		if (strcmp(spec->linux->namespaces[i]->type, type) == 0)
			return spec->linux->namespaces[i];
	return NULL;
}

Test(pod_config, the_spec_is_that_of_a_pause_container)
{
	autodestroy(spec) Grpc__Spec *spec = NULL;
	struct cri cri;

	message.hostname = "a-pod";
	spec = make_spec();
	cr_assert_eq(cri_read(spec, &cri, NULL), 0);
	cr_expect_eq(cri.type, CRI_SANDBOX);
	cr_expect_str_eq(cri.sandbox_id, "p");
	cr_expect_str_eq(spec->hostname, "a-pod");
	cr_expect_str_eq(find(spec, "network")->path, "/run/netns/a");
	cr_expect(find(spec, "pid") && find(spec, "ipc") && find(spec, "uts"));
	cr_expect_eq(spec->process->oomscoreadj, -998);
}

Test(pod_config, the_pods_limits_are_annotations)
{
	Runtime__V1__LinuxContainerResources resources =
		RUNTIME__V1__LINUX_CONTAINER_RESOURCES__INIT;
	autodestroy(spec) Grpc__Spec *spec = NULL;
	struct cri cri;

	resources.cpu_quota = 150000;
	resources.cpu_period = 100000;
	resources.memory_limit_in_bytes = 1 << 30;
	linux_config.resources = &resources;
	spec = make_spec();
	cr_assert_eq(cri_read(spec, &cri, NULL), 0);
	cr_expect_eq(cri.cpu_quota, 150000);
	cr_expect_eq(cri.cpu_period, 100000);
	cr_expect_eq(cri.memory, 1 << 30);
}

Test(pod_config, an_annotation_of_the_pods_replaces_none_of_them)
{
	Runtime__V1__PodSandboxConfig__AnnotationsEntry one =
		RUNTIME__V1__POD_SANDBOX_CONFIG__ANNOTATIONS_ENTRY__INIT;
	Runtime__V1__PodSandboxConfig__AnnotationsEntry two = one;
	Runtime__V1__PodSandboxConfig__AnnotationsEntry *both[] = { &one, &two };
	autodestroy(spec) Grpc__Spec *spec = NULL;

	one.key = "io.kubernetes.cri.sandbox-id";
	one.value = "other";
	two.key = "io.katacontainers.x";
	two.value = "1";
	message.annotations = both;
	message.n_annotations = 2;
	spec = make_spec();
	cr_expect_str_eq(spec_annotation(spec, "io.kubernetes.cri.sandbox-id"), "p");
	cr_expect_str_eq(spec_annotation(spec, "io.katacontainers.x"), "1");
}

static void expect_cgroup(const char *parent, const char *path)
{
	autodestroy(spec) Grpc__Spec *spec = NULL;

	linux_config.cgroup_parent = (char *)parent;
	spec = make_spec();
	cr_expect_str_eq(spec->linux->cgroupspath, path);
}

Test(pod_config, the_cgroup_is_the_pods)
{
	expect_cgroup("", "");
	expect_cgroup("/kubepods/pod1", "/kubepods/pod1/p");
	expect_cgroup("/kubepods.slice/kubepods-pod1.slice",
	              "kubepods-pod1.slice:cri-containerd:p");
}

Test(pod_config, without_dns_the_hosts_is_meant)
{
	autodestroy(pod_config) struct pod_config *config = read_it();

	cr_expect_null(pod_config_resolv_conf(config));
}

Test(pod_config, an_empty_dns_is_an_empty_file)
{
	Runtime__V1__DNSConfig dns = RUNTIME__V1__DNSCONFIG__INIT;
	autodestroy(pod_config) struct pod_config *config = NULL;
	autofree char *text = NULL;

	message.dns_config = &dns;
	config = read_it();
	text = pod_config_resolv_conf(config);
	cr_expect_str_eq(text, "");
}
