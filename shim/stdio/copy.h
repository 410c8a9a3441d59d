/*
 * `containerd-shim-kata-v2 copy-output`: what logger.h runs for output that goes to a file. Copies
 * standard input to standard output to its end.
 */
#ifndef SHIM_COPY_H
#define SHIM_COPY_H

struct error;
struct options;

#define COPY_COMMAND "copy-output"

int copy_output(const struct options *options, char **argv, struct error *err);

#endif
