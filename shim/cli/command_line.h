/*
 * The command line of a shim (containerd runtime/v2/README.md, "Commands"): options as Go's flag
 * package takes them ("-id x", "-id=x", "--id x"), then one command.
 */
#ifndef SHIM_COMMAND_LINE_H
#define SHIM_COMMAND_LINE_H

#include <stdbool.h>

struct error;

/* Strings are those of argv, never NULL where the option is absent: "". */
struct command_line {
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
int command_line_parse(int argc, char *const *argv, struct command_line *out, struct error *err);

/* What a command needs: an id and a namespace that are names as containerd allows them
 * (pkg/identifiers). They become parts of paths. */
int command_line_check_names(const struct command_line *line, struct error *err);

/* The bundle's absolute path, to be freed: the working directory where -bundle is absent. NULL and
 * @err on failure. */
char *command_line_bundle(const struct command_line *line, struct error *err);

#endif
