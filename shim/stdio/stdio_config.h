/*
 * Where the standard streams of one process go and come from: what containerd says of them.
 */
#ifndef SHIM_STDIO_CONFIG_H
#define SHIM_STDIO_CONFIG_H

#include <stdbool.h>

#include "shim/stdio/guest_io.h"

struct config;

/* As containerd names them (shim/stdio/stdio_uri.h); "" is /dev/null. With a terminal there is no err. */
struct stdio_config {
	const char *in;
	const char *out;
	const char *err;
	bool terminal;
	const char *id; /* of the container, and its namespace: for loggers */
	const char *ns;
	const struct config *config; /* outlives the stdio */
	struct guest_io io;          /* no calls: by streams */
};

#endif
