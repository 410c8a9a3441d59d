#include "shim/config/runtime_options.h"

#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "proto/message.h"
#include "proto/runc.pb-c.h"
#include "proto/runtimeoptions.pb-c.h"

#define OPTIONS_SUFFIX    "Options"
#define RUNC_OPTIONS_TYPE "containerd.runc.v1.Options"

/* The type's name is what follows the last slash (google/protobuf/any.proto). */
static const char *type_name(const char *url)
{
	const char *slash = strrchr(url, '/');

	return slash ? slash + 1 : url;
}

static char *text_or_null(const void *data, size_t len)
{
	char *text = len ? mem_alloc(len + 1) : NULL;

	if (text)
		memcpy(text, data, len);
	return text;
}

bool runtime_options_is_type(const char *url)
{
	size_t suffix = strlen(OPTIONS_SUFFIX), len = strlen(url);

	return len >= suffix && strcmp(url + len - suffix, OPTIONS_SUFFIX) == 0;
}

/* containerd 2.0 to 2.2 put the address of a sandbox's shim into options of runc's, whatever the
 * runtime of the sandbox is. */
static bool only_says_where(const Google__Protobuf__Any *any)
{
	ProtobufCMessage *message = NULL;
	bool only;

	if (strcmp(type_name(any->type_url), RUNC_OPTIONS_TYPE) != 0 ||
	    message_decode(&containerd__runc__v1__options__descriptor, any->value.data,
	                   any->value.len, &message, NULL) < 0)
		return false;
	only = *((const Containerd__Runc__V1__Options *)message)->task_api_address &&
	       message->n_unknown_fields == 0;
	message_free(message);
	return only;
}

int runtime_options_read(const Google__Protobuf__Any *any, struct runtime_options *out,
                         struct error *err)
{
	const Runtimeoptions__V1__Options *options;
	ProtobufCMessage *message = NULL;
	int r;

	*out = (struct runtime_options){ 0 };
	if (!any || (!*any->type_url && !any->value.len))
		return 0;
	if (only_says_where(any))
		return 0;
	if (strstr(type_name(any->type_url), ".runc."))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "runtime options of type \"%s\" are runc's, as those of ctr's "
		                 "--no-pivot and --uidmap: expected " RUNTIME_OPTIONS_TYPE,
		                 any->type_url);
	if (strcmp(type_name(any->type_url), RUNTIME_OPTIONS_TYPE) != 0)
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "runtime options of type \"%s\": expected " RUNTIME_OPTIONS_TYPE,
		                 any->type_url);
	r = message_decode(&runtimeoptions__v1__options__descriptor, any->value.data,
	                   any->value.len, &message, err);
	if (r < 0)
		return error_wrap(err, "runtime options");
	options = (const Runtimeoptions__V1__Options *)message;
	out->config_path = text_or_null(options->config_path, strlen(options->config_path));
	out->config_body = text_or_null(options->config_body.data, options->config_body.len);
	message_free(message);
	return 0;
}

void runtime_options_fini(struct runtime_options *options)
{
	free(options->config_path);
	free(options->config_body);
}
