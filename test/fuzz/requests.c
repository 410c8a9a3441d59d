#include "test/fuzz/requests.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/mem.h"
#include "proto/message.h"
#include "proto/ttrpc.pb-c.h"
#include "test/fuzz/frames.h"

#define NUMBERS     16
#define BYTES_UNIT  32
#define ANSWERS_MAX (1 << 20)
#define READ_SIZE   (64 << 10)

void requests_init(struct requests *requests, int client)
{
	*requests = (struct requests){ .client = client, .answers = BUF_INIT(ANSWERS_MAX) };
}

void requests_fini(struct requests *requests)
{
	if (requests->client >= 0)
		close(requests->client);
	requests->client = -1;
	buf_fini(&requests->answers);
}

/* None, or up to twice a page. */
static ProtobufCBinaryData new_bytes(struct script *script)
{
	size_t len = (size_t)script_byte(script) * BYTES_UNIT;

	return (ProtobufCBinaryData){ len, len ? mem_alloc(len) : NULL };
}

static void fill_field(struct script *script, const ProtobufCFieldDescriptor *field, void *member,
                       const struct request_filler *filler)
{
	switch (field->type) {
	case PROTOBUF_C_TYPE_STRING:
		*(char **)member = mem_strdup(filler->text(script, field->name));
		break;
	case PROTOBUF_C_TYPE_UINT32:
		*(uint32_t *)member = script_byte(script) % NUMBERS;
		break;
	case PROTOBUF_C_TYPE_BOOL:
		*(protobuf_c_boolean *)member = script_byte(script) & 1;
		break;
	case PROTOBUF_C_TYPE_BYTES:
		*(ProtobufCBinaryData *)member = new_bytes(script);
		break;
	case PROTOBUF_C_TYPE_MESSAGE:
		*(ProtobufCMessage **)member = filler->message(script, field->name);
		break;
	default:
		break;
	}
}

static void fill_repeated(struct script *script, const ProtobufCFieldDescriptor *field,
                          char *message, const struct request_filler *filler)
{
	size_t *n = (size_t *)(message + field->quantifier_offset);
	ProtobufCMessage **all;

	if (field->type != PROTOBUF_C_TYPE_MESSAGE || !filler->count)
		return;
	*n = filler->count(script, field->name);
	all = *n ? mem_alloc(*n * sizeof(ProtobufCMessage *)) : NULL;
	for (size_t i = 0; i < *n; i++)
		all[i] = filler->message(script, field->name);
	*(ProtobufCMessage ***)(message + field->offset) = all;
}

static ProtobufCMessage *make(struct script *script, const ProtobufCMessageDescriptor *type,
                              const struct request_filler *filler)
{
	ProtobufCMessage *message = mem_alloc(type->sizeof_message);

	protobuf_c_message_init(type, message);
	for (unsigned int i = 0; i < type->n_fields; i++) {
		const ProtobufCFieldDescriptor *field = &type->fields[i];

		if (field->label == PROTOBUF_C_LABEL_REPEATED)
			fill_repeated(script, field, (char *)message, filler);
		else
			fill_field(script, field, (char *)message + field->offset, filler);
	}
	return message;
}

void requests_send(struct requests *requests, struct script *script, const char *service,
                   const struct request_kind *kind, const struct request_filler *filler)
{
	ProtobufCMessage *message = make(script, kind->type, filler);
	Ttrpc__Request request = TTRPC__REQUEST__INIT;

	request.service = (char *)service;
	request.method = (char *)kind->method;
	request.payload = message_encode(message);
	if (requests->sent < REQUESTS_MAX)
		frames_send(requests->client, 2 * requests->sent++ + 1, TTRPC_FRAME_REQUEST, 0,
		            &request.base);
	free(request.payload.data);
	message_free(message);
}

void requests_receive(struct requests *requests)
{
	void *room = buf_reserve(&requests->answers, READ_SIZE);
	struct ttrpc_frame frame;
	long used;

	buf_added(&requests->answers, fuzz_receive(requests->client, room, READ_SIZE));
	while ((used = ttrpc_frame_read((const uint8_t *)buf_data(&requests->answers),
	                                requests->answers.len, &frame, NULL)) > 0) {
		assert(frame.stream / 2 < requests->sent && !requests->answered[frame.stream / 2]);
		requests->answered[frame.stream / 2] = true;
		buf_consume(&requests->answers, (size_t)used);
	}
	assert(used == 0);
}
