/*
 * What the parts of the TOML reader share: the place in the text, and how to go on from it
 * (toml_reader.c). Strings and numbers stand on it alone, toml.c on them.
 */
#ifndef COMMON_TOML_READER_H
#define COMMON_TOML_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/toml.h"

struct toml_reader {
	const char *name; /* of the text, for errors */
	const char *at;
	const char *end;
	int line;
	int depth;
	int section; /* counts the headers */
	struct error *err;
};

/* -EINVAL, with "<name>:<line>: " before the text. */
int toml_fail(struct toml_reader *reader, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int toml_fail_here(struct toml_reader *reader, const char *wanted); /* "expected …, found 'x'" */

char toml_peek(const struct toml_reader *reader); /* the next byte; NUL at the end */
bool toml_starts(const struct toml_reader *reader, const char *text);
bool toml_skip(struct toml_reader *reader, const char *text); /* if it starts with that */
bool toml_newline(struct toml_reader *reader);                /* consumes one, if there is one */
void toml_spaces(struct toml_reader *reader);                 /* spaces and tabs */

/* Strings and keys (toml_string.c). *@out is free()d by the caller. */
int toml_read_string(struct toml_reader *reader, char **out, size_t *len);
int toml_read_key(struct toml_reader *reader, char **out);

/* Numbers, dates and times, "inf" and "nan" (toml_number.c). */
int toml_read_number(struct toml_reader *reader, struct toml *value);

#endif
