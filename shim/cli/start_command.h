/*
 * `start`: leaves a process behind that serves the pod (serve.h), or finds the one that does, and
 * prints its address. Nothing is left behind by a failure.
 */
#ifndef SHIM_START_COMMAND_H
#define SHIM_START_COMMAND_H

struct error;
struct command_line;

/* In the forked child this exits when the pod has ended. */
int start_command(const struct command_line *line, char **argv, struct error *err);

#endif
