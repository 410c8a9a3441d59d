#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "hypervisor/vsock/flow_internal.h"
#include "hypervisor/vsock/line.h"

#define CONTROL_EVENTS (EPOLLIN | EPOLLRDHUP)

/* What a CONNECT asks for. */
struct wish {
	uint32_t port;
	enum flow_kind kind;
	bool later;
	const char *greeting; /* NULL: none */
};

static bool parse_port(const char *number, uint32_t *port)
{
	unsigned long value;
	char *end;

	if (!number || *number < '0' || *number > '9')
		return false;
	errno = 0;
	value = strtoul(number, &end, 10);
	*port = value;
	return !errno && !*end && value <= UINT32_MAX;
}

/* @word follows @direction; both may be NULL. */
static bool parse_direction(const char *direction, const char *word, struct wish *wish)
{
	if (direction && !strcmp(direction, LINE_DUPLEX)) {
		wish->kind = FLOW_DUPLEX;
		wish->greeting = word;
		return word && *word && strlen(word) <= LINE_GREETING_MAX;
	}
	wish->later = word;
	if (word && strcmp(word, LINE_LATER) != 0)
		return false;
	if (!direction)
		wish->kind = FLOW_SOCKET;
	else if (!strcmp(direction, LINE_READ))
		wish->kind = FLOW_READ;
	else if (!strcmp(direction, LINE_WRITE))
		wish->kind = FLOW_WRITE;
	else
		return false;
	return true;
}

/* "CONNECT <port>[ READ| WRITE[ LATER]| DUPLEX <greeting>]"; false when it is something else. */
static bool parse_connect(char *line, struct wish *wish)
{
	const char *word = strsep(&line, " ");
	const char *number = strsep(&line, " ");
	const char *direction = strsep(&line, " ");
	const char *last = strsep(&line, " ");

	*wish = (struct wish){ 0 };
	return !strcmp(word, LINE_CONNECT) && parse_port(number, &wish->port) && !line &&
	       parse_direction(direction, last, wish);
}

static void on_control(struct source *source, uint32_t events);

static int watch_control(struct flow *flow, uint32_t events)
{
	source_remove(&flow->control_source, flow->table->epoll);
	return source_add(&flow->control_source, flow->table->epoll, flow->control, events,
	                  on_control);
}

/* The first line of a process; @passed is taken over. */
static void flow_greeted(struct flow *flow, char *line, int passed)
{
	struct wish wish;
	int r = 0;

	if (passed < 0 && !strcmp(line, LINE_PING)) {
		flow_send_line(flow, LINE_OK, 0);
		flow_end(flow);
		return;
	}
	if (!parse_connect(line, &wish) ||
	    (passed >= 0) != (wish.kind != FLOW_SOCKET && !wish.later)) {
		if (passed >= 0)
			close(passed);
		flow_fail(flow, "not a CONNECT line, or its descriptor is missing");
		return;
	}
	flow->kind = wish.kind;
	if (flow->table->host_flows > FLOWS_HOST_MAX) {
		if (passed >= 0)
			close(passed);
		flow_fail(flow, "too many streams are open");
		return;
	}
	if (wish.greeting)
		snprintf(flow->greeting, sizeof(flow->greeting), "%s\n", wish.greeting);
	if (passed >= 0)
		r = flow_attach(flow, passed);
	else if (flow->kind == FLOW_SOCKET)
		r = watch_control(flow, 0); /* what it sends from now on belongs to the stream */
	if (r < 0 || flow->table->closed) {
		flow_fail(flow, r < 0 ? strerrordesc_np(-r) : "the virtual machine has gone");
		return;
	}
	flow_set_state(flow, FLOW_CONNECTING);
	flow_enter(flow, flow_table_new_port(flow->table, wish.port), wish.port);
	connection_owe(&flow->connection, VIRTIO_VSOCK_OP_REQUEST);
	flow_wake(flow);
}

/* A later line of a process that has handed its descriptor over, or will; @passed is taken over. */
static void flow_handle_line(struct flow *flow, const char *line, int passed)
{
	int r;

	if (passed >= 0 && !strcmp(line, LINE_ATTACH) && flow->endpoint.fd < 0) {
		r = flow_attach(flow, passed);
		if (r < 0) {
			flow_fail(flow, strerrordesc_np(-r));
			return;
		}
		flow_written(flow, endpoint_flush(&flow->endpoint));
		if (flow_readable(flow))
			flow_wake(flow);
		return;
	}
	if (passed >= 0)
		close(passed);
	if (strcmp(line, LINE_MOVED) != 0)
		flow_fail(flow, "not a line of the device's protocol");
	else if (flow_send_moved(flow) < 0)
		flow_fail(flow, "the process does not read the answers");
}

static void on_control(struct source *source, uint32_t events)
{
	struct flow *flow = source_owner(source, struct flow, control_source);
	char line[LINE_MAX_SIZE];
	int passed, r;

	if (flow->state == FLOW_CONNECTING && flow->kind == FLOW_SOCKET)
		r = 0; /* only its end is watched */
	else
		r = line_receive(flow->control, line, &passed);
	if (r == -EAGAIN && !(events & EPOLLRDHUP))
		return;
	if (r <= 0)
		flow_fail(flow, "the process that asked for the stream has gone");
	else if (flow->state == FLOW_GREETING)
		flow_greeted(flow, line, passed);
	else
		flow_handle_line(flow, line, passed);
}

void flow_accept(struct flow_table *table, int fd)
{
	struct flow *flow;

	if (table->host_flows == FLOWS_HOST_MAX + FLOWS_GREETING_MAX) {
		close(fd);
		return;
	}
	flow = flow_new(table, false);
	flow->control = fd;
	if (watch_control(flow, CONTROL_EVENTS) < 0)
		flow_fail(flow, "out of descriptors");
}
