/*
 * JSON by field tables, on jansson: each row names a key, its type and where its value goes. What
 * is wrong is named with its path (process.args[2]: expected string, found integer), or with its
 * line where the text is not JSON at all.
 *
 * The structures that are filled may be protobuf-c messages: strings, nested messages and arrays
 * are allocated by malloc, so that <message>__free_unpacked(message, NULL) frees what was read,
 * also after a failure half-way.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct error;

#define JSON_TEXT_MAX (16 << 20) /* bytes of a text */
/* Elements of an array, members of a map: more than execve(2) takes arguments, which have 6 MiB at
 * most, with 8 bytes for a pointer and 2 for a string each. */
#define JSON_ARRAY_MAX 700000

/*
 * Parses @len bytes of text; "<name>: line 3, column 7: …" on failure. A key that comes twice is an
 * error: readers differ in which one they take. The caller owns *out (json_decref). An integer
 * between 2^63 and 2^64, for which jansson has no type, becomes what json_read() takes for
 * JSON_UINT64, and json_type_name() calls an integer.
 */
int json_parse(const char *name, const char *text, size_t len, json_t **out, struct error *err);

/* Where a value stands, for error texts: built on the stack as the reader descends. */
struct json_path {
	const struct json_path *up; /* NULL at the top */
	const char *key;            /* NULL: an array element */
	size_t index;
};

/* -EINVAL and "<path>: <text>", as in "process.args[2]: expected string, found integer". */
int json_fail(const struct json_path *at, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* ERROR_UNIMPLEMENTED and "<path>: not supported". */
int json_refuse(const struct json_path *at, struct error *err);
/* "integer", "array", …: what error texts call the type of @value. */
const char *json_type_name(const json_t *value);

/* What a row reads, and the C type of the member that takes it. */
enum json_kind {
	JSON_KIND_STRING, /* char * */
	JSON_KIND_BOOL,   /* int: protobuf_c_boolean */
	JSON_KIND_INT64,
	JSON_KIND_UINT32,
	JSON_KIND_UINT64,
	JSON_KIND_OBJECT,  /* struct *, made of the row's table */
	JSON_KIND_STRINGS, /* char **, with its size_t count, as all arrays */
	JSON_KIND_UINT32S, /* uint32_t * */
	JSON_KIND_OBJECTS, /* struct ** */
	/* struct **, one for each member of an object: the table has two rows of JSON_KIND_STRING,
	 * for the name and the value. */
	JSON_KIND_MAP,
	JSON_KIND_REFUSED, /* a value that says anything (not null, false, 0, "", [], {}) is refused
	                    */
	JSON_KIND_CUSTOM,  /* the row's read function */
};

/* @target is the structure of the row's table. */
typedef int json_read_fn(const json_t *value, const struct json_path *at, void *target,
                         struct error *err);

struct json_table;

struct json_field {
	const char *key; /* NULL ends a table */
	size_t offset;
	size_t count; /* the offset of an array's size_t */
	const struct json_table *table;
	json_read_fn *read;
	enum json_kind kind;
	bool required;
};

struct json_table {
	size_t size;
	const void *initial; /* what a new structure is a copy of: the message's __INIT */
	const struct json_field *fields;
};

/* The rows, checked against the type of the member:
 *	{ JSON_STRING(Grpc__Root, "path", path), .required = true }. */
/* clang-format off: one row a line */
/* NOLINTBEGIN(bugprone-macro-parentheses): designated initialisers, no expressions */
#define JSON_STRING(type, name, member)  JSON_ROW(type, name, member, JSON_KIND_STRING, char *)
#define JSON_BOOL(type, name, member)    JSON_ROW(type, name, member, JSON_KIND_BOOL, int)
#define JSON_INT64(type, name, member)   JSON_ROW(type, name, member, JSON_KIND_INT64, int64_t)
#define JSON_UINT32(type, name, member)  JSON_ROW(type, name, member, JSON_KIND_UINT32, uint32_t)
#define JSON_UINT64(type, name, member)  JSON_ROW(type, name, member, JSON_KIND_UINT64, uint64_t)
#define JSON_STRINGS(type, name, member) JSON_ROWS(type, name, member, JSON_KIND_STRINGS, char **)
#define JSON_UINT32S(type, name, member)                                                           \
	JSON_ROWS(type, name, member, JSON_KIND_UINT32S, uint32_t *)
#define JSON_OBJECT(type, name, member, nested)                                                    \
	.key = name, .kind = JSON_KIND_OBJECT, .offset = offsetof(type, member), .table = nested
#define JSON_OBJECTS(type, name, member, nested)                                                   \
	.key = name, .kind = JSON_KIND_OBJECTS, .offset = offsetof(type, member),                  \
	.count = offsetof(type, n_##member), .table = nested
#define JSON_MAP(type, name, member, nested)                                                       \
	.key = name, .kind = JSON_KIND_MAP, .offset = offsetof(type, member),                      \
	.count = offsetof(type, n_##member), .table = nested
#define JSON_REFUSED(name)        .key = name, .kind = JSON_KIND_REFUSED
#define JSON_CUSTOM(name, reader) .key = name, .kind = JSON_KIND_CUSTOM, .read = reader

#define JSON_ROW(type, name, member, kind_, ctype)                                                 \
	.key = name, .kind = kind_, .offset = JSON_OFFSET(type, member, ctype)
#define JSON_ROWS(type, name, member, kind_, ctype)                                                \
	JSON_ROW(type, name, member, kind_, ctype), .count = offsetof(type, n_##member)
#define JSON_OFFSET(type, member, ctype)                                                           \
	(offsetof(type, member) +                                                                  \
	 0 * sizeof(char[__builtin_types_compatible_p(__typeof__(((type *)0)->member), ctype)      \
	                         ? 1                                                               \
	                         : -1]))
/* NOLINTEND(bugprone-macro-parentheses) */
/* clang-format on */

/*
 * Fills @target, a structure of @table that has its initial value, from the object @value. Keys
 * that have no row are ignored; null is taken as absent. On failure @target holds what was read
 * until then, and can be freed.
 */
int json_read(const json_t *value, const struct json_path *at, const struct json_table *table,
              void *target, struct error *err);

/* A new structure of @table, to be freed by its kind's own function. */
void *json_table_new(const struct json_table *table);

#endif
