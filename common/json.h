/*
 * JSON by field tables, on jansson: each row names a key, its type and where its value goes. What
 * is wrong is named with its path (process.args[2]: expected string, found number), or with its
 * line where the text is not JSON at all.
 */
#ifndef COMMON_JSON_H
#define COMMON_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct error;

/* Parses @len bytes of text; "<name>: line 3, column 7: …" on failure. The caller owns *out
 * (json_decref). */
int json_parse(const char *name, const char *text, size_t len, json_t **out, struct error *err);

/* Where a value stands, for error texts: built on the stack as the reader descends. */
struct json_path {
	const struct json_path *up; /* NULL at the top */
	const char *key;            /* NULL: an array element */
	size_t index;
};

/* -EINVAL and "<path>: <text>", as in "process.args[2]: expected string, found number". */
int json_fail(const struct json_path *at, struct error *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
