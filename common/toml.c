#include "common/toml.h"

#include <errno.h>
#include <string.h>

#include "common/error.h"
#include "common/mem.h"
#include "common/text.h"
#include "common/toml_reader.h"

static int skip_comment(struct toml_reader *reader)
{
	if (toml_peek(reader) != '#')
		return 0;
	while (reader->at < reader->end && !toml_starts(reader, "\n") &&
	       !toml_starts(reader, "\r\n")) {
		unsigned char c = (unsigned char)*reader->at;

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return toml_fail(reader, "control character 0x%02x in a comment", c);
		reader->at++;
	}
	return 0;
}

/* White space, newlines and comments, as between the elements of an array. */
static int skip_blank(struct toml_reader *reader)
{
	int r;

	do {
		toml_spaces(reader);
		r = skip_comment(reader);
	} while (r == 0 && toml_newline(reader));
	return r;
}

static struct toml *new_value(const struct toml_reader *reader, enum toml_type type)
{
	struct toml *value = mem_new(struct toml);

	value->type = type;
	value->line = reader->line;
	return value;
}

void toml_destroy(struct toml *toml)
{
	if (!toml)
		return;
	for (size_t i = 0; i < toml->n_items; i++)
		toml_destroy(toml->items[i]);
	free(toml->items);
	free(toml->key);
	free(toml->string);
	free(toml);
}

/* Room is taken in powers of two. */
static struct toml *add_item(struct toml *to, struct toml *item)
{
	if ((to->n_items & (to->n_items - 1)) == 0)
		to->items = mem_realloc(to->items, (to->n_items ? to->n_items * 2 : 1) *
		                                           sizeof(struct toml *));
	to->items[to->n_items++] = item;
	return item;
}

static struct toml *find(const struct toml *table, const char *key)
{
	for (size_t i = 0; i < table->n_items; i++)
		if (!strcmp(table->items[i]->key, key))
			return table->items[i];
	return NULL;
}

static int read_value(struct toml_reader *reader, struct toml **out);

static int read_elements(struct toml_reader *reader, struct toml *array)
{
	for (;;) {
		struct toml *element = NULL;
		int r = skip_blank(reader);

		if (r < 0 || toml_skip(reader, "]"))
			return r;
		r = read_value(reader, &element);
		if (r < 0)
			return r;
		add_item(array, element);
		r = skip_blank(reader);
		if (r < 0 || toml_skip(reader, "]"))
			return r;
		if (!toml_skip(reader, ","))
			return toml_fail_here(reader, "',' or ']'");
	}
}

static int read_pair(struct toml_reader *reader, struct toml *table);

static int read_members(struct toml_reader *reader, struct toml *table)
{
	toml_spaces(reader);
	if (toml_skip(reader, "}"))
		return 0;
	for (;;) {
		int r;

		toml_spaces(reader);
		r = read_pair(reader, table);
		if (r < 0)
			return r;
		toml_spaces(reader);
		if (toml_skip(reader, "}"))
			return 0;
		if (!toml_skip(reader, ","))
			return toml_fail_here(reader, "',' or '}'");
	}
}

static int read_nested(struct toml_reader *reader, struct toml **out)
{
	bool is_array = toml_skip(reader, "[");
	autodestroy(toml) struct toml *value =
		new_value(reader, is_array ? TOML_ARRAY : TOML_TABLE);
	int r;

	if (!is_array)
		toml_skip(reader, "{");
	if (reader->depth == TOML_DEPTH_MAX)
		return toml_fail(reader, "more than %d arrays and tables in one another",
		                 TOML_DEPTH_MAX);
	reader->depth++;
	r = is_array ? read_elements(reader, value) : read_members(reader, value);
	reader->depth--;
	if (r < 0)
		return r;
	value->closed = true;
	*out = take_ptr(&value);
	return 0;
}

static int read_scalar(struct toml_reader *reader, struct toml *value)
{
	char c = toml_peek(reader);

	if (c == '"' || c == '\'')
		return toml_read_string(reader, &value->string, &value->len);
	value->type = TOML_BOOLEAN;
	value->boolean = toml_starts(reader, "true");
	if (toml_skip(reader, "true") || toml_skip(reader, "false"))
		return 0;
	if ((c >= '0' && c <= '9') || c == '+' || c == '-' || c == 'i' || c == 'n')
		return toml_read_number(reader, value);
	return toml_fail_here(reader, "a value");
}

static int read_value(struct toml_reader *reader, struct toml **out)
{
	autodestroy(toml) struct toml *value = NULL;
	int r;

	if (toml_peek(reader) == '[' || toml_peek(reader) == '{')
		return read_nested(reader, out);
	value = new_value(reader, TOML_STRING);
	r = read_scalar(reader, value);
	if (r == 0)
		*out = take_ptr(&value);
	return r;
}

/* A new member, if there is room. */
static int add_member(struct toml_reader *reader, struct toml *table, struct toml *member,
                      char **key)
{
	if (table->n_items == TOML_MEMBERS_MAX) {
		toml_destroy(member);
		toml_fail(reader, "a table of more than %d keys", TOML_MEMBERS_MAX);
		return -EINVAL;
	}
	add_item(table, member)->key = take_ptr(key);
	return 0;
}

/* The table @key of @table, made if missing; in an array of tables the last one. */
static int enter(struct toml_reader *reader, struct toml *table, char **key, struct toml **out)
{
	struct toml *next = find(table, *key);

	if (!next) {
		next = new_value(reader, TOML_TABLE);
		if (add_member(reader, table, next, key) < 0)
			return -EINVAL;
	}
	if (next->type == TOML_ARRAY && !next->closed)
		next = next->items[next->n_items - 1];
	if (next->type != TOML_TABLE || next->closed)
		return toml_fail(reader, "key \"%s\" has a value already", *key);
	*out = next;
	return 0;
}

/* One part of a dotted key before the last: what a header, or another section, has defined is not
 * added to. */
static int enter_dotted(struct toml_reader *reader, struct toml *table, char **key,
                        struct toml **out)
{
	const struct toml *there = find(table, *key);
	int r;

	if (there && there->type == TOML_ARRAY)
		return toml_fail(reader, "key \"%s\" has a value already", *key);
	if (there &&
	    (there->header || (there->dotted_section && there->dotted_section != reader->section)))
		return toml_fail(reader, "table \"%s\" is defined already", *key);
	r = enter(reader, table, key, out);
	if (r == 0)
		(*out)->dotted_section = reader->section;
	return r;
}

/* After a key: true if a dot says that another follows. */
static bool skip_dot(struct toml_reader *reader)
{
	toml_spaces(reader);
	if (!toml_skip(reader, "."))
		return false;
	toml_spaces(reader);
	return true;
}

static int add_pair(struct toml_reader *reader, struct toml *table, char **key)
{
	struct toml *value = NULL;
	int r;

	if (find(table, *key))
		return toml_fail(reader, "key \"%s\" comes twice", *key);
	if (!toml_skip(reader, "="))
		return toml_fail_here(reader, "'='");
	toml_spaces(reader);
	r = read_value(reader, &value);
	return r < 0 ? r : add_member(reader, table, value, key);
}

/* a.b.c = value */
static int read_pair(struct toml_reader *reader, struct toml *table)
{
	for (int parts = 1; parts <= TOML_DEPTH_MAX; parts++) {
		autofree char *key = NULL;
		int r = toml_read_key(reader, &key);

		if (r < 0)
			return r;
		if (!skip_dot(reader))
			return add_pair(reader, table, &key);
		r = enter_dotted(reader, table, &key, &table);
		if (r < 0)
			return r;
	}
	return toml_fail(reader, "a key of more than %d parts", TOML_DEPTH_MAX);
}

static int define_table(struct toml_reader *reader, struct toml *parent, char **key,
                        struct toml **out)
{
	struct toml *there = find(parent, *key);

	if (there && (there->header || there->dotted_section || there->type == TOML_ARRAY))
		return toml_fail(reader, "table \"%s\" is defined already", *key);
	if (enter(reader, parent, key, out) < 0)
		return -EINVAL;
	(*out)->header = true;
	return 0;
}

static int define_element(struct toml_reader *reader, struct toml *parent, char **key,
                          struct toml **out)
{
	struct toml *array = find(parent, *key);

	if (array && (array->type != TOML_ARRAY || array->closed))
		return toml_fail(reader, "key \"%s\" is not an array of tables", *key);
	if (!array) {
		array = new_value(reader, TOML_ARRAY);
		if (add_member(reader, parent, array, key) < 0)
			return -EINVAL;
	}
	*out = add_item(array, new_value(reader, TOML_TABLE));
	(*out)->header = true;
	return 0;
}

/* [a.b] or [[a.b]]; the table that what follows belongs to. */
static int read_header(struct toml_reader *reader, struct toml *table, struct toml **out)
{
	bool is_array = toml_skip(reader, "[[");

	if (!is_array)
		toml_skip(reader, "[");
	reader->section++;
	for (int parts = 1; parts <= TOML_DEPTH_MAX; parts++) {
		autofree char *key = NULL;
		int r;

		toml_spaces(reader);
		r = toml_read_key(reader, &key);
		if (r < 0)
			return r;
		if (skip_dot(reader))
			r = enter(reader, table, &key, &table);
		else if (!toml_skip(reader, is_array ? "]]" : "]"))
			return toml_fail_here(reader, is_array ? "']]'" : "']'");
		else
			return is_array ? define_element(reader, table, &key, out)
			                : define_table(reader, table, &key, out);
		if (r < 0)
			return r;
	}
	return toml_fail(reader, "a key of more than %d parts", TOML_DEPTH_MAX);
}

static int read_line(struct toml_reader *reader, struct toml *top, struct toml **current)
{
	char c;
	int r = 0;

	toml_spaces(reader);
	c = toml_peek(reader);
	if (c == '[')
		r = read_header(reader, top, current);
	else if (reader->at < reader->end && c != '#' && c != '\n' && c != '\r')
		r = read_pair(reader, *current);
	toml_spaces(reader);
	if (r == 0)
		r = skip_comment(reader);
	if (r == 0 && reader->at < reader->end && !toml_newline(reader))
		return toml_fail_here(reader, "the end of the line");
	return r;
}

static int check_utf8(struct toml_reader reader)
{
	while (reader.at < reader.end) {
		size_t n = text_utf8(reader.at, (size_t)(reader.end - reader.at));

		if (n == 0)
			return toml_fail(&reader, "no UTF-8: byte 0x%02x",
			                 (unsigned char)*reader.at);
		reader.line += *reader.at == '\n';
		reader.at += n;
	}
	return 0;
}

int toml_parse(const char *name, const char *text, size_t len, struct toml **out, struct error *err)
{
	struct toml_reader reader = {
		.name = name, .at = text, .end = text + len, .line = 1, .section = 1, .err = err
	};
	autodestroy(toml) struct toml *top = new_value(&reader, TOML_TABLE);
	struct toml *current = top;
	int r;

	if (len > TOML_TEXT_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: longer than %d bytes", name,
		                 TOML_TEXT_MAX);
	r = check_utf8(reader);
	toml_skip(&reader, "\xef\xbb\xbf"); /* a byte order mark */
	while (r == 0 && reader.at < reader.end)
		r = read_line(&reader, top, &current);
	if (r == 0)
		*out = take_ptr(&top);
	return r;
}
