/*
 * The command line of a shim (containerd runtime/v2/README.md, "Commands"): options as Go's flag
 * package takes them ("-id x", "-id=x", "--id x"), then one command.
 */
#ifndef SHIM_OPTIONS_H
#define SHIM_OPTIONS_H

#include <stdbool.h>

struct error;

/* Strings are those of argv, never NULL where the option is absent: "". */
struct options {
	const char *namespace;
	const char *address;        /* containerd's gRPC socket; may be empty */
	const char *publish_binary; /* ignored: events go by ttrpc */
	const char *socket;         /* ignored, as the debug socket is: we choose where we listen */
	const char *debug_socket;
	const char *id;
	const char *bundle;
	bool debug;
	bool version;
	bool info;
	const char *command;
};

/* An unknown option, a value that is missing. What follows the command is ignored. */
int options_parse(int argc, char *const *argv, struct options *out, struct error *err);

/* What a command needs: an id and a namespace that are names as containerd allows them
 * (pkg/identifiers). They become parts of paths. */
int options_check_names(const struct options *options, struct error *err);

/* The bundle's absolute path, to be freed: the working directory where -bundle is absent. NULL and
 * @err on failure. */
char *options_bundle(const struct options *options, struct error *err);

#endif
