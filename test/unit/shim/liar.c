#include "liar.h"

#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/mem.h"
#include "proto/message.h"
#include "proto/ttrpc.pb-c.h"
#include "proto/ttrpc/ttrpc_frame.h"

#define STREAM_OF_NONE 0x7ffffff1u
#define STREAMS_MAX    256
#define LONG_TEXT      (64u << 10) /* what a socket takes at once */
#define NO_MESSAGE     "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"
#define FRAMES_MAX     (16u << 20)

struct pipe_end {
	struct liar *liar;
	int fd;
	ev_io reader;
	uint8_t *data;
	size_t len;
};

struct liar {
	struct ev_loop *loop;
	char *method;
	enum liar_fault fault;
	struct pipe_end shim;
	struct pipe_end agent;
	uint32_t streams[STREAMS_MAX]; /* of the method's calls */
	size_t n_streams;
	ev_timer late;
	uint8_t *held; /* what is sent late */
	size_t held_len;
};

static void end_connection(struct liar *liar)
{
	struct pipe_end *ends[] = { &liar->shim, &liar->agent };

	for (int i = 0; i < 2; i++) {
		ev_io_stop(liar->loop, &ends[i]->reader);
		cleanup_close(&ends[i]->fd);
		ends[i]->fd = -1;
	}
}

/* The sockets block: what is sent here is little, or its reader waits for it. */
static void send_bytes(int fd, const void *bytes, size_t len)
{
	const char *at = bytes;
	ssize_t n;

	for (; len; at += n, len -= (size_t)n) {
		n = write(fd, at, len);
		if (n < 0)
			return; /* it has gone */
	}
}

static void send_frame(struct liar *liar, const struct ttrpc_frame *frame)
{
	uint8_t header[TTRPC_HEADER_SIZE];

	ttrpc_header_write(header, frame);
	send_bytes(liar->shim.fd, header, sizeof(header));
	send_bytes(liar->shim.fd, frame->payload, frame->len);
}

static void send_message(struct liar *liar, const struct ttrpc_frame *frame,
                         const ProtobufCMessage *message)
{
	ProtobufCBinaryData bytes = message_encode(message);
	struct ttrpc_frame other = *frame;

	other.payload = bytes.data;
	other.len = (uint32_t)bytes.len;
	send_frame(liar, &other);
	free(bytes.data);
}

static void send_status(struct liar *liar, const struct ttrpc_frame *frame, int32_t code,
                        const char *text)
{
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;
	Google__Rpc__Status status = GOOGLE__RPC__STATUS__INIT;

	status.code = code;
	status.message = (char *)text;
	response.status = &status;
	send_message(liar, frame, &response.base);
}

static void on_late(struct ev_loop *loop, ev_timer *timer, int events)
{
	struct liar *liar = timer->data;

	send_bytes(liar->shim.fd, liar->held, liar->held_len);
}

static void hold(struct liar *liar, const struct ttrpc_frame *frame)
{
	if (liar->held)
		return;
	liar->held_len = TTRPC_HEADER_SIZE + frame->len;
	liar->held = mem_alloc(liar->held_len);
	ttrpc_header_write(liar->held, frame);
	memcpy(liar->held + TTRPC_HEADER_SIZE, frame->payload, frame->len);
	ev_timer_start(liar->loop, &liar->late);
}

static void send_no_message(struct liar *liar, const struct ttrpc_frame *frame)
{
	Ttrpc__Response response = TTRPC__RESPONSE__INIT;

	response.payload.data = (uint8_t *)NO_MESSAGE;
	response.payload.len = strlen(NO_MESSAGE);
	send_message(liar, frame, &response.base);
}

static void send_no_response(struct liar *liar, struct ttrpc_frame frame)
{
	frame.payload = (const uint8_t *)NO_MESSAGE;
	frame.len = strlen(NO_MESSAGE);
	send_frame(liar, &frame);
}

static void send_stranger(struct liar *liar, struct ttrpc_frame frame)
{
	frame.stream = STREAM_OF_NONE;
	send_frame(liar, &frame);
}

static void send_of_type(struct liar *liar, struct ttrpc_frame frame, uint8_t type)
{
	frame.type = type;
	send_frame(liar, &frame);
}

static void send_header_only(struct liar *liar, struct ttrpc_frame frame, uint32_t len)
{
	uint8_t header[TTRPC_HEADER_SIZE];

	frame.len = len;
	ttrpc_header_write(header, &frame);
	send_bytes(liar->shim.fd, header, sizeof(header));
}

static void send_long_text(struct liar *liar, const struct ttrpc_frame *frame)
{
	autofree char *text = mem_alloc(LONG_TEXT + 1);

	memset(text, '\x9b', LONG_TEXT);
	text[LONG_TEXT] = '\0';
	send_status(liar, frame, 13, text);
}

static void lie(struct liar *liar, const struct ttrpc_frame *frame)
{
	switch (liar->fault) {
	case LIAR_NEVER:
		break;
	case LIAR_LATE:
		hold(liar, frame);
		break;
	case LIAR_TWICE:
		send_frame(liar, frame);
		send_frame(liar, frame);
		break;
	case LIAR_STRANGER:
		send_stranger(liar, *frame);
		break;
	case LIAR_UNASKED:
		send_stranger(liar, *frame);
		send_frame(liar, frame);
		break;
	case LIAR_NO_RESPONSE:
		send_no_response(liar, *frame);
		break;
	case LIAR_NO_MESSAGE:
		send_no_message(liar, frame);
		break;
	case LIAR_ODD_STATUS:
		send_status(liar, frame, 4711, "an odd status");
		break;
	case LIAR_REQUEST:
		send_of_type(liar, *frame, TTRPC_FRAME_REQUEST);
		break;
	case LIAR_ODD_TYPE:
		send_of_type(liar, *frame, 0xee);
		break;
	case LIAR_CUT_OFF:
		send_header_only(liar, *frame, 100);
		end_connection(liar);
		break;
	case LIAR_TOO_LONG:
		send_header_only(liar, *frame, UINT32_MAX);
		break;
	case LIAR_LONG_TEXT:
		send_long_text(liar, frame);
		break;
	default:
		send_frame(liar, frame);
	}
}

static bool is_about_method(const struct liar *liar, uint32_t stream)
{
	for (size_t i = 0; i < liar->n_streams; i++)
		if (liar->streams[i] == stream)
			return true;
	return false;
}

static void note_request(struct liar *liar, const struct ttrpc_frame *frame)
{
	ProtobufCMessage *message = NULL;

	if (message_decode(&ttrpc__request__descriptor, frame->payload, frame->len, &message,
	                   NULL) < 0)
		abort();
	if (strcmp(((const Ttrpc__Request *)message)->method, liar->method) == 0 &&
	    liar->n_streams < STREAMS_MAX)
		liar->streams[liar->n_streams++] = frame->stream;
	message_free(message);
}

static void on_frame(struct pipe_end *end, const struct ttrpc_frame *frame, size_t size)
{
	struct liar *liar = end->liar;

	if (end == &liar->shim) {
		note_request(liar, frame);
		send_bytes(liar->agent.fd, end->data, size);
	} else if (is_about_method(liar, frame->stream)) {
		lie(liar, frame);
	} else {
		send_bytes(liar->shim.fd, end->data, size);
	}
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct pipe_end *end = watcher->data;
	struct ttrpc_frame frame;
	ssize_t n;
	long size;

	n = read(end->fd, end->data + end->len, FRAMES_MAX - end->len);
	if (n <= 0) {
		end_connection(end->liar);
		return;
	}
	end->len += (size_t)n;
	while (end->fd >= 0 && (size = ttrpc_frame_read(end->data, end->len, &frame, NULL)) > 0) {
		on_frame(end, &frame, (size_t)size);
		end->len -= (size_t)size;
		memmove(end->data, end->data + size, end->len);
	}
}

static void end_init(struct liar *liar, struct pipe_end *end, int fd)
{
	end->liar = liar;
	end->fd = fd;
	end->data = mem_alloc(FRAMES_MAX);
	ev_io_init(&end->reader, on_readable, fd, EV_READ);
	end->reader.data = end;
	ev_io_start(liar->loop, &end->reader);
}

struct liar *liar_create(struct ev_loop *loop, int shim, int agent, const char *method,
                         enum liar_fault fault)
{
	struct liar *liar = mem_new(struct liar);

	liar->loop = loop;
	liar->method = mem_strdup(method);
	liar->fault = fault;
	end_init(liar, &liar->shim, shim);
	end_init(liar, &liar->agent, agent);
	ev_timer_init(&liar->late, on_late, LIAR_LATE_MS / 1e3, 0);
	liar->late.data = liar;
	return liar;
}

void liar_destroy(struct liar *liar)
{
	if (!liar)
		return;
	end_connection(liar);
	ev_timer_stop(liar->loop, &liar->late);
	free(liar->shim.data);
	free(liar->agent.data);
	free(liar->held);
	free(liar->method);
	free(liar);
}
