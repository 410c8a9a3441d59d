/*
 * Any config.json on its way to the guest's spec. What is refused says why; what is taken can be
 * sent, and be read again as it was.
 */
#include <stdint.h>
#include <stdlib.h>

#include "common/error.h"
#include "proto/message.h"
#include "shim/guest_spec.h"
#include "shim/spec.h"
#include "shim/vm_size.h"
#include "shim/volumes.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HOST_VCPUS      8
#define HOST_MEMORY_MIB 16384

static void check(bool good)
{
	if (!good)
		abort();
}

static void check_size(const Grpc__Spec *spec)
{
	const struct vm_size initial = { .vcpus = 1, .memory_mib = 2048 };
	const struct vm_size max = { .vcpus = HOST_VCPUS, .memory_mib = HOST_MEMORY_MIB };
	struct vm_size vm = vm_size_for(spec, &initial, &max);

	check(vm.vcpus >= 1 && vm.vcpus <= HOST_VCPUS);
	check(vm.memory_mib >= initial.memory_mib && vm.memory_mib <= HOST_MEMORY_MIB);
}

static void check_message(const Grpc__Spec *spec)
{
	ProtobufCBinaryData bytes = message_encode(&spec->base);
	ProtobufCMessage *again = NULL;

	check(message_decode(&grpc__spec__descriptor, bytes.data, bytes.len, &again, NULL) == 0);
	check(grpc__spec__get_packed_size((const Grpc__Spec *)again) == bytes.len);
	message_free(again);
	free(bytes.data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodestroy(spec) Grpc__Spec *spec = NULL;
	autodestroy(volumes) struct volumes *volumes = NULL;
	autofree char *netns = NULL;
	struct error err = { 0 };

	if (spec_parse((const char *)data, size, &spec, &err) < 0) {
		check(err.code != ERROR_NONE && *err.text && !spec);
		return 0;
	}
	check_size(spec);
	if (volumes_take(spec, "c", "/bundle", &volumes, &err) < 0 ||
	    guest_spec_apply(spec, "c", &netns, &err) < 0)
		check(err.code != ERROR_NONE && *err.text);
	else
		check_message(spec);
	return 0;
}
