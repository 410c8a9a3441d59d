/*
 * What a command of the shim answers on its standard output. Without stdio: a forked child would
 * have a copy of what is buffered.
 */
#ifndef SHIM_OUTPUT_H
#define SHIM_OUTPUT_H

#include <stddef.h>

struct error;

int output_write(const void *data, size_t len, struct error *err);

#endif
