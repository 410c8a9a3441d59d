/*
 * Any text as TOML. What is refused names its line; what is taken is a tree whose tables have each
 * key once.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/error.h"
#include "common/toml.h"
#include "test/fuzz/fuzz.h"

static void check(bool good)
{
	if (!good)
		abort();
}

/* No member before it has its key. */
static void check_first(const struct toml *table, size_t member)
{
	for (size_t i = 0; i < member; i++)
		check(strcmp(table->items[i]->key, table->items[member]->key) != 0);
}

static void check_value(const struct toml *value, int last_line)
{
	check(value->line >= 1 && value->line <= last_line);
	check(!value->string || strlen(value->string) <= value->len);
	for (size_t i = 0; i < value->n_items; i++) {
		const struct toml *item = value->items[i];

		if (value->type == TOML_TABLE)
			check_first(value, i);
		else
			check(value->type == TOML_ARRAY && !item->key);
		check_value(item, last_line);
	}
}

static int count_lines(const uint8_t *data, size_t size)
{
	int lines = 1;

	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	return lines;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	autodestroy(toml) struct toml *top = NULL;
	struct error err = { 0 };

	if (toml_parse("f", (const char *)data, size, &top, &err) < 0)
		check(!strncmp(err.text, "f:", 2) && !top);
	else
		check_value(top, count_lines(data, size));
	return 0;
}
