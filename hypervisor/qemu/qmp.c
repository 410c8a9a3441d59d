#include "hypervisor/qemu/qmp.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/fd_message.h"
#include "common/json.h"
#include "common/mem.h"

#define READ_SIZE  (16 << 10)
#define OUTPUT_MAX (1 << 20)

/* A command that waits for its reply. */
struct command {
	struct qmp *qmp;
	json_int_t id;
	char *name;
	ev_timer deadline;
	int timeout_ms;
	int fd;      /* goes with its first byte; -1: none, or sent */
	uint64_t at; /* where in the stream that is */
	qmp_done_fn *done;
	void *ctx;
};

struct qmp {
	struct ev_loop *loop;
	int fd;
	ev_io reader;
	ev_io writer;
	struct buf in;
	struct buf out;
	uint64_t sent;                             /* bytes that have left @out */
	struct command *passing;                   /* sent with a descriptor, not answered yet */
	struct command *commands[QMP_PENDING_MAX]; /* the oldest first */
	unsigned int ncommands;
	json_int_t last_id;
	struct qmp_events events;
	void *ctx;
	bool lost;
	bool busy;      /* a function of ours is on the stack that calls callbacks */
	bool destroyed; /* by one of them: freed when it returns */
};

/* What the loop calls is between these two. */
static void enter(struct qmp *qmp)
{
	assert(!qmp->busy);
	qmp->busy = true;
}

static void leave(struct qmp *qmp)
{
	qmp->busy = false;
	if (qmp->destroyed)
		free(qmp);
}

/* Takes the command at @i off the list. */
static struct command *command_take(struct qmp *qmp, unsigned int i)
{
	struct command *command = qmp->commands[i];

	qmp->ncommands--;
	for (; i < qmp->ncommands; i++)
		qmp->commands[i] = qmp->commands[i + 1];
	return command;
}

static void command_free(struct command *command)
{
	struct qmp *qmp = command->qmp;

	ev_timer_stop(qmp->loop, &command->deadline);
	if (qmp->passing == command) {
		qmp->passing = NULL;
		if (!qmp->lost)
			ev_io_start(qmp->loop, &qmp->writer); /* the next may pass its own */
	}
	cleanup_close(&command->fd);
	free(command->name);
	free(command);
}

/* Of a command that was taken. The callback may destroy the qmp. */
static void command_complete(struct command *command, const json_t *result, const struct error *err)
{
	qmp_done_fn *done = command->done;
	void *ctx = command->ctx;

	command_free(command);
	done(ctx, result, err);
}

/* Ends the connection; the callbacks may destroy the qmp. */
static void disconnect(struct qmp *qmp, const struct error *err)
{
	if (qmp->lost)
		return;
	qmp->lost = true;
	ev_io_stop(qmp->loop, &qmp->reader);
	ev_io_stop(qmp->loop, &qmp->writer);
	while (qmp->ncommands)
		command_complete(command_take(qmp, 0), NULL, err);
	if (!qmp->destroyed)
		qmp->events.on_lost(qmp->ctx, err);
}

static void on_deadline(struct ev_loop *loop, ev_timer *watcher, int events)
{
	struct command *command = watcher->data;
	struct qmp *qmp = command->qmp;
	unsigned int i = 0;
	struct error err;

	enter(qmp);
	while (qmp->commands[i] != command)
		i++;
	command_take(qmp, i);
	error_set(&err, ERROR_DEADLINE_EXCEEDED, "QEMU has not answered \"%s\" within %d ms",
	          command->name, command->timeout_ms);
	command_complete(command, NULL, &err);
	leave(qmp);
}

/* The command that @id answers, taken off the list; NULL: none. */
static struct command *command_take_by_id(struct qmp *qmp, const json_t *id)
{
	for (unsigned int i = 0; i < qmp->ncommands; i++)
		if (json_is_integer(id) && json_integer_value(id) == qmp->commands[i]->id)
			return command_take(qmp, i);
	return NULL;
}

static void on_reply_error(struct command *command, const json_t *error)
{
	const char *text = json_string_value(json_object_get(error, "desc"));
	struct error err;

	error_set(&err, ERROR_UNKNOWN, "QEMU refused \"%s\": %s", command->name,
	          text ? text : "it does not say why");
	command_complete(command, NULL, &err);
}

static void on_reply(struct qmp *qmp, const json_t *message)
{
	const json_t *error = json_object_get(message, "error");
	struct command *command = command_take_by_id(qmp, json_object_get(message, "id"));

	if (command && error)
		on_reply_error(command, error);
	else if (command)
		command_complete(command, json_object_get(message, "return"), NULL);
}

/* Each of its branches may destroy the qmp. */
static void on_message(struct qmp *qmp, const json_t *message)
{
	const char *event = json_string_value(json_object_get(message, "event"));
	struct error err;

	if (event) {
		qmp->events.on_event(qmp->ctx, event, json_object_get(message, "data"));
	} else if (json_object_get(message, "return") || json_object_get(message, "error")) {
		on_reply(qmp, message);
	} else if (!json_object_get(message, "QMP")) {
		error_set(&err, ERROR_INTERNAL, "QEMU sent an invalid QMP message");
		disconnect(qmp, &err);
	}
}

/* Takes one message off the input: 1; 0 when there is none yet; < 0 when it is broken. */
static int next_message(struct qmp *qmp, json_t **message, struct error *err)
{
	const char *text = buf_data(&qmp->in);
	const char *end = qmp->in.len ? memchr(text, '\n', qmp->in.len) : NULL;
	int r;

	if (!end)
		return 0;
	r = json_parse("QMP", text, (size_t)(end - text), message, err);
	buf_consume(&qmp->in, (size_t)(end - text) + 1);
	return r < 0 ? r : 1;
}

static void handle_messages(struct qmp *qmp)
{
	json_t *message = NULL;
	struct error err;
	int r = 0;

	while (!qmp->lost && !qmp->destroyed && (r = next_message(qmp, &message, &err)) > 0) {
		on_message(qmp, message);
		json_decref(message);
	}
	if (r < 0)
		disconnect(qmp, &err);
}

static void receive(struct qmp *qmp)
{
	struct error err;
	void *room = buf_reserve(&qmp->in, READ_SIZE);
	ssize_t n = room ? recv(qmp->fd, room, READ_SIZE, MSG_DONTWAIT) : 0;

	if (n > 0) {
		buf_added(&qmp->in, (size_t)n);
		handle_messages(qmp);
		return;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (!room)
		error_set(&err, ERROR_INTERNAL, "QEMU sent a QMP message longer than %d bytes",
		          QMP_MESSAGE_MAX);
	else if (n < 0 && errno != ECONNRESET) /* reset: it has gone with our bytes unread */
		error_errno(&err, "cannot read from QEMU");
	else
		error_set(&err, ERROR_UNAVAILABLE, "QEMU has closed its QMP connection");
	disconnect(qmp, &err);
}

static void on_readable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct qmp *qmp = watcher->data;

	enter(qmp);
	receive(qmp);
	leave(qmp);
}

/*
 * How much of the output can be sent now, and the command whose descriptor goes with its first
 * byte. QEMU keeps only the descriptor that came last: while it has not answered the command that
 * passed one, the next such command waits, and what stands behind it.
 */
static size_t sendable(const struct qmp *qmp, struct command **with)
{
	*with = NULL;
	for (unsigned int i = 0; i < qmp->ncommands; i++) {
		struct command *command = qmp->commands[i];

		if (command->fd < 0)
			continue;
		if (command->at > qmp->sent)
			return command->at - qmp->sent;
		if (qmp->passing)
			return 0;
		*with = command;
	}
	return qmp->out.len;
}

static void on_writable(struct ev_loop *loop, ev_io *watcher, int events)
{
	struct qmp *qmp = watcher->data;
	struct command *with;
	size_t len = sendable(qmp, &with);
	ssize_t n = 0;

	if (len)
		n = fd_message_send(qmp->fd, buf_data(&qmp->out), len, with ? &with->fd : NULL,
		                    with ? 1 : 0);

	/* An error is the reader's to see: what QEMU has said before its end comes first. */
	if (n < 0 && n != -EAGAIN && n != -EINTR)
		ev_io_stop(loop, watcher);
	if (n > 0) {
		buf_consume(&qmp->out, (size_t)n);
		qmp->sent += (size_t)n;
	}
	if (n > 0 && with) {
		close(take_fd(&with->fd));
		qmp->passing = with;
	}
	if (!qmp->out.len || !len)
		ev_io_stop(loop, watcher);
}

static int send_command(struct qmp *qmp, json_int_t id, const char *name, json_t *args,
                        struct error *err)
{
	json_t *message =
		json_pack("{s:s, s:o*, s:I}", "execute", name, "arguments", args, "id", id);
	autofree char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;

	json_decref(message);
	if (!text)
		return error_set(err, ERROR_INTERNAL,
		                 "cannot encode QMP command \"%s\": invalid arguments", name);
	if (buf_printf(&qmp->out, "%s\n", text) < 0)
		return error_set(err, ERROR_RESOURCE_EXHAUSTED, "QEMU does not read its commands");
	ev_io_start(qmp->loop, &qmp->writer);
	return 0;
}

int qmp_execute_with_fd(struct qmp *qmp, const char *name, json_t *args, int fd, int timeout_ms,
                        qmp_done_fn *done, void *ctx, struct error *err)
{
	autoclose int own_fd = -1;
	uint64_t at = qmp->sent + qmp->out.len;
	struct command *command;
	int r;

	if (qmp->lost || qmp->ncommands == QMP_PENDING_MAX) {
		json_decref(args);
		return qmp->lost ? error_set(err, ERROR_UNAVAILABLE, "QEMU has gone")
		                 : error_set(err, ERROR_RESOURCE_EXHAUSTED,
		                             "%d commands wait for QEMU already", QMP_PENDING_MAX);
	}
	if (fd >= 0 && (own_fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)) < 0) {
		json_decref(args);
		return error_errno(err, "cannot pass a descriptor to QEMU");
	}
	r = send_command(qmp, qmp->last_id + 1, name, args, err);
	if (r < 0)
		return r;
	command = mem_new(struct command);
	command->qmp = qmp;
	command->id = ++qmp->last_id;
	command->name = mem_strdup(name);
	command->timeout_ms = timeout_ms;
	command->fd = take_fd(&own_fd);
	command->at = at;
	command->done = done;
	command->ctx = ctx;
	ev_timer_init(&command->deadline, on_deadline, timeout_ms / 1e3, 0);
	command->deadline.data = command;
	ev_timer_start(qmp->loop, &command->deadline);
	qmp->commands[qmp->ncommands++] = command;
	return 0;
}

int qmp_execute(struct qmp *qmp, const char *command, json_t *args, int timeout_ms,
                qmp_done_fn *done, void *ctx, struct error *err)
{
	return qmp_execute_with_fd(qmp, command, args, -1, timeout_ms, done, ctx, err);
}

static void on_handshake(void *ctx, const json_t *result, const struct error *err)
{
	struct qmp *qmp = ctx;

	if (err)
		disconnect(qmp, err);
	else
		qmp->events.on_ready(qmp->ctx);
}

struct qmp *qmp_create(struct ev_loop *loop, int fd, int handshake_timeout_ms,
                       const struct qmp_events *events, void *ctx)
{
	struct qmp *qmp = mem_new(struct qmp);

	qmp->loop = loop;
	qmp->fd = fd;
	qmp->in.max = QMP_MESSAGE_MAX;
	qmp->out.max = OUTPUT_MAX;
	qmp->events = *events;
	qmp->ctx = ctx;
	ev_io_init(&qmp->reader, on_readable, fd, EV_READ);
	ev_io_init(&qmp->writer, on_writable, fd, EV_WRITE);
	qmp->reader.data = qmp->writer.data = qmp;
	/* What is there to be read or can be sent wins over a deadline, even after a halt. */
	ev_set_priority(&qmp->reader, EV_MAXPRI);
	ev_set_priority(&qmp->writer, EV_MAXPRI);
	ev_io_start(loop, &qmp->reader);
	/* Nothing is in its way yet: this cannot fail. */
	qmp_execute(qmp, "qmp_capabilities", NULL, handshake_timeout_ms, on_handshake, qmp, NULL);
	return qmp;
}

void qmp_destroy(struct qmp *qmp)
{
	if (!qmp)
		return;
	while (qmp->ncommands)
		command_free(command_take(qmp, 0));
	ev_io_stop(qmp->loop, &qmp->reader);
	ev_io_stop(qmp->loop, &qmp->writer);
	buf_fini(&qmp->in);
	buf_fini(&qmp->out);
	close(qmp->fd);
	qmp->destroyed = true;
	if (!qmp->busy)
		free(qmp);
}
