/*
 * The flows of a device: all of them, those that have ports (a hash table), those that wait to send
 * to the guest, those that have ended; and last packets about flows that are no more. It knows of a
 * flow only its link.
 */
#ifndef HYPERVISOR_VSOCK_FLOW_TABLE_H
#define HYPERVISOR_VSOCK_FLOW_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "hypervisor/vsock/connection.h"

#define FLOW_TABLE_BUCKETS       256 /* a power of two */
#define FLOW_TABLE_FAREWELLS_MAX 256

/* Embedded in a flow; flow_of_link() of flow.h leads back. */
struct flow_link {
	const struct connection *connection; /* the flow's own; its ports are the key */
	bool waiting;                        /* the flow has something for the guest */
	LIST_ENTRY(flow_link) in_flows;
	LIST_ENTRY(flow_link) in_table;
	TAILQ_ENTRY(flow_link) in_list; /* of the waiting, or of the ended */
};

LIST_HEAD(flow_list, flow_link);
TAILQ_HEAD(flow_queue, flow_link);

/* A last packet to the guest about a flow that is no more, or has never been. */
struct farewell {
	uint32_t host_port;
	uint32_t guest_port;
	uint32_t flags;
	uint16_t op;
	uint16_t type;
};

struct flow_table {
	int epoll;   /* of the device's loop; flows watch their descriptors by it */
	bool closed; /* the VMM has gone: no new flows, old ones hand on what they have */
	struct flow_list flows; /* all of them, but those that have ended */
	struct flow_list buckets[FLOW_TABLE_BUCKETS];
	struct flow_queue waiting;
	struct flow_queue ended;
	unsigned int host_flows;
	unsigned int guest_flows;
	uint32_t next_port;
	struct farewell farewells[FLOW_TABLE_FAREWELLS_MAX];
	unsigned int first_farewell;
	unsigned int farewell_count;
};

void flow_table_init(struct flow_table *table, int epoll);

struct flow_link *flow_table_find(struct flow_table *table, uint32_t host_port,
                                  uint32_t guest_port);
void flow_table_enter(struct flow_table *table, struct flow_link *link); /* by its ports */
void flow_table_leave(struct flow_table *table, struct flow_link *link); /* waits no more, either */
/* A port of the host that no flow to @guest_port has. */
uint32_t flow_table_new_port(struct flow_table *table, uint32_t guest_port);

void flow_table_wake(struct flow_table *table,
                     struct flow_link *link); /* it has something to send */
void flow_table_unwake(struct flow_table *table, struct flow_link *link);

/* Dropped when there is no room: the guest is told when it speaks of the flow again. */
void flow_table_say_farewell(struct flow_table *table, const struct farewell *farewell);
bool flow_table_farewells_full(const struct flow_table *table);
const struct farewell *flow_table_first_farewell(const struct flow_table *table); /* NULL: none */
void flow_table_drop_farewell(struct flow_table *table); /* the first has been sent */

#endif
