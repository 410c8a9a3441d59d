/*
 * Where containerd wants a stream to go: the forms of stdin, stdout and stderr in Create and Exec
 * (containerd runtime/v2/README.md, "IO").
 */
#ifndef SHIM_STDIO_URI_H
#define SHIM_STDIO_URI_H

#include <stddef.h>

#include "common/cleanup.h"

struct error;

enum stdio_kind {
	STDIO_NONE,   /* "": /dev/null */
	STDIO_FIFO,   /* "/path" and "fifo:///path" */
	STDIO_FILE,   /* "file:///path": appended to, made if missing; any kind of file */
	STDIO_LOGGER, /* "binary:///path?key=value&…": a program */
};

#define STDIO_ARGS_MAX 128 /* keys and values of a logger */

struct stdio_uri {
	enum stdio_kind kind;
	char *path;
	/* Of a logger: "key", "value", … in the order of the query, decoded; NULL-terminated. A key
	 * without a value has an empty one; of a key that comes twice the first counts. */
	char *args[STDIO_ARGS_MAX + 1];
};

/* ERROR_INVALID_ARGUMENT: an unknown scheme, or a path that is not absolute. */
int stdio_uri_parse(const char *text, struct stdio_uri *out, struct error *err);
void stdio_uri_fini(struct stdio_uri *uri); /* of a zeroed one, too */

#endif
