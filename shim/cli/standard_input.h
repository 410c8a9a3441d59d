/*
 * Reads the standard input of a command of the shim.
 */
#ifndef SHIM_STANDARD_INPUT_H
#define SHIM_STANDARD_INPUT_H

struct buf;
struct error;

#define STANDARD_INPUT_MAX        (1 << 20)
#define STANDARD_INPUT_TIMEOUT_MS 2000

/* Reads to the end of file, which has to come within STANDARD_INPUT_TIMEOUT_MS. Nothing is read
 * from a terminal: there the command was typed by hand. @out is empty and has a maximum of
 * STANDARD_INPUT_MAX. */
int standard_input_read(int fd, struct buf *out, struct error *err);

#endif
