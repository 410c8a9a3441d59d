/*
 * `delete`: what containerd runs when it has lost a shim, and after each shim that has ended. Works
 * from the bundle and /run/kata alone, whatever has happened before, any number of times.
 */
#ifndef SHIM_DELETE_COMMAND_H
#define SHIM_DELETE_COMMAND_H

struct error;
struct command_line;

/*
 * Removes what the pod has left on the host and prints a DeleteResponse with status 137. A pod that
 * is served is not touched: it may be another container that has gone; one that is just ending is
 * waited for.
 */
int delete_command(const struct command_line *line, char **argv, struct error *err);

#endif
