#include "shim/cli/handshake.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "common/error.h"
#include "common/mem.h"
#include "proto/bootstrap.pb-c.h"
#include "proto/message.h"
#include "shim/cli/command_line.h"
#include "shim/cli/standard_input.h"

#define LOG_LEVEL_INFO_MAX 0 /* what is below is more talkative */
#define JSON_VERSION       2
#define PROTOBUF_VERSION   3

typedef Containerd__Runtime__Bootstrap__V1__BootstrapParams BootstrapParams;

static char *text_or_null(const char *text)
{
	return text && *text ? mem_strdup(text) : NULL;
}

static int read_extensions(const BootstrapParams *params, struct handshake *handshake,
                           struct error *err)
{
	for (size_t i = 0; i < params->n_extensions; i++) {
		const Google__Protobuf__Any *any = params->extensions[i]->value;

		if (any && runtime_options_is_type(any->type_url))
			return runtime_options_read(any, &handshake->runtime_options, err);
	}
	return 0;
}

/* Returns 1 when @input is what a containerd of 2.3 or later writes for the container of the flags.
 */
static int read_params(const struct buf *input, const struct command_line *line,
                       struct handshake *handshake, struct error *err)
{
	ProtobufCMessage *message = NULL;
	const BootstrapParams *params;
	int r = 0;

	if (message_decode(&containerd__runtime__bootstrap__v1__bootstrap_params__descriptor,
	                   buf_data(input), input->len, &message, NULL) < 0)
		return 0;
	params = (const BootstrapParams *)message;
	if (strcmp(params->instance_id, line->id) == 0 &&
	    strcmp(params->namespace_, line->namespace) == 0) {
		handshake->form = HANDSHAKE_PROTOBUF;
		handshake->debug = line->debug || params->log_level < LOG_LEVEL_INFO_MAX;
		handshake->socket_dir = text_or_null(params->socket_dir);
		handshake->ttrpc_address = text_or_null(params->containerd_ttrpc_address);
		r = read_extensions(params, handshake, err);
		r = r < 0 ? r : 1;
	}
	message_free(message);
	return r;
}

/* What containerd before 2.3 writes: the options alone, or nothing. */
static int read_options(const struct buf *input, struct handshake *handshake, struct error *err)
{
	ProtobufCMessage *message = NULL;
	int r;

	r = message_decode(&google__protobuf__any__descriptor, buf_data(input), input->len,
	                   &message, err);
	if (r < 0)
		return error_wrap(err, "standard input");
	r = runtime_options_read((const Google__Protobuf__Any *)message,
	                         &handshake->runtime_options, err);
	message_free(message);
	return r;
}

/* CRI-O starts a shim with containerd's library, which says that it knows JSON, and then takes the
 * whole answer for the address. It has no address itself. */
static bool knows_json(const struct command_line *line)
{
	const char *version = getenv("MAX_SHIM_VERSION");

	return *line->address && version && strtol(version, NULL, 10) >= JSON_VERSION;
}

int handshake_read(const struct command_line *line, int fd, struct handshake **out,
                   struct error *err)
{
	autodestroy(handshake) struct handshake *handshake = mem_new(struct handshake);
	struct buf input = BUF_INIT(STANDARD_INPUT_MAX);
	int r;

	handshake->form = knows_json(line) ? HANDSHAKE_JSON : HANDSHAKE_ADDRESS;
	handshake->debug = line->debug;
	r = standard_input_read(fd, &input, err);
	if (r == 0)
		r = read_params(&input, line, handshake, err);
	if (r == 0)
		r = read_options(&input, handshake, err);
	buf_fini(&input);
	if (r < 0)
		return r;
	if (!handshake->ttrpc_address)
		handshake->ttrpc_address = text_or_null(getenv("TTRPC_ADDRESS"));
	*out = take_ptr(&handshake);
	return 0;
}

void handshake_destroy(struct handshake *handshake)
{
	if (!handshake)
		return;
	free(handshake->ttrpc_address);
	free(handshake->socket_dir);
	runtime_options_fini(&handshake->runtime_options);
	free(handshake);
}

static ProtobufCBinaryData answer_json(const char *uri)
{
	json_t *answer = json_pack("{s:i, s:s, s:s}", "version", JSON_VERSION, "address", uri,
	                           "protocol", "ttrpc");
	ProtobufCBinaryData bytes = { .data = (uint8_t *)json_dumps(answer, JSON_COMPACT) };

	json_decref(answer);
	if (!bytes.data)
		abort();
	bytes.len = strlen((const char *)bytes.data);
	return bytes;
}

static ProtobufCBinaryData answer_protobuf(const char *uri)
{
	Containerd__Runtime__Bootstrap__V1__BootstrapResult result =
		CONTAINERD__RUNTIME__BOOTSTRAP__V1__BOOTSTRAP_RESULT__INIT;

	result.version = PROTOBUF_VERSION;
	result.address = (char *)uri;
	result.protocol = "ttrpc";
	return message_encode(&result.base);
}

ProtobufCBinaryData handshake_answer(enum handshake_form form, const char *uri)
{
	if (form == HANDSHAKE_JSON)
		return answer_json(uri);
	if (form == HANDSHAKE_PROTOBUF)
		return answer_protobuf(uri);
	return (ProtobufCBinaryData){ .len = strlen(uri), .data = mem_dup(uri, strlen(uri)) };
}
