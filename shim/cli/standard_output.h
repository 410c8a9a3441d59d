/*
 * What a command of the shim answers on its standard output. Without stdio: a forked child would
 * have a copy of what is buffered.
 */
#ifndef SHIM_STANDARD_OUTPUT_H
#define SHIM_STANDARD_OUTPUT_H

#include <stddef.h>

struct error;

int standard_output_write(const void *data, size_t len, struct error *err);

#endif
