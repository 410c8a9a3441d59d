/*
 * `containerd-shim-kata-v2 copy-output PATH`: what logger.h runs for output that goes to a file.
 * Opens PATH for writing, making it and its directories where they are missing, and copies
 * standard input to it to its end. Opening and writing may block: so this is a process.
 *
 * When PATH is open, COPY_READY is closed; when it cannot be opened, an errno is written to it, as
 * an int.
 */
#ifndef SHIM_COPY_H
#define SHIM_COPY_H

struct error;
struct command_line;

#define COPY_COMMAND "copy-output"
#define COPY_READY   3

int copy_output(const struct command_line *line, char **argv, struct error *err);

#endif
