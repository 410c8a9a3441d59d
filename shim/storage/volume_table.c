#include "shim/storage/volume_table.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "common/mem.h"
#include "shim/storage/volume_identity.h"

struct entry {
	LIST_ENTRY(entry) link;
	uint64_t place;
	struct volume_identity what;
	unsigned int uses;
};

struct volume_table {
	LIST_HEAD(entry_list, entry) entries;
	uint64_t next_place;
	unsigned int children;
};

struct volume_table *volume_table_create(void)
{
	struct volume_table *table = mem_new(struct volume_table);

	LIST_INIT(&table->entries);
	return table;
}

static void remove_entry(struct entry *entry)
{
	LIST_REMOVE(entry, link);
	free(entry);
}

void volume_table_destroy(struct volume_table *table)
{
	struct entry *entry;

	if (!table)
		return;
	while ((entry = LIST_FIRST(&table->entries)))
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): LIST_REMOVE() moves the head */
		remove_entry(entry);
	free(table);
}

uint64_t volume_table_begin(struct volume_table *table, size_t n)
{
	uint64_t first = table->next_place;

	table->next_place += n;
	table->children++;
	return first;
}

void volume_table_end(struct volume_table *table)
{
	assert(table->children > 0);
	table->children--;
}

static bool serves(const struct volume_identity *mounted, const struct volume_identity *what)
{
	return mounted->device == what->device && mounted->inode == what->inode &&
	       mounted->mount == what->mount && mounted->recursive == what->recursive &&
	       mounted->follow == what->follow && !mounted->has_mounts && !what->has_mounts &&
	       (what->read_only || !mounted->read_only);
}

/* A writable one first: it is where a socket of another container is. */
static struct entry *find(const struct volume_table *table, const struct volume_identity *what)
{
	struct entry *entry, *found = NULL;

	LIST_FOREACH (entry, &table->entries, link)
		if (serves(&entry->what, what) && (!found || !entry->what.read_only))
			found = entry;
	return found;
}

bool volume_table_find(const struct volume_table *table, const struct volume_identity *what,
                       uint64_t *place)
{
	const struct entry *entry = find(table, what);

	if (entry)
		*place = entry->place;
	return entry;
}

static struct entry *entry_at(const struct volume_table *table, uint64_t place)
{
	struct entry *entry;

	LIST_FOREACH (entry, &table->entries, link)
		if (entry->place == place)
			return entry;
	return NULL;
}

const struct volume_identity *volume_table_at(const struct volume_table *table, uint64_t place)
{
	const struct entry *entry = entry_at(table, place);

	assert(entry);
	return &entry->what;
}

static struct entry *add(struct volume_table *table, const struct volume_identity *what,
                         uint64_t place)
{
	struct entry *entry = mem_new(struct entry);

	entry->place = place;
	entry->what = *what;
	LIST_INSERT_HEAD(&table->entries, entry, link);
	return entry;
}

uint64_t volume_table_use(struct volume_table *table, const struct volume_identity *what,
                          uint64_t place)
{
	struct entry *found = find(table, what);
	struct entry *mounted = entry_at(table, place);

	if (!mounted)
		mounted = add(table, what, place);
	if (!found)
		found = mounted;
	found->uses++;
	return found->place;
}

void volume_table_leave(struct volume_table *table, uint64_t place)
{
	struct entry *entry = entry_at(table, place);

	assert(entry && entry->uses > 0);
	entry->uses--;
}

size_t volume_table_take_unused(struct volume_table *table, uint64_t **out)
{
	struct entry *entry, *next;
	uint64_t *places = NULL;
	size_t n = 0;

	for (entry = table->children > 0 ? NULL : LIST_FIRST(&table->entries); entry;
	     entry = next) {
		next = LIST_NEXT(entry, link);
		if (entry->uses > 0)
			continue;
		places = mem_realloc(places, (n + 1) * sizeof(*places));
		places[n++] = entry->place;
		remove_entry(entry);
	}
	*out = places;
	return n;
}
