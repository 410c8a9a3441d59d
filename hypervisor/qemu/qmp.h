/*
 * QMP client: commands to QEMU and events from it, over one socket it owns. Replies are matched to
 * commands by id, so commands may overlap; the handshake is sent at once and commands may follow it
 * without waiting. All input from QEMU is bounded and checked: its guest may have taken it over.
 */
#ifndef HYPERVISOR_QEMU_QMP_H
#define HYPERVISOR_QEMU_QMP_H

#include <jansson.h>

#include "common/cleanup.h"
#include "common/error.h"

struct ev_loop;
struct qmp;

#define QMP_MESSAGE_MAX (1 << 20) /* bytes of one message */
#define QMP_PENDING_MAX 64        /* commands that wait for their reply */

struct qmp_events {
	/* The handshake is through: QEMU takes commands. */
	void (*on_ready)(void *ctx);
	/* @data may be NULL. */
	void (*on_event)(void *ctx, const char *name, const json_t *data);
	/* Once: the connection is of no use any more, after all pending commands have failed. May
	 * destroy @qmp. */
	done_fn *on_lost;
};

/* Takes @fd over, a connected socket. Each member of @events is there. */
struct qmp *qmp_create(struct ev_loop *loop, int fd, int handshake_timeout_ms,
                       const struct qmp_events *events, void *ctx);
void qmp_destroy(struct qmp *qmp); /* NULL is fine; pending callbacks are dropped */

/* @result is what the command returned, valid during the callback; NULL with an error. */
typedef void qmp_done_fn(void *ctx, const json_t *result, const struct error *err);

/*
 * Takes @args over (NULL: none). Returns 0 and calls @done once, from the loop, after @timeout_ms
 * at the latest; or returns -errno and never calls it. A reply that comes later is dropped.
 */
int qmp_execute(struct qmp *qmp, const char *command, json_t *args, int timeout_ms,
                qmp_done_fn *done, void *ctx, struct error *err);

/* The same with a descriptor, for the commands that take one (getfd, add-fd). @fd stays the
 * caller's, who may close it at once; -1: none. */
int qmp_execute_with_fd(struct qmp *qmp, const char *command, json_t *args, int fd, int timeout_ms,
                        qmp_done_fn *done, void *ctx, struct error *err);

CLEANUP_DESTROY(qmp)

#endif
