#include "proto/features.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/agent.pb-c.h"
#include "proto/types.pb-c.h"

/* By bit. */
static const char *const words[] = { "clock",
	                             "host-limits",
	                             "signal-all",
	                             "exit-details",
	                             "network-details",
	                             "pid-namespace-of",
	                             "sandbox-sysctls",
	                             "bind-storages",
	                             "relay",
	                             "link-settings",
	                             "container-hooks",
	                             "memory-volumes",
	                             "streams",
	                             "device-storages",
	                             "cpus-offline",
	                             "huge-pages",
	                             NULL };

/* clang-format off */
static const struct own_field {
	const ProtobufCMessageDescriptor *message;
	uint32_t number;
	enum feature feature;
} own_fields[] = {
	{ &grpc__add_arpneighbors_request__descriptor, 10000, FEATURE_NETWORK_DETAILS },
	{ &grpc__create_sandbox_request__descriptor, 10000, FEATURE_HOST_LIMITS },
	{ &grpc__create_sandbox_request__descriptor, 10001, FEATURE_HOST_LIMITS },
	{ &grpc__create_sandbox_request__descriptor, 10002, FEATURE_SANDBOX_SYSCTLS },
	{ &grpc__create_container_request__descriptor, 10000, FEATURE_PID_NAMESPACE_OF },
	{ &grpc__guest_details_request__descriptor, 10000, FEATURE_CLOCK },
	{ &grpc__guest_details_response__descriptor, 10000, FEATURE_CLOCK },
	{ &grpc__set_guest_date_time_request__descriptor, 10000, FEATURE_CLOCK },
	{ &grpc__set_guest_date_time_request__descriptor, 10001, FEATURE_CLOCK },
	{ &grpc__online_cpumem_request__descriptor, 10000, FEATURE_CPUS_OFFLINE },
	{ &grpc__signal_process_request__descriptor, 10001, FEATURE_SIGNAL_ALL },
	{ &grpc__update_routes_request__descriptor, 10000, FEATURE_NETWORK_DETAILS },
	{ &grpc__update_routes_request__descriptor, 10001, FEATURE_NETWORK_DETAILS },
	{ &types__interface__descriptor, 10000, FEATURE_LINK_SETTINGS },
	{ &types__ipaddress__descriptor, 10000, FEATURE_NETWORK_DETAILS },
	{ &types__route__descriptor, 10000, FEATURE_NETWORK_DETAILS },
	{ &grpc__wait_process_request__descriptor, 10001, FEATURE_EXIT_DETAILS },
	{ &grpc__wait_process_response__descriptor, 10001, FEATURE_EXIT_DETAILS },
	{ &grpc__wait_process_response__descriptor, 10002, FEATURE_EXIT_DETAILS },
	{ &grpc__wait_process_response__descriptor, 10003, FEATURE_EXIT_DETAILS },
	{ 0 },
};
/* clang-format on */

const char *const *features_words(void)
{
	return words;
}

unsigned int features_parse(const char *text)
{
	autofree char *copy = mem_strdup(text);
	unsigned int features = 0;
	char *rest = copy;
	char *word;

	while ((word = strsep(&rest, " ")))
		for (unsigned int i = 0; words[i]; i++)
			if (!strcmp(word, words[i]))
				features |= 1U << i;
	return features;
}

int features_require(unsigned int features, enum feature feature, const char *what,
                     struct error *err)
{
	if (features & feature)
		return 0;
	return error_set(err, ERROR_UNIMPLEMENTED, "%s: not supported by the guest's agent", what);
}

unsigned int features_of_field(const ProtobufCMessageDescriptor *message, uint32_t number)
{
	for (const struct own_field *field = own_fields; field->message; field++)
		if (field->message == message && field->number == number)
			return field->feature;
	return 0;
}

/* Of the kinds that our own fields have. */
static bool is_set(const ProtobufCMessage *message, const ProtobufCFieldDescriptor *field)
{
	const char *base = (const char *)message;

	if (field->label == PROTOBUF_C_LABEL_REPEATED)
		return *(const size_t *)(base + field->quantifier_offset) > 0;
	if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF)
		return *(const uint32_t *)(base + field->quantifier_offset) == field->id;
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return *(const ProtobufCMessage *const *)(base + field->offset) != NULL;
	if (field->type == PROTOBUF_C_TYPE_STRING) {
		const char *text = *(const char *const *)(base + field->offset);

		return text && *text;
	}
	assert(field->type == PROTOBUF_C_TYPE_BOOL);
	return *(const protobuf_c_boolean *)(base + field->offset);
}

static int check_messages_in(unsigned int features, const ProtobufCMessage *message,
                             const ProtobufCFieldDescriptor *field, struct error *err)
{
	const char *base = (const char *)message;
	const void *value = base + field->offset;
	size_t n = *(const ProtobufCMessage *const *)value != NULL;
	const ProtobufCMessage *const *all = value;
	int r = 0;

	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		n = *(const size_t *)(base + field->quantifier_offset);
		all = *(const ProtobufCMessage *const *const *)value;
	} else if (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF && !is_set(message, field)) {
		n = 0;
	}
	for (size_t i = 0; i < n && r == 0; i++)
		r = features_check(features, all[i], err);
	return r;
}

static int check_field(unsigned int features, const ProtobufCMessage *message,
                       const ProtobufCFieldDescriptor *field, struct error *err)
{
	const ProtobufCMessageDescriptor *type = message->descriptor;
	autofree char *name = NULL;
	int r;

	if (field->id >= FEATURE_FIELD_FIRST && is_set(message, field)) {
		name = mem_printf("%s.%s", type->short_name, field->name);
		r = features_require(features, features_of_field(type, field->id), name, err);
		if (r < 0)
			return r;
	}
	if (field->type == PROTOBUF_C_TYPE_MESSAGE)
		return check_messages_in(features, message, field, err);
	return 0;
}

int features_check(unsigned int features, const ProtobufCMessage *request, struct error *err)
{
	const ProtobufCMessageDescriptor *type = request->descriptor;
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < type->n_fields; i++)
		r = check_field(features, request, &type->fields[i], err);
	return r;
}
