/*
 * An OCI config.json on its way to the guest: what is not refused can be sent, and arrives. The
 * text is also read as a process (Exec) and as resources (Update).
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "proto/message.h"
#include "shim/spec/guest_spec.h"
#include "shim/spec/spec.h"
#include "shim/spec/vm_size.h"
#include "shim/storage/volumes.h"
#include "test/fuzz/fuzz.h"

static const struct vm_size initial = { .vcpus = 1, .memory_mib = 2048 };
static const struct vm_size host = { .vcpus = 4, .memory_mib = 8192 };

/* Over the wire and back. */
static void carry(const ProtobufCMessage *message)
{
	ProtobufCBinaryData bytes = message_encode(message);
	ProtobufCMessage *arrived = NULL;
	struct error err;

	if (message_decode(message->descriptor, bytes.data, bytes.len, &arrived, &err) < 0)
		abort();
	assert(protobuf_c_message_get_packed_size(arrived) == bytes.len);
	message_free(arrived);
	free(bytes.data);
}

static void check_size(const Grpc__Spec *spec)
{
	const struct vm_limits limits = vm_limits_of_spec(spec);
	const struct vm_demand demand = vm_demand_of(&limits, &host);
	struct vm_size size;

	size = vm_size_for(&demand, &initial, &host);
	assert(size.vcpus >= 1 && size.vcpus <= host.vcpus);
	assert(size.memory_mib > 0 && size.memory_mib <= host.memory_mib);
}

static void read_spec(const char *text, size_t len)
{
	autodestroy(spec) Grpc__Spec *spec = NULL;
	autodestroy(volumes) struct volumes *volumes = NULL;
	autofree char *netns = NULL;
	struct error err = { 0 };

	if (spec_parse(text, len, &spec, &err) < 0) {
		assert(!spec && !strncmp(err.text, "config.json: ", strlen("config.json: ")));
		return;
	}
	check_size(spec);
	spec_annotation(spec, "io.kubernetes.cri.container-type");
	if (volumes_take(spec, "/bundle", NULL, &volumes, &err) < 0 ||
	    guest_spec_apply(spec, "c", &netns, &err) < 0)
		assert(err.code != ERROR_NONE && *err.text);
	else
		carry(&spec->base);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodestroy(spec_process) Grpc__Process *process = NULL;
	autodestroy(spec_resources) Grpc__LinuxResources *resources = NULL;
	const char *text = (const char *)data;

	read_spec(text, size);
	if (spec_parse_process(text, size, &process, NULL) == 0)
		carry(&process->base);
	if (spec_parse_resources(text, size, &resources, NULL) == 0)
		carry(&resources->base);
	return 0;
}
