#include "hypervisor/fs/id_table.h"

#include <assert.h>
#include <stdlib.h>

#include "common/mem.h"

#define CAPACITY_FIRST 64
#define CAPACITY_MAX   (1U << 24)

void id_table_fini(struct id_table *table)
{
	free(table->slots);
	*table = (struct id_table){ 0 };
}

static uint32_t take_slot(struct id_table *table)
{
	uint32_t index = table->free;

	if (index) {
		table->free = table->slots[index].next_free;
		return index;
	}
	if (table->count >= table->capacity) {
		uint32_t capacity = table->capacity ? 2 * table->capacity : CAPACITY_FIRST;

		if (capacity > CAPACITY_MAX)
			return 0;
		table->slots = mem_realloc(table->slots, capacity * sizeof(*table->slots));
		table->capacity = capacity;
	}
	if (!table->count)
		table->slots[table->count++] = (struct id_slot){ 0 };
	index = table->count++;
	table->slots[index] = (struct id_slot){ 0 };
	return index;
}

uint64_t id_table_add(struct id_table *table, void *thing)
{
	uint32_t index = take_slot(table);

	if (!index)
		return 0;
	table->slots[index].thing = thing;
	return (uint64_t)table->slots[index].generation << 32 | index;
}

static struct id_slot *slot_of(const struct id_table *table, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	struct id_slot *slot;

	if (index >= table->count)
		return NULL;
	slot = &table->slots[index];
	return slot->thing && slot->generation == id >> 32 ? slot : NULL;
}

void *id_table_find(const struct id_table *table, uint64_t id)
{
	const struct id_slot *slot = slot_of(table, id);

	return slot ? slot->thing : NULL;
}

void id_table_remove(struct id_table *table, uint64_t id)
{
	struct id_slot *slot = slot_of(table, id);

	assert(slot);
	slot->thing = NULL;
	slot->generation++;
	slot->next_free = table->free;
	table->free = (uint32_t)id;
}
