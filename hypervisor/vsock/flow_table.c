#include "hypervisor/vsock/flow_table.h"

#include <stddef.h>

/* The host's ports are taken upwards from here: no port that anybody listens on, and positive as
 * an int32 too. */
#define PORT_FIRST 0x60000000U
#define PORT_LAST  0x7fffffffU

void flow_table_init(struct flow_table *table, int epoll)
{
	*table = (struct flow_table){ .epoll = epoll };
	TAILQ_INIT(&table->waiting);
	TAILQ_INIT(&table->ended);
}

static struct flow_list *bucket(struct flow_table *table, uint32_t host_port, uint32_t guest_port)
{
	uint32_t hash = (host_port ^ (guest_port * 2654435761U)) * 2654435761U;

	return &table->buckets[hash >> 24 & (FLOW_TABLE_BUCKETS - 1)];
}

struct flow_link *flow_table_find(struct flow_table *table, uint32_t host_port, uint32_t guest_port)
{
	struct flow_link *link;

	LIST_FOREACH (link, bucket(table, host_port, guest_port), in_table)
		if (link->connection->host_port == host_port &&
		    link->connection->guest_port == guest_port)
			return link;
	return NULL;
}

void flow_table_enter(struct flow_table *table, struct flow_link *link)
{
	const struct connection *connection = link->connection;

	LIST_INSERT_HEAD(bucket(table, connection->host_port, connection->guest_port), link,
	                 in_table);
}

void flow_table_leave(struct flow_table *table, struct flow_link *link)
{
	LIST_REMOVE(link, in_table);
	flow_table_unwake(table, link);
}

uint32_t flow_table_new_port(struct flow_table *table, uint32_t guest_port)
{
	do {
		if (table->next_port < PORT_FIRST || table->next_port > PORT_LAST)
			table->next_port = PORT_FIRST;
		table->next_port++;
	} while (flow_table_find(table, table->next_port - 1, guest_port));
	return table->next_port - 1;
}

void flow_table_wake(struct flow_table *table, struct flow_link *link)
{
	if (!link->waiting)
		TAILQ_INSERT_TAIL(&table->waiting, link, in_list);
	link->waiting = true;
}

void flow_table_unwake(struct flow_table *table, struct flow_link *link)
{
	if (link->waiting)
		TAILQ_REMOVE(&table->waiting, link, in_list);
	link->waiting = false;
}

bool flow_table_farewells_full(const struct flow_table *table)
{
	return table->farewell_count == FLOW_TABLE_FAREWELLS_MAX;
}

void flow_table_say_farewell(struct flow_table *table, const struct farewell *farewell)
{
	unsigned int at = table->first_farewell + table->farewell_count;

	if (flow_table_farewells_full(table))
		return;
	table->farewells[at % FLOW_TABLE_FAREWELLS_MAX] = *farewell;
	table->farewell_count++;
}

const struct farewell *flow_table_first_farewell(const struct flow_table *table)
{
	return table->farewell_count ? &table->farewells[table->first_farewell] : NULL;
}

void flow_table_drop_farewell(struct flow_table *table)
{
	table->first_farewell = (table->first_farewell + 1) % FLOW_TABLE_FAREWELLS_MAX;
	table->farewell_count--;
}
