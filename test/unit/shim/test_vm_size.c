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
	struct error err = { 0 };

	cr_assert_eq(spec_parse(text, strlen(text), &spec, &err), 0, "%s", err.text);
	return vm_size_for(spec, &initial, max);
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

Test(vm_size, knows_the_host)
{
	cr_expect_geq(vm_size_of_host().vcpus, 1);
	cr_expect_gt(vm_size_of_host().memory_mib, 0);
}
