/*
 * TOML 1.0 (toml.io/en/v1.0.0), read strictly into a tree. Every value knows its line, so that
 * its reader can report the place of an error. (A NUL byte in a key is refused.)
 */
#ifndef COMMON_TOML_H
#define COMMON_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"

struct error;

#define TOML_TEXT_MAX    (1 << 20) /* bytes of a text */
#define TOML_DEPTH_MAX   64        /* of arrays and inline tables in one another, parts of a key */
#define TOML_MEMBERS_MAX 4096      /* of a table */

enum toml_type {
	TOML_STRING,
	TOML_INTEGER,
	TOML_FLOAT,
	TOML_BOOLEAN,
	TOML_DATETIME, /* any of the four date and time types, as text */
	TOML_ARRAY,
	TOML_TABLE,
};

struct toml {
	enum toml_type type;
	int line;     /* where it begins; for a table of a header or a dotted key, the key's */
	char *key;    /* in a table; NULL in an array and at the top */
	char *string; /* also of TOML_DATETIME; a string can have NUL bytes in it: */
	size_t len;
	int64_t integer;
	double real;
	bool boolean;
	struct toml **items; /* of an array, or the members of a table in the order of the text */
	size_t n_items;
	/* the reader's own */
	bool closed;        /* an inline table or an array of values: nothing is added any more */
	bool header;        /* a [header] has defined it */
	int dotted_section; /* the section whose dotted keys have defined it; 0: none */
};

/* "<name>:<line>: …" on failure. *@out is a table. */
int toml_parse(const char *name, const char *text, size_t len, struct toml **out,
               struct error *err);
void toml_destroy(struct toml *toml); /* NULL is fine */

CLEANUP_DESTROY(toml)

#endif
