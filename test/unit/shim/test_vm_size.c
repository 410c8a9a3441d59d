#include "shim/spec/vm_size.h"

#include <criterion/criterion.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "shim/spec/spec.h"

static const struct vm_size initial = { .vcpus = 1, .memory_mib = 2048 };
static const struct vm_size host = { .vcpus = 8, .memory_mib = 16000 };

/* The size for @members, which end with a comma if there are any. */
static struct vm_size size_for(const char *members, const struct vm_size *max)
{
	autofree char *text =
		mem_printf("{%s\"ociVersion\":\"1.0.2\",\"process\":{\"args\":[\"sh\"],"
	                   "\"cwd\":\"/\"},\"root\":{\"path\":\"rootfs\"}}",
	                   members);
	autodestroy(spec) Grpc__Spec *spec = NULL;
	struct vm_demand demand;
	struct error err = { 0 };
	struct vm_limits limits;

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	limits = vm_limits_of_spec(spec);
	demand = vm_demand_of(&limits, max);
	return vm_size_for(&demand, &initial, max);
}

static unsigned int vcpus_for(const char *cpu)
{
	autofree char *text = mem_printf("\"linux\":{\"resources\":{\"cpu\":{%s}}},", cpu);

	return size_for(text, &host).vcpus;
}

static uint64_t memory_for(const char *limit)
{
	autofree char *text =
		mem_printf("\"linux\":{\"resources\":{\"memory\":{\"limit\":%s}}},", limit);

	return size_for(text, &host).memory_mib;
}

Test(vm_size, is_the_default_where_nothing_is_limited)
{
	cr_expect_eq(size_for("", &host).vcpus, 1);
	cr_expect_eq(size_for("", &host).memory_mib, 2048);
	cr_expect_eq(vcpus_for("\"quota\":-1,\"period\":100000"), 1);
	cr_expect_eq(vcpus_for("\"shares\":1024"), 1);
	cr_expect_eq(memory_for("-1"), 2048);
	cr_expect_eq(memory_for("9223372036854771712"), 2048);
}

Test(vm_size, adds_the_limits_rounded_up)
{
	cr_expect_eq(vcpus_for("\"quota\":100000,\"period\":100000"), 2);
	cr_expect_eq(vcpus_for("\"quota\":100001,\"period\":100000"), 3);
	cr_expect_eq(vcpus_for("\"quota\":1,\"period\":1000000"), 2);
	cr_expect_eq(vcpus_for("\"quota\":250000"), 4);
	cr_expect_eq(memory_for("1"), 2048 + 128);
	cr_expect_eq(memory_for("134217728"), 2048 + 128);
	cr_expect_eq(memory_for("134217729"), 2048 + 256);
}

Test(vm_size, has_room_for_huge_pages_beside_the_limit_of_memory)
{
	const char *members = "\"linux\":{\"resources\":{\"memory\":{\"limit\":134217728},"
			      "\"hugepageLimits\":[{\"pageSize\":\"2MB\",\"limit\":268435456},"
			      "{\"pageSize\":\"1GB\",\"limit\":0}]}},";

	cr_expect_eq(size_for(members, &host).memory_mib, 2048 + 128 + 256);
}

Test(vm_size, never_passes_what_the_host_has)
{
	struct vm_size small = { .vcpus = 1, .memory_mib = 1000 };

	cr_expect_eq(vcpus_for("\"quota\":9223372036854775807,\"period\":1"), 8);
	cr_expect_eq(memory_for("15728640000"), 16000); /* 15000 MiB, below the host's memory */
	cr_expect_eq(size_for("", &small).vcpus, 1);
	cr_expect_eq(size_for("", &small).memory_mib, 896);
}

Test(vm_size, takes_the_limits_of_a_pod_from_its_annotations)
{
	struct vm_size size = size_for(
		"\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","
		"\"io.kubernetes.cri.sandbox-id\":\"p\","
		"\"io.kubernetes.cri.sandbox-cpu-quota\":\"150000\","
		"\"io.kubernetes.cri.sandbox-cpu-period\":\"100000\","
		"\"io.kubernetes.cri.sandbox-memory\":\"268435456\"},"
		"\"linux\":{\"resources\":{\"cpu\":{\"quota\":700000},\"memory\":{\"limit\":1}}},",
		&host);

	cr_expect_eq(size.vcpus, 3);
	cr_expect_eq(size.memory_mib, 2048 + 256);
	size = size_for("\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","
	                "\"io.kubernetes.cri.sandbox-id\":\"p\","
	                "\"io.kubernetes.cri.sandbox-cpu-quota\":\"x\","
	                "\"io.kubernetes.cri.sandbox-memory\":\"99999999999999999999\"},",
	                &host);
	cr_expect_eq(size.vcpus, 1);
	cr_expect_eq(size.memory_mib, 2048);
}

#define SHARES(number, quota)                                                                      \
	"\"annotations\":{\"io.kubernetes.cri.container-type\":\"sandbox\","                       \
	"\"io.kubernetes.cri.sandbox-id\":\"p\","                                                  \
	"\"io.kubernetes.cri.sandbox-cpu-shares\":\"" number "\","                                 \
	"\"io.kubernetes.cri.sandbox-cpu-quota\":\"" quota "\"},"

Test(vm_size, of_a_pod_without_a_limit_of_cpus_is_what_it_requests)
{
	cr_expect_eq(size_for(SHARES("2048", "0"), &host).vcpus, 3);
	cr_expect_eq(size_for(SHARES("2049", "-1"), &host).vcpus, 4);
	cr_expect_eq(size_for(SHARES("2", "-1"), &host).vcpus, 1);
	cr_expect_eq(size_for(SHARES("2048", "100000"), &host).vcpus, 2);
}

#define CRIO(annotations)                                                                          \
	"\"annotations\":{\"io.kubernetes.cri-o.ContainerType\":\"sandbox\","                      \
	"\"io.kubernetes.cri-o.SandboxID\":\"p\"," annotations "},"
#define OLDER "\"io.kubernetes.cri-o.PodLinuxResources\":"
#define NEWER "\"pod-linux-resources.crio.io\":"

Test(vm_size, takes_the_limits_of_a_pod_from_the_annotations_of_crio)
{
	struct vm_size size = size_for(
		CRIO(OLDER "\"{\\\"cpu_period\\\":100000,\\\"cpu_quota\\\":150000,"
	                   "\\\"cpu_shares\\\":1024,\\\"memory_limit_in_bytes\\\":268435456}\""),
		&host);

	cr_expect_eq(size.vcpus, 3);
	cr_expect_eq(size.memory_mib, 2048 + 256);
	size = size_for(CRIO(NEWER "\"{\\\"memory_limit_in_bytes\\\":1}\"," OLDER "\"{}\""), &host);
	cr_expect_eq(size.memory_mib, 2048 + 128);
	size = size_for(CRIO(NEWER "\"{\""), &host);
	cr_expect_eq(size.memory_mib, 2048);
}

static struct vm_size size_of(const struct vm_limits *limits, size_t n)
{
	struct vm_demand demand = { 0 };

	for (size_t i = 0; i < n; i++) {
		const struct vm_demand more = vm_demand_of(&limits[i], &host);

		vm_demand_add(&demand, &more);
	}
	return vm_size_for(&demand, &initial, &host);
}

Test(vm_size, of_several_is_their_sum_rounded_up_once)
{
	const struct vm_limits halves[] = { { 50000, 100000, 100 << 20, 0 },
		                            { 25000, 50000, 0, 28 << 20 },
		                            { -1, 100000, -1, 0 } };
	const struct vm_limits huge[] = { { INT64_MAX, 1, INT64_MAX, 0 },
		                          { INT64_MAX, INT64_MAX - 1, 8000LL << 20, 0 },
		                          { INT64_MAX, 1, 8000LL << 20, 0 } };

	cr_expect_eq(size_of(halves, 3).vcpus, 2);
	cr_expect_eq(size_of(halves, 3).memory_mib, 2048 + 128);
	cr_expect_eq(size_of(huge, 3).vcpus, host.vcpus);
	cr_expect_eq(size_of(huge, 3).memory_mib, 16000);
}

Test(vm_size, an_update_changes_what_it_says)
{
	const struct vm_limits before = { 50000, 100000, 1 << 20, 0 };
	const struct vm_limits to = { .quota = -1, .memory = 2 << 20 };
	struct vm_limits after = vm_limits_update(&before, &to);

	cr_expect_eq(after.quota, -1);
	cr_expect_eq(after.period, 100000);
	cr_expect_eq(after.memory, 2 << 20);
}

Test(vm_size, knows_the_host)
{
	cr_expect_geq(vm_size_of_host().vcpus, 1);
	cr_expect_gt(vm_size_of_host().memory_mib, 0);
}
