#include "common/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/error.h"
#include "common/mem.h"

#define PATH_TEXT_MAX 512 /* of a path in an error text */

/*
 * Integers from 2^63 on, which jansson cannot hold: 19 or 20 decimal digits are overwritten by a
 * string of the same length, so that the positions in error texts stay true. Its first character is
 * one that Unicode reserves for such private use (U+FDD0, a noncharacter); a text that has it
 * itself is refused, so no string can be taken for a number.
 */
#define BIG_MARK   "\xef\xb7\x90"
#define BIG_ESCAPE "\\ufdd0"
#define BIG_BASE   32

static bool starts_number(const char *text, size_t at)
{
	char before = at ? text[at - 1] : ' ';

	return text[at] >= '1' && text[at] <= '9' && !strchr("0123456789.-+eE", before);
}

static void replace_big(char *digits, size_t n)
{
	static const char letters[] = "0123456789abcdefghijklmnopqrstuv"; /* of strtoull(3) */
	const char opening[] = { '"', BIG_MARK[0], BIG_MARK[1], BIG_MARK[2] };
	char number[32];
	uint64_t value;

	snprintf(number, sizeof(number), "%.*s", (int)n, digits);
	errno = 0;
	value = strtoull(number, NULL, 10);
	if (errno || value <= INT64_MAX)
		return;
	memcpy(digits, opening, sizeof(opening));
	digits[n - 1] = '"';
	for (size_t i = n - 2; i >= 4; i--, value /= BIG_BASE)
		digits[i] = letters[value % BIG_BASE];
}

static bool has_mark(const char *text, size_t len)
{
	for (size_t i = 0; i + strlen(BIG_MARK) <= len; i++)
		if (!memcmp(text + i, BIG_MARK, strlen(BIG_MARK)) ||
		    (text[i] == '\\' && i + strlen(BIG_ESCAPE) <= len &&
		     !strncasecmp(text + i, BIG_ESCAPE, strlen(BIG_ESCAPE))))
			return true;
	return false;
}

static char *with_big_integers_replaced(const char *text, size_t len)
{
	char *copy = mem_dup(text, len);
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		size_t n = 0;

		if (in_string && copy[i] == '\\')
			i++;
		else if (copy[i] == '"')
			in_string = !in_string;
		if (in_string || i >= len || !starts_number(copy, i))
			continue;
		while (i + n < len && copy[i + n] >= '0' && copy[i + n] <= '9')
			n++;
		if ((n == 19 || n == 20) && (i + n == len || !strchr(".eE", copy[i + n])))
			replace_big(copy + i, n);
		i += n - 1;
	}
	return copy;
}

int json_parse(const char *name, const char *text, size_t len, json_t **out, struct error *err)
{
	autofree char *copy = NULL;
	json_error_t cause;
	json_t *value;

	if (len > JSON_TEXT_MAX)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: longer than %d bytes", name,
		                 JSON_TEXT_MAX);
	if (has_mark(text, len))
		return error_set(err, ERROR_INVALID_ARGUMENT,
		                 "%s: invalid character U+FDD0: it stands for no text", name);
	copy = with_big_integers_replaced(text, len);
	value = json_loadb(copy, len, JSON_REJECT_DUPLICATES, &cause);
	if (!value)
		return error_set(err, ERROR_INVALID_ARGUMENT, "%s: line %d, column %d: %s", name,
		                 cause.line, cause.column, cause.text);
	*out = value;
	return 0;
}

static void path_append(const struct json_path *at, char *text, size_t size)
{
	size_t len;

	if (!at)
		return;
	path_append(at->up, text, size);
	len = strlen(text);
	if (at->key)
		snprintf(text + len, size - len, "%s%s", len ? "." : "", at->key);
	else
		snprintf(text + len, size - len, "[%zu]", at->index);
}

int json_fail(const struct json_path *at, struct error *err, const char *fmt, ...)
{
	char path[PATH_TEXT_MAX] = "";
	va_list args;

	va_start(args, fmt);
	error_vset(err, ERROR_INVALID_ARGUMENT, fmt, args);
	va_end(args);
	path_append(at, path, sizeof(path));
	if (*path)
		error_wrap(err, "%s", path);
	return -EINVAL;
}

int json_refuse(const struct json_path *at, struct error *err)
{
	char path[PATH_TEXT_MAX] = "";

	path_append(at, path, sizeof(path));
	return error_set(err, ERROR_UNIMPLEMENTED, "%s: not supported", path);
}

/* What json_parse() has made of an integer from 2^63 on. */
static bool is_big(const json_t *value, uint64_t *out)
{
	const char *text = json_string_value(value);

	if (!text || strncmp(text, BIG_MARK, strlen(BIG_MARK)) != 0)
		return false;
	*out = strtoull(text + strlen(BIG_MARK), NULL, BIG_BASE);
	return true;
}

const char *json_type_name(const json_t *value)
{
	static const char *const names[] = {
		[JSON_OBJECT] = "object",   [JSON_ARRAY] = "array",   [JSON_STRING] = "string",
		[JSON_INTEGER] = "integer", [JSON_REAL] = "fraction", [JSON_TRUE] = "boolean",
		[JSON_FALSE] = "boolean",   [JSON_NULL] = "null",
	};
	uint64_t big;

	if (is_big(value, &big))
		return "integer";
	return value ? names[json_typeof(value)] : "nothing";
}

static int wrong_type(const json_t *value, const struct json_path *at, const char *wanted,
                      struct error *err)
{
	return json_fail(at, err, "expected %s, found %s", wanted, json_type_name(value));
}

static int read_string(const json_t *value, const struct json_path *at, char **target,
                       struct error *err)
{
	uint64_t big;

	if (!json_is_string(value) || is_big(value, &big))
		return wrong_type(value, at, "string", err);
	*target = mem_strdup(json_string_value(value));
	return 0;
}

static int read_bool(const json_t *value, const struct json_path *at, int *target,
                     struct error *err)
{
	if (!json_is_boolean(value))
		return wrong_type(value, at, "boolean", err);
	*target = json_is_true(value);
	return 0;
}

static int read_int(const json_t *value, const struct json_path *at, int64_t min, int64_t max,
                    int64_t *out, struct error *err)
{
	json_int_t n = json_integer_value(value);
	uint64_t big;

	if (is_big(value, &big))
		return json_fail(at, err,
		                 "expected integer from %" PRId64 " to %" PRId64 ", found %" PRIu64,
		                 min, max, big);
	if (!json_is_integer(value))
		return wrong_type(value, at, "integer", err);
	if (n < min || n > max)
		return json_fail(at, err,
		                 "expected integer from %" PRId64 " to %" PRId64
		                 ", found %" JSON_INTEGER_FORMAT,
		                 min, max, n);
	*out = n;
	return 0;
}

static int read_uint64(const json_t *value, const struct json_path *at, uint64_t *target,
                       struct error *err)
{
	int64_t n = 0;
	int r;

	if (is_big(value, target))
		return 0;
	r = read_int(value, at, 0, INT64_MAX, &n, err);
	if (r == 0)
		*target = (uint64_t)n;
	return r;
}

static int read_uint32(const json_t *value, const struct json_path *at, uint32_t *target,
                       struct error *err)
{
	int64_t n = 0;
	int r = read_int(value, at, 0, UINT32_MAX, &n, err);

	if (r == 0)
		*target = (uint32_t)n;
	return r;
}

/* The element is linked to its owner before it is read: what a failure leaves can be freed. */
static int read_object(const json_t *value, const struct json_path *at,
                       const struct json_table *table, void **target, struct error *err)
{
	if (!json_is_object(value))
		return wrong_type(value, at, "object", err);
	*target = json_table_new(table);
	return json_read(value, at, table, *target, err);
}

static int check_count(size_t n, const struct json_path *at, struct error *err)
{
	if (n > JSON_ARRAY_MAX)
		return json_fail(at, err, "%zu elements are more than %d", n, JSON_ARRAY_MAX);
	return 0;
}

static size_t element_size(enum json_kind kind)
{
	return kind == JSON_KIND_UINT32S ? sizeof(uint32_t) : sizeof(void *);
}

static int read_element(const struct json_field *field, const json_t *value,
                        const struct json_path *at, void *array, size_t i, struct error *err)
{
	if (field->kind == JSON_KIND_STRINGS)
		return read_string(value, at, (char **)array + i, err);
	if (field->kind == JSON_KIND_UINT32S)
		return read_uint32(value, at, (uint32_t *)array + i, err);
	return read_object(value, at, field->table, (void **)array + i, err);
}

static int read_array(const struct json_field *field, const json_t *value,
                      const struct json_path *at, void *target, struct error *err)
{
	void **array = (void **)((char *)target + field->offset);
	size_t *count = (size_t *)((char *)target + field->count);
	size_t n = json_array_size(value);
	int r;

	if (!json_is_array(value))
		return wrong_type(value, at, "array", err);
	r = check_count(n, at, err);
	if (r < 0 || n == 0)
		return r;
	*array = mem_alloc(n * element_size(field->kind));
	for (size_t i = 0; i < n; i++) {
		struct json_path element = { .up = at, .index = i };

		*count = i + 1;
		r = read_element(field, json_array_get(value, i), &element, *array, i, err);
		if (r < 0)
			return r;
	}
	return 0;
}

static int read_map(const struct json_field *field, const json_t *value, const struct json_path *at,
                    void *target, struct error *err)
{
	const struct json_field *name_row = &field->table->fields[0];
	const struct json_field *value_row = &field->table->fields[1];
	void ***entries = (void ***)((char *)target + field->offset);
	size_t *count = (size_t *)((char *)target + field->count);
	size_t n = json_object_size(value);
	const char *key;
	json_t *member;
	int r;

	if (!json_is_object(value))
		return wrong_type(value, at, "object", err);
	r = check_count(n, at, err);
	if (r < 0 || n == 0)
		return r;
	*entries = mem_alloc(n * sizeof(void *));
	json_object_foreach ((json_t *)value, key, member) {
		struct json_path element = { .up = at, .key = key };
		char *entry = json_table_new(field->table);

		(*entries)[(*count)++] = entry;
		*(char **)(entry + name_row->offset) = mem_strdup(key);
		r = read_string(member, &element, (char **)(entry + value_row->offset), err);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool is_empty_value(const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return json_object_size(value) == 0;
	case JSON_ARRAY:
		return json_array_size(value) == 0;
	case JSON_STRING:
		return json_string_length(value) == 0;
	case JSON_INTEGER:
	case JSON_REAL:
		return json_number_value(value) == 0;
	case JSON_TRUE:
		return false;
	case JSON_FALSE:
	case JSON_NULL:
		return true;
	}
	return false;
}

static int read_field(const struct json_field *field, const json_t *value,
                      const struct json_path *at, void *target, struct error *err)
{
	void *member = (char *)target + field->offset;

	switch (field->kind) {
	case JSON_KIND_STRING:
		return read_string(value, at, member, err);
	case JSON_KIND_BOOL:
		return read_bool(value, at, member, err);
	case JSON_KIND_INT64:
		return read_int(value, at, INT64_MIN, INT64_MAX, member, err);
	case JSON_KIND_UINT32:
		return read_uint32(value, at, member, err);
	case JSON_KIND_UINT64:
		return read_uint64(value, at, member, err);
	case JSON_KIND_OBJECT:
		return read_object(value, at, field->table, member, err);
	case JSON_KIND_STRINGS:
	case JSON_KIND_UINT32S:
	case JSON_KIND_OBJECTS:
		return read_array(field, value, at, target, err);
	case JSON_KIND_MAP:
		return read_map(field, value, at, target, err);
	case JSON_KIND_REFUSED:
		return is_empty_value(value) ? 0 : json_refuse(at, err);
	case JSON_KIND_CUSTOM:
		return field->read(value, at, target, err);
	}
	return json_fail(at, err, "a table row of unknown kind");
}

int json_read(const json_t *value, const struct json_path *at, const struct json_table *table,
              void *target, struct error *err)
{
	if (!json_is_object(value))
		return wrong_type(value, at, "object", err);
	for (const struct json_field *field = table->fields; field->key; field++) {
		const json_t *member = json_object_get(value, field->key);
		struct json_path path = { .up = at, .key = field->key };
		int r = 0;

		if (member && !json_is_null(member))
			r = read_field(field, member, &path, target, err);
		else if (field->required)
			r = json_fail(&path, err, "missing");
		if (r < 0)
			return r;
	}
	return 0;
}

void *json_table_new(const struct json_table *table)
{
	return mem_dup(table->initial, table->size);
}
