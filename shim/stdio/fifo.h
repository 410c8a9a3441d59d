/*
 * A FIFO that a client has made for input or output, as it is opened: both ends.
 */
#ifndef SHIM_FIFO_H
#define SHIM_FIFO_H

struct error;

/* Without waiting for who opens the other end. @use, "input" or "output", is for the error's text;
 * ERROR_INVALID_ARGUMENT: not a FIFO. */
int fifo_open(const char *path, const char *use, int *read_fd, int *write_fd, struct error *err);

#endif
