/*
 * -info: what containerd (since 2.0) asks a runtime about itself.
 */
#ifndef SHIM_INFO_H
#define SHIM_INFO_H

struct error;

#define INFO_NAME "io.containerd.kata.v2"

/* Reads the runtime options, a protobuf Any, from standard input; prints a RuntimeInfo. */
int info_print(struct error *err);

#endif
