#include "shim/cli/info.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/error.h"
#include "proto/introspection.pb-c.h"
#include "proto/message.h"
#include "shim/cli/features.h"
#include "shim/cli/standard_input.h"
#include "shim/cli/standard_output.h"
#include "shim/storage/root_disks.h"

#define MOUNTS_ANNOTATION "containerd.io/runtime-allow-mounts" /* containerd 2.2 and later */

static int print(Google__Protobuf__Any *options, struct error *err)
{
	Containerd__Types__RuntimeVersion version = CONTAINERD__TYPES__RUNTIME_VERSION__INIT;
	Containerd__Types__RuntimeInfo info = CONTAINERD__TYPES__RUNTIME_INFO__INIT;
	Containerd__Types__RuntimeInfo__AnnotationsEntry mounts =
		CONTAINERD__TYPES__RUNTIME_INFO__ANNOTATIONS_ENTRY__INIT;
	Containerd__Types__RuntimeInfo__AnnotationsEntry *annotations[] = { &mounts };
	Google__Protobuf__Any features = GOOGLE__PROTOBUF__ANY__INIT;
	autofree char *json = features_json();
	ProtobufCBinaryData bytes;
	int r;

	features.type_url = FEATURES_TYPE;
	features.value = (ProtobufCBinaryData){ .len = strlen(json), .data = (uint8_t *)json };
	version.version = KATA_VERSION;
	info.name = INFO_NAME;
	info.version = &version;
	info.options = *options->type_url ? options : NULL;
	info.features = &features;
	mounts.key = MOUNTS_ANNOTATION;
	mounts.value = ROOT_DISKS_MOUNTS;
	info.annotations = annotations;
	info.n_annotations = 1;
	bytes = message_encode(&info.base);
	r = standard_output_write(bytes.data, bytes.len, err);
	free(bytes.data);
	return r;
}

int info_print(struct error *err)
{
	struct buf input = BUF_INIT(STANDARD_INPUT_MAX);
	ProtobufCMessage *options = NULL;
	int r;

	r = standard_input_read(STDIN_FILENO, &input, err);
	if (r == 0)
		r = message_decode(&google__protobuf__any__descriptor, buf_data(&input), input.len,
		                   &options, err);
	if (r == 0)
		r = print((Google__Protobuf__Any *)options, err);
	message_free(options);
	buf_fini(&input);
	return r;
}
